// SealerService: the two sockets of fleetseal-sealer.
//
// Source: docs/protocol/processes.md section 4; trust model section 7. On seal.sock a file is streamed in lockstep, one
// thread a connection, at most kSealsMax at once, a frame of memory each; on wrap.sock the signer names files and gets
// content keys. Each socket takes one user (PermissionDenied). There is no network here. Thread rule: Start and Stop
// from one thread.
#pragma once

#include <memory>

#include "sealer/config.h"
#include "sealer/update_store.h"
#include "sys/socket.h"

namespace fleetseal::sealer {

inline constexpr int kSealsMax = 16;
// Devices of one `wrap`.
inline constexpr size_t kWrapDevicesMax = 256;

class SealerService {
 public:
  // Both sockets listen when this returns. `store` outlives the service.
  static Result<std::unique_ptr<SealerService>> Start(const Config& config, UpdateStore& store);
  SealerService(const SealerService&) = delete;
  SealerService& operator=(const SealerService&) = delete;
  void Stop();

 private:
  SealerService() = default;
  std::unique_ptr<sys::LocalServer> seal_server_;
  std::unique_ptr<sys::LocalServer> wrap_server_;
};

// The body of each connection, for tests with a channel pair.
void ServeSealConnection(sys::LocalChannel& channel, UpdateStore& store);
void ServeWrapConnection(sys::LocalChannel& channel, UpdateStore& store);

}  // namespace fleetseal::sealer
