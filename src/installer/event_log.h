// EventLog: one line of JSON for each event, on standard error.
//
// Source: house rule "Logs"; the installer links no logging library (design section 7). Stable event names, ids, never
// a secret. The frame members are time, process, event; fields follow. S1_25: each verified document names root and
// signing key. Thread rule: any thread; the sink is called with whole lines under a lock.
#pragma once

#include <functional>
#include <mutex>
#include <string>
#include <string_view>

#include "base/result.h"
#include "codec/json.h"
#include "sys/clock.h"

namespace fleetseal::installer {

class EventLog {
 public:
  // Gets each line with its '\n'.
  using Sink = std::function<void(std::string_view line)>;

  // Writes to standard error.
  explicit EventLog(const sys::Clock& clock);
  EventLog(const sys::Clock& clock, Sink sink);
  EventLog(const EventLog&) = delete;
  EventLog& operator=(const EventLog&) = delete;

  // Never fails: a line that cannot be written is lost.
  void Event(std::string_view name, codec::Json::Object fields = {});
  void Failure(std::string_view name, const Error& error);

 private:
  const sys::Clock& clock_;
  std::mutex mutex_;
  Sink sink_;
};

}  // namespace fleetseal::installer
