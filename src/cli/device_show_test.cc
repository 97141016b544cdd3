#include "cli/device_show.h"

#include <gtest/gtest.h>

namespace fleetseal::cli {
namespace {

constexpr UnixSeconds kNow{1'000'000};

codec::Json Parsed(const std::string& text) {
  const auto json = codec::ParseJson(text);
  EXPECT_TRUE(json) << text;
  return *json;
}

codec::Json Device(const std::string& state, const std::string& more) {
  return Parsed(R"({"id":"pump-1","state":")" + state +
                R"(","generation":1,"product":"acme/pump","environment":"production","properties":{},"hasKeys":true,)" +
                R"("checkInSeconds":10,"phase":"idle")" + more + "}");
}

const std::string kSeen = R"(,"lastSeen":999998)";

std::string Why(const codec::Json& device, const std::string& events = "[]") {
  std::string text;
  for (const auto& one : DiagnoseDevice(device, Parsed(events).as_array(), kNow))
    text += one.what + " -> " + one.act + "\n";
  return text;
}

void Has(const std::string& text, const std::string& words) {
  EXPECT_NE(text.find(words), std::string::npos) << words << " is not in: " << text;
}

TEST(DiagnoseDevice, SaysWhichStateKeepsItOut) {
  Has(Why(Device("allowed", "")), "has not enrolled");
  Has(Why(Device("suspended", kSeen), R"([{"time":999000,"event":"suspend","actor":"olga"}])"),
      "suspended by olga at 1970-01-12 13:30:00Z (16 min 40 s ago) -> `fleetseal device resume pump-1");
  Has(Why(Device("revoked", kSeen)), "revoked");
  Has(Why(Device("quarantined", kSeen)), "cloned");
}

TEST(DiagnoseDevice, SaysThatItIsSilentOrWasNeverHeardOf) {
  Has(Why(Device("active", "")), "has not checked in yet");
  Has(Why(Device("active", R"(,"lastSeen":999000)")), "silent: last heard 16 min 40 s ago, expected every 10 s");
  EXPECT_EQ(Why(Device("active", kSeen)).find("silent"), std::string::npos);
}

TEST(DiagnoseDevice, SaysThatItsCertificateEnds) {
  Has(Why(Device("active", kSeen + R"(,"certificateEnds":1086400)")), "certificate ends in 1 day");
  Has(Why(Device("active", kSeen + R"(,"certificateEnds":999990)")), "certificate ended 10 s ago");
  EXPECT_EQ(Why(Device("active", kSeen + R"(,"certificateEnds":9000000)")).find("certificate"), std::string::npos);
}

std::string WithOrder(const std::string& rollout, const std::string& state, const std::string& more = "") {
  return kSeen + R"(,"orders":[{"planId":"plan-1","rollout":")" + rollout + R"(","state":")" + state +
         R"(","update":"acme/pump@2.0","expires":2000000)" + more + "}]";
}

TEST(DiagnoseDevice, SaysHowItsOrderStands) {
  Has(Why(Device("active", WithOrder("running", "waiting"))), "acme/pump@2.0 is ordered and will be offered");
  Has(Why(Device("active", WithOrder("running", "offered"))), "its result is awaited");
  Has(Why(Device("active", WithOrder("paused", "waiting"))), "is paused -> `fleetseal rollout resume plan-1");
  Has(Why(Device("active", WithOrder("cancelling", "offered"))), "cancelled");
  Has(Why(Device("active", WithOrder("running", "refused", R"(,"code":"PowerTooLow")"))),
      "PowerTooLow: the device has too little power to install; it is offered again at each check-in -> charge");
}

TEST(DiagnoseDevice, WithoutAnOrderTheLastRefusalIsTheReason) {
  const std::string failed =
      R"([{"time":999000,"event":"receipt","outcome":"rolled-back","code":"HealthCheckFailed","update":"acme/pump@2.0"}])";
  Has(Why(Device("active", kSeen), failed), "rolled-back, HealthCheckFailed: the new version did not pass");
  const std::string then_good =
      R"([{"time":999500,"event":"receipt","outcome":"installed","update":"acme/pump@3.0"},)" + failed.substr(1);
  Has(Why(Device("active", kSeen + R"(,"installed":"acme/pump@3.0")"), then_good),
      "it runs acme/pump@3.0, and no order is open for it");
}

TEST(DescribeDevice, SaysWhenItTriesNextAndMakesForeignTextClean) {
  const std::string text = DescribeDevice(Device("active", kSeen + ",\"agentVersion\":\"\\u001b[2Jx\\ny\""), {}, kNow);
  Has(text, "next attempt  in 8 s, then every 10 s");
  Has(text, "?[2Jx y");
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
}

}  // namespace
}  // namespace fleetseal::cli
