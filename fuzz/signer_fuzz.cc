// Requests to a whole signer with an organisation, an update and a device: any bytes get one answer, and nothing that a
// stranger can make up is signed.
#include "api/signing/messages.h"
#include "fuzz/target.h"
#include "signer/dispatch.h"
#include "signer/testing/signer_world.h"

namespace fleetseal::fuzz {
namespace {

struct World : signer::testing::SignerWorld {
  World() {
    CHECK(log::Init({.process = "fuzz", .least = log::Level::kError, .path = "/dev/null"}).has_value());
    (void)Submitted("1.0.0");
    (void)Enrolled("gateway-1");
  }
};
World& TheWorld() {
  static World world;
  return world;
}

bool TryRequest(ByteView input) {
  const std::string text = signer::AnswerMessage(TheWorld().core(), AsText(input));
  const auto answer = codec::ParseJson(text, {.bytes_max = limits::kLocalMessageBytesMax});
  CHECK(answer.has_value() && answer->is_object() && answer->as_object().size() == 1);
  // An error has a code that can be read back.
  const auto parsed = api::signing::ParseAnswer(text);
  CHECK(parsed.has_value() == (answer->Find("ok") != nullptr));
  CHECK(parsed.has_value() || parsed.error().code != ErrorCode::kInternal);
  return parsed.has_value();
}
// Any words as the payload of a document that the publisher's true key signs.
bool TrySignedRequest(ByteView input) {
  if (input.empty()) return false;  // no JWS has an empty payload
  World& world = TheWorld();
  const std::string manifest = world.MakeManifest("2.0.0");
  const std::string request = world.SignAs("alice", manifest::kTypRequest, std::string(AsText(input)));
  return signer::SubmitRequest(world.core(), request, AsBytes(manifest)).has_value();
}
bool TrySignedChange(ByteView input) {
  if (input.empty()) return false;
  World& world = TheWorld();
  // One of two security keys: whatever it says, it is not enough but for devices, which operators allow.
  const std::string change = world.SignAs(world.security[0], manifest::kTypRegisterChange, std::string(AsText(input)));
  CHECK(!signer::RegisterChange(world.core(), {change}).has_value());
  return false;
}

constexpr Case kCases[] = {
    {"request", TryRequest},
    {"signed-request", TrySignedRequest},
    {"signed-change", TrySignedChange},
};

}  // namespace

FLEETSEAL_FUZZ_TARGET(signer, kCases)

}  // namespace fleetseal::fuzz
