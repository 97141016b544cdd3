#include "sealer/service.h"

#include "log/log.h"
#include "sealer/wire.h"

namespace fleetseal::sealer {
namespace {

// Whoever may not connect holds a place no longer than this.
constexpr int64_t kRefusedMs = 1'000;

using Serve = void (*)(sys::LocalChannel&, UpdateStore&);

Result<std::unique_ptr<sys::LocalServer>> Listen(const Config& config, const std::string& path, uid_t allowed,
                                                 UpdateStore& store, Serve serve) {
  sys::LocalServer::Options options;
  options.listen.path = path;
  options.listen.mode = config.socket_group ? 0660 : 0600;
  options.listen.group = config.socket_group;
  options.connections_max = kSealsMax;
  return sys::LocalServer::Start(
      std::move(options), [allowed, &store, serve](sys::LocalChannel& channel, const sys::PeerCredentials& peer) {
        if (peer.uid != allowed) {
          log::Event(log::Level::kWarning, "peer.refused", {{"uid", peer.uid}});
          channel.SetTimeoutMs(kRefusedMs);
          // Read first: closing over unread bytes would take the answer with it.
          (void)channel.ReceiveMessage(64 * 1024);
          (void)channel.SendMessage(BuildError({ErrorCode::kPermissionDenied, "this user may not connect here", {}}));
          return;
        }
        serve(channel, store);
      });
}

}  // namespace

Result<std::unique_ptr<SealerService>> SealerService::Start(const Config& config, UpdateStore& store) {
  std::unique_ptr<SealerService> service(new SealerService());
  TRY_ASSIGN_CONTEXT(service->seal_server_,
                     Listen(config, config.seal_socket, config.server_uid, store, ServeSealConnection),
                     config.seal_socket);
  TRY_ASSIGN_CONTEXT(service->wrap_server_,
                     Listen(config, config.wrap_socket, config.signer_uid, store, ServeWrapConnection),
                     config.wrap_socket);
  return service;
}

void SealerService::Stop() {
  if (seal_server_) seal_server_->Stop();
  if (wrap_server_) wrap_server_->Stop();
}

}  // namespace fleetseal::sealer
