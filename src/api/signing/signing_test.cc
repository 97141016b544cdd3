// Answers written are read back the same; answers of another kind are refused.
#include <gtest/gtest.h>

#include "api/signing/messages.h"

namespace fleetseal::api::signing {
namespace {

template <typename T>
void ExpectRoundTrip(const T& answer) {
  const codec::Json json = answer.ToJson();
  const auto parsed = T::Parse(json);
  ASSERT_TRUE(parsed.has_value()) << parsed.error().ToString();
  EXPECT_EQ(parsed->ToJson(), json);
  codec::Json more = json;
  more.Set("extra", 1);
  EXPECT_EQ(T::Parse(more).error().code, ErrorCode::kMemberUnknown);
}

TEST(Messages, AreReadAsTheyWereWritten) {
  const auto id = *RequestId::Parse("request-1");
  const auto product = *ProductName::Parse("acme/gateway");
  const auto person = *PersonId::Parse("alice");
  ExpectRoundTrip(SubmitAnswer{id, "{}", {}, {}, {}, 2, RequestState::kSigned, "a.b.c", 7});
  ExpectRoundTrip(ApproveAnswer{id, RequestState::kWaiting, 1, 2, {}, {}});
  const RequestRow row{id, product, "1.0.0", person, RequestState::kRejected, {}, {person}, 2, {5}, {6}, "no"};
  ExpectRoundTrip(row);
  ExpectRoundTrip(RequestDetail{row, "r", "p", {}, {}, {}, "{}", {1, 2}, {"a"}, "s", 3});
  ExpectRoundTrip(ChangeAnswer{3, 1});
  ExpectRoundTrip(PersonCertificateAnswer{person, "PEM"});
  ExpectRoundTrip(PeopleAnswer{{{person, {manifest::PersonRole::kAuditor}, {true, {}}, "kid", true, true}}, {}, 9, 2});
  ExpectRoundTrip(EnrolAnswer{{1, 2, 3}, 2});
  DeviceRow device{*DeviceId::Parse("gw-1"),
                   DeviceState::kQuarantined,
                   2,
                   product,
                   *Environment::Parse("production"),
                   {{"model", "x"}},
                   Sha256{},
                   Sha256{},
                   true};
  ExpectRoundTrip(DevicesAnswer{{device}, "gw-1"});
  ExpectRoundTrip(PrepareImportAnswer{{{*FileId::Parse("f1"), "a.img", {}, {5}}}});
  ExpectRoundTrip(CompleteImportAnswer{{{*FileId::Parse("f1"), {}, {5}}}});
  ExpectRoundTrip(
      OrdersAnswer{{{device.id, "a.b.c", 5, {}}, {device.id, {}, {}, Refusal(ErrorCode::kDeviceUnknown, "x")}}});
  QuarantineRequest turned_back{*DeviceId::Parse("d"), 2, "order", {1, 7}, {1, 6}};
  const auto read = [](const QuarantineRequest& request) {
    const codec::Json json = request.ToJson();
    codec::ObjectReader reader(json, "request");
    return QuarantineRequest::Read(reader);
  };
  EXPECT_EQ(read(turned_back)->ToJson().Serialize(), turned_back.ToJson().Serialize());
  turned_back.told = turned_back.known;
  EXPECT_EQ(read(turned_back).error().code, ErrorCode::kValueOutOfRange);
  turned_back.told = {0, 99};
  EXPECT_TRUE(read(turned_back)) << "an earlier epoch";
  turned_back.what = "receipt";
  EXPECT_EQ(read(turned_back).error().code, ErrorCode::kValueOutOfRange);
  ExpectRoundTrip(ReceiptsAnswer{{{true, false, {}, {}}, {false, true, ErrorCode::kReceiptInvalid, "x"}}});
  ExpectRoundTrip(RevokeAnswer{});
  ExpectRoundTrip(LogIndexAnswer{3, "a.b.c"});
  ExpectRoundTrip(HelloAnswer{*Organisation::Parse("acme"), "s", "d", "p", "v", "o", 1, "0.1.0", ""});
  ExpectRoundTrip(HelloAnswer{*Organisation::Parse("acme"), "s", "d", "p", "v", "o", 1, "0.1.0", "ClockBehindLog"});
}

TEST(Messages, AnswerCarriesTheSignersCode) {
  EXPECT_EQ(ParseAnswer(BuildError(ErrorCode::kSelfApproval, "x")).error().code, ErrorCode::kSelfApproval);
  EXPECT_EQ(ParseAnswer(BuildOk(codec::Json(5))).value(), codec::Json(5));
  for (const char* bad :
       {"", "{}", R"({"ok":1,"error":2})", R"({"error":{"code":"Nonsense","detail":""}})", R"({"error":1})"}) {
    EXPECT_EQ(ParseAnswer(bad).error().code, ErrorCode::kProtocolError) << bad;
  }
}

}  // namespace
}  // namespace fleetseal::api::signing
