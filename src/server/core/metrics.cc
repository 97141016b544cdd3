#include "server/core/metrics.h"

#include <string_view>

namespace fleetseal::server {

std::string Metrics::ToText(size_t devices) const {
  std::string text = "# TYPE fleetseal_devices gauge\nfleetseal_devices " + std::to_string(devices) + "\n";
  const auto add = [&text](std::string_view name, const std::atomic<uint64_t>& value) {
    text.append("# TYPE fleetseal_").append(name).append("_total counter\nfleetseal_").append(name).append("_total ");
    text.append(std::to_string(value.load(std::memory_order_relaxed))).append("\n");
  };
  add("device_requests", device_requests);
  add("admin_requests", admin_requests);
  add("client_errors", client_errors);
  add("server_errors", server_errors);
  add("connection_faults", connection_faults);
  add("check_ins", check_ins);
  add("orders_offered", orders_offered);
  add("receipts_accepted", receipts_accepted);
  add("receipts_refused", receipts_refused);
  add("enrolments", enrolments);
  add("files_sealed", files_sealed);
  add("scrub_rounds", scrub_rounds);
  add("scrub_stops", scrub_stops);
  add("content_damaged", content_damaged);
  return text;
}

}  // namespace fleetseal::server
