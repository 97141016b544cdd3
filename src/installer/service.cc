#include "installer/service.h"

#include <unistd.h>

#include <type_traits>
#include <utility>

#include "sys/users.h"

namespace fleetseal::installer {
namespace {

// A connection that asks nothing for so long is closed; the agent opens another.
constexpr int64_t kConnectionIdleMs = 300'000;
constexpr int kConnectionsMax = 8;
constexpr int64_t kWorkWaitMs = 1000;

std::string Answer(const wire::StateRequest& request, Machine& machine, const sys::FileDescriptor&) {
  auto state = machine.State(request);
  return state ? wire::BuildStateAnswer(*state) : wire::BuildErrorAnswer(state.error());
}

std::string Answer(const wire::IdentifyRequest& request, Machine& machine, const sys::FileDescriptor&) {
  auto proof = machine.Identify(request.csr_sha256);
  return proof ? wire::BuildIdentifyAnswer(*proof) : wire::BuildErrorAnswer(proof.error());
}

std::string Answer(const wire::OfferDocumentsRequest& request, Machine& machine, const sys::FileDescriptor&) {
  auto outcome = machine.OfferDocuments(request);
  return outcome ? wire::BuildOfferAnswer(*outcome) : wire::BuildErrorAnswer(outcome.error());
}

std::string Answer(const wire::OfferContentRequest& request, Machine& machine, const sys::FileDescriptor& fd) {
  if (!fd.is_open())
    return wire::BuildErrorAnswer({ErrorCode::kInvalidArgument, "offer-content needs a pipe beside the message", ""});
  auto phase = machine.OfferContent(request, fd);
  return phase ? wire::BuildPhaseAnswer(*phase) : wire::BuildErrorAnswer(phase.error());
}

std::string Answer(const wire::AbortRequest&, Machine& machine, const sys::FileDescriptor&) {
  auto phase = machine.Abort();
  return phase ? wire::BuildPhaseAnswer(*phase) : wire::BuildErrorAnswer(phase.error());
}

void Serve(sys::LocalChannel& channel, const sys::PeerCredentials& peer, uid_t agent_uid, Machine& machine,
           EventLog& log, sys::LargeMessageTurn& turn) {
  channel.ShareLargeMessages(&turn);
  if (peer.uid != agent_uid) {
    log.Event("peer.refused", {{"uid", static_cast<int64_t>(peer.uid)}, {"pid", static_cast<int64_t>(peer.pid)}});
    (void)channel.SendMessage(
        wire::BuildErrorAnswer({ErrorCode::kPermissionDenied, "only the agent's user is answered", ""}));
    return;
  }
  while (!machine.is_stopping()) {
    channel.SetTimeoutMs(kConnectionIdleMs);
    auto message = channel.ReceiveMessage();
    // Who does not read its answers is not waited for as long as who asks nothing.
    channel.SetTimeoutMs(sys::kLocalTimeoutMs);
    if (!message) {
      // Past the bound the rest of the stream is not a message any more: answer and close.
      if (message.error().code == ErrorCode::kDocumentTooLarge)
        (void)channel.SendMessage(wire::BuildErrorAnswer(message.error()));
      return;
    }
    const std::string answer = HandleMessage(machine, message->text, message->fd, log);
    message->fd.Reset();
    if (!channel.SendMessage(answer)) return;
  }
}

}  // namespace

std::string HandleMessage(Machine& machine, const std::string& text, const sys::FileDescriptor& fd, EventLog& log) {
  auto request = wire::ParseInstallerRequest(text);
  if (!request) {
    log.Failure("request.refused", request.error());
    return wire::BuildErrorAnswer(request.error());
  }
  return std::visit([&](const auto& value) { return Answer(value, machine, fd); }, *request);
}

Result<std::unique_ptr<Service>> Service::Start(const Config& config, Machine& machine, EventLog& log) {
  const uid_t own_uid = geteuid();
  const uid_t agent_uid = config.agent_uid.value_or(own_uid);
  std::unique_ptr<Service> service(new Service(machine, log));
  sys::LocalServer::Options options;
  options.listen.path = config.socket;
  // The peer's uid decides; the mode only lets another user knock at all.
  options.listen.mode = agent_uid == own_uid ? 0600 : 0666;
  options.connections_max = kConnectionsMax;
  TRY_ASSIGN(
      service->server_,
      sys::LocalServer::Start(std::move(options), [agent_uid, &machine, &log, &turn = service->large_messages_](
                                                      sys::LocalChannel& channel, const sys::PeerCredentials& peer) {
        Serve(channel, peer, agent_uid, machine, log, turn);
      }));
  service->runner_ = std::thread([raw = service.get()] { raw->Run(); });
  return service;
}

Service::~Service() { Stop(); }

void Service::Stop() {
  machine_.Stop();
  if (server_) server_->Stop();
  if (runner_.joinable()) runner_.join();
}

void Service::Run() {
  while (!machine_.is_stopping()) {
    auto progress = machine_.Advance();
    if (!progress) log_.Failure("update.step-failed", progress.error());
    if (progress && *progress == Machine::Progress::kAgain) continue;
    machine_.WaitForWork(kWorkWaitMs);
  }
}

Result<std::unique_ptr<BootControl>> OpenBootControl(const Config& config) {
  if (!config.boot_command) return FilesBootControl::Open(config.boot_directory);
  const CommandConfig& run = config.boot_command->run;
  return CommandBootControl::Open({.command = run.command, .timeout_ms = run.timeout_ms});
}

Result<std::unique_ptr<Machine>> OpenMachine(const Wiring& wiring) {
  const Config& config = wiring.config;
  TRY(sys::MakeDirectories(config.state_directory, 0700));
  TRY_ASSIGN_CONTEXT(Provisioning provisioning, LoadProvisioning(config.provisioning_directory), "provisioning");
  TRY_ASSIGN(std::unique_ptr<DeviceKeyring> keys, DeviceKeyring::Open(config.state_directory));
  std::unique_ptr<BootControl> boot;
  HandlerMap handlers;
  if (config.slots) {
    TRY_ASSIGN_CONTEXT(boot, OpenBootControl(config), "boot control");
    TRY_ASSIGN(
        std::unique_ptr<SlotHandler> slots,
        SlotHandler::Open({.a = config.slots->a, .b = config.slots->b, .bytes_max = config.slots->bytes_max}, *boot));
    handlers.emplace(manifest::kHandlerSlot, std::move(slots));
  }
  if (config.file_prefix) {
    TRY_ASSIGN(std::unique_ptr<FileHandler> files, FileHandler::Open(*config.file_prefix));
    handlers.emplace(manifest::kHandlerFile, std::move(files));
    TRY(CheckFilePrefix(config));
  }
  return Machine::Open({.config = config,
                        .provisioning = std::move(provisioning),
                        .keys = std::move(keys),
                        .boot = std::move(boot),
                        .handlers = std::move(handlers),
                        .clock = wiring.clock,
                        .random = wiring.random,
                        .log = wiring.log});
}

}  // namespace fleetseal::installer
