// Genuine packages and manifest signatures of Azure Device Update (FLEETSEAL_VECTORS, see SOURCE there), and made ones.
#include "adu/adu.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <functional>
#include <sstream>

#include "codec/base64.h"
#include "codec/json.h"
#include "crypto/digest.h"
#include "crypto/signer.h"
#include "jose/jwk.h"
#include "jose/jws.h"
#include "jose/sjwk.h"

namespace fleetseal::adu {
namespace {

using codec::Json;

std::string ReadVector(const std::string& name) {
  std::ifstream stream(std::string(FLEETSEAL_VECTORS) + "/adu/" + name, std::ios::binary);
  std::stringstream text;
  text << stream.rdbuf();
  EXPECT_FALSE(text.str().empty()) << name;
  return text.str();
}

const std::vector<RootKey>& AzureRoots() {
  static const auto* roots = new std::vector<RootKey>(ParseRoots(ReadVector("hardcoded-root-keys.prod.json")).value());
  return *roots;
}
const Package& AzurePackage() {
  static const auto* package =
      new Package(VerifyPackage(AzureRoots(), ReadVector("rootkeypackages/prod-rootkeys.json")).value());
  return *package;
}

template <typename T>
std::string CodeOf(const Verdict<T>& verdict) {
  return verdict ? "good" : std::string(ErrorCodeName(verdict.error().code));
}

bool IsWhite(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

// For each byte: is it white space between tokens? Only those do not matter: the rules remove them before they verify
// (3.3), or JSON gives them no meaning. A document in compact form has none.
std::vector<bool> WhiteBetweenTokens(const std::string& text) {
  std::vector<bool> white(text.size(), false);
  bool is_in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '"') is_in_string = !is_in_string;  // the vectors hold no escape
    white[i] = !is_in_string && IsWhite(text[i]);
  }
  return white;
}

// Every significant byte is replaced by each value that differs in one bit, by white space and by what ends or bends a
// string, and is taken out; with FLEETSEAL_SOAK (`./dev soak`) by all 255 others. White space between tokens
// becomes each of these too: still good if that is white space. Returns how many changes were judged wrongly.
size_t WronglyJudged(const std::string& text, const std::function<bool(const std::string&)>& is_good) {
  const bool is_every_value = std::getenv("FLEETSEAL_SOAK") != nullptr;
  const std::vector<bool> white = WhiteBetweenTokens(text);
  size_t wrong = 0;
  std::string changed = text;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto old = static_cast<uint8_t>(text[i]);
    std::vector<uint8_t> values = {' ', '"', '\\'};
    for (int bit = 0; bit < 8; ++bit) values.push_back(static_cast<uint8_t>(old ^ (1 << bit)));
    if (is_every_value) {
      values.clear();
      for (int value = 0; value < 256; ++value) values.push_back(static_cast<uint8_t>(value));
    }
    for (const uint8_t value : values) {
      if (value == old) continue;
      changed[i] = static_cast<char>(value);
      const bool should_be_good = white[i] && IsWhite(changed[i]);
      if (is_good(changed) != should_be_good) ++wrong;
    }
    changed[i] = text[i];
    // Taken out; white space may go.
    if (is_good(text.substr(0, i) + text.substr(i + 1)) != white[i]) ++wrong;
  }
  return wrong;
}

TEST(AzureVectors, S1_46_S1_47_BothWritingsOfThePublishedPackageVerify) {
  for (const char* name : {"rootkeypackages/prod-rootkeys.json", "rootkeypackages/jws_utils-testrootkeypkg.json"}) {
    const auto package = VerifyPackage(AzureRoots(), ReadVector(name));
    ASSERT_TRUE(package) << name << package.error().ToString();
    EXPECT_EQ(package->version, 1);
    EXPECT_EQ(package->published.value, 1675972876);
    EXPECT_EQ(package->signatures_judged, 2U);
    EXPECT_EQ(package->signatures_left, 0U);
    EXPECT_EQ(package->signed_sha256, AzurePackage().signed_sha256);
  }
}

TEST(AzureVectors, S1_47_PackagesWithoutARealSignatureAreRefused) {
  for (const char* name : {"rootkeypackages/disabledRootKeyProd.json", "rootkeypackages/disabledSigningKeyProd.json"})
    EXPECT_FALSE(VerifyPackage(AzureRoots(), ReadVector(name))) << name;
}

TEST(AzureVectors, S1_19_S1_24_PublishedManifestSignaturesVerifyUpToTheirRoot) {
  std::vector<std::string> signatures = {ReadVector("manifests/jws-00.txt"), ReadVector("manifests/jws-01.txt")};
  const Json message = codec::ParseJson(ReadVector("manifests/updateActionForActionBundle.json")).value();
  signatures.push_back(message.Find("updateManifestSignature")->as_string());
  for (const std::string& compact : signatures) {
    const auto verified = VerifySignature(AzureRoots(), AzurePackage(), compact);
    ASSERT_TRUE(verified) << verified.error().ToString();
    EXPECT_EQ(verified->root_kid, "ADU.200702.R");
    EXPECT_EQ(verified->key_kid, "ADU.210609.R.S");
    EXPECT_EQ(codec::EncodeBase64Url(verified->key_hash.view()), "q5xF2ARjhdtH-kaLNTwZAMoXdy0iJQjziQ_AyZWDPRA");
  }
  // The manifest in this message was edited by its publishers (see SOURCE).
  const auto verified = VerifySignature(AzureRoots(), AzurePackage(), signatures.back());
  EXPECT_EQ(CodeOf(CheckManifest(*verified, message.Find("updateManifest")->as_string())), "ManifestHashMismatch");
}

TEST(AzureVectors, S1_30_EveryChangeOfASignificantByteOfAPackageIsRefused) {
  for (const char* name : {"rootkeypackages/prod-rootkeys.json", "rootkeypackages/jws_utils-testrootkeypkg.json"}) {
    EXPECT_EQ(WronglyJudged(ReadVector(name),
                            [](const std::string& text) { return VerifyPackage(AzureRoots(), text).has_value(); }),
              0U)
        << name;
  }
}

TEST(AzureVectors, S1_30_EveryChangeOfAnyByteOfAManifestSignatureIsRefused) {
  for (const char* name : {"manifests/jws-00.txt", "manifests/jws-01.txt"}) {
    EXPECT_EQ(WronglyJudged(ReadVector(name),
                            [](const std::string& text) {
                              return VerifySignature(AzureRoots(), AzurePackage(), text).has_value();
                            }),
              0U)
        << name;
  }
}

// An organisation of our own: two RSA roots and a signing key.
class Made : public testing::Test {
 protected:
  struct Key {
    std::string kid;
    std::shared_ptr<crypto::SoftwareSigner> signer;
    const crypto::PublicKey& key() const { return signer->public_key(); }
  };
  static Key NewKey(const std::string& kid) {
    return {kid,
            std::make_shared<crypto::SoftwareSigner>(crypto::PrivateKey::Generate(crypto::KeyKind::kRsa2048).value())};
  }
  static const std::vector<Key>& Keys() {  // root, root, other, signing key
    static const auto* keys = new std::vector<Key>{NewKey("one"), NewKey("two"), NewKey("three"), NewKey("signing")};
    return *keys;
  }
  static std::vector<RootKey> Trusted() { return {{"one", Keys()[0].key()}, {"two", Keys()[1].key()}}; }

  static std::string RootsJson(const std::vector<size_t>& indices) {
    Json roots = Json::MakeObject();
    for (const size_t index : indices) {
      Json root = Json::MakeObject();
      root.Set("keyType", "RSA").Set("n", codec::EncodeBase64Url(Keys()[index].key().n())).Set("e", 65537);
      roots.Set(Keys()[index].kid, std::move(root));
    }
    return roots.Serialize();
  }
  static std::string Protected(const std::string& head = R"("version":2,"published":1700000000)",
                               const std::string& disabled_roots = "[]", const std::string& disabled_keys = "[]",
                               const std::vector<size_t>& roots = {0, 1}) {
    return "{" + head + R"(,"disabledRootKeys":)" + disabled_roots + R"(,"disabledSigningKeys":)" + disabled_keys +
           R"(,"rootKeys":)" + RootsJson(roots) + "}";
  }
  static std::string Signature(size_t index, const std::string& text, const std::string& alg = "RS256") {
    const auto bytes = Keys()[index].signer->Sign(crypto::SignatureAlgorithm::kRs256, AsBytes(text)).value();
    return R"({"alg":")" + alg + R"(","sig":")" + codec::EncodeBase64Url(bytes) + R"("})";
  }
  static std::string Document(const std::string& inner, const std::vector<std::string>& signatures) {
    std::string list;
    for (const auto& signature : signatures) list += (list.empty() ? "" : ",") + signature;
    return R"({"protected":)" + inner + R"(,"signatures":[)" + list + "]}";
  }
  static std::string Signed(const std::string& inner) {
    return Document(inner, {Signature(0, inner), Signature(1, inner)});
  }
  static std::string Judge(const std::string& text) { return CodeOf(VerifyPackage(Trusted(), text)); }

  struct SjwkChange {
    size_t root = 0;
    std::string kid = "one";
    jose::ModulusForm form = jose::ModulusForm::kStandardBase64;
  };
  static std::string Sjwk(const SjwkChange& change) {
    return jose::SignSjwk(*Keys()[change.root].signer, {change.kid, crypto::SignatureAlgorithm::kRs256, change.form},
                          {Keys()[3].key(), "signing", crypto::SignatureAlgorithm::kRs256})
        .value();
  }
  static std::string Jws(const std::string& sjwk, const std::string& payload, size_t key = 3) {
    const jose::JwsHeader header{crypto::SignatureAlgorithm::kRs256, "fleetseal-manifest+jws", {}, sjwk};
    return jose::SignCompact(*Keys()[key].signer, header, AsBytes(payload)).value();
  }
  static std::string Payload(std::string_view manifest) {
    return R"({"sha256":")" + codec::EncodeBase64(crypto::HashSha256(manifest).view()) + R"(","more":1})";
  }
};

TEST_F(Made, S1_46_UnknownMembersOfProtectedAreSignedToo) {
  const std::string inner = Protected(R"("version":2,"published":1700000000,"threshold":2,"logs":[{"quorum":"none"}])");
  EXPECT_EQ(Judge(Signed(inner)), "good");
  std::string changed = Signed(inner);
  changed.replace(changed.find("\"none\""), 6, "\"nine\"");
  EXPECT_EQ(Judge(changed), "SignatureInvalid");
}

TEST_F(Made, S1_47_EveryTrustedRootMustHaveSignedAtItsOwnPlace) {
  const std::string inner = Protected();
  EXPECT_EQ(Judge(Signed(inner)), "good");
  EXPECT_EQ(Judge(Document(inner, {Signature(1, inner), Signature(0, inner)})), "SignatureInvalid");
  EXPECT_EQ(Judge(Document(inner, {Signature(0, inner), Signature(0, inner)})), "SignatureInvalid");
  EXPECT_EQ(Judge(Document(inner, {Signature(0, inner)})), "SignatureInvalid");
  EXPECT_EQ(Judge(Document(inner, {})), "SignatureInvalid");
  EXPECT_EQ(CodeOf(VerifyPackage({}, Signed(inner))), "TrustStateMissing");
}

TEST_F(Made, S1_47_ATrustedRootThatThePackageReplacesOrLeavesOutIsRefused) {
  const std::string without = Protected(R"("version":2,"published":1700000000)", "[]", "[]", {0});
  EXPECT_EQ(Judge(Document(without, {Signature(0, without)})), "SignatureInvalid");
  // The signature is right and stands in the right place, but the package says that "two" is another key.
  std::string replaced = Protected();
  const std::string mine = codec::EncodeBase64Url(Keys()[1].key().n());
  replaced.replace(replaced.find(mine), mine.size(), codec::EncodeBase64Url(Keys()[2].key().n()));
  EXPECT_EQ(Judge(Signed(replaced)), "SignatureInvalid");
}

TEST_F(Made, SignaturesOfRootsThatTheReaderDoesNotKnowAreCountedAndNotJudged) {
  const std::string inner = Protected(R"("version":2,"published":1700000000)", "[]", "[]", {0, 1, 2});
  const auto package = VerifyPackage(Trusted(), Document(inner, {Signature(0, inner), Signature(1, inner), "{}"}));
  ASSERT_TRUE(package) << package.error().ToString();
  EXPECT_EQ(package->signatures_left, 1U);
}

TEST_F(Made, S1_46_PackagesThatAreNotWhole) {
  EXPECT_EQ(Judge(Signed(Protected(R"("version":0,"published":1700000000)"))), "ValueOutOfRange");
  EXPECT_EQ(Judge(Signed(Protected(R"("version":2,"published":0)"))), "ValueOutOfRange");
  EXPECT_EQ(Judge(Signed(Protected(R"("version":2)"))), "MemberMissing");
  EXPECT_EQ(Judge(Signed(Protected(R"("version":2,"published":1,"isTest":true)"))), "Unsupported");
  EXPECT_EQ(Judge(Signed(Protected(R"("version":2,"published":1,"isTest":false)"))), "good");
  EXPECT_EQ(Judge(Signed(Protected(R"("version":2,"published":1,"version":2)"))), "JsonDuplicateMember");
  EXPECT_EQ(Judge(Signed(Protected(R"("version":2,"published":1,"x":1.5)"))), "JsonNumberInvalid");
  EXPECT_EQ(Judge(Signed(Protected(R"("version":2,"published":1,"x":"a\/b")"))), "TextInvalid");
  EXPECT_EQ(Judge(Signed(Protected(R"("version":2,"published":1,"\u0078/":1)"))), "TextInvalid");
  std::string no_list = Protected();
  no_list.replace(no_list.find("disabledRootKeys"), 16, "disabledrootKeys");
  EXPECT_EQ(Judge(Signed(no_list)), "MemberMissing");
  std::string text_e = Protected();
  text_e.replace(text_e.find("\"e\":65537"), 9, "\"e\":\"AQAB\"");
  EXPECT_EQ(Judge(Signed(text_e)), "MemberTypeWrong");
  const std::string empty =
      R"({"version":1,"published":1,"disabledRootKeys":[],"disabledSigningKeys":[],"rootKeys":{}})";
  EXPECT_EQ(Judge(Signed(empty)), "MemberMissing");
}

TEST_F(Made, WhatTheRulesPassOverIsRefusedHere) {
  const std::string inner = Protected();
  // Verified as RS256 whatever it says.
  EXPECT_EQ(Judge(Document(inner, {Signature(0, inner, "RS512"), Signature(1, inner)})), "AlgorithmNotAllowed");
  EXPECT_EQ(Judge(Document(inner, {Signature(0, inner, "rs256"), Signature(1, inner)})), "AlgorithmNotAllowed");
  // Only SHA256 entries are ever compared: such a key would stay good.
  const std::string other =
      Protected(R"("version":2,"published":1700000000)", "[]", R"([{"alg":"SHA512","hash":"AA"}])");
  EXPECT_EQ(Judge(Signed(other)), "AlgorithmNotAllowed");
}

TEST_F(Made, S1_24_S1_26_TheChainOfASignatureIsRootKeyPayload) {
  const auto package = VerifyPackage(Trusted(), Signed(Protected())).value();
  const auto judge = [&](const std::string& compact) { return CodeOf(VerifySignature(Trusted(), package, compact)); };
  const std::string sjwk = Sjwk({});
  const std::string payload = Payload("manifest");
  EXPECT_EQ(judge(Jws(sjwk, payload)), "good");
  EXPECT_EQ(judge(Jws(sjwk, payload, 2)), "SignatureInvalid");                          // by another key
  EXPECT_EQ(judge(Jws(Sjwk({.root = 2, .kid = "one"}), payload)), "SignatureInvalid");  // by a wrong root
  EXPECT_EQ(judge(Jws(Sjwk({.root = 2, .kid = "three"}), payload)), "UnknownRootKid");
  EXPECT_EQ(judge(Jws(Sjwk({.form = jose::ModulusForm::kBase64Url}), payload)), "Base64Invalid");
  EXPECT_EQ(judge(Jws(Jws(sjwk, "{}"), payload)), "HeaderNotAllowed");
  EXPECT_EQ(judge(Jws(sjwk, "{}")), "MemberMissing");
  EXPECT_EQ(judge(Jws(sjwk, R"({"sha256":1})")), "MemberTypeWrong");
  EXPECT_EQ(judge(Jws(sjwk, R"({"sha256":"AAAA"})")), "Base64Invalid");
  EXPECT_EQ(judge(sjwk), "HeaderNotAllowed");
  const auto verified = VerifySignature(Trusted(), package, Jws(sjwk, payload));
  EXPECT_EQ(CodeOf(CheckManifest(*verified, "manifest")), "good");
  EXPECT_EQ(CodeOf(CheckManifest(*verified, "manifest ")), "ManifestHashMismatch");
}

TEST_F(Made, S1_44_ADisabledRootOrSigningKeyIsRefused) {
  const std::string compact = Jws(Sjwk({}), Payload("manifest"));
  const std::string head = R"("version":2,"published":1700000000)";
  const auto no_root = VerifyPackage(Trusted(), Signed(Protected(head, R"(["one"])")));
  ASSERT_TRUE(no_root);
  EXPECT_EQ(CodeOf(VerifySignature(Trusted(), *no_root, compact)), "DisallowedRootKid");
  const auto entry = [](const Sha256& hash) {
    return R"([{"alg":"SHA256","hash":")" + codec::EncodeBase64Url(hash.view()) + R"("}])";
  };
  const auto& key = Keys()[3].key();
  const auto no_key =
      VerifyPackage(Trusted(), Signed(Protected(head, "[]", entry(crypto::HashSha256(key.pkcs1_der())))));
  ASSERT_TRUE(no_key);
  EXPECT_EQ(CodeOf(VerifySignature(Trusted(), *no_key, compact)), "DisallowedSigningKey");
  // The hash of the SubjectPublicKeyInfo is another value and disables nothing (rule 3.7).
  const auto spki = VerifyPackage(Trusted(), Signed(Protected(head, "[]", entry(crypto::HashSha256(key.spki_der())))));
  ASSERT_TRUE(spki);
  EXPECT_EQ(CodeOf(VerifySignature(Trusted(), *spki, compact)), "good");
}

TEST_F(Made, S1_43_ARootOfTheVerifiedPackageVouchesForKeys) {
  const std::string inner = Protected(R"("version":2,"published":1700000000)", "[]", "[]", {0, 1, 2});
  const auto package = VerifyPackage(Trusted(), Document(inner, {Signature(0, inner), Signature(1, inner)}));
  ASSERT_TRUE(package);
  const std::string compact = Jws(Sjwk({.root = 2, .kid = "three"}), Payload("manifest"));
  EXPECT_EQ(CodeOf(VerifySignature(Trusted(), *package, compact)), "good");
}

TEST(AzureRootsFile, IsStrict) {
  EXPECT_FALSE(ParseRoots("{}"));
  EXPECT_FALSE(ParseRoots("[]"));
  EXPECT_FALSE(ParseRoots(R"({"one":{"n":"AQ","e":65537}})"));
  EXPECT_FALSE(ParseRoots(R"({"one":{"n":"AQ","e":3}})"));
}

}  // namespace
}  // namespace fleetseal::adu
