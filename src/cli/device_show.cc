#include "cli/device_show.h"

#include <algorithm>

#include "base/error_code.h"
#include "cli/admin_client.h"
#include "cli/table.h"
#include "config/findings/findings.h"

namespace fleetseal::cli {
namespace {

using codec::Json;

constexpr int64_t kSilentMin = 60;   // seconds without a word that are not yet silence
constexpr int64_t kSilentTimes = 3;  // check-ins that may be missed
constexpr int64_t kCheckInDefault = 300;

// The newest event that `matches`.
template <typename Matches>
const Json* Newest(const Json::Array& events, const Matches& matches) {
  const auto found = std::find_if(events.begin(), events.end(), matches);
  return found == events.end() ? nullptr : &*found;
}

bool IsEvent(const Json& event, std::string_view name) { return TextOr(event, "event", "") == name; }

// The receipt that ended, or put off, what was tried last. A later receipt that is good makes it history.
const Json* LastRefusal(const Json::Array& events) {
  const Json* receipt = Newest(events, [](const Json& event) { return IsEvent(event, "receipt"); });
  if (receipt == nullptr) return nullptr;
  const std::string outcome = TextOr(*receipt, "outcome", "");
  return outcome == "installed" || outcome == "cancelled" ? nullptr : receipt;
}

// The code's own words; an unknown code stands alone.
Diagnosis Explained(const std::string& code) {
  const auto known = ErrorCodeFromName(code);
  if (!known) return {code, "see the reference of a newer version for this code"};
  const ErrorCodeInfo& info = InfoOf(*known);
  return {std::string(info.title), std::string(info.advice)};
}

std::string ByWhom(const Json::Array& events, std::string_view name, UnixSeconds now) {
  const Json* event = Newest(events, [&](const Json& one) { return IsEvent(one, name); });
  if (event == nullptr) return {};
  return " by " + ShownOr(*event, "actor", "?") + " at " + FormatWhen({IntegerOr(*event, "time", 0)}, now);
}

int64_t Interval(const Json& device) {
  return std::max<int64_t>(1, IntegerOr(device, "checkInSeconds", kCheckInDefault));
}

bool IsSilent(const Json& device, UnixSeconds now) {
  return now.value - IntegerOr(device, "lastSeen", 0) > std::max(kSilentMin, kSilentTimes * Interval(device));
}

void JudgeState(const Json& device, const Json::Array& events, UnixSeconds now, std::vector<Diagnosis>& found) {
  const std::string state = TextOr(device, "state", "");
  const std::string id = ShownOr(device, "id", "");
  if (state == "allowed")
    found.push_back({"it is allowed, but has not enrolled",
                     "put its one-time code into its provisioning and start its agent; a new code: `fleetseal device "
                     "allow " +
                         id + " --product " + ShownOr(device, "product", "") + " --yes`"});
  if (state == "suspended")
    found.push_back({"it is suspended" + ByWhom(events, "suspend", now),
                     "`fleetseal device resume " + id + " --reason …` lets it in again"});
  if (state == "revoked")
    found.push_back(
        {"it is revoked" + ByWhom(events, "revoke", now),
         "for good: `fleetseal device allow " + id + " … --yes` begins a new generation, with a new enrolment"});
  if (state == "quarantined")
    found.push_back({"it is quarantined: what it reports does not follow from what it reported before",
                     "find out whether it was cloned or its state rolled back; `fleetseal device allow " + id +
                         " … --yes` begins a new generation"});
  const Json* has_keys = device.Find("hasKeys");
  const bool is_without_keys = has_keys != nullptr && has_keys->is_bool() && !has_keys->as_bool();
  if (state == "active" && is_without_keys)
    found.push_back({"it enrolled as a plain EST client: it has an identity, and takes no orders",
                     "enrol it with fleetseal-agent to update it"});
}

void JudgeContact(const Json& device, UnixSeconds now, std::vector<Diagnosis>& found) {
  const int64_t seen = IntegerOr(device, "lastSeen", 0);
  if (seen == 0) {
    found.push_back({"it has not checked in yet", "start fleetseal-agent on it and read its log"});
  } else if (IsSilent(device, now)) {
    found.push_back({"it is silent: last heard " + FormatRelative({seen}, now) + ", expected every " +
                         FormatSeconds(static_cast<uint64_t>(Interval(device))),
                     "see that it has power and network; on it: `fleetseal doctor --agent AGENT.toml` and the agent's "
                     "log"});
  }
  const int64_t ends = IntegerOr(device, "certificateEnds", 0);
  if (ends == 0 || ends - now.value > config::kEndsSoonSeconds) return;
  if (ends <= now.value)
    found.push_back({"its certificate ended " + FormatRelative({ends}, now),
                     "if its clock is right, allow it again: it must enrol anew"});
  else
    found.push_back({"its certificate ends " + FormatRelative({ends}, now),
                     "its agent renews it by itself: see its log why it has not"});
}

void JudgeOrder(const Json& order, std::vector<Diagnosis>& found) {
  const std::string plan = ShownOr(order, "planId", "");
  const std::string update = ShownOr(order, "update", "an update");
  const std::string rollout = TextOr(order, "rollout", "");
  const std::string state = TextOr(order, "state", "");
  if (rollout == "paused") {
    found.push_back({"the rollout of " + update + " is paused",
                     "`fleetseal rollout resume " + plan + " --reason …` goes on with it"});
  } else if (rollout == "cancelling") {
    found.push_back({"the rollout of " + update + " was cancelled; it will confirm that at its next check-in", ""});
  } else if (state == "refused") {
    const std::string code = ShownOr(order, "code", "?");
    const Diagnosis why = Explained(code);
    found.push_back(
        {"it refused " + update + " for now, " + code + ": " + why.what + "; it is offered again at each check-in",
         why.act});
  } else if (state == "waiting") {
    found.push_back({update + " is ordered and will be offered at its next check-in", ""});
  } else {
    found.push_back({update + " was offered, and its result is awaited",
                     "if that lasts: `fleetseal device timeline` and the agent's log on the device"});
  }
}

void JudgeNothingOpen(const Json& device, const Json::Array& events, std::vector<Diagnosis>& found) {
  const Json* refusal = LastRefusal(events);
  if (refusal != nullptr) {
    const std::string code = ShownOr(*refusal, "code", "?");
    const Diagnosis why = Explained(code);
    found.push_back({"the last attempt, " + ShownOr(*refusal, "update", "an update") +
                         ", ended: " + ShownOr(*refusal, "outcome", "?") + ", " + code + ": " + why.what,
                     why.act + "; then a new rollout: that order has ended"});
    return;
  }
  const std::string installed = ShownOr(device, "installed", "");
  found.push_back(
      {(installed.empty() ? "" : "it runs " + installed + ", and ") + std::string("no order is open for it"),
       "`fleetseal rollout plan --update VENDOR/NAME@VERSION --device " + ShownOr(device, "id", "") +
           "`, then `fleetseal rollout start`"});
}

std::string SeenText(const Json& device, UnixSeconds now) {
  const int64_t seen = IntegerOr(device, "lastSeen", 0);
  if (seen == 0) return "never";
  std::string text = FormatWhen({seen}, now);
  for (const char* name : {"agentVersion", "phase"}) {
    const std::string value = ShownOr(device, name, "");
    if (!value.empty()) text += std::string(name == std::string_view("phase") ? ", phase " : ", ") + value;
  }
  return text;
}

std::string NextText(const Json& device, UnixSeconds now) {
  const std::string state = TextOr(device, "state", "");
  const int64_t seen = IntegerOr(device, "lastSeen", 0);
  const std::string every = "every " + FormatSeconds(static_cast<uint64_t>(Interval(device)));
  if (seen == 0) return "when it starts, then " + every;
  const int64_t next = seen + Interval(device);
  if (state != "active") return every + ", and is refused: it is " + state;
  if (IsSilent(device, now)) return "overdue since " + FormatWhen({next}, now);
  return (next <= now.value ? "any moment" : FormatRelative({next}, now)) + ", then " + every;
}

std::string OrderText(const Json& order, UnixSeconds now) {
  return ShownOr(order, "update", "an update that this server does not know") + " by " + ShownOr(order, "planId", "") +
         " (" + ShownOr(order, "rollout", "") + "): " + ShownOr(order, "state", "") + ", holds until " +
         FormatWhen({IntegerOr(order, "expires", 0)}, now);
}

std::string PropertyText(const Json& device) {
  std::string text;
  const Json* properties = device.Find("properties");
  if (properties == nullptr || !properties->is_object()) return text;
  for (const auto& [name, value] : properties->as_object()) {
    if (value.is_string()) text += (text.empty() ? "" : " ") + name + "=" + value.as_string();
  }
  return text;
}

void AddLine(std::string& text, std::string_view name, const std::string& value) {
  if (value.empty()) return;
  text += std::string(name) + std::string(14 - std::min<size_t>(13, name.size()), ' ') + value + "\n";
}

}  // namespace

std::vector<Diagnosis> DiagnoseDevice(const Json& device, const Json::Array& events, UnixSeconds now) {
  std::vector<Diagnosis> found;
  JudgeState(device, events, now, found);
  const bool is_out = !found.empty();  // refused whatever it asks for
  if (is_out) return found;
  JudgeContact(device, now, found);
  const auto& orders = ArrayOr(device, "orders");
  if (orders.empty())
    JudgeNothingOpen(device, events, found);
  else
    JudgeOrder(orders.front(), found);
  return found;
}

std::string DescribeDevice(const Json& device, const Json::Array& events, UnixSeconds now) {
  std::string text;
  AddLine(
      text, "device",
      ShownOr(device, "id", "") + ", " + ShownOr(device, "product", "") + ", " + ShownOr(device, "environment", ""));
  AddLine(text, "properties", PropertyText(device));
  AddLine(text, "state",
          ShownOr(device, "state", "") + ", generation " + std::to_string(IntegerOr(device, "generation", 0)));
  AddLine(text, "last seen", SeenText(device, now));
  AddLine(text, "next attempt", NextText(device, now));
  const int64_t counter = IntegerOr(device, "releaseCounter", 0);
  if (counter > 0)
    AddLine(text, "installed",
            ShownOr(device, "installed", "an update that this server does not know") + ", release counter " +
                std::to_string(counter));
  const int64_t ends = IntegerOr(device, "certificateEnds", 0);
  if (ends > 0) AddLine(text, "certificate", "ends " + FormatWhen({ends}, now));
  const char* name = "order";
  for (const auto& order : ArrayOr(device, "orders")) {
    AddLine(text, name, OrderText(order, now));
    name = "later";
  }
  const Json* refusal = LastRefusal(events);
  if (refusal != nullptr)
    AddLine(text, "last refusal",
            ShownOr(*refusal, "code", ShownOr(*refusal, "outcome", "")) +
                (TextOr(*refusal, "update", "").empty() ? std::string() : " of " + ShownOr(*refusal, "update", "")) +
                ", " + FormatWhen({IntegerOr(*refusal, "time", 0)}, now));
  text += "\n";
  for (const Diagnosis& one : DiagnoseDevice(device, events, now)) {
    text += "why:  " + one.what + "\n";
    if (!one.act.empty()) text += "do:   " + one.act + "\n";
  }
  return text;
}

}  // namespace fleetseal::cli
