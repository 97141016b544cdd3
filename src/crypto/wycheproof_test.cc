// Signatures against project Wycheproof's vectors (FLEETSEAL_VECTORS/wycheproof, see SOURCE there).
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "codec/hex.h"
#include "codec/json.h"
#include "crypto/key.h"

namespace fleetseal::crypto {
namespace {

struct Vectors {
  const char* file;
  SignatureAlgorithm algorithm;
  int least_tests;
};

codec::Json Load(const std::string& file) {
  std::ifstream stream(std::string(FLEETSEAL_VECTORS) + "/wycheproof/" + file, std::ios::binary);
  std::stringstream text;
  text << stream.rdbuf();
  auto json = codec::ParseJson(text.str(), {.bytes_max = 8 << 20});
  EXPECT_TRUE(json) << file << ": " << (json ? "" : json.error().ToString());
  return json ? *std::move(json) : codec::Json::MakeObject();
}

const std::string& Text(const codec::Json& json, std::string_view name) { return json.Find(name)->as_string(); }

class Wycheproof : public testing::TestWithParam<Vectors> {};

TEST_P(Wycheproof, S0_27_VerifiesValidAndRefusesInvalid) {
  const codec::Json json = Load(GetParam().file);
  ASSERT_NE(json.Find("testGroups"), nullptr);
  int tests = 0;
  for (const codec::Json& group : json.Find("testGroups")->as_array()) {
    const Bytes der = codec::DecodeHex(Text(group, "publicKeyDer")).value();
    const auto key = PublicKey::FromSpkiDer(der);
    if (!key) {
      // Groups with another exponent are refused as a whole: our own rule.
      ASSERT_EQ(key.error().code, ErrorCode::kKeyWeak) << GetParam().file << " " << key.error().ToString();
      continue;
    }
    EXPECT_EQ(key->spki_der(), der);
    for (const codec::Json& test : group.Find("tests")->as_array()) {
      const auto message = codec::DecodeHex(Text(test, "msg"));
      const auto signature = codec::DecodeHex(Text(test, "sig"));
      ASSERT_TRUE(message && signature);
      const auto status = key->Verify(GetParam().algorithm, *message, *signature);
      const std::string& expected = Text(test, "result");
      const bool is_as_expected = expected == "acceptable" || status.has_value() == (expected == "valid");
      EXPECT_TRUE(is_as_expected) << GetParam().file << " " << test.Find("tcId")->as_integer();
      EXPECT_TRUE(status || status.error().code == ErrorCode::kSignatureInvalid);
      ++tests;
    }
  }
  EXPECT_GE(tests, GetParam().least_tests);
}

INSTANTIATE_TEST_SUITE_P(
    AllFiles, Wycheproof,
    testing::Values(Vectors{"ecdsa_secp256r1_sha256_p1363_test.json", SignatureAlgorithm::kEs256, 262},
                    Vectors{"ecdsa_secp384r1_sha384_p1363_test.json", SignatureAlgorithm::kEs384, 280},
                    Vectors{"ed25519_test.json", SignatureAlgorithm::kEdDsa, 151},
                    Vectors{"rsa_pss_3072_sha256_mgf1_32_test.json", SignatureAlgorithm::kPs256, 108},
                    Vectors{"rsa_signature_2048_sha256_test.json", SignatureAlgorithm::kRs256, 240},
                    Vectors{"rsa_signature_3072_sha256_test.json", SignatureAlgorithm::kRs256, 240}),
    [](const auto& file) { return "File" + std::to_string(file.index); });

}  // namespace
}  // namespace fleetseal::crypto
