// AlarmWatch: which of the installer's alarms began or ended, so that each is told once and not every cycle.
//
// Source: requirement X1; docs/operations/device-alarms.md. Thread rule: one thread.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "agent/config/config.h"
#include "api/installer/messages.h"

namespace fleetseal::agent {

class AlarmWatch {
 public:
  struct Changes {
    std::vector<api::installer::Alarm> began;
    std::vector<api::installer::Alarm> ended;
  };
  // Against what the last call said. A kind with other words is the same alarm.
  Changes Take(const std::vector<api::installer::Alarm>& alarms);

 private:
  std::map<std::string, api::installer::Alarm> known_;  // by kind
};

// What the installer says now. Codes of its socket.
Result<std::vector<api::installer::Alarm>> AskAlarms(const Config& config);

// What a person does about it.
const char* AlarmAdvice(std::string_view kind);

// [{"kind","words","since"}]
codec::Json AlarmsJson(const std::vector<api::installer::Alarm>& alarms);

}  // namespace fleetseal::agent
