#include "cli/devices.h"

#include "cli/arguments.h"
#include "cli/device_show.h"
#include "cli/documents.h"
#include "cli/people.h"
#include "cli/table.h"
#include "manifest/enrolment.h"
#include "manifest/person_documents.h"
#include "manifest/typ.h"

namespace fleetseal::cli {
namespace {

// 128 random bits, 26 characters of lower-case base32: what sys::NewId puts after its prefix.
std::string NewCode(Context& context) { return sys::NewId(context.random, "c").substr(2); }

std::string PropertiesText(const codec::Json& device) {
  std::string text;
  const codec::Json* properties = device.Find("properties");
  if (properties == nullptr || !properties->is_object()) return text;
  for (const auto& [name, value] : properties->as_object()) {
    if (value.is_string()) text += (text.empty() ? "" : " ") + name + "=" + value.as_string();
  }
  return text;
}

std::string SeenText(const codec::Json& device, UnixSeconds now) {
  const int64_t seen = IntegerOr(device, "lastSeen", 0);
  return seen == 0 ? "never" : FormatRelative({seen}, now);
}

// The generation after the one that the register knows; 1 for a new device.
Result<int64_t> NextGeneration(AdminClient& client, const DeviceAllowOptions& options) {
  const std::string& id = options.id;
  const auto device = client.Get("/admin/v1/devices/" + id);
  if (device) {
    const int64_t generation = IntegerOr(*device, "generation", 0);
    const std::string state = ShownOr(*device, "state", "");
    if (!options.is_confirmed) {
      const std::string what = state == "allowed" ? "its code is void then"
                                                  : "its certificate, keys and open orders are void then, and it must "
                                                    "enrol anew";
      return Fail(ErrorCode::kConflict, id + " is " + state + " (generation " + std::to_string(generation) +
                                            "); allowing it again begins generation " + std::to_string(generation + 1) +
                                            ": " + what + ". If that is meant, say --yes");
    }
    return generation + 1;
  }
  if (device.error().code == ErrorCode::kNotFound || device.error().code == ErrorCode::kDeviceUnknown) return 1;
  return tl::unexpected(device.error());
}

}  // namespace

Result<std::map<std::string, std::string>> ParseProperties(const std::vector<std::string>& texts) {
  std::map<std::string, std::string> properties;
  for (const auto& text : texts) {
    const size_t equals = text.find('=');
    if (equals == std::string::npos || equals == 0) {
      return Fail(ErrorCode::kInvalidArgument, "not name=value: " + text);
    }
    // One that nobody sees would fit no device.
    if (text.front() == ' ' || text.back() == ' ' || text[equals - 1] == ' ' || text.substr(equals + 1, 1) == " ")
      return Fail(ErrorCode::kInvalidArgument, "a space beside a name or value: \"" + text + "\"");
    if (!properties.emplace(text.substr(0, equals), text.substr(equals + 1)).second) {
      return Fail(ErrorCode::kInvalidArgument, "named twice: " + text.substr(0, equals));
    }
  }
  return properties;
}

Result<AllowedDevice> AllowDevice(Context& context, AdminClient& client, const DeviceAllowOptions& options) {
  TRY_ASSIGN(const auto id, Argument("id", DeviceId::Parse(options.id)));
  TRY_ASSIGN(const auto product, Argument("--product", ProductName::Parse(options.product)));
  TRY_ASSIGN(const auto environment, Argument("--environment", Environment::Parse(options.environment)));
  TRY_ASSIGN(const auto properties, ParseProperties(options.properties));
  AllowedDevice allowed{options.id, NewCode(context), 1};
  TRY_ASSIGN(allowed.generation, NextGeneration(client, options));
  TRY_ASSIGN(const auto key, manifest::DeriveEnrolmentKey(allowed.code, id));
  manifest::AllowDevice change{id,
                               product,
                               environment,
                               properties,
                               allowed.generation,
                               key.public_key(),
                               options.has_est_code,
                               context.clock.Now() + options.valid_seconds};
  RegisterChangeRequest request;
  request.changes.emplace_back(std::move(change));
  TRY_CONTEXT(PostRegisterChange(context, client, request, {}), "allowing " + options.id);
  return allowed;
}

Status DeviceAllow(Context& context, const DeviceAllowOptions& options) {
  TRY_ASSIGN(auto client, AdminClient::OpenAs(context, manifest::PersonRole::kOperator));
  TRY_ASSIGN(const auto allowed, AllowDevice(context, *client, options));
  codec::Json json = codec::Json::MakeObject();
  json.Set("id", allowed.id).Set("generation", allowed.generation).Set("code", allowed.code);
  json.Set("expires", (context.clock.Now() + options.valid_seconds).value);
  Answer(context, json,
         allowed.id + " may enrol once, generation " + std::to_string(allowed.generation) + ", with the code\n  " +
             allowed.code + "\nThis is its only copy: put it into the device's provisioning (enrolment_code).");
  return {};
}

Status DeviceList(Context& context) {
  TRY_ASSIGN(auto client, AdminClient::OpenAny(context));
  TRY_ASSIGN(auto devices, client->List("/admin/v1/devices", "devices"));
  std::vector<std::vector<std::string>> rows;
  for (const auto& device : devices) {
    rows.push_back({TextOr(device, "id", ""), TextOr(device, "state", ""),
                    std::to_string(IntegerOr(device, "generation", 0)), SeenText(device, context.clock.Now()),
                    TextOr(device, "product", ""), TextOr(device, "environment", ""), PropertiesText(device)});
  }
  codec::Json json = codec::Json::MakeObject();
  json.Set("devices", std::move(devices));
  Answer(context, json, FormatTable({"DEVICE", "STATE", "GEN", "SEEN", "PRODUCT", "ENVIRONMENT", "PROPERTIES"}, rows));
  return {};
}

Status DeviceShow(Context& context, const std::string& id) {
  TRY(Argument("id", DeviceId::Parse(id)));
  TRY_ASSIGN(auto client, AdminClient::OpenAny(context));
  TRY_ASSIGN(const auto device, client->Get("/admin/v1/devices/" + id));
  TRY_ASSIGN(const auto timeline, client->Get("/admin/v1/devices/" + id + "/timeline", {{"limit", "50"}}));
  const UnixSeconds now = context.clock.Now();
  const auto& events = ArrayOr(timeline, "events");
  codec::Json json = device;
  codec::Json why = codec::Json::MakeArray();
  for (const Diagnosis& one : DiagnoseDevice(device, events, now))
    why.Push(codec::Json::MakeObject().Set("what", one.what).Set("do", one.act));
  json.Set("why", std::move(why));
  Answer(context, json, DescribeDevice(device, events, now));
  return {};
}

Status DeviceTimeline(Context& context, const std::string& id) {
  TRY(Argument("id", DeviceId::Parse(id)));
  TRY_ASSIGN(auto client, AdminClient::OpenAny(context));
  TRY_ASSIGN(const auto answer, client->Get("/admin/v1/devices/" + id + "/timeline"));
  Rows rows;
  const UnixSeconds now = context.clock.Now();
  for (const auto& event : ArrayOr(answer, "events")) {
    const UnixSeconds time{IntegerOr(event, "time", 0)};
    std::string what = TextOr(event, "event", "");
    for (const char* name : {"outcome", "code"}) {
      const std::string value = TextOr(event, name, "");
      if (!value.empty()) what += " " + value;
    }
    rows.push_back({FormatTime(time), FormatRelative(time, now), what, TextOr(event, "update", "-"),
                    TextOr(event, "actor", "-"), TextOr(event, "planId", "-")});
  }
  const std::vector<std::string> header = {"TIME", "AGO", "EVENT", "UPDATE", "BY", "PLAN"};
  Answer(context, answer, rows.empty() ? "nothing has happened yet" : FormatTable(header, rows, {"AGO", "PLAN", "BY"}));
  return {};
}

Status DeviceRevocation(Context& context, const std::string& id, const std::string& action, const std::string& reason) {
  TRY(Argument("id", DeviceId::Parse(id)));
  TRY_ASSIGN(auto client, AdminClient::OpenAs(context, manifest::PersonRole::kOperator));
  TRY_ASSIGN(const auto parsed, manifest::RevocationActionFromName(action));
  return SendRevocation(context, *client, manifest::RevocationKind::kDevice, id, parsed, reason,
                        id + ": " + action + " is recorded and in force");
}

Status GroupCreate(Context& context, const std::string& name, const std::string& description,
                   const std::vector<std::string>& members) {
  TRY(Argument("name", GroupName::Parse(name)));
  TRY_ASSIGN(auto client, AdminClient::OpenAs(context, manifest::PersonRole::kOperator));
  codec::Json body = codec::Json::MakeObject();
  body.Set("name", name);
  if (!description.empty()) body.Set("description", description);
  TRY_ASSIGN(const auto answer, client->Post("/admin/v1/groups", body));
  if (!members.empty()) return GroupMembers(context, name, members);
  Answer(context, answer, "group " + name + " made; put devices into it with `fleetseal group members`");
  return {};
}

Status GroupList(Context& context) {
  TRY_ASSIGN(auto client, AdminClient::OpenAny(context));
  TRY_ASSIGN(const auto answer, client->Get("/admin/v1/groups"));
  std::vector<std::vector<std::string>> rows;
  for (const auto& group : ArrayOr(answer, "groups")) {
    rows.push_back(
        {TextOr(group, "name", ""), std::to_string(IntegerOr(group, "count", 0)), TextOr(group, "description", "")});
  }
  Answer(context, answer, FormatTable({"GROUP", "DEVICES", "DESCRIPTION"}, rows));
  return {};
}

Status GroupShow(Context& context, const std::string& name) {
  TRY(Argument("name", GroupName::Parse(name)));
  TRY_ASSIGN(auto client, AdminClient::OpenAny(context));
  TRY_ASSIGN(const auto answer, client->Get("/admin/v1/groups/" + name));
  std::string text = "group " + name + "\n";
  for (const auto& member : ArrayOr(answer, "members")) {
    if (member.is_string()) text += "  " + member.as_string() + "\n";
  }
  Answer(context, answer, text);
  return {};
}

Status GroupMembers(Context& context, const std::string& name, const std::vector<std::string>& members) {
  TRY(Argument("name", GroupName::Parse(name)));
  TRY_ASSIGN(auto client, AdminClient::OpenAs(context, manifest::PersonRole::kOperator));
  codec::Json list = codec::Json::MakeArray();
  for (const auto& member : members) {
    TRY(Argument("device", DeviceId::Parse(member)));
    list.Push(member);
  }
  codec::Json body = codec::Json::MakeObject();
  body.Set("members", std::move(list));
  TRY_ASSIGN(const auto answer, client->Put("/admin/v1/groups/" + name + "/members", body));
  Answer(context, answer, "group " + name + " has " + FormatCount(std::ssize(members), "device"));
  return {};
}

}  // namespace fleetseal::cli
