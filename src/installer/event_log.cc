#include "installer/event_log.h"

#include <unistd.h>

#include <utility>

#include "manifest/common.h"
#include "sys/file.h"

namespace fleetseal::installer {

EventLog::EventLog(const sys::Clock& clock)
    : EventLog(clock, [](std::string_view line) { (void)sys::WriteAll(STDERR_FILENO, AsBytes(line)); }) {}

EventLog::EventLog(const sys::Clock& clock, Sink sink) : clock_(clock), sink_(std::move(sink)) {}

void EventLog::Event(std::string_view name, codec::Json::Object fields) {
  codec::Json::Object line;
  line.emplace_back("time", manifest::BuildDateTime(clock_.Now()));
  line.emplace_back("process", "fleetseal-installer");
  line.emplace_back("event", name);
  for (auto& field : fields) line.push_back(std::move(field));
  const std::string text = codec::Json(std::move(line)).Serialize() + "\n";
  const std::lock_guard lock(mutex_);
  sink_(text);
}

void EventLog::Failure(std::string_view name, const Error& error) {
  Event(name, {{"code", ErrorCodeName(error.code)}, {"detail", error.detail}, {"where", error.where}});
}

}  // namespace fleetseal::installer
