#include <gtest/gtest.h>

#include "codec/base64.h"
#include "codec/hex.h"
#include "codec/json.h"
#include "codec/pem.h"

namespace fleetseal::codec {
namespace {

ErrorCode CodeOf(std::string_view text) {
  const auto parsed = ParseJson(text);
  return parsed ? ErrorCode::kInternal : parsed.error().code;
}

TEST(Base64, Rfc4648Vectors) {
  const std::pair<const char*, const char*> vectors[] = {{"", ""},
                                                         {"f", "Zg=="},
                                                         {"fo", "Zm8="},
                                                         {"foo", "Zm9v"},
                                                         {"foob", "Zm9vYg=="},
                                                         {"fooba", "Zm9vYmE="},
                                                         {"foobar", "Zm9vYmFy"}};
  for (const auto& [plain, encoded] : vectors) {
    EXPECT_EQ(EncodeBase64(AsBytes(plain)), encoded);
    EXPECT_EQ(AsText(DecodeBase64(encoded).value()), plain);
    const std::string unpadded = std::string(encoded).substr(0, std::string(encoded).find('='));
    EXPECT_EQ(EncodeBase64Url(AsBytes(plain)), unpadded);
    EXPECT_EQ(AsText(DecodeBase64Url(unpadded).value()), plain);
  }
}

TEST(Base64, S1_32_RefusesWhatIsNotCanonical) {
  for (const char* bad : {"Zg==", "Zh", "Z", "Zm9v\n", "Zm 9v", "Zm+v", "Zm/v", "Zm9vYmF="}) {
    EXPECT_FALSE(DecodeBase64Url(bad)) << bad;
  }
  for (const char* bad : {"Zg", "Zh==", "Zg=", "Zg===", "Zm-v", "Zm_v", "=Zg="}) EXPECT_FALSE(DecodeBase64(bad)) << bad;
}

TEST(Hex, RefusesUpperCaseAndOddLength) {
  EXPECT_EQ(EncodeHex(Bytes{0x00, 0xab, 0xff}), "00abff");
  EXPECT_FALSE(DecodeHex("AB"));
  EXPECT_FALSE(DecodeHex("abc"));
  EXPECT_FALSE(DecodeHexSha256("abcd"));
}

TEST(Pem, RoundTripsAndRefusesTextAround) {
  const std::string pem = EncodePem("CERTIFICATE", Bytes(100, 7));
  EXPECT_EQ(DecodePem("CERTIFICATE", pem).value(), Bytes(100, 7));
  EXPECT_EQ(DecodePemAll("CERTIFICATE", pem + pem).value().size(), 2U);
  EXPECT_FALSE(DecodePem("CERTIFICATE", pem + pem));
  EXPECT_FALSE(DecodePem("CERTIFICATE", "x" + pem));
  EXPECT_FALSE(DecodePem("PRIVATE KEY", pem));
}

TEST(Json, S1_17_RefusesEachKindOfLooseJson) {
  EXPECT_EQ(CodeOf(R"({"a":1,"b":2,"a":3})"), ErrorCode::kJsonDuplicateMember);
  EXPECT_EQ(CodeOf(R"({"a":1,"\u0061":3})"), ErrorCode::kJsonDuplicateMember);
  for (const char* bad : {"1.0", "1e3", "-0", "9007199254740992", "-9007199254740992", "1e400",
                          "123456789012345678901234567890", "18446744073709551615"}) {
    EXPECT_EQ(CodeOf(bad), ErrorCode::kJsonNumberInvalid) << bad;
  }
  for (const char* bad : {"", " ", "{", "{\"a\":}", "[1,]", "01", "+1", "nul", "\"\x01\"", "\"\xff\"", "\"\xc0\x80\"",
                          "\"\\ud800\"", "{} {}", "{}x", "// x\n1", "\xef\xbb\xbf{}", "NaN", "'a'"}) {
    EXPECT_EQ(CodeOf(bad), ErrorCode::kJsonInvalid) << bad;
  }
  EXPECT_EQ(CodeOf(std::string(17, '[') + std::string(17, ']')), ErrorCode::kJsonTooDeep);
  EXPECT_EQ(CodeOf(std::string(limits::kHttpBodyBytesMax + 1, ' ')), ErrorCode::kDocumentTooLarge);
}

TEST(Json, X6_RefusesATextOfMoreValuesThanItMayHave) {
  EXPECT_TRUE(ParseJson("[1,[2],{\"a\":3}]", {.members_max = 6}));
  EXPECT_EQ(ParseJson("[1,[2],{\"a\":3}]", {.members_max = 5}).error().code, ErrorCode::kLimitExceeded);
  std::string many = "[0";
  for (size_t i = 1; i < limits::kJsonMembersMax; ++i) many += ",0";
  EXPECT_EQ(ParseJson("[" + many + "]]").error().code, ErrorCode::kLimitExceeded);
  std::string members = "{\"x\":0";
  for (size_t i = 0; i < limits::kJsonMembersMax; ++i) members += ",\"" + std::to_string(i) + "\":0";
  EXPECT_EQ(ParseJson(members + "}", {.bytes_max = members.size() + 1, .members_max = members.size()}).error().code,
            ErrorCode::kLimitExceeded);
}

TEST(Json, KeepsOrderAndWritesCompactly) {
  const std::string text = R"({"b":[1,-2,9007199254740991],"a":{"x":"/\"\\\n","y":null},"c":true})";
  const auto parsed = ParseJson(text);
  ASSERT_TRUE(parsed) << parsed.error().ToString();
  EXPECT_EQ(parsed->Serialize(), text);
  EXPECT_EQ(ParseJson(parsed->SerializePretty()).value(), *parsed);
}

TEST(Json, ReadsAStringLongerThanAnyInternalBuffer) {
  const std::string big(200'000, 'x');
  EXPECT_EQ(ParseJson("\"" + big + "\"").value().as_string(), big);
}

TEST(MinifiedMember, CopiesTokensVerbatim) {
  const std::string text =
      "{ \"sig\" : [ \"protected\" ] ,\n \"protected\" : { \"b\" : 1 , \"a\" : [ \" x , } \", 2 ] } , \"z\":1}";
  EXPECT_EQ(MinifiedMember(text, "protected").value(), R"({"b":1,"a":[" x , } ",2]})");
  EXPECT_EQ(MinifiedMember(R"({"a":"protected","protected":7})", "protected").value(), "7");
  EXPECT_EQ(MinifiedMember(R"({"x":{"protected":1}})", "protected").error().code, ErrorCode::kMemberMissing);
  EXPECT_EQ(MinifiedMember(R"({"a\"":1,"protected":"a\"b"})", "protected").value(), R"("a\"b")");
}

TEST(ObjectReader, RefusesMissingUnknownAndWrongMembers) {
  const auto read = [](std::string_view text) {
    const Json json = ParseJson(text).value();
    ObjectReader reader(json, "thing");
    reader.Integer("n", 1, 10);
    reader.OptionalString("s");
    return reader.Finish();
  };
  EXPECT_TRUE(read(R"({"n":3})"));
  EXPECT_TRUE(read(R"({"s":"x","n":3})"));
  EXPECT_EQ(read(R"({})").error().code, ErrorCode::kMemberMissing);
  EXPECT_EQ(read(R"({"n":"3"})").error().code, ErrorCode::kMemberTypeWrong);
  EXPECT_EQ(read(R"({"n":11})").error().code, ErrorCode::kValueOutOfRange);
  EXPECT_EQ(read(R"({"n":3,"x":1})").error().code, ErrorCode::kMemberUnknown);
  EXPECT_EQ(read(R"([])").error().code, ErrorCode::kMemberTypeWrong);
  EXPECT_EQ(read(R"({"n":3,"s":7})").error().ToString(), "MemberTypeWrong: thing.s: not a string");
}

}  // namespace
}  // namespace fleetseal::codec
