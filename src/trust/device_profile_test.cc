#include "trust/device_profile.h"

#include <gtest/gtest.h>

#include "trust/order.h"
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

TEST(DeviceProfile, S0_10_X5_AnUpdateForAComponentThatTheDeviceDoesNotHaveIsRefused) {
  testing::TestWorld world;
  const testing::Release release = world.MakeRelease(5);
  const TrustState state = world.Ready();
  const auto documents = world.Documents(release, world.MakeOrder(release), state);
  world.device.components = {"modem", "settings"};
  EXPECT_REFUSED(AcceptOrder(state, world.device, documents, world.now), kNotCompatible);
  world.device.components.insert("main");
  EXPECT_TRUE(AcceptOrder(state, world.device, documents, world.now));
}

}  // namespace
}  // namespace fleetseal::trust
