// A few counters, as Prometheus text.
//
// Thread rule: any thread; counters are atomic and only grow.
#pragma once

#include <atomic>
#include <cstdint>
#include <string>

namespace fleetseal::server {

struct Metrics {
  std::atomic<uint64_t> device_requests{0};
  std::atomic<uint64_t> admin_requests{0};
  std::atomic<uint64_t> client_errors{0};  // answers 400 to 499
  std::atomic<uint64_t> server_errors{0};  // answers 500 and up
  std::atomic<uint64_t> connection_faults{0};
  std::atomic<uint64_t> check_ins{0};
  std::atomic<uint64_t> orders_offered{0};  // answers that held an order
  std::atomic<uint64_t> receipts_accepted{0};
  std::atomic<uint64_t> receipts_refused{0};
  std::atomic<uint64_t> enrolments{0};
  std::atomic<uint64_t> files_sealed{0};
  std::atomic<uint64_t> scrub_rounds{0};     // in which every sealed file was read again
  std::atomic<uint64_t> scrub_stops{0};      // rounds that ended early: too many files were damaged
  std::atomic<uint64_t> content_damaged{0};  // files that a round found damaged

  // `devices`: how many are known.
  std::string ToText(size_t devices) const;
};

}  // namespace fleetseal::server
