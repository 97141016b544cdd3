// A whole connection to the sealer: frames, requests and streams as its peer sends them.
#include <sys/socket.h>

#include "fuzz/target.h"
#include "log/log.h"
#include "sealer/service.h"
#include "sealer/update_store.h"
#include "sys/socket.h"
#include "sys/testing/temp_directory.h"

namespace fleetseal::fuzz {
namespace {

sealer::UpdateStore& Store() {
  static const sys::TempDirectory folder;
  static const std::unique_ptr<sealer::UpdateStore> store = [] {
    CHECK(log::Init({.process = "fuzz", .least = log::Level::kError, .path = "/dev/null"}).has_value());
    CHECK(sealer::UpdateStore::Create(folder.File("sealer")).has_value());
    auto opened = sealer::UpdateStore::Open(folder.File("sealer"));
    CHECK(opened.has_value());
    return *std::move(opened);
  }();
  return *store;
}

// Everything is sent before anybody reads, so it must fit a socket's buffer.
constexpr size_t kInputBytesMax = 16 * 1024;

bool Serve(ByteView input, void (*serve)(sys::LocalChannel&, sealer::UpdateStore&)) {
  if (input.size() > kInputBytesMax) return false;
  int ends[2];
  CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
  sys::FileDescriptor peer(ends[0]);
  sys::LocalChannel channel{sys::FileDescriptor(ends[1])};
  CHECK(send(peer.get(), input.data(), input.size(), MSG_DONTWAIT) == static_cast<ssize_t>(input.size()));
  CHECK(shutdown(peer.get(), SHUT_WR) == 0);
  serve(channel, Store());
  channel.Shutdown();
  // True if there was a good answer.
  char answer[512];
  const ssize_t count = recv(peer.get(), answer, sizeof(answer), MSG_DONTWAIT);
  return count > 4 && std::string_view(answer, static_cast<size_t>(count)).substr(4).starts_with(R"({"ok")");
}
bool TrySeal(ByteView input) { return Serve(input, sealer::ServeSealConnection); }
bool TryWrap(ByteView input) { return Serve(input, sealer::ServeWrapConnection); }

constexpr Case kCases[] = {{"wrap", TryWrap}, {"seal", TrySeal}};

}  // namespace

FLEETSEAL_FUZZ_TARGET(sealer, kCases)

}  // namespace fleetseal::fuzz
