// Service: the machine behind its socket, and the thread that drives an update from its last file to its end.
//
// Source: docs/protocol/processes.md section 7: only the agent's uid is answered, every message is bounded, one content
// stream at a time, a second connection may ask for the state. Thread rule: Start and Stop by one owner.
#pragma once

#include <memory>
#include <string>
#include <thread>

#include "installer/core/machine.h"
#include "sys/socket.h"

namespace fleetseal::installer {

// The answer to one message; `fd` goes with offer-content only. Never fails: a failure is an error answer.
std::string HandleMessage(Machine& machine, const std::string& text, const sys::FileDescriptor& fd, EventLog& log);

class Service {
 public:
  // `machine` and `log` outlive the service. Codes: those of sys::LocalServer::Start.
  static Result<std::unique_ptr<Service>> Start(const Config& config, Machine& machine, EventLog& log);
  ~Service();
  Service(const Service&) = delete;
  Service& operator=(const Service&) = delete;
  // Stops the machine too.
  void Stop();

 private:
  Service(Machine& machine, EventLog& log) : machine_(machine), log_(log) {}
  void Run();

  Machine& machine_;
  EventLog& log_;
  sys::LargeMessageTurn large_messages_;
  std::unique_ptr<sys::LocalServer> server_;
  std::thread runner_;
};

// As the configuration says: small files or an executable. Asks it once.
Result<std::unique_ptr<BootControl>> OpenBootControl(const Config& config);

// Everything that main() wires: keys, boot control, handlers, machine. The log and config outlive it.
struct Wiring {
  const Config& config;
  const sys::Clock& clock;
  sys::Random& random;
  EventLog& log;
};
Result<std::unique_ptr<Machine>> OpenMachine(const Wiring& wiring);

}  // namespace fleetseal::installer
