#include "manifest/root_package.h"

#include <gtest/gtest.h>

#include "crypto/digest.h"
#include "merkle/note.h"

namespace fleetseal::manifest {
namespace {

const ProductName kProduct = ProductName::Parse("acme/gateway").value();

KeyId Kid(std::string_view text) { return KeyId::Parse(text).value(); }

crypto::PublicKey NewKey(crypto::KeyKind kind) { return crypto::PrivateKey::Generate(kind).value().public_key(); }

std::string Vkey(std::string_view name, merkle::NoteKeyType type) {
  const auto key = NewKey(crypto::KeyKind::kEd25519);
  return VkeyToPackage(merkle::Vkey::FromEd25519(name, key.x(), type).value().ToText()).value();
}

RootPackage Good() {
  static const crypto::PublicKey rsa = NewKey(crypto::KeyKind::kRsa2048);
  RootPackage package;
  package.version = 3;
  package.published = {1000};
  package.expires = {2000};
  package.director_epoch = 1;
  package.root_keys = {{Kid("rsa-root"), rsa}};
  package.root_keys_ext = {{Kid("ec-root-1"), NewKey(crypto::KeyKind::kP256)},
                           {Kid("ec-root-2"), NewKey(crypto::KeyKind::kP256)}};
  package.disabled_root_keys = {Kid("old-root")};
  package.disabled_signing_keys = {crypto::HashSha256("k")};
  SigningKeyListing listing{Kid("publisher-1"),
                            crypto::HashSha256("p"),
                            crypto::SignatureAlgorithm::kEs256,
                            KeyRole::kPublisher,
                            {kProduct},
                            {1000},
                            {1500},
                            std::nullopt};
  package.signing_keys = {listing};
  listing.kid = Kid("director-1");
  listing.role = KeyRole::kDirector;
  listing.products.clear();
  listing.pq = codec::ParseJson(R"({"alg":"ML-DSA-65"})").value();
  package.signing_keys.push_back(listing);
  package.logs = {{"log.example",
                   {Vkey("log.example", merkle::NoteKeyType::kEd25519)},
                   {Vkey("witness.example", merkle::NoteKeyType::kCosignatureV1)},
                   1}};
  package.min_counter[kProduct] = 4;
  package.server_cas = {Bytes{0x30, 0x00}};
  package.device_cas = {Bytes{0x30, 0x01, 0x05}};
  return package;
}

std::string Assemble(const std::string& protected_text) {
  return AssemblePackage(protected_text, {Bytes(256, 9)},
                         {{Kid("ec-root-1"), crypto::SignatureAlgorithm::kEs256, Bytes(64, 8)}});
}
ErrorCode CodeOf(const std::string& protected_text) {
  const auto parsed = RootPackageDocument::Parse(Assemble(protected_text));
  return parsed ? ErrorCode::kInternal : parsed.error().code;
}
ErrorCode CodeOf(const RootPackage& package) { return CodeOf(BuildProtected(package)); }
std::string Replaced(std::string text, std::string_view from, std::string_view to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(RootPackage, ParseAndBuildAreInverseAndSignedBytesAreTheTokens) {
  const std::string text = BuildProtected(Good());
  const auto document = RootPackageDocument::Parse(Assemble(text));
  ASSERT_TRUE(document.has_value()) << document.error().ToString();
  EXPECT_EQ(BuildProtected(document->package), text);
  EXPECT_EQ(document->SignedBytes(), text);
  EXPECT_EQ(document->signed_sha256, crypto::HashSha256(text));
  EXPECT_EQ(document->signatures.size(), 1u);
  EXPECT_EQ(document->positional_signatures.size(), 1u);
  EXPECT_EQ(document->package.logs[0].ToPolicy()->quorum, 1);
}

TEST(RootPackage, WhiteSpaceIsNotSignedAndTheOrderOfMembersIs) {
  const std::string text = BuildProtected(Good());
  std::string spaced = Replaced(text, "\"published\":", " \"published\" :\n\t ");
  EXPECT_EQ(RootPackageDocument::Parse(Assemble(spaced)).value().SignedBytes(), text);
  const std::string moved =
      Replaced(Replaced(text, "\"published\":1000,", ""), "\"threshold\":2,", "\"threshold\":2,\"published\":1000,");
  const auto document = RootPackageDocument::Parse(Assemble(moved));
  ASSERT_TRUE(document.has_value());
  EXPECT_EQ(document->SignedBytes(), moved);
}

TEST(RootPackage, NoStringHoldsASlashABackslashOrAnythingBeyondAscii) {
  const std::string text = BuildProtected(Good());
  EXPECT_EQ(CodeOf(Replaced(text, "acme:gateway", "acme/gateway")), ErrorCode::kTextInvalid);
  EXPECT_EQ(CodeOf(Replaced(text, "acme:gateway", "acme:g\\u0061teway")), ErrorCode::kTextInvalid);
  EXPECT_EQ(CodeOf(Replaced(text, "log.example", "log.\xc3\xa9xample")), ErrorCode::kTextInvalid);
  EXPECT_EQ(CodeOf(Replaced(text, "ML-DSA-65", "ML\\\\DSA")), ErrorCode::kTextInvalid);
}

TEST(RootPackage, NumbersHaveOneForm) {
  const std::string text = BuildProtected(Good());
  for (const char* number : {"3.0", "3e0", "-0", "9007199254740992"}) {
    EXPECT_EQ(CodeOf(Replaced(text, "\"version\":3", std::string("\"version\":") + number)),
              ErrorCode::kJsonNumberInvalid)
        << number;
  }
  EXPECT_EQ(CodeOf(Replaced(text, "\"version\":3", "\"version\":03")), ErrorCode::kJsonInvalid);
  EXPECT_EQ(CodeOf(Replaced(text, "\"version\":3", "\"version\":0")), ErrorCode::kValueOutOfRange);
  EXPECT_EQ(CodeOf(Replaced(text, "\"version\":3", "\"version\":-3")), ErrorCode::kValueOutOfRange);
}

TEST(RootPackage, EveryMemberIsNeededAndNoneIsUnknown) {
  const codec::Json json = codec::ParseJson(BuildProtected(Good())).value();
  for (const auto& member : json.as_object()) {
    codec::Json without = codec::Json::MakeObject();
    for (const auto& [name, value] : json.as_object()) {
      if (name != member.first) without.Set(name, value);
    }
    EXPECT_EQ(CodeOf(without.Serialize()), ErrorCode::kMemberMissing) << member.first;
    codec::Json retyped = json;
    for (auto& [name, value] : retyped.as_object()) {
      if (name == member.first) value = "text";
    }
    EXPECT_EQ(CodeOf(retyped.Serialize()), ErrorCode::kMemberTypeWrong) << member.first;
  }
  codec::Json more = json;
  more.Set("isTest", false);
  EXPECT_EQ(CodeOf(more.Serialize()), ErrorCode::kMemberUnknown);
  const std::string whole = Assemble(BuildProtected(Good()));
  EXPECT_EQ(RootPackageDocument::Parse(Replaced(whole, "{\"protected\"", "{\"more\":1,\"protected\"")).error().code,
            ErrorCode::kMemberUnknown);
  EXPECT_EQ(RootPackageDocument::Parse("{}").error().code, ErrorCode::kMemberMissing);
  EXPECT_EQ(RootPackageDocument::Parse(std::string(limits::kPackageBytesMax + 1, ' ')).error().code,
            ErrorCode::kDocumentTooLarge);
}

TEST(RootPackage, AThresholdOfOneDoesNotExist) {
  RootPackage package = Good();
  package.threshold = 1;
  EXPECT_EQ(CodeOf(package), ErrorCode::kValueOutOfRange);
}

TEST(RootPackage, KeyIdsAreUniqueOverBothKindsOfRoots) {
  RootPackage package = Good();
  package.root_keys_ext[0].kid = Kid("rsa-root");
  EXPECT_EQ(CodeOf(package), ErrorCode::kAlreadyExists);
  EXPECT_EQ(CodeOf(Replaced(BuildProtected(Good()), "\"ec-root-1\"", "\"ec root\"")), ErrorCode::kIdInvalid);
}

TEST(RootPackage, RootsAreRsaOrP256AndStrong) {
  RootPackage package = Good();
  package.root_keys_ext[0].key = NewKey(crypto::KeyKind::kEd25519);
  EXPECT_EQ(CodeOf(package), ErrorCode::kAlgorithmNotAllowed);
  package = Good();
  const std::string text = BuildProtected(package);
  EXPECT_EQ(CodeOf(Replaced(text, "\"e\":65537", "\"e\":3")), ErrorCode::kValueOutOfRange);
  EXPECT_EQ(CodeOf(Replaced(text, "\"keyType\":\"RSA\"", "\"keyType\":\"EC\"")), ErrorCode::kKeyInvalid);
}

TEST(RootPackage, ListingsNameKnownRolesAlgorithmsAndDates) {
  const std::string text = BuildProtected(Good());
  EXPECT_EQ(CodeOf(Replaced(text, "\"role\":\"publisher\"", "\"role\":\"owner\"")), ErrorCode::kValueOutOfRange);
  EXPECT_EQ(CodeOf(Replaced(text, "\"alg\":\"ES256\"", "\"alg\":\"PS256\"")), ErrorCode::kAlgorithmNotAllowed);
  EXPECT_EQ(CodeOf(Replaced(text, "\"alg\":\"ES256\"", "\"alg\":\"none\"")), ErrorCode::kAlgorithmNotAllowed);
  EXPECT_EQ(CodeOf(Replaced(text, "\"notAfter\":1500", "\"notAfter\":1000")), ErrorCode::kValueOutOfRange);
  EXPECT_EQ(CodeOf(Replaced(text, "\"pq\":{\"alg\":\"ML-DSA-65\"}", "\"pq\":true")), ErrorCode::kMemberTypeWrong);
  EXPECT_EQ(CodeOf(Replaced(text, "\"products\":[\"acme:gateway\"]", "\"products\":[\"acme\"]")),
            ErrorCode::kIdInvalid);
  EXPECT_EQ(CodeOf(Replaced(text, "\"alg\":\"SHA256\"", "\"alg\":\"SHA512\"")), ErrorCode::kAlgorithmNotAllowed);
}

TEST(RootPackage, AnExpiredBeforeItIsPublishedDoesNotExist) {
  RootPackage package = Good();
  package.expires = package.published;
  EXPECT_EQ(CodeOf(package), ErrorCode::kValueOutOfRange);
}

TEST(RootPackage, LogsHaveKeysAQuorumThatCanBeReachedAndOneOriginEach) {
  RootPackage package = Good();
  package.logs[0].quorum = 2;
  EXPECT_EQ(CodeOf(package), ErrorCode::kValueOutOfRange);
  package = Good();
  package.logs[0].quorum = 0;
  EXPECT_EQ(CodeOf(package), ErrorCode::kInternal);
  EXPECT_NE(BuildProtected(package).find("\"quorum\":\"none\""), std::string::npos);
  EXPECT_EQ(CodeOf(Replaced(BuildProtected(Good()), "\"quorum\":1", "\"quorum\":0")), ErrorCode::kValueOutOfRange);
  EXPECT_EQ(CodeOf(Replaced(BuildProtected(Good()), "\"quorum\":1", "\"quorum\":\"some\"")),
            ErrorCode::kMemberTypeWrong);
  package = Good();
  package.logs[0].vkeys.clear();
  EXPECT_EQ(CodeOf(package), ErrorCode::kValueOutOfRange);
  package = Good();
  package.logs.push_back(package.logs[0]);
  EXPECT_EQ(CodeOf(package), ErrorCode::kAlreadyExists);
  package = Good();
  package.logs[0].vkeys[0] = "log.example+00000000+AAAA";
  EXPECT_NE(CodeOf(package), ErrorCode::kInternal);
  package.logs[0].vkeys[0] = "log.example";
  EXPECT_EQ(CodeOf(package), ErrorCode::kTextInvalid);
}

TEST(RootPackage, PositionalSignaturesAreNoneOrOneForEachRsaRoot) {
  const std::string text = BuildProtected(Good());
  EXPECT_TRUE(RootPackageDocument::Parse(AssemblePackage(text, {}, {})).has_value());
  EXPECT_EQ(RootPackageDocument::Parse(AssemblePackage(text, {Bytes(1), Bytes(1)}, {})).error().code,
            ErrorCode::kValueOutOfRange);
  const std::string whole = Assemble(text);
  EXPECT_EQ(RootPackageDocument::Parse(Replaced(whole, "{\"alg\":\"RS256\",\"sig\"", "{\"alg\":\"RS512\",\"sig\""))
                .error()
                .code,
            ErrorCode::kAlgorithmNotAllowed);
}

TEST(RootPackage, FindsRootsListingsAndDisabledKeys) {
  RootPackage package = Good();
  EXPECT_NE(package.FindRoot("rsa-root"), nullptr);
  EXPECT_NE(package.FindRoot("ec-root-2"), nullptr);
  EXPECT_EQ(package.FindRoot("old-root"), nullptr);
  EXPECT_TRUE(package.IsRootDisabled("old-root"));
  EXPECT_FALSE(package.IsRootDisabled("rsa-root"));
  EXPECT_EQ(package.FindListing("director-1")->role, KeyRole::kDirector);
  EXPECT_EQ(package.FindListing("nobody"), nullptr);
  const auto key = NewKey(crypto::KeyKind::kP256);
  EXPECT_FALSE(package.IsSigningKeyDisabled(key));
  package.disabled_signing_keys.push_back(key.disabled_key_hash());
  EXPECT_TRUE(package.IsSigningKeyDisabled(key));
}

TEST(Vkey, KeepsItsBytesInThePackageForm) {
  const std::string standard = "log.example+0a0b0c0d+AQ+/AQ==";
  EXPECT_EQ(VkeyToPackage(standard).value(), "log.example+0a0b0c0d+AQ-_AQ");
  EXPECT_EQ(VkeyFromPackage("log.example+0a0b0c0d+AQ-_AQ").value(), standard);
  EXPECT_EQ(VkeyFromPackage("log.example+0a0b0c0d").error().code, ErrorCode::kTextInvalid);
  EXPECT_EQ(VkeyFromPackage(standard).error().code, ErrorCode::kBase64Invalid);
}

}  // namespace
}  // namespace fleetseal::manifest
