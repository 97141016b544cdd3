#include "api/device/messages.h"

#include <gtest/gtest.h>

namespace fleetseal::api::device {
namespace {

CheckInRequest Full() {
  CheckInRequest request;
  request.device_id = *DeviceId::Parse("device-1");
  request.generation = 2;
  request.package_version = 3;
  request.status = Numbered{1, 17};
  request.order = Numbered{1, 1'700'000'000'000};
  request.checkpoint = KnownCheckpoint{"log.example", 12};
  request.installed = Installed{*ProductName::Parse("acme/gateway"), 4, {}};
  request.phase = "health-check";
  request.agent_version = "0.1.0";
  return request;
}

TEST(DeviceMessages, ACheckInComesBackAsItWasWritten) {
  const std::string text = Full().Build();
  const auto parsed = CheckInRequest::Parse(text);
  ASSERT_TRUE(parsed.has_value()) << parsed.error().ToString();
  EXPECT_EQ(parsed->Build(), text);
  EXPECT_EQ(parsed->order->number, 1'700'000'000'000);
}

TEST(DeviceMessages, ACheckInWithWrongMembersIsRefused) {
  const std::string good = Full().Build();
  const auto code = [](const std::string& text) {
    const auto parsed = CheckInRequest::Parse(text);
    return parsed ? std::string("good") : std::string(ErrorCodeName(parsed.error().code));
  };
  EXPECT_EQ(code(good), "good");
  EXPECT_EQ(code(good.substr(0, good.size() - 1) + R"(,"extra":1})"), "MemberUnknown");
  EXPECT_EQ(code(R"({"deviceId":"device-1"})"), "MemberMissing");
  CheckInRequest request = Full();
  request.generation = 0;
  EXPECT_EQ(code(request.Build()), "ValueOutOfRange");
  request = Full();
  request.phase = "no phase";
  EXPECT_EQ(code(request.Build()), "TextInvalid");
  request = Full();
  request.agent_version = "1\n";
  EXPECT_EQ(code(request.Build()), "TextInvalid");
  request = Full();
  request.device_id = {};
  EXPECT_EQ(code(request.Build()), "IdInvalid");
}

TEST(DeviceMessages, AnAnswerWithAnOrderComesBackAsItWasWritten) {
  CheckInAnswer answer;
  answer.packages = {"{}", "{ }"};
  answer.status = "a.b.c";
  answer.order = "d.e.f";
  answer.manifest = "{\"x\":\"\xc3\xbc\"}";
  answer.manifest_signature = "g.h.i";
  answer.log_proof = "c2sp.org/tlog-proof@v1\n";
  answer.consistency = std::vector<Sha256>(3);
  const auto parsed = CheckInAnswer::Parse(answer.Build());
  ASSERT_TRUE(parsed.has_value()) << parsed.error().ToString();
  EXPECT_EQ(parsed->manifest, answer.manifest);
  EXPECT_EQ(parsed->consistency->size(), 3u);
  EXPECT_EQ(parsed->Build(), answer.Build());
  EXPECT_FALSE(CheckInAnswer::Parse(R"({"packages":[]})").has_value());
}

TEST(DeviceMessages, ReceiptsAreOneToTheLimit) {
  ReceiptsRequest request;
  EXPECT_FALSE(ReceiptsRequest::Parse(request.Build()).has_value());
  request.receipts.assign(kReceiptsMax, "a.b.c");
  EXPECT_TRUE(ReceiptsRequest::Parse(request.Build()).has_value());
  request.receipts.emplace_back("a.b.c");
  EXPECT_FALSE(ReceiptsRequest::Parse(request.Build()).has_value());
  ReceiptsAnswer answer;
  answer.results = {{true, false, std::nullopt, std::nullopt}, {false, true, "ReceiptInvalid", "number"}};
  const auto parsed = ReceiptsAnswer::Parse(answer.Build());
  ASSERT_TRUE(parsed.has_value());
  EXPECT_EQ(parsed->results[1].code, "ReceiptInvalid");
  EXPECT_TRUE(parsed->results[1].is_final);
  EXPECT_FALSE(parsed->results[0].is_final);
}

}  // namespace
}  // namespace fleetseal::api::device
