// Loads an HTTPS server that wants client certificates, from many connections and source addresses, and counts answers.
//
//   load_generator --port N --ca FILE --callers FILE [--mode keep|full|resumed] [--connections N] [--sources N]
//                  [--seconds S | --requests N] [--status N] [--body-bytes N]
//
// --callers: lines "CERTIFICATE KEY REQUEST-FILE" (PEM, PEM, a whole HTTP/1.1 request; "-" "-" for no certificate).
// keep: connections stay open. full: each request on a connection of its own. resumed: the same, with the caller's last
// session. --requests: each caller is used once for each of so many requests. Prints one JSON object. Every answer must
// have the status, and the length if one is given; others count as failed, and the first fault is told.
#include <sys/epoll.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bench/tls_client.h"

namespace fleetseal::bench {
namespace {

using Clock = std::chrono::steady_clock;

constexpr uint32_t kFirstSource = 0x7f000002;  // 127.0.0.2
constexpr size_t kSamplesMax = 1'000'000;

struct Options {
  uint16_t port = 0;
  std::string ca;
  std::string callers;
  std::string mode = "keep";
  size_t connections = 16;
  uint32_t sources = 8;
  double seconds = 0;
  uint64_t requests = 0;
  int status = 200;
  std::optional<uint64_t> body_bytes;
};

struct Totals {
  uint64_t answers = 0;
  uint64_t failed = 0;
  uint64_t handshakes = 0;
  uint64_t resumed = 0;
  uint64_t bytes = 0;
  std::vector<uint32_t> microseconds;
  std::string first_fault;
  std::string cipher;
};

struct Slot {
  std::unique_ptr<TlsClient> client;
  Clock::time_point since;
  uint32_t waits_for = 0;
};

class Load {
 public:
  explicit Load(const Options& options) : options_(options), epoll_(epoll_create1(EPOLL_CLOEXEC)) {
    std::ifstream file(options.callers);
    std::string certificate;
    std::string key;
    std::string request;
    while (file >> certificate >> key >> request)
      callers_.push_back(MakeCaller(options.ca, certificate, key, request, options.mode == "resumed"));
    if (callers_.empty()) {
      (void)std::fprintf(stderr, "load_generator: no callers in %s\n", options.callers.c_str());
      std::exit(1);
    }
  }
  ~Load() { ::close(epoll_); }
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;

  void Run();
  void Print() const;

 private:
  bool IsDone() const {
    if (options_.requests > 0) return started_ >= options_.requests;
    return std::chrono::duration<double>(Clock::now() - begin_).count() >= options_.seconds;
  }
  void Open(Slot& slot);
  void Drop(Slot& slot);
  void Drive(Slot& slot);
  void Note(Slot& slot);
  void Fault(const std::string& why) {
    totals_.failed += 1;
    if (totals_.first_fault.empty()) totals_.first_fault = why;
  }

  const Options options_;
  const int epoll_;
  std::vector<std::unique_ptr<Caller>> callers_;
  std::vector<Slot> slots_;
  size_t open_ = 0;
  uint64_t started_ = 0;
  uint64_t made_ = 0;
  Clock::time_point begin_;
  double elapsed_ = 0;
  Totals totals_;
};

void Load::Open(Slot& slot) {
  Caller& caller = *callers_[made_ % callers_.size()];
  slot.client = std::make_unique<TlsClient>(caller, kFirstSource + static_cast<uint32_t>(made_ % options_.sources),
                                            options_.port);
  made_ += 1;
  started_ += 1;
  open_ += 1;
  slot.since = Clock::now();
  slot.waits_for = EPOLLOUT;
  epoll_event event{};
  event.events = EPOLLOUT;
  event.data.ptr = &slot;
  epoll_ctl(epoll_, EPOLL_CTL_ADD, slot.client->fd(), &event);
}

void Load::Drop(Slot& slot) {
  slot.client.reset();
  open_ -= 1;
}

void Load::Note(Slot& slot) {
  const Answer& answer = slot.client->answer();
  const bool is_good =
      answer.status == options_.status && (!options_.body_bytes || *options_.body_bytes == answer.body_bytes);
  if (!is_good)
    return Fault("status " + std::to_string(answer.status) + ", body of " + std::to_string(answer.body_bytes));
  totals_.answers += 1;
  totals_.bytes += answer.head_bytes + answer.body_bytes;
  if (totals_.microseconds.size() < kSamplesMax) {
    const auto took = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - slot.since).count();
    totals_.microseconds.push_back(static_cast<uint32_t>(took));
  }
}

void Load::Drive(Slot& slot) {
  for (;;) {
    const Progress progress = slot.client->Advance();
    if (progress == Progress::kAnswered) {
      Note(slot);
      const bool keeps = options_.mode == "keep";
      if (!keeps || IsDone()) {
        totals_.handshakes += 1;
        totals_.resumed += slot.client->is_resumed() ? 1 : 0;
        if (totals_.cipher.empty())
          totals_.cipher = std::string(SSL_get_version(slot.client->ssl())) + " " + SSL_get_cipher(slot.client->ssl());
        slot.client->SendClose();
        Drop(slot);
        if (!IsDone()) Open(slot);
        return;
      }
      started_ += 1;
      slot.since = Clock::now();
      continue;
    }
    if (progress == Progress::kFailed) {
      Fault(slot.client->fault());
      // What fails at once would fail for ever: a slot that failed is not used again.
      return Drop(slot);
    }
    const uint32_t wanted = progress == Progress::kWantRead ? EPOLLIN : EPOLLOUT;
    if (wanted == slot.waits_for) return;
    slot.waits_for = wanted;
    epoll_event event{};
    event.events = wanted;
    event.data.ptr = &slot;
    epoll_ctl(epoll_, EPOLL_CTL_MOD, slot.client->fd(), &event);
    return;
  }
}

void Load::Run() {
  begin_ = Clock::now();
  slots_.resize(options_.connections);
  for (Slot& slot : slots_) {
    if (options_.requests == 0 || started_ < options_.requests) Open(slot);
  }
  epoll_event events[256];
  while (open_ > 0) {
    const int count = epoll_wait(epoll_, events, 256, 30'000);
    if (count == 0) {
      Fault("nothing happened for 30 seconds");
      break;
    }
    for (int i = 0; i < count; ++i) {
      Slot& slot = *static_cast<Slot*>(events[i].data.ptr);
      if (slot.client) Drive(slot);
    }
  }
  elapsed_ = std::chrono::duration<double>(Clock::now() - begin_).count();
}

void Load::Print() const {
  auto sorted = totals_.microseconds;
  std::sort(sorted.begin(), sorted.end());
  const auto part = [&sorted](double share) {
    return sorted.empty() ? 0U : sorted[static_cast<size_t>(share * static_cast<double>(sorted.size() - 1))];
  };
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  std::string fault = totals_.first_fault;
  std::replace_if(
      fault.begin(), fault.end(), [](char c) { return c == '"' || c == '\\' || c < ' '; }, ' ');
  (void)std::printf(
      "{\"answers\": %llu, \"failed\": %llu, \"handshakes\": %llu, \"resumed\": %llu, \"bytes\": %llu, "
      "\"seconds\": %.6f, \"client_cpu\": %.6f, \"p50_us\": %u, \"p99_us\": %u, \"tls\": \"%s\", \"fault\": \"%s\"}\n",
      static_cast<unsigned long long>(totals_.answers), static_cast<unsigned long long>(totals_.failed),
      static_cast<unsigned long long>(totals_.handshakes), static_cast<unsigned long long>(totals_.resumed),
      static_cast<unsigned long long>(totals_.bytes), elapsed_, seconds(usage.ru_utime) + seconds(usage.ru_stime),
      part(0.5), part(0.99), totals_.cipher.c_str(), fault.c_str());
}

Options Read(int argc, char** argv) {
  std::map<std::string, std::string> given;
  for (int i = 1; i + 1 < argc; i += 2) given[argv[i]] = argv[i + 1];
  Options options;
  const auto number = [&given](const char* name, uint64_t otherwise) {
    const auto found = given.find(name);
    return found == given.end() ? otherwise : std::strtoull(found->second.c_str(), nullptr, 10);
  };
  options.port = static_cast<uint16_t>(number("--port", 0));
  options.ca = given["--ca"];
  options.callers = given["--callers"];
  if (given.contains("--mode")) options.mode = given["--mode"];
  options.connections = number("--connections", options.connections);
  options.sources = static_cast<uint32_t>(std::max<uint64_t>(1, number("--sources", options.sources)));
  options.seconds = std::strtod(given["--seconds"].c_str(), nullptr);
  options.requests = number("--requests", 0);
  options.status = static_cast<int>(number("--status", 200));
  if (given.contains("--body-bytes")) options.body_bytes = number("--body-bytes", 0);
  const bool is_mode = options.mode == "keep" || options.mode == "full" || options.mode == "resumed";
  if (argc % 2 == 0 || options.port == 0 || !is_mode || (options.seconds <= 0 && options.requests == 0)) {
    (void)std::fprintf(stderr, "load_generator: the head of bench/load_generator.cc lists the options\n");
    std::exit(2);
  }
  return options;
}

}  // namespace
}  // namespace fleetseal::bench

int main(int argc, char** argv) {
  std::signal(SIGPIPE, SIG_IGN);
  fleetseal::bench::Load load(fleetseal::bench::Read(argc, argv));
  load.Run();
  load.Print();
  return 0;
}
