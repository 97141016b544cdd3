// JWK, JWS and the signed JWK: refusals of every loose form. Vectors of others are in vectors_test.cc.
#include <gtest/gtest.h>

#include "codec/base64.h"
#include "crypto/random.h"
#include "jose/jwk.h"
#include "jose/jws.h"
#include "jose/sjwk.h"

namespace fleetseal::jose {
namespace {

using codec::Json;
using crypto::KeyKind;
using crypto::PrivateKey;
using crypto::SignatureAlgorithm;

template <typename T>
ErrorCode CodeOf(const Result<T>& outcome) {
  return outcome ? ErrorCode::kInternal : outcome.error().code;
}
crypto::SoftwareSigner MakeSigner(KeyKind kind = KeyKind::kP256) {
  return crypto::SoftwareSigner(PrivateKey::Generate(kind).value());
}
std::string Base64Url(std::string_view text) { return codec::EncodeBase64Url(AsBytes(text)); }
Json JwkOf(const crypto::Signer& signer) {
  return BuildJwk({.key = signer.public_key(), .kid = "k1", .alg = signer.public_key().default_algorithm()});
}
// A copy of `json` with one member replaced (or added), or removed if `value` is nullopt.
Json With(const Json& json, std::string_view name, std::optional<Json> value) {
  Json changed = Json::MakeObject();
  for (const auto& [member, old] : json.as_object()) {
    if (member != name) changed.Set(member, old);
  }
  if (value) changed.Set(name, *value);
  return changed;
}

TEST(Jwk, RoundTripsForEveryKind) {
  for (const KeyKind kind : {KeyKind::kP256, KeyKind::kP384, KeyKind::kEd25519, KeyKind::kRsa2048}) {
    const auto signer = MakeSigner(kind);
    const Json json = JwkOf(signer);
    const auto read = ParseJwk(codec::ParseJson(json.Serialize()).value());
    ASSERT_TRUE(read) << read.error().ToString();
    EXPECT_TRUE(read->key == signer.public_key());
    EXPECT_EQ(read->kid, "k1");
    EXPECT_EQ(read->alg, signer.public_key().default_algorithm());
    const auto bare = ParseJwk(With(With(json, "kid", std::nullopt), "alg", std::nullopt));
    ASSERT_TRUE(bare);
    EXPECT_FALSE(bare->kid || bare->alg);
  }
}

TEST(Jwk, S1_17_RefusesPrivateAndUnknownMembers) {
  const Json json = JwkOf(MakeSigner());
  for (const char* name : {"d", "use", "key_ops", "x5c", "k", "p", "e", "n", "KTY"}) {
    EXPECT_EQ(CodeOf(ParseJwk(With(json, name, Json("AQAB")))), ErrorCode::kMemberUnknown) << name;
  }
  EXPECT_EQ(CodeOf(ParseJwk(With(JwkOf(MakeSigner(KeyKind::kRsa2048)), "d", Json("AQAB")))), ErrorCode::kMemberUnknown);
  EXPECT_EQ(CodeOf(ParseJwk(With(JwkOf(MakeSigner(KeyKind::kEd25519)), "d", Json("AQAB")))), ErrorCode::kMemberUnknown);
}

TEST(Jwk, RefusesMissingAndMistypedMembers) {
  const Json json = JwkOf(MakeSigner());
  for (const char* name : {"kty", "crv", "x", "y"}) {
    EXPECT_EQ(CodeOf(ParseJwk(With(json, name, std::nullopt))), ErrorCode::kMemberMissing) << name;
    EXPECT_EQ(CodeOf(ParseJwk(With(json, name, Json(1)))), ErrorCode::kMemberTypeWrong) << name;
  }
  EXPECT_FALSE(ParseJwk(Json::MakeArray()));
  EXPECT_EQ(CodeOf(ParseJwk(With(json, "kty", Json("oct")))), ErrorCode::kKeyInvalid);
  EXPECT_EQ(CodeOf(ParseJwk(With(json, "crv", Json("P-521")))), ErrorCode::kKeyInvalid);
  EXPECT_EQ(CodeOf(ParseJwk(With(json, "crv", Json("secp256k1")))), ErrorCode::kKeyInvalid);
  EXPECT_EQ(CodeOf(ParseJwk(With(JwkOf(MakeSigner(KeyKind::kEd25519)), "crv", Json("X25519")))),
            ErrorCode::kKeyInvalid);
}

TEST(Jwk, S1_32_RefusesOtherFormsOfTheSameNumber) {
  const auto signer = MakeSigner();
  const Json json = JwkOf(signer);
  const Bytes x = ToBytes(signer.public_key().x());
  Bytes longer = x;
  longer.insert(longer.begin(), 0);
  EXPECT_EQ(CodeOf(ParseJwk(With(json, "x", Json(codec::EncodeBase64Url(longer))))), ErrorCode::kKeyInvalid);
  EXPECT_EQ(CodeOf(ParseJwk(With(json, "x", Json(codec::EncodeBase64Url(ByteView(x).first(31)))))),
            ErrorCode::kKeyInvalid);
  EXPECT_EQ(CodeOf(ParseJwk(With(json, "x", Json(codec::EncodeBase64(x))))), ErrorCode::kBase64Invalid);
  EXPECT_EQ(CodeOf(ParseJwk(With(json, "x", Json(codec::EncodeBase64Url(x) + "=")))), ErrorCode::kBase64Invalid);
  const auto rsa = MakeSigner(KeyKind::kRsa2048);
  Bytes n = ToBytes(rsa.public_key().n());
  n.insert(n.begin(), 0);
  EXPECT_EQ(CodeOf(ParseJwk(With(JwkOf(rsa), "n", Json(codec::EncodeBase64Url(n))))), ErrorCode::kKeyInvalid);
  EXPECT_EQ(CodeOf(ParseJwk(With(JwkOf(rsa), "e", Json("AAEAAQ")))), ErrorCode::kKeyInvalid);
  EXPECT_EQ(CodeOf(ParseJwk(With(JwkOf(rsa), "e", Json("Aw")))), ErrorCode::kKeyWeak);
}

TEST(Jwk, RefusesAlgOfAnotherKindAndKidThatIsNoId) {
  const Json json = JwkOf(MakeSigner());
  for (const char* alg : {"RS256", "ES384", "EdDSA", "none", "HS256", "ECDH-ES"}) {
    EXPECT_EQ(CodeOf(ParseJwk(With(json, "alg", Json(alg)))), ErrorCode::kAlgorithmNotAllowed) << alg;
  }
  for (const char* kid : {"", "a/b", "..", "a b"}) {
    EXPECT_EQ(CodeOf(ParseJwk(With(json, "kid", Json(kid)))), ErrorCode::kIdInvalid) << kid;
  }
}

TEST(Jwk, ModulusFormIsTheCallersChoiceAndNeverGuessed) {
  for (int i = 0; i < 4; ++i) {  // until the modulus has a character that tells the alphabets apart
    const auto rsa = MakeSigner(KeyKind::kRsa2048);
    const Jwk jwk{.key = rsa.public_key(), .kid = std::nullopt, .alg = std::nullopt};
    const Json azure = BuildJwk(jwk, ModulusForm::kStandardBase64);
    const Json plain = BuildJwk(jwk);
    EXPECT_TRUE(ParseJwk(azure, ModulusForm::kStandardBase64).value().key == jwk.key);
    EXPECT_TRUE(ParseJwk(plain).value().key == jwk.key);
    EXPECT_FALSE(ParseJwk(azure));  // 256 bytes need padding, which base64url refuses
    EXPECT_FALSE(ParseJwk(plain, ModulusForm::kStandardBase64));
  }
}

const JwsHeader kHeader{
    .alg = SignatureAlgorithm::kEs256, .typ = "fleetseal-order+jws", .kid = "k1", .sjwk = std::nullopt};

// A compact JWS of `signer` with any header text at all.
std::string SignRaw(const crypto::Signer& signer, std::string_view header, std::string_view payload = "{}") {
  const std::string input = Base64Url(header) + "." + Base64Url(payload);
  const auto signature = signer.Sign(signer.public_key().default_algorithm(), AsBytes(input)).value();
  return input + "." + codec::EncodeBase64Url(signature);
}

TEST(Jws, SignsAndVerifiesAndKeepsThePayload) {
  for (const KeyKind kind : {KeyKind::kP256, KeyKind::kP384, KeyKind::kEd25519, KeyKind::kRsa2048}) {
    const auto signer = MakeSigner(kind);
    JwsHeader header = kHeader;
    header.alg = signer.public_key().default_algorithm();
    header.sjwk = "a.b.c";
    const std::string compact = SignCompact(signer, header, AsBytes("payload")).value();
    const auto jws = UnverifiedJws::Parse(compact);
    ASSERT_TRUE(jws) << jws.error().ToString();
    EXPECT_EQ(AsText(jws->unverified_payload()), "payload");
    EXPECT_EQ(jws->header().typ, kHeader.typ);
    EXPECT_EQ(jws->header().kid, "k1");
    EXPECT_EQ(jws->header().sjwk, "a.b.c");
    EXPECT_EQ(jws->compact(), compact);
    EXPECT_TRUE(jws->Verify(signer.public_key(), header.alg));
    EXPECT_EQ(CodeOf(jws->Verify(MakeSigner(kind).public_key(), header.alg)), ErrorCode::kSignatureInvalid);
  }
}

TEST(Jws, S0_6_EveryChangedCharacterIsRefused) {
  const auto signer = MakeSigner();
  const std::string compact = SignCompact(signer, kHeader, AsBytes(R"({"a":1})")).value();
  for (size_t i = 0; i < compact.size(); ++i) {
    std::string changed = compact;
    changed[i] = changed[i] == 'A' ? 'B' : 'A';
    const auto jws = UnverifiedJws::Parse(changed);
    EXPECT_FALSE(jws && jws->Verify(signer.public_key(), SignatureAlgorithm::kEs256)) << i;
  }
}

TEST(Jws, S1_17_RefusesOtherThanThreeFullSegments) {
  const std::string good = SignCompact(MakeSigner(), kHeader, AsBytes("{}")).value();
  const size_t first = good.find('.');
  const size_t second = good.find('.', first + 1);
  for (const std::string& bad : {std::string(), std::string("."), std::string(".."), good.substr(0, second), good + ".",
                                 good + ".AA", "." + good, good.substr(0, second + 1), good.substr(first),
                                 good.substr(0, first) + "." + good.substr(second)}) {
    EXPECT_EQ(CodeOf(UnverifiedJws::Parse(bad)), ErrorCode::kJwsMalformed) << bad;
  }
  EXPECT_EQ(CodeOf(UnverifiedJws::Parse(good, good.size() - 1)), ErrorCode::kDocumentTooLarge);
  EXPECT_TRUE(UnverifiedJws::Parse(good, good.size()));
}

TEST(Jws, S1_32_RefusesBase64ThatIsNotCanonical) {
  const std::string good = SignCompact(MakeSigner(), kHeader, AsBytes("{}")).value();  // payload "e30"
  const size_t first = good.find('.');
  for (const std::string& bad :
       {good + "=", good + "\n", "\n" + good, good + " ", good.substr(0, first) + "=" + good.substr(first),
        good.substr(0, first) + ".e31" + good.substr(first + 4),
        good.substr(0, first) + ".e3+0" + good.substr(first + 4),
        good.substr(0, first) + ".e3/0" + good.substr(first + 4)}) {
    EXPECT_EQ(CodeOf(UnverifiedJws::Parse(bad)), ErrorCode::kBase64Invalid) << bad;
  }
}

TEST(Jws, S0_27_RefusesHeaderMembersThatChooseAKeyOrChangeTheReading) {
  const auto signer = MakeSigner();
  for (const char* member : {R"("crit":["b64"])", R"("b64":false)", R"("jwk":{})", R"("jku":"https://a")",
                             R"("x5u":"https://a")", R"("x5c":[])", R"("x5t":"a")", R"("x5t#S256":"a")",
                             R"("zip":"DEF")", R"("cty":"JWT")", R"("exp":1)", R"("Alg":"none")", R"("":1)"}) {
    const std::string header = std::string(R"({"alg":"ES256","typ":"t","kid":"k",)") + member + "}";
    for (const HeaderPolicy policy : {HeaderPolicy::kFleetseal, HeaderPolicy::kLoose}) {
      EXPECT_EQ(CodeOf(UnverifiedJws::Parse(SignRaw(signer, header), limits::kJwsBytesMax, policy)),
                ErrorCode::kHeaderNotAllowed)
          << member;
    }
  }
}

TEST(Jws, S0_27_RefusesNoneAndHmacAndUnknownAlgorithms) {
  const auto signer = MakeSigner();
  for (const char* alg : {"none", "None", "HS256", "HS512", "es256", "RS512", ""}) {
    const std::string header = std::string(R"({"typ":"t","alg":")") + alg + "\"}";
    EXPECT_EQ(CodeOf(UnverifiedJws::Parse(SignRaw(signer, header))), ErrorCode::kAlgorithmNotAllowed) << alg;
  }
}

TEST(Jws, RefusesEachWrongHeader) {
  const auto signer = MakeSigner();
  const std::pair<const char*, ErrorCode> cases[] = {
      {R"({"alg":"ES256"})", ErrorCode::kMemberMissing},
      {R"({"typ":"t"})", ErrorCode::kMemberMissing},
      {R"({"alg":1,"typ":"t"})", ErrorCode::kMemberTypeWrong},
      {R"({"alg":"ES256","typ":1})", ErrorCode::kMemberTypeWrong},
      {R"({"alg":"ES256","typ":"t","kid":1})", ErrorCode::kMemberTypeWrong},
      {R"({"alg":"ES256","typ":"t","sjwk":{}})", ErrorCode::kMemberTypeWrong},
      {R"({"alg":"ES256","typ":""})", ErrorCode::kTextInvalid},
      {R"({"alg":"ES256","typ":"é"})", ErrorCode::kTextInvalid},
      {R"({"alg":"ES256","typ":"a\u0000b"})", ErrorCode::kTextInvalid},
      {R"({"alg":"ES256","typ":"t","kid":"a/b"})", ErrorCode::kIdInvalid},
      {R"({"alg":"ES256","typ":"t","kid":""})", ErrorCode::kIdInvalid},
      {R"({"alg":"ES256","alg":"ES256","typ":"t"})", ErrorCode::kJsonDuplicateMember},
      {R"({"alg":"ES256","typ":"t"} )", ErrorCode::kInternal},
      {R"({"alg":"ES256","typ":"t"}x)", ErrorCode::kJsonInvalid},
      {R"([])", ErrorCode::kJwsMalformed},
      {R"("alg")", ErrorCode::kJwsMalformed},
  };
  for (const auto& [header, code] : cases)
    EXPECT_EQ(CodeOf(UnverifiedJws::Parse(SignRaw(signer, header))), code) << header;
}

TEST(Jws, LooseHeadersMayLackTypAndHaveOtherKids) {
  const auto signer = MakeSigner();
  const auto parse = [&](std::string_view header) {
    return UnverifiedJws::Parse(SignRaw(signer, header), limits::kJwsBytesMax, HeaderPolicy::kLoose);
  };
  EXPECT_TRUE(parse(R"({"alg":"ES256"})").value().header().typ.empty());
  EXPECT_EQ(parse(R"({"alg":"ES256","kid":"a@b"})").value().header().kid, "a@b");
  EXPECT_EQ(CodeOf(parse(R"({"alg":"ES256","kid":"é"})")), ErrorCode::kTextInvalid);
  EXPECT_EQ(CodeOf(parse(R"({"alg":"ES256","typ":""})")), ErrorCode::kTextInvalid);
}

TEST(Jws, S1_34_HeaderAlgMustEqualTheExpectedOne) {
  const auto rsa = MakeSigner(KeyKind::kRsa2048);
  JwsHeader header = kHeader;
  header.alg = SignatureAlgorithm::kPs256;
  const auto jws = UnverifiedJws::Parse(SignCompact(rsa, header, AsBytes("{}")).value());
  EXPECT_TRUE(jws->Verify(rsa.public_key(), SignatureAlgorithm::kPs256));
  EXPECT_EQ(CodeOf(jws->Verify(rsa.public_key(), SignatureAlgorithm::kRs256)), ErrorCode::kAlgorithmNotAllowed);
  EXPECT_EQ(CodeOf(jws->Verify(MakeSigner().public_key(), SignatureAlgorithm::kPs256)),
            ErrorCode::kAlgorithmNotAllowed);
}

TEST(Jws, DoesNotSignWhatItWouldRefuse) {
  const auto signer = MakeSigner();
  JwsHeader header = kHeader;
  header.typ = "";
  EXPECT_EQ(CodeOf(SignCompact(signer, header, AsBytes("{}"))), ErrorCode::kMemberMissing);
  header = kHeader;
  header.kid = "a b";
  EXPECT_EQ(CodeOf(SignCompact(signer, header, AsBytes("{}"))), ErrorCode::kIdInvalid);
  EXPECT_EQ(CodeOf(SignCompact(signer, kHeader, {})), ErrorCode::kJwsMalformed);
  header = kHeader;
  header.alg = SignatureAlgorithm::kRs256;
  EXPECT_EQ(CodeOf(SignCompact(signer, header, AsBytes("{}"))), ErrorCode::kAlgorithmNotAllowed);
}

TEST(Sjwk, S1_18_RootVouchesForASigningKey) {
  const auto root = MakeSigner(KeyKind::kRsa2048);
  const auto key = MakeSigner();
  const SjwkOptions options{.root_kid = "root-1", .root_alg = SignatureAlgorithm::kRs256};
  const std::string compact =
      SignSjwk(root, options, {.key = key.public_key(), .kid = "pub-1", .alg = SignatureAlgorithm::kEs256}).value();
  const auto jws = UnverifiedJws::Parse(compact).value();
  EXPECT_EQ(jws.header().kid, "root-1");
  EXPECT_EQ(jws.header().typ, kSigningKeyTyp);
  const auto read = VerifySjwk(jws, root.public_key(), SignatureAlgorithm::kRs256);
  ASSERT_TRUE(read) << read.error().ToString();
  EXPECT_TRUE(read->key == key.public_key());
  EXPECT_EQ(read->kid, "pub-1");
  EXPECT_EQ(read->alg, SignatureAlgorithm::kEs256);
  EXPECT_EQ(CodeOf(VerifySjwk(jws, MakeSigner(KeyKind::kRsa2048).public_key(), SignatureAlgorithm::kRs256)),
            ErrorCode::kSignatureInvalid);
  EXPECT_EQ(CodeOf(VerifySjwk(jws, root.public_key(), SignatureAlgorithm::kPs256)), ErrorCode::kAlgorithmNotAllowed);
  EXPECT_EQ(CodeOf(SignSjwk(root, options, {.key = key.public_key(), .kid = "a b", .alg = SignatureAlgorithm::kEs256})),
            ErrorCode::kIdInvalid);
  EXPECT_EQ(CodeOf(SignSjwk(root, options, {.key = key.public_key(), .kid = "a", .alg = SignatureAlgorithm::kEdDsa})),
            ErrorCode::kAlgorithmNotAllowed);
}

TEST(Sjwk, RefusesOtherTypesAndIncompleteKeys) {
  const auto root = MakeSigner();
  const auto sign = [&](std::string_view typ, const Json& payload) {
    JwsHeader header = kHeader;
    header.typ = std::string(typ);
    const std::string compact = SignCompact(root, header, AsBytes(payload.Serialize())).value();
    return CodeOf(VerifySjwk(UnverifiedJws::Parse(compact).value(), root.public_key(), SignatureAlgorithm::kEs256));
  };
  const Json jwk = JwkOf(MakeSigner());
  EXPECT_EQ(sign(kSigningKeyTyp, jwk), ErrorCode::kInternal);  // good: no code
  EXPECT_EQ(sign("fleetseal-order+jws", jwk), ErrorCode::kTypMismatch);
  EXPECT_EQ(sign(kSigningKeyTyp, With(jwk, "kid", std::nullopt)), ErrorCode::kMemberMissing);
  EXPECT_EQ(sign(kSigningKeyTyp, With(jwk, "alg", std::nullopt)), ErrorCode::kMemberMissing);
  EXPECT_EQ(sign(kSigningKeyTyp, With(jwk, "role", Json("director"))), ErrorCode::kMemberUnknown);
  EXPECT_EQ(sign(kSigningKeyTyp, Json::MakeArray()), ErrorCode::kMemberTypeWrong);
}

TEST(VerifiedSjwks, S1_56_AnswerForTheSameInputsOnly) {
  const auto root = MakeSigner();
  const auto other = MakeSigner();
  const auto rsa = MakeSigner(KeyKind::kRsa2048);
  const SjwkOptions options{.root_kid = "root-1"};
  const auto sjwk_of = [&](const std::string& kid) {
    const SigningKey key{.key = rsa.public_key(), .kid = kid, .alg = SignatureAlgorithm::kRs256};
    return UnverifiedJws::Parse(SignSjwk(root, options, key).value()).value();
  };
  const auto jws = sjwk_of("pub-1");
  VerifiedSjwks known;
  const auto verify = [&](const UnverifiedJws& sjwk, const crypto::PublicKey& key, SignatureAlgorithm alg,
                          ModulusForm form) { return CodeOf(known.Verify(sjwk, key, alg, form)); };
  for (int i = 0; i < 2; ++i) {
    const auto read = known.Verify(jws, root.public_key(), SignatureAlgorithm::kEs256, ModulusForm::kBase64Url).value();
    EXPECT_EQ(read.kid, "pub-1");
    EXPECT_TRUE(read.key == rsa.public_key());
    EXPECT_EQ(known.size(), 1u);
  }
  EXPECT_EQ(verify(jws, other.public_key(), SignatureAlgorithm::kEs256, ModulusForm::kBase64Url),
            ErrorCode::kSignatureInvalid);
  EXPECT_EQ(verify(jws, root.public_key(), SignatureAlgorithm::kEs384, ModulusForm::kBase64Url),
            ErrorCode::kAlgorithmNotAllowed);
  EXPECT_EQ(verify(jws, root.public_key(), SignatureAlgorithm::kEs256, ModulusForm::kStandardBase64),
            CodeOf(VerifySjwk(jws, root.public_key(), SignatureAlgorithm::kEs256, ModulusForm::kStandardBase64)));
  std::string changed = sjwk_of("pub-2").compact();
  changed = changed.substr(0, changed.rfind('.')) + jws.compact().substr(jws.compact().rfind('.'));
  EXPECT_EQ(verify(UnverifiedJws::Parse(changed).value(), root.public_key(), SignatureAlgorithm::kEs256,
                   ModulusForm::kBase64Url),
            ErrorCode::kSignatureInvalid);
  EXPECT_EQ(known.size(), 1u);  // refusals are not kept
}

TEST(VerifiedSjwks, AreBounded) {
  const auto root = MakeSigner();
  VerifiedSjwks known;
  for (size_t i = 0; i < 2 * kVerifiedSjwksMax; ++i) {
    const SigningKey key{.key = root.public_key(), .kid = "key-" + std::to_string(i)};
    const std::string compact = SignSjwk(root, {.root_kid = "root-1"}, key).value();
    ASSERT_TRUE(known.Verify(UnverifiedJws::Parse(compact).value(), root.public_key(), SignatureAlgorithm::kEs256,
                             ModulusForm::kBase64Url));
    ASSERT_LE(known.size(), kVerifiedSjwksMax);
  }
}

}  // namespace
}  // namespace fleetseal::jose
