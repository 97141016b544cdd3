#include "server/core/core.h"

#include "server/store/schema.h"

namespace fleetseal::server {
namespace {
constexpr unsigned kTaskThreads = 2;
// Devices that wait for their order at once; past it 503, and they come back.
constexpr size_t kTasksMax = 4096;
constexpr size_t kNonceTasksMax = 256;
constexpr int kDatabaseSessions = 4;
}  // namespace

Core::Core(ServerConfig server_config, sys::Clock& server_clock, std::unique_ptr<storage::Database> db,
           std::unique_ptr<content::Store> store)
    : config(std::move(server_config)),
      clock(server_clock),
      database(std::move(db)),
      content(std::move(store)),
      updates(*database),
      rollouts(*database),
      device_store(*database),
      signer(config.signer_socket, config.signer_connections),
      documents(config.check_in_seconds),
      proofs(config.log_directory),
      tasks(kTaskThreads, kTasksMax),
      nonce_tasks(1, kNonceTasksMax) {}

Result<std::unique_ptr<Core>> Core::Open(ServerConfig config, sys::Clock& clock) {
  storage::Database::Options options;
  options.url = config.database_url;
  options.sessions = kDatabaseSessions;
  TRY_ASSIGN_CONTEXT(auto database, storage::Database::Open(options), "opening the server's database");
  TRY_CONTEXT(MigrateServerTables(*database), "migrating the server's database");
  TRY_ASSIGN_CONTEXT(auto content, content::Store::Open({config.content}), "opening the content store");
  return std::unique_ptr<Core>(new Core(std::move(config), clock, std::move(database), std::move(content)));
}

Status Core::RefreshPeople() {
  TRY_ASSIGN(auto answer, signer.With([](SignerPool::Client& client) { return client.People(); }));
  people.Put(std::move(answer));
  return {};
}

Status Core::RefreshPackages() {
  while (true) {
    const int64_t from = documents.Get()->newest_version() + 1;
    TRY_ASSIGN(const auto texts, signer.With([from](SignerPool::Client& client) { return client.Packages(from); }));
    if (texts.empty()) return {};
    TRY(documents.AddPackages(texts));
  }
}

Status Core::RefreshStatus(bool is_forced) {
  TRY_ASSIGN(const auto status, signer.With([](SignerPool::Client& client) { return client.Status(); }));
  return documents.SetStatus(status, clock.Now(), is_forced);
}

Status Core::RefreshDevices() {
  const uint64_t since = devices.BeginSync();
  std::optional<std::string> cursor;
  do {
    TRY_ASSIGN(auto page, signer.With([&cursor](SignerPool::Client& client) {
      return client.Devices(cursor, api::signing::kDevicesPageMax);
    }));
    devices.Put(page.devices, since);
    cursor = std::move(page.cursor);
  } while (cursor);
  devices.EndSync();
  return {};
}

Status Core::FlushSeen() {
  const std::vector<SeenDevice> seen = devices.TakeSeen();
  const Status written = device_store.PutSeen(seen);
  if (!written) devices.PutBack(seen);
  return written;
}

void LogFailure(std::string_view event, const Error& error) { log::ErrorEvent(log::Level::kWarning, event, error); }

Error ErrorOf(const Refusal& refusal) { return Fail(refusal).value(); }

}  // namespace fleetseal::server
