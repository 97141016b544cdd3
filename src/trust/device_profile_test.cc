#include "trust/device_profile.h"

#include <gtest/gtest.h>

#include "trust/testing/test_world.h"

namespace fleetseal::trust {
namespace {

using testing::Must;

std::string WithComponents(const std::string& components) {
  return R"({"organisation":"acme","deviceId":"pump-1","generation":1,"product":"acme/pump","environment":"production",)" +
         (components.empty() ? std::string() : "\"components\":" + components + ",") +
         R"("properties":{},"delivery":"sealed","buildTime":1})";
}

TEST(DeviceProfile, X5_ADeviceHasTheComponentMainOrThoseThatItNames) {
  EXPECT_EQ(Must(ParseDeviceDescription(WithComponents(""))).device.components, std::set<std::string>{"main"});
  EXPECT_EQ(Must(ParseDeviceDescription(WithComponents(R"(["modem","settings"])"))).device.components,
            (std::set<std::string>{"modem", "settings"}));
}

TEST(DeviceProfile, X5_X10_RefusesComponentsThatAreNone) {
  const std::pair<const char*, ErrorCode> cases[] = {{"[]", ErrorCode::kValueOutOfRange},
                                                     {R"(["main","main"])", ErrorCode::kValueOutOfRange},
                                                     {R"(["../main"])", ErrorCode::kIdInvalid},
                                                     {R"([""])", ErrorCode::kIdInvalid},
                                                     {R"(["main",1])", ErrorCode::kMemberTypeWrong},
                                                     {R"("main")", ErrorCode::kMemberTypeWrong}};
  for (const auto& [components, code] : cases) {
    const auto parsed = ParseDeviceDescription(WithComponents(components));
    ASSERT_FALSE(parsed) << components;
    EXPECT_EQ(parsed.error().code, code) << components << ": " << parsed.error().ToString();
  }
}

}  // namespace
}  // namespace fleetseal::trust
