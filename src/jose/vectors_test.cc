// Documents and keys of others: RFC 7515, RFC 7520, RFC 8037 and Azure Device Update (FLEETSEAL_VECTORS, see SOURCE
// there).
#include <gtest/gtest.h>

#include <fstream>
#include <sstream>

#include "codec/base64.h"
#include "codec/json.h"
#include "jose/jwk.h"
#include "jose/jws.h"
#include "jose/sjwk.h"

namespace fleetseal::jose {
namespace {

using codec::Json;
using crypto::SignatureAlgorithm;

std::string ReadVector(const std::string& name) {
  std::ifstream stream(std::string(FLEETSEAL_VECTORS) + "/" + name, std::ios::binary);
  std::stringstream text;
  text << stream.rdbuf();
  EXPECT_FALSE(text.str().empty()) << name;
  return text.str();
}

// The public part of the key of an example, which is given with its private members and with "use".
crypto::PublicKey PublicPart(const Json& json) {
  Json jwk = Json::MakeObject();
  for (const auto& [name, value] : json.as_object()) {
    for (const char* member : {"kty", "crv", "x", "y", "n", "e"}) {
      if (name == member) jwk.Set(name, value);
    }
  }
  return ParseJwk(jwk).value().key;
}

Result<UnverifiedJws> ParseLoose(std::string_view compact) {
  return UnverifiedJws::Parse(compact, limits::kJwsBytesMax, HeaderPolicy::kLoose);
}

constexpr std::string_view kRfc7515Payload =
    "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

TEST(Vectors, S1_17_Rfc7515AppendixA2) {
  const Json jwk =
      codec::ParseJson(
          R"({"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPC)"
          R"(JrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSX)"
          R"(ndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvU)"
          R"(K-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"})")
          .value();
  const std::string compact = "eyJhbGciOiJSUzI1NiJ9." + std::string(kRfc7515Payload) +
                              ".cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_"
                              "O8W2Fp5jujGbds9uJdbF9CUAr7t1d"
                              "nZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_"
                              "eSN9383LcOLn6_dO--xi12jzDwusC"
                              "-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtV"
                              "rBp0igcN_IoypGlUPQGe77Rw";
  const auto jws = ParseLoose(compact);
  ASSERT_TRUE(jws);
  EXPECT_TRUE(jws->Verify(ParseJwk(jwk).value().key, SignatureAlgorithm::kRs256));
  EXPECT_FALSE(UnverifiedJws::Parse(compact));  // no typ: not one of ours
}

TEST(Vectors, S1_17_Rfc7515AppendixA3) {
  const Json jwk = codec::ParseJson(R"({"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",)"
                                    R"("y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"})")
                       .value();
  const auto jws =
      ParseLoose("eyJhbGciOiJFUzI1NiJ9." + std::string(kRfc7515Payload) +
                 ".DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q");
  ASSERT_TRUE(jws);
  EXPECT_TRUE(jws->Verify(ParseJwk(jwk).value().key, SignatureAlgorithm::kEs256));
}

TEST(Vectors, S1_17_Rfc7515AppendixA5UnsecuredAndRfc7797AreRefused) {
  EXPECT_FALSE(ParseLoose("eyJhbGciOiJub25lIn0." + std::string(kRfc7515Payload) + "."));
  const auto none = ParseLoose("eyJhbGciOiJub25lIn0." + std::string(kRfc7515Payload) + ".AA");
  ASSERT_FALSE(none);
  EXPECT_EQ(none.error().code, ErrorCode::kAlgorithmNotAllowed);
  // RFC 7797 section 4.2: header with b64 false and crit, payload not encoded.
  const Json json = codec::ParseJson(ReadVector("rfc7520/rfc7797/4.2.hmac-sha2_b64_false.json")).value();
  const std::string header = json.Find("signing")->Find("protected_b64u")->as_string();
  const auto unencoded = ParseLoose(header + ".AAAA.AAAA");
  ASSERT_FALSE(unencoded);
  EXPECT_EQ(unencoded.error().code, ErrorCode::kHeaderNotAllowed);
}

TEST(Vectors, S1_17_Rfc7520Section4) {
  const auto load = [](const char* name) {
    return codec::ParseJson(ReadVector(std::string("rfc7520/jws/") + name)).value();
  };
  const Json rs256 = load("4_1.rsa_v15_signature.json");
  const auto jws = ParseLoose(rs256.Find("output")->Find("compact")->as_string());
  ASSERT_TRUE(jws);
  EXPECT_EQ(jws->header().kid, "bilbo.baggins@hobbiton.example");
  EXPECT_EQ(AsText(jws->unverified_payload()), rs256.Find("input")->Find("payload")->as_string());
  EXPECT_TRUE(jws->Verify(PublicPart(*rs256.Find("input")->Find("key")), SignatureAlgorithm::kRs256));
  // PS384, ES512 and HS256 are not offered.
  for (const char* name :
       {"4_2.rsa-pss_signature.json", "4_3.ecdsa_signature.json", "4_4.hmac-sha2_integrity_protection.json"}) {
    const auto refused = ParseLoose(load(name).Find("output")->Find("compact")->as_string());
    ASSERT_FALSE(refused) << name;
    EXPECT_EQ(refused.error().code, ErrorCode::kAlgorithmNotAllowed) << name;
  }
  // Section 4.5: a detached payload is an empty segment.
  const Json detached = load("4_5.signature_with_detached_content.json");
  const auto empty = ParseLoose(detached.Find("output")->Find("compact")->as_string());
  ASSERT_FALSE(empty);
  EXPECT_EQ(empty.error().code, ErrorCode::kJwsMalformed);
}

TEST(Vectors, S1_17_Rfc7520Section3Keys) {
  const auto load = [](const char* name) {
    return codec::ParseJson(ReadVector(std::string("rfc7520/jwk/") + name)).value();
  };
  EXPECT_EQ(PublicPart(load("3_3.rsa_public_key.json")).bits(), 2048U);
  EXPECT_FALSE(ParseJwk(load("3_1.ec_public_key.json")));  // P-521
  EXPECT_FALSE(ParseJwk(load("3_4.rsa_private_key.json")));
  EXPECT_FALSE(ParseJwk(load("3_5.symmetric_key_mac_computation.json")));
}

TEST(Vectors, S1_17_Rfc8037Ed25519) {
  const Json json = codec::ParseJson(ReadVector("rfc7520/curve25519/jws.json")).value();
  const auto jws = ParseLoose(json.Find("output")->Find("compact")->as_string());
  ASSERT_TRUE(jws);
  EXPECT_TRUE(jws->Verify(PublicPart(*json.Find("input")->Find("key")), SignatureAlgorithm::kEdDsa));
}

TEST(Vectors, AzureManifestSignaturesVerifyUpToTheirRoot) {
  const Json roots = codec::ParseJson(ReadVector("adu/hardcoded-root-keys.prod.json")).value();
  const Json* root_json = roots.Find("ADU.200702.R");
  const auto root =
      crypto::PublicKey::FromRsa(codec::DecodeBase64Url(root_json->Find("n")->as_string()).value(), Bytes{1, 0, 1});
  ASSERT_TRUE(root);
  for (const char* name : {"adu/manifests/jws-00.txt", "adu/manifests/jws-01.txt"}) {
    std::string compact = ReadVector(name);
    while (compact.ends_with('\n')) compact.pop_back();
    const auto jws = ParseLoose(compact);
    ASSERT_TRUE(jws);
    const auto sjwk = ParseLoose(jws->header().sjwk.value());
    ASSERT_TRUE(sjwk);
    EXPECT_EQ(sjwk->header().kid, "ADU.200702.R");
    const auto key = VerifySjwk(*sjwk, *root, SignatureAlgorithm::kRs256, ModulusForm::kStandardBase64);
    ASSERT_TRUE(key) << key.error().ToString();
    EXPECT_EQ(key->kid, "ADU.210609.R.S");
    EXPECT_EQ(codec::EncodeBase64Url(key->key.disabled_key_hash().view()),
              "q5xF2ARjhdtH-kaLNTwZAMoXdy0iJQjziQ_AyZWDPRA");
    EXPECT_TRUE(jws->Verify(key->key, SignatureAlgorithm::kRs256));
    EXPECT_FALSE(VerifySjwk(*sjwk, *root, SignatureAlgorithm::kRs256));  // native organisations do not take this form
  }
}

}  // namespace
}  // namespace fleetseal::jose
