#include "agent/alarm_watch.h"

#include <utility>

#include "api/installer/installer_client.h"

namespace fleetseal::agent {

using api::installer::Alarm;

AlarmWatch::Changes AlarmWatch::Take(const std::vector<Alarm>& alarms) {
  Changes changes;
  std::map<std::string, Alarm> now;
  for (const Alarm& alarm : alarms) {
    if (!known_.contains(alarm.kind)) changes.began.push_back(alarm);
    now.emplace(alarm.kind, alarm);
  }
  for (const auto& [kind, alarm] : known_)
    if (!now.contains(kind)) changes.ended.push_back(alarm);
  known_ = std::move(now);
  return changes;
}

Result<std::vector<Alarm>> AskAlarms(const Config& config) {
  TRY_ASSIGN(auto installer, api::installer::InstallerClient::Connect(config.installer_socket));
  TRY_ASSIGN(api::installer::InstallerState state, installer.State());
  return std::move(state.alarms);
}

const char* AlarmAdvice(std::string_view kind) {
  if (kind == "update-withheld")
    return "ask the operator whether a rollout reaches this device; if it should, the server holds its order back";
  if (kind == "status-expired") return "let the agent check in; if it does, the server or the signer is silent";
  return "ask the operator to publish the next root-key package, then let the agent check in";
}

codec::Json AlarmsJson(const std::vector<Alarm>& alarms) {
  codec::Json array = codec::Json::MakeArray();
  for (const Alarm& alarm : alarms) {
    codec::Json object = codec::Json::MakeObject();
    object.Set("kind", alarm.kind).Set("words", alarm.words).Set("since", alarm.since.value);
    array.Push(std::move(object));
  }
  return array;
}

}  // namespace fleetseal::agent
