// Root -> signing key -> document: trust model sections 3, 4, 8.5 and 8.6, on manifests, statuses and orders.
#include <gtest/gtest.h>

#include "codec/base64.h"
#include "trust/testing/test_world.h"

namespace fleetseal::trust {
namespace {

using manifest::KeyRole;
using testing::Must;
using testing::Release;
using testing::TestWorld;
using testing::WorldKey;

struct ChainTest : ::testing::Test {
  TestWorld world;
  mutable jose::VerifiedSjwks sjwks;
  std::string bytes = world.MakeManifest("1.5").Build();
  std::string payload = world.MakeSignature(bytes, 5).Build();

  std::string Good() const { return world.Sign(world.publisher, manifest::kTypManifest, payload); }
  // The same with what was verified before and without it.
  Verdict<VerifiedManifest> Verify(const std::string& compact) const {
    ManifestContext context = world.Context();
    auto verdict = VerifyManifest(context, bytes, compact);
    context.sjwks = &sjwks;
    const auto remembering = VerifyManifest(context, bytes, compact);
    EXPECT_EQ(remembering.has_value(), verdict.has_value());
    if (!remembering && !verdict) {
      EXPECT_EQ(remembering.error().ToString(), verdict.error().ToString());
    }
    return verdict;
  }
  KeyId Kid(std::string_view text) const { return Must(KeyId::Parse(text)); }
  // A document with a header written by hand.
  std::string SignRaw(const WorldKey& key, const codec::Json& header, std::string_view body) const {
    const std::string input =
        codec::EncodeBase64Url(AsBytes(header.Serialize())) + "." + codec::EncodeBase64Url(AsBytes(body));
    return input + "." + codec::EncodeBase64Url(Must(key.signer->Sign(key.alg(), AsBytes(input))));
  }
  codec::Json Header() const {
    codec::Json header = codec::Json::MakeObject();
    header.Set("alg", "ES256")
        .Set("typ", manifest::kTypManifest)
        .Set("sjwk", world.Sjwk(world.roots[0], world.publisher));
    return header;
  }
};

TEST_F(ChainTest, S1_18_ReportsBothKeysOfAGoodChain) {
  const std::string good = Good();
  const auto verified = Verify(good);
  ASSERT_TRUE(verified.has_value()) << verified.error().ToString();
  EXPECT_EQ(verified->signer().root_kid.text(), "root-1");
  EXPECT_EQ(verified->signer().key_kid.text(), "publisher-1");
  EXPECT_EQ(verified->signer().thumbprint, world.publisher.key().thumbprint());
  EXPECT_EQ(verified->signature().release_counter, 5);
  EXPECT_EQ(verified->jws_sha256(), crypto::HashSha256(good));
}

TEST_F(ChainTest, S1_18_RefusesAGoodOuterSignatureUnderASjwkThatNoRootSigned) {
  const WorldKey stranger = WorldKey::Make("root-1");
  EXPECT_REFUSED(
      Verify(world.SignJws(world.publisher, manifest::kTypManifest, payload, world.Sjwk(stranger, world.publisher))),
      kSignatureInvalid);
}

TEST_F(ChainTest, S1_18_RefusesAGoodSjwkUnderADocumentSignedByAnotherKey) {
  const WorldKey stranger = WorldKey::Make("publisher-1");
  EXPECT_REFUSED(
      Verify(world.SignJws(stranger, manifest::kTypManifest, payload, world.Sjwk(world.roots[0], world.publisher))),
      kSignatureInvalid);
}

TEST_F(ChainTest, S1_19_RefusesTheSjwkOfAnotherDocument) {
  const std::string director_sjwk = world.Sjwk(world.roots[0], world.director);
  EXPECT_REFUSED(Verify(world.SignJws(world.publisher, manifest::kTypManifest, payload, director_sjwk)),
                 kRoleNotAllowed);
}

TEST_F(ChainTest, S1_23_S1_55_RefusesADocumentWithJustAJwkOrAKid) {
  codec::Json bare = codec::Json::MakeObject();
  bare.Set("alg", "ES256").Set("typ", manifest::kTypManifest);
  EXPECT_REFUSED(Verify(SignRaw(world.publisher, bare, payload)), kHeaderNotAllowed);
  codec::Json kid = bare;
  kid.Set("kid", "publisher-1");
  EXPECT_REFUSED(Verify(SignRaw(world.publisher, kid, payload)), kHeaderNotAllowed);
  codec::Json jwk = bare;
  jwk.Set("jwk", jose::BuildJwk({world.publisher.key(), std::nullopt, std::nullopt}));
  EXPECT_REFUSED(Verify(SignRaw(world.publisher, jwk, payload)), kHeaderNotAllowed);
}

TEST_F(ChainTest, RefusesFurtherHeaderMembers) {
  EXPECT_TRUE(Verify(SignRaw(world.publisher, Header(), payload)).has_value());
  for (const char* name : {"kid", "crit", "b64", "jku", "x5u", "x5c", "zip", "more"}) {
    codec::Json header = Header();
    header.Set(name, "publisher-1");
    EXPECT_REFUSED(Verify(SignRaw(world.publisher, header, payload)), kHeaderNotAllowed);
  }
}

TEST_F(ChainTest, S1_51_RefusesASjwkInsideASjwkAndASjwkWithoutAKid) {
  codec::Json inner = codec::Json::MakeObject();
  inner.Set("alg", "ES256").Set("typ", jose::kSigningKeyTyp);
  const std::string jwk = jose::BuildJwk({world.publisher.key(), "publisher-1", world.publisher.alg()}).Serialize();
  EXPECT_REFUSED(
      Verify(world.SignJws(world.publisher, manifest::kTypManifest, payload, SignRaw(world.roots[0], inner, jwk))),
      kHeaderNotAllowed);
  inner.Set("kid", "root-1");
  EXPECT_TRUE(
      Verify(world.SignJws(world.publisher, manifest::kTypManifest, payload, SignRaw(world.roots[0], inner, jwk)))
          .has_value());
  inner.Set("sjwk", "a.b.c");
  EXPECT_REFUSED(
      Verify(world.SignJws(world.publisher, manifest::kTypManifest, payload, SignRaw(world.roots[0], inner, jwk))),
      kHeaderNotAllowed);
}

// S1.24: value, algorithm, signing key, its signature, root id, its algorithm: each missing and each altered.
TEST_F(ChainTest, S1_24_RefusesEachOfTheSixItemsMissingOrAltered) {
  const auto rebuild = [&](const codec::Json& header, std::string_view body) {
    return Verify(SignRaw(world.publisher, header, body));
  };
  // 1 value
  codec::Json body = Must(codec::ParseJson(payload));
  codec::Json without = codec::Json::MakeObject();
  for (const auto& [name, value] : body.as_object()) {
    if (name != "sha256") without.Set(name, value);
  }
  EXPECT_REFUSED(rebuild(Header(), without.Serialize()), kMemberMissing);
  auto other_hash = world.MakeSignature("other bytes", 5).Build();
  EXPECT_REFUSED(rebuild(Header(), other_hash), kManifestHashMismatch);
  // 2 algorithm
  const auto header_with = [&](std::string_view skip, std::string_view name, codec::Json value) {
    const codec::Json good = Header();
    codec::Json header = codec::Json::MakeObject();
    for (const auto& [key, member] : good.as_object()) {
      if (key == skip) continue;
      header.Set(key, member);
    }
    if (!name.empty()) header.Set(name, std::move(value));
    return header;
  };
  EXPECT_REFUSED(rebuild(header_with("alg", "", nullptr), payload), kMemberMissing);
  EXPECT_REFUSED(rebuild(header_with("alg", "alg", "RS256"), payload), kAlgorithmNotAllowed);
  EXPECT_REFUSED(rebuild(header_with("alg", "alg", "none"), payload), kAlgorithmNotAllowed);
  // 3 signing key
  EXPECT_REFUSED(rebuild(header_with("sjwk", "", nullptr), payload), kHeaderNotAllowed);
  const WorldKey other = WorldKey::Make("publisher-1");
  EXPECT_REFUSED(rebuild(header_with("sjwk", "sjwk", world.Sjwk(world.roots[0], other)), payload),
                 kSigningKeyNotListed);
  // 4 the signing key's signature
  const std::string sjwk = world.Sjwk(world.roots[0], world.publisher);
  EXPECT_REFUSED(rebuild(header_with("sjwk", "sjwk", sjwk.substr(0, sjwk.rfind('.') + 1)), payload), kJwsMalformed);
  std::string altered = sjwk;
  altered[altered.rfind('.') + 5] = altered[altered.rfind('.') + 5] == 'A' ? 'B' : 'A';
  EXPECT_REFUSED(rebuild(header_with("sjwk", "sjwk", altered), payload), kSignatureInvalid);
  // 5 root id
  const std::string jwk = jose::BuildJwk({world.publisher.key(), "publisher-1", world.publisher.alg()}).Serialize();
  codec::Json root_header = codec::Json::MakeObject();
  root_header.Set("alg", "ES256").Set("typ", jose::kSigningKeyTyp);
  EXPECT_REFUSED(rebuild(header_with("sjwk", "sjwk", SignRaw(world.roots[0], root_header, jwk)), payload),
                 kHeaderNotAllowed);
  root_header.Set("kid", "root-2");
  EXPECT_REFUSED(rebuild(header_with("sjwk", "sjwk", SignRaw(world.roots[0], root_header, jwk)), payload),
                 kSignatureInvalid);
  // 6 the root's algorithm
  codec::Json no_alg = codec::Json::MakeObject();
  no_alg.Set("typ", jose::kSigningKeyTyp).Set("kid", "root-1");
  EXPECT_REFUSED(rebuild(header_with("sjwk", "sjwk", SignRaw(world.roots[0], no_alg, jwk)), payload), kMemberMissing);
  no_alg.Set("alg", "RS256");
  EXPECT_REFUSED(rebuild(header_with("sjwk", "sjwk", SignRaw(world.roots[0], no_alg, jwk)), payload),
                 kAlgorithmNotAllowed);
}

TEST_F(ChainTest, S1_25_S1_52_RefusesUnknownAndDisabledRoots) {
  WorldKey unknown = world.roots[0];
  unknown.kid = "root-9";
  EXPECT_REFUSED(
      Verify(world.SignJws(world.publisher, manifest::kTypManifest, payload, world.Sjwk(unknown, world.publisher))),
      kUnknownRootKid);
  world.package.disabled_root_keys = {Kid("root-1")};
  EXPECT_REFUSED(Verify(Good()), kDisallowedRootKid);
  EXPECT_TRUE(Verify(world.SignJws(world.publisher, manifest::kTypManifest, payload,
                                   world.Sjwk(world.roots[1], world.publisher)))
                  .has_value());
}

TEST_F(ChainTest, S1_25_RefusesASjwkSignedByAnotherSigningKey) {
  WorldKey as_root = world.agent_release;
  EXPECT_REFUSED(
      Verify(world.SignJws(world.publisher, manifest::kTypManifest, payload, world.Sjwk(as_root, world.publisher))),
      kUnknownRootKid);
  as_root.kid = "root-1";
  EXPECT_REFUSED(
      Verify(world.SignJws(world.publisher, manifest::kTypManifest, payload, world.Sjwk(as_root, world.publisher))),
      kSignatureInvalid);
}

// Several things wrong at once: the refusal is the one of the earliest check.
TEST_F(ChainTest, S1_25_ChecksRootThenSigningKeyThenManifest) {
  const WorldKey stranger = WorldKey::Make("publisher-1");
  const auto document = [&](const WorldKey& root) {
    return world.SignJws(stranger, "fleetseal-order+jws", world.MakeSignature("other bytes", 5).Build(),
                         world.Sjwk(root, world.publisher));
  };
  world.package.disabled_signing_keys = {world.publisher.key().disabled_key_hash()};
  auto& listing = world.ListingOf("publisher-1");
  listing.role = KeyRole::kDirector;
  listing.not_after = world.now;
  listing.products.clear();
  listing.pq = codec::Json::MakeObject();
  world.package.disabled_root_keys = {Kid("root-1")};
  EXPECT_REFUSED(Verify(document(world.roots[0])), kDisallowedRootKid);
  world.package.disabled_root_keys.clear();
  WorldKey unknown = world.roots[0];
  unknown.kid = "root-9";
  EXPECT_REFUSED(Verify(document(unknown)), kUnknownRootKid);
  WorldKey wrong_root = WorldKey::Make("root-1");
  EXPECT_REFUSED(Verify(document(wrong_root)), kSignatureInvalid);
  EXPECT_REFUSED(Verify(document(world.roots[0])), kDisallowedSigningKey);
  world.package.disabled_signing_keys.clear();
  const Sha256 thumbprint = listing.thumbprint;
  listing.thumbprint = {};
  EXPECT_REFUSED(Verify(document(world.roots[0])), kSigningKeyNotListed);
  listing.thumbprint = thumbprint;
  EXPECT_REFUSED(Verify(document(world.roots[0])), kRoleNotAllowed);
  listing.role = KeyRole::kPublisher;
  EXPECT_REFUSED(Verify(document(world.roots[0])), kSigningKeyExpired);
  listing.not_after = world.now + 1;
  EXPECT_REFUSED(Verify(document(world.roots[0])), kPqSignatureMissing);
  listing.pq.reset();
  EXPECT_REFUSED(Verify(document(world.roots[0])), kProductNotAllowed);
  listing.products = {world.product};
  EXPECT_REFUSED(Verify(document(world.roots[0])), kTypMismatch);
  EXPECT_REFUSED(Verify(world.SignJws(stranger, manifest::kTypManifest, world.MakeSignature("other bytes", 5).Build(),
                                      world.Sjwk(world.roots[0], world.publisher))),
                 kSignatureInvalid);
  EXPECT_REFUSED(
      Verify(world.Sign(world.publisher, manifest::kTypManifest, world.MakeSignature("other bytes", 5).Build())),
      kManifestHashMismatch);
}

TEST_F(ChainTest, S1_26_S1_53_RefusesTheSignatureOfAnotherManifest) {
  const std::string other =
      world.Sign(world.publisher, manifest::kTypManifest, world.MakeSignature("other", 6).Build());
  std::string mixed = Good();
  mixed = mixed.substr(0, mixed.rfind('.')) + other.substr(other.rfind('.'));
  EXPECT_REFUSED(Verify(mixed), kSignatureInvalid);
}

// S1.27: trusted only as a conjunction. Each sub-check alone is made false; all others hold.
TEST_F(ChainTest, S1_27_AnySingleFalseSubCheckMeansNotTrusted) {
  ASSERT_TRUE(Verify(Good()).has_value());
  using Break = std::function<void(ChainTest&, TestWorld&)>;
  const std::vector<std::pair<ErrorCode, Break>> breaks = {
      {ErrorCode::kDisallowedRootKid,
       [](ChainTest& t, TestWorld& w) { w.package.disabled_root_keys = {t.Kid("root-1")}; }},
      {ErrorCode::kUnknownRootKid,
       [](ChainTest&, TestWorld& w) { w.package.root_keys_ext.erase(w.package.root_keys_ext.begin()); }},
      {ErrorCode::kSignatureInvalid,
       [](ChainTest& t, TestWorld& w) {
         w.package.root_keys_ext[0] = {t.Kid("root-1"), w.roots[1].key()};
       }},
      {ErrorCode::kDisallowedSigningKey,
       [](ChainTest&, TestWorld& w) { w.package.disabled_signing_keys = {w.publisher.key().disabled_key_hash()}; }},
      {ErrorCode::kSigningKeyNotListed, [](ChainTest&, TestWorld& w) { w.package.signing_keys.clear(); }},
      {ErrorCode::kSigningKeyNotListed, [](ChainTest&, TestWorld& w) { w.ListingOf("publisher-1").thumbprint = {}; }},
      {ErrorCode::kRoleNotAllowed,
       [](ChainTest&, TestWorld& w) { w.ListingOf("publisher-1").role = KeyRole::kDirector; }},
      {ErrorCode::kSigningKeyExpired, [](ChainTest&, TestWorld& w) { w.ListingOf("publisher-1").not_after = w.now; }},
      {ErrorCode::kSigningKeyExpired,
       [](ChainTest&, TestWorld& w) { w.ListingOf("publisher-1").not_before = w.now + 1; }},
      {ErrorCode::kPqSignatureMissing,
       [](ChainTest&, TestWorld& w) { w.ListingOf("publisher-1").pq = codec::Json::MakeObject(); }},
      {ErrorCode::kProductNotAllowed, [](ChainTest&, TestWorld& w) { w.ListingOf("publisher-1").products.clear(); }},
      {ErrorCode::kAlgorithmNotAllowed,
       [](ChainTest&, TestWorld& w) { w.ListingOf("publisher-1").alg = crypto::SignatureAlgorithm::kRs256; }},
      {ErrorCode::kManifestHashMismatch, [](ChainTest& t, TestWorld&) { t.bytes += " "; }},
      {ErrorCode::kAudienceMismatch,
       [](ChainTest&, TestWorld& w) { w.organisation = Must(Organisation::Parse("other")); }},
  };
  const std::string good = Good();
  ASSERT_TRUE(Verify(good).has_value());
  EXPECT_NE(sjwks.size(), 0u);
  const TestWorld good_world = world;
  const std::string good_bytes = bytes;
  for (const auto& [code, make_false] : breaks) {
    world = good_world;
    bytes = good_bytes;
    make_false(*this, world);
    const auto verdict = Verify(good);
    ASSERT_FALSE(verdict.has_value()) << ErrorCodeName(code);
    EXPECT_EQ(ErrorCodeName(verdict.error().code), ErrorCodeName(code)) << verdict.error().ToString();
  }
}

TEST_F(ChainTest, S1_27_RefusesAWithdrawnManifest) {
  const std::vector<Sha256> withdrawn = {crypto::HashSha256("something else"), crypto::HashSha256(bytes)};
  ManifestContext context = world.Context();
  EXPECT_TRUE(VerifyManifest(
                  {context.package, context.profile, context.organisation, std::span(withdrawn).first(1), context.now},
                  bytes, Good())
                  .has_value());
  EXPECT_REFUSED(
      VerifyManifest({context.package, context.profile, context.organisation, withdrawn, context.now}, bytes, Good()),
      kWithdrawn);
}

TEST_F(ChainTest, S1_30_RefusesEveryOneByteAndWhiteSpaceChangeOfTheManifest) {
  const std::string good = Good();
  const std::string original = bytes;
  for (size_t i = 0; i < original.size(); i += 3) {
    bytes = original;
    bytes[i] = static_cast<char>(bytes[i] ^ 1);
    EXPECT_REFUSED(Verify(good), kManifestHashMismatch);
  }
  for (const auto& [at, text] :
       std::vector<std::pair<size_t, std::string>>{{1, " "}, {original.size(), "\n"}, {0, " "}}) {
    bytes = original;
    bytes.insert(at, text);
    EXPECT_REFUSED(Verify(good), kManifestHashMismatch);
  }
  // The same members in another order, and another escape of the same text.
  bytes = "{\"updateId\":" + Must(codec::MinifiedMember(original, "updateId")) + ",\"manifestVersion\":\"5\"" +
          original.substr(original.find(",\"compatibility\""));
  EXPECT_REFUSED(Verify(good), kManifestHashMismatch);
  bytes = original;
  bytes.replace(bytes.find("acme"), 1, "\\u0061");
  EXPECT_REFUSED(Verify(good), kManifestHashMismatch);
}

TEST_F(ChainTest, S1_30_RefusesEveryOneCharacterChangeOfTheSignature) {
  const std::string good = Good();
  for (size_t i = 0; i < good.size(); i += 5) {
    std::string changed = good;
    changed[i] = changed[i] == 'A' ? 'B' : 'A';
    if (changed == good) continue;
    EXPECT_FALSE(Verify(changed).has_value()) << i;
  }
}

TEST_F(ChainTest, RefusesAnotherTyp) {
  EXPECT_REFUSED(Verify(world.Sign(world.publisher, manifest::kTypPermit, payload)), kTypMismatch);
  EXPECT_REFUSED(Verify(world.Sign(world.publisher, "fleetseal-Manifest+jws", payload)), kTypMismatch);
}

TEST_F(ChainTest, RefusesASjwkOfAnotherTyp) {
  codec::Json inner = codec::Json::MakeObject();
  inner.Set("alg", "ES256").Set("kid", "root-1").Set("typ", "fleetseal-manifest+jws");
  const std::string jwk = jose::BuildJwk({world.publisher.key(), "publisher-1", world.publisher.alg()}).Serialize();
  EXPECT_REFUSED(
      Verify(world.SignJws(world.publisher, manifest::kTypManifest, payload, SignRaw(world.roots[0], inner, jwk))),
      kTypMismatch);
}

TEST_F(ChainTest, RefusesAJwkThatNamesAnotherAlgorithmThanTheListing) {
  const WorldKey rsa = WorldKey::Make("rsa-1", crypto::KeyKind::kRsa2048);
  world.package.signing_keys.push_back(world.Listing(rsa, KeyRole::kPublisher, 90));
  EXPECT_TRUE(Verify(world.Sign(rsa, manifest::kTypManifest, payload)).has_value());
  // PS256 with the same key: header and JWK agree, the listing does not.
  const auto ps256 = crypto::SignatureAlgorithm::kPs256;
  const std::string sjwk =
      Must(jose::SignSjwk(*world.roots[0].signer, {"root-1", world.roots[0].alg(), {}}, {rsa.key(), rsa.kid, ps256}));
  const std::string compact = Must(jose::SignCompact(
      *rsa.signer, {ps256, std::string(manifest::kTypManifest), std::nullopt, sjwk}, AsBytes(payload)));
  EXPECT_REFUSED(Verify(compact), kAlgorithmNotAllowed);
}

TEST_F(ChainTest, S1_35_RefusesAJwkWhoseAlgIsNotTheHeadersAndTheListings) {
  const WorldKey rsa = WorldKey::Make("rsa-1", crypto::KeyKind::kRsa2048);
  world.package.signing_keys.push_back(world.Listing(rsa, KeyRole::kPublisher, 90));
  const std::string sjwk = Must(jose::SignSjwk(*world.roots[0].signer, {"root-1", world.roots[0].alg(), {}},
                                               {rsa.key(), rsa.kid, crypto::SignatureAlgorithm::kPs256}));
  EXPECT_REFUSED(Verify(world.SignJws(rsa, manifest::kTypManifest, payload, sjwk)), kAlgorithmNotAllowed);
}

TEST_F(ChainTest, X3_RefusesAProductThatDiffersBetweenSignatureAndManifest) {
  const ProductName other = Must(ProductName::Parse("acme/other"));
  world.ListingOf("publisher-1").products.push_back(other);
  auto signature = world.MakeSignature(bytes, 5);
  signature.product = other;
  EXPECT_REFUSED(Verify(world.Sign(world.publisher, manifest::kTypManifest, signature.Build())), kProductNotAllowed);
}

TEST_F(ChainTest, AgentReleaseSignsForSelfOnlyAndNobodyElseDoes) {
  EXPECT_REFUSED(Verify(world.Sign(world.agent_release, manifest::kTypManifest, payload)), kRoleNotAllowed);
  auto manifest = world.MakeManifest("1.5");
  manifest.steps[0].handler = std::string(manifest::kHandlerSelf);
  bytes = manifest.Build();
  payload = world.MakeSignature(bytes, 5).Build();
  EXPECT_TRUE(Verify(world.Sign(world.agent_release, manifest::kTypManifest, payload)).has_value());
  EXPECT_REFUSED(Verify(Good()), kRoleNotAllowed);
}

TEST_F(ChainTest, S1_54_OldAndNewSigningKeyHoldSideBySideUntilTheOverlapEnds) {
  const WorldKey next = WorldKey::Make("publisher-2");
  world.package.signing_keys.push_back(world.Listing(next, KeyRole::kPublisher, 90));
  world.ListingOf("publisher-1").not_after = world.now + 10;
  const std::string old_good = Good();
  const std::string new_good = world.Sign(next, manifest::kTypManifest, payload);
  EXPECT_TRUE(Verify(old_good).has_value());
  EXPECT_TRUE(Verify(new_good).has_value());
  world.now = world.now + 10;
  EXPECT_REFUSED(Verify(old_good), kSigningKeyExpired);
  EXPECT_TRUE(Verify(new_good).has_value());
}

TEST_F(ChainTest, S1_56_TheKeyThatCameWithASignatureJudgesItAndNoneThatWasSeenBefore) {
  const WorldKey next = WorldKey::Make("publisher-2");
  world.package.signing_keys.push_back(world.Listing(next, KeyRole::kPublisher, 90));
  const std::string by_next = world.Sign(next, manifest::kTypManifest, payload);
  codec::Json header = codec::Json::MakeObject();
  header.Set("alg", "ES256").Set("typ", manifest::kTypManifest).Set("sjwk", world.Sjwk(world.roots[0], next));
  const std::string by_stale = SignRaw(world.publisher, header, payload);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(Must(Verify(Good())).signer().key_kid.text(), "publisher-1");
    EXPECT_EQ(Must(Verify(by_next)).signer().key_kid.text(), "publisher-2");
    EXPECT_REFUSED(Verify(by_stale), kSignatureInvalid);
  }
}

TEST_F(ChainTest, TheAzureProfileIsFixedByTheStateAndNotByTheDocument) {
  world.profile = Profile::kAdu;
  const WorldKey rsa_root = WorldKey::Make("rsa-root", crypto::KeyKind::kRsa2048);
  const WorldKey rsa = WorldKey::Make("rsa-1", crypto::KeyKind::kRsa2048);
  world.roots[0] = rsa_root;
  world.package.root_keys.push_back({Kid("rsa-root"), rsa_root.key()});
  world.package.signing_keys.push_back(world.Listing(rsa, KeyRole::kPublisher, 90));
  const std::string azure_form = world.Sign(rsa, manifest::kTypManifest, payload);
  EXPECT_TRUE(Verify(azure_form).has_value());
  world.profile = Profile::kNative;
  // A modulus that has none of + / is written alike in both alphabets but for the padding; 256 bytes always need some.
  EXPECT_FALSE(Verify(azure_form).has_value());
  EXPECT_TRUE(Verify(world.Sign(rsa, manifest::kTypManifest, payload)).has_value());
}

TEST(CheckFile, S1_13_EveryListedHashMustMatch) {
  manifest::UpdateFile file;
  file.id = Must(FileId::Parse("f0123456789abcdef"));
  file.size = {8};
  file.sha256 = crypto::HashSha256("contents");
  const ComputedFile good{{8}, file.sha256, Bytes(48, 1), Bytes(64, 2)};
  EXPECT_TRUE(CheckFile(file, good).has_value());
  file.sha384 = Bytes(48, 1);
  file.sha512 = Bytes(64, 2);
  EXPECT_TRUE(CheckFile(file, good).has_value());
  ComputedFile changed = good;
  changed.sha256 = crypto::HashSha256("other");
  EXPECT_REFUSED(CheckFile(file, changed), kFileHashMismatch);
  changed = good;
  changed.sha384[0] ^= 1;
  EXPECT_REFUSED(CheckFile(file, changed), kFileHashMismatch);
  changed = good;
  changed.sha512.clear();  // listed, but nobody computed it
  EXPECT_REFUSED(CheckFile(file, changed), kFileHashMismatch);
  changed = good;
  changed.size = {9};
  EXPECT_REFUSED(CheckFile(file, changed), kFileTooLarge);
  changed.size = {7};
  EXPECT_REFUSED(CheckFile(file, changed), kFileHashMismatch);
}

TEST_F(ChainTest, RefusesAManifestAboveItsLimitBeforeAnythingElse) {
  bytes = std::string(limits::kManifestBytesMax + 1, ' ');
  EXPECT_REFUSED(Verify("not even a JWS"), kDocumentTooLarge);
}

}  // namespace
}  // namespace fleetseal::trust
