#include "server/server.h"

#include <condition_variable>
#include <mutex>
#include <thread>

#include "http/server.h"
#include "server/admin_api/admin_api.h"
#include "server/core/core.h"
#include "server/device_api/device_api.h"
#include "server/est/est.h"
#include "server/imports/scrubber.h"
#include "sys/file.h"
#include "sys/permissions.h"

namespace fleetseal::server {
namespace {

constexpr size_t kPemBytesMax = 256 * 1024;
// Sessions a device listener remembers for resumption.
constexpr uint32_t kDeviceSessions = 20'000;
// The device list is fetched anew this often: changes of this server are applied at once, those of others wait so long.
constexpr int64_t kDevicesRefreshMs = 300'000;

Result<http::TlsServerOptions> TlsOptions(const ServerConfig& config, const ListenerConfig& listener) {
  http::TlsServerOptions tls;
  TRY_ASSIGN(tls.certificate_chain_pem, sys::ReadTextFile(config.tls_certificate, kPemBytesMax));
  TRY_ASSIGN_CONTEXT(const SecretBytes key, sys::ReadSecretFile(config.tls_private_key, kPemBytesMax),
                     "read the TLS key");
  tls.private_key_pem = AsText(key.reveal());
  TRY_ASSIGN(tls.client_ca_pem, sys::ReadTextFile(listener.client_ca, kPemBytesMax));
  return tls;
}

}  // namespace

class Server::Impl {
 public:
  Impl(std::unique_ptr<sys::FileLock> lock, std::unique_ptr<Core> core)
      : lock_(std::move(lock)),
        core_(std::move(core)),
        signing_(*core_),
        imports_(*core_),
        rollouts_(*core_),
        offers_(*core_),
        receipts_(*core_, rollouts_),
        devices_(*core_, rollouts_),
        scrubber_(*core_) {}
  ~Impl() { Stop(); }

  Status Start();
  Status Refresh();
  void Stop();

  uint16_t device_port() const { return device_listener_->port(); }
  uint16_t admin_port() const { return admin_listener_->port(); }
  const http::Router& device_routes() const { return *device_routes_; }
  const http::Router& admin_routes() const { return *admin_routes_; }

 private:
  Status StartDeviceListener();
  Status StartAdminListener();
  Status WritePorts() const;
  Status CheckOrganisation();
  Status FirstContact();
  void MakeUpCancels();
  void RefreshStatus(bool is_forced);
  void RunRefresh();
  void RefreshOnce(int64_t now_ms);
  std::function<void(const http::RequestRecord&)> Counter(std::atomic<uint64_t>& requests);

  const std::unique_ptr<sys::FileLock> lock_;
  const std::unique_ptr<Core> core_;
  SigningService signing_;
  ImportService imports_;
  RolloutService rollouts_;
  OfferService offers_;
  ReceiptService receipts_;
  DeviceService devices_;
  Scrubber scrubber_;
  std::shared_ptr<const http::Router> device_routes_;
  std::shared_ptr<const http::Router> admin_routes_;
  std::unique_ptr<http::Server> device_listener_;
  std::unique_ptr<http::Server> admin_listener_;

  std::mutex mutex_;
  std::condition_variable stop_changed_;
  bool is_stopping_ = false;
  std::atomic<bool> is_contacted_{false};
  int64_t next_refresh_ms_ = 0;
  int64_t next_devices_ms_ = 0;
  std::thread refresher_;
};

Status Server::Impl::CheckOrganisation() {
  TRY_ASSIGN(const auto hello, core_->signer.With([](SignerPool::Client& client) { return client.Hello(); }));
  if (!hello.problem.empty()) log::Event(log::Level::kWarning, "signer.problem", {{"problem", hello.problem}});
  if (hello.organisation == core_->config.organisation) return {};
  return Fail(ErrorCode::kConfigInvalid, "the signer is of organisation " + hello.organisation.text());
}

// Everything that needs the signer once before this server can answer.
Status Server::Impl::FirstContact() {
  TRY(CheckOrganisation());
  TRY(core_->RefreshPackages());
  TRY(signing_.FollowLog());
  RefreshStatus(true);
  TRY(core_->RefreshPeople());
  TRY(core_->RefreshDevices());
  TRY(core_->device_store.ForEachSeen([this](const SeenDevice& seen) -> Status {
    core_->devices.PutSeen(seen);
    return {};
  }));
  TRY(signing_.SyncUpdates());
  TRY(rollouts_.LoadPending());
  TRY(rollouts_.SyncPlans());
  MakeUpCancels();
  is_contacted_ = true;
  log::Event(log::Level::kInfo, "signer.contacted", {{"devices", core_->devices.size()}});
  return {};
}

Status Server::Impl::Refresh() {
  if (is_contacted_) {
    TRY(core_->RefreshPackages());
    TRY(signing_.FollowLog());
    RefreshStatus(false);
    TRY(core_->RefreshPeople());
    MakeUpCancels();
    TRY(signing_.SyncUpdates());
  } else {
    TRY(FirstContact());
  }
  return rollouts_.ResumeStarts();
}

// A status that the signer will not sign now (its package or its director's listing has ended, it is halted) keeps
// nobody out: whoever puts that right comes through here, and devices get packages.
void Server::Impl::RefreshStatus(bool is_forced) {
  const Status refreshed = core_->RefreshStatus(is_forced);
  if (!refreshed) LogFailure("status.refresh-failed", refreshed.error());
}

// Cancel orders that an interruption, or a suspended device, has left to be signed.
void Server::Impl::MakeUpCancels() {
  const Status resumed = rollouts_.ResumeCancels();
  if (!resumed) LogFailure("rollouts.cancel-failed", resumed.error());
}

void Server::Impl::RefreshOnce(int64_t now_ms) {
  if (now_ms >= next_refresh_ms_) {
    const Status refreshed = Refresh();
    if (!refreshed) LogFailure("signer.refresh-failed", refreshed.error());
    // A signer that is still starting is asked again soon.
    next_refresh_ms_ = now_ms + (is_contacted_ ? kRefreshMs : kFlushMs / 5);
  }
  if (is_contacted_ && now_ms >= next_devices_ms_) {
    if (next_devices_ms_ != 0) {
      Status refreshed = core_->RefreshDevices();
      if (refreshed) refreshed = rollouts_.SyncPlans();
      if (!refreshed) LogFailure("devices.refresh-failed", refreshed.error());
    }
    next_devices_ms_ = now_ms + kDevicesRefreshMs;
  }
  const Status flushed = core_->FlushSeen();
  if (!flushed) LogFailure("devices.flush-failed", flushed.error());
}

void Server::Impl::RunRefresh() {
  std::unique_lock lock(mutex_);
  while (!is_stopping_) {
    lock.unlock();
    RefreshOnce(core_->clock.MonotonicMs());
    const std::chrono::milliseconds pause(is_contacted_ ? kFlushMs : kFlushMs / 5);
    lock.lock();
    stop_changed_.wait_for(lock, pause, [this] { return is_stopping_; });
  }
}

std::function<void(const http::RequestRecord&)> Server::Impl::Counter(std::atomic<uint64_t>& requests) {
  return [this, &requests](const http::RequestRecord& record) {
    requests.fetch_add(1, std::memory_order_relaxed);
    if (record.status >= 500)
      core_->metrics.server_errors.fetch_add(1, std::memory_order_relaxed);
    else if (record.status >= 400)
      core_->metrics.client_errors.fetch_add(1, std::memory_order_relaxed);
  };
}

Status Server::Impl::StartDeviceListener() {
  const ServerConfig& config = core_->config;
  http::ServerOptions options;
  options.listen_address = config.device.address;
  options.port = config.device.port;
  TRY_ASSIGN(options.tls, TlsOptions(config, config.device));
  // Packages, status and enrolment need no certificate; simplereenroll takes an ended one. Routes decide.
  options.tls.client_auth = http::ClientAuth::kRequested;
  options.tls.accepts_expired_client = true;
  options.tls.session_cache_size = kDeviceSessions;
  options.io_threads = config.device.io_threads;
  options.worker_threads = config.device.worker_threads;
  options.limits.connections_max = config.device.connections_max;
  auto router = std::make_shared<http::Router>();
  TRY(AddDeviceRoutes(*router, {*core_, offers_, receipts_, devices_}));
  TRY_ASSIGN(const std::string server_ca, sys::ReadTextFile(config.server_ca, kPemBytesMax));
  TRY(AddEstRoutes(*router, {*core_, devices_, server_ca, options.tls.client_ca_pem}));
  device_routes_ = router;
  options.router = std::move(router);
  options.on_request = Counter(core_->metrics.device_requests);
  options.on_fault = [this](const http::ConnectionFault&) {
    core_->metrics.connection_faults.fetch_add(1, std::memory_order_relaxed);
  };
  TRY_ASSIGN(device_listener_, http::Server::Start(std::move(options)));
  return {};
}

Status Server::Impl::StartAdminListener() {
  const ServerConfig& config = core_->config;
  http::ServerOptions options;
  options.listen_address = config.admin.address;
  options.port = config.admin.port;
  TRY_ASSIGN(options.tls, TlsOptions(config, config.admin));
  options.worker_threads = config.admin.worker_threads;
  options.streaming_threads = static_cast<unsigned>(config.seal_connections) + 1;  // one to refuse while all are busy
  options.limits.connections_max = config.admin.connections_max;
  auto router = std::make_shared<http::Router>();
  TRY(AddAdminRoutes(*router, {*core_, signing_, imports_, rollouts_, devices_}));
  admin_routes_ = router;
  options.router = std::move(router);
  options.on_request = Counter(core_->metrics.admin_requests);
  options.on_fault = [this](const http::ConnectionFault&) {
    core_->metrics.connection_faults.fetch_add(1, std::memory_order_relaxed);
  };
  TRY_ASSIGN(admin_listener_, http::Server::Start(std::move(options)));
  return {};
}

Status Server::Impl::WritePorts() const {
  codec::Json ports = codec::Json::MakeObject();
  ports.Set("device", int64_t{device_port()}).Set("admin", int64_t{admin_port()});
  return sys::WriteFileDurably(sys::JoinPath(core_->config.data, "ports.json"), AsBytes(ports.Serialize()), 0644);
}

Status Server::Impl::Start() {
  // The signer may start later than this; another organisation's signer is a mistake that must end the start.
  const Status contacted = FirstContact();
  if (!contacted && contacted.error().code == ErrorCode::kConfigInvalid) return contacted;
  if (!contacted) LogFailure("signer.not-contacted", contacted.error());
  // Starts that were interrupted go on at once, but not before devices are answered.
  const auto starts = core_->rollouts.Starts();
  if (contacted && starts && starts->empty()) next_refresh_ms_ = core_->clock.MonotonicMs() + kRefreshMs;
  TRY_CONTEXT(StartDeviceListener(), "starting the device listener");
  TRY_CONTEXT(StartAdminListener(), "starting the admin listener");
  TRY(WritePorts());
  refresher_ = std::thread([this] { RunRefresh(); });
  scrubber_.Start();
  return {};
}

void Server::Impl::Stop() {
  {
    const std::lock_guard lock(mutex_);
    is_stopping_ = true;
  }
  stop_changed_.notify_all();
  if (refresher_.joinable()) refresher_.join();
  scrubber_.Stop();
  if (device_listener_) device_listener_->Stop();
  if (admin_listener_) admin_listener_->Stop();
  core_->tasks.Stop();
  core_->nonce_tasks.Stop();
  const Status flushed = core_->FlushSeen();
  if (!flushed) LogFailure("devices.flush-failed", flushed.error());
}

Result<std::unique_ptr<Server>> Server::Start(ServerConfig config, sys::Clock& clock) {
  TRY(sys::MakeDirectories(config.data, 0700));
  TRY(sys::RequireOwn(config.data, sys::Reach::kNobodyElseWrites));
  TRY_ASSIGN_CONTEXT(auto lock, sys::FileLock::Acquire(sys::JoinPath(config.data, "server.lock")),
                     "locking the data directory");
  TRY_ASSIGN(auto core, Core::Open(std::move(config), clock));
  auto impl = std::make_unique<Impl>(std::move(lock), std::move(core));
  TRY(impl->Start());
  return std::unique_ptr<Server>(new Server(std::move(impl)));
}

Server::Server(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Server::~Server() = default;
uint16_t Server::device_port() const { return impl_->device_port(); }
uint16_t Server::admin_port() const { return impl_->admin_port(); }
const http::Router& Server::device_routes() const { return impl_->device_routes(); }
const http::Router& Server::admin_routes() const { return impl_->admin_routes(); }
Status Server::Refresh() { return impl_->Refresh(); }
void Server::Stop() { impl_->Stop(); }

}  // namespace fleetseal::server
