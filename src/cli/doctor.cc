#include "cli/doctor.h"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>
#include <map>

#include "cli/admin_client.h"
#include "cli/arguments.h"
#include "cli/doctor_live.h"
#include "cli/recover.h"
#include "cli/supervisor.h"
#include "cli/table.h"
#include "cli/wrapped_table.h"
#include "config/findings/findings.h"
#include "sys/file.h"
#include "sys/users.h"

namespace fleetseal::cli {
namespace {

struct Place {
  const char* name;
  uid_t uid;    // as root
  mode_t most;  // no other bits
  bool is_required = true;
};

// docs/protocol/processes.md section 1.
constexpr Place kPlaces[] = {
    {"fleetseal.toml", 0, 0644},
    {"signer", sys::kSignerUserId, 0700},
    {"signer/signer.toml", sys::kSignerUserId, 0600},
    {"signer/passphrase", sys::kSignerUserId, 0600},
    {"signer/keys", sys::kSignerUserId, 0700},
    {"signer/signer.db", sys::kSignerUserId, 0644},
    {"sealer", sys::kSealerUserId, 0700},
    {"sealer/sealer.toml", sys::kSealerUserId, 0600},
    {"sealer/sealing-key.json", sys::kSealerUserId, 0400},
    {"sealer/updates", sys::kSealerUserId, 0700},
    {"server", sys::kServerUserId, 0700},
    {"server/server.toml", sys::kServerUserId, 0600},
    {"server/tls/server.key", sys::kServerUserId, 0600},
    {"log", sys::kSignerUserId, 0755},
    {"run/signer", sys::kSignerUserId, 0711},
    {"run/sealer", sys::kSealerUserId, 0711},
    {"offline", 0, 0700, false},
    {"identities", 0, 0700, false},
};

std::string Octal(mode_t mode) {
  char text[8];
  (void)snprintf(text, sizeof(text), "%04o", static_cast<unsigned>(mode));
  return text;
}

void CheckPlace(const std::string& data, const Place& place, bool has_users, config::Findings& findings) {
  const std::string path = sys::JoinPath(data, place.name);
  struct stat facts {};
  if (::lstat(path.c_str(), &facts) != 0) {
    if (place.is_required) findings.Problem(path, "it is not there", "restore it from a backup");
    return;
  }
  // Opening anything else may wait for ever, or do something.
  if (!S_ISREG(facts.st_mode) && !S_ISDIR(facts.st_mode) && !S_ISLNK(facts.st_mode))
    return findings.Problem(path, "it is neither file nor directory", "move it away, restore it from a backup");
  const mode_t mode = facts.st_mode & 07777;
  if ((mode & ~place.most) != 0)
    findings.Problem(path, "mode " + Octal(mode) + " lets others in", "chmod " + Octal(mode & place.most) + " " + path);
  if (has_users && facts.st_uid != place.uid)
    findings.Problem(path, "it belongs to user " + std::to_string(facts.st_uid),
                     "chown " + std::to_string(place.uid) + " " + path);
}

// A database's own check has many lines; a table's cell has one.
std::string OneLine(std::string text) {
  for (size_t at = text.find('\n'); at != std::string::npos; at = text.find('\n', at + 2)) text.replace(at, 1, "; ");
  return text;
}

// The lists of several programs, one after the other.
struct Collected {
  codec::Json findings = codec::Json::MakeArray();
  codec::Json expiries = codec::Json::MakeArray();
  codec::Json disks = codec::Json::MakeArray();
  std::map<std::string, codec::Json> facts;  // by program
  void Add(const codec::Json& json) {
    for (const auto& one : ArrayOr(json, "findings")) findings.Push(one);
    for (const auto& one : ArrayOr(json, "expiries")) expiries.Push(one);
    for (const auto& one : ArrayOr(json, "disks")) disks.Push(one);
  }
};

// What a program found, or that it could not even look.
void Merge(const std::string& name, const Result<std::string>& text, Collected& all, config::Findings& own) {
  if (!text) return own.Failed("fleetseal-" + name, text.error());
  const auto json = codec::ParseJson(*text, {.bytes_max = 4 * 1024 * 1024});
  if (!json) return own.Failed("fleetseal-" + name, json.error());
  all.Add(*json);
  if (const codec::Json* facts = json->Find("facts")) all.facts.insert_or_assign(name, *facts);
  for (const auto& one : ArrayOr(*json, "checked")) {
    if (one.is_string()) own.Checked(one.as_string());
  }
}

// No program reads another's files: what both say is compared here. A CA that the server lacks, it finds itself.
void CompareClientCas(const Collected& all, config::Findings& own) {
  const auto signer = all.facts.find("signer");
  const auto server = all.facts.find("server");
  if (signer == all.facts.end() || server == all.facts.end()) return;
  for (const char* kind : {"device", "people"}) {
    const std::string name = std::string(kind) + " CA certificates";
    const auto counting = ArrayOr(signer->second, name);
    if (counting.empty()) continue;  // the signer said why
    for (const auto& one : ArrayOr(server->second, name)) {
      if (std::ranges::find(counting, one) == counting.end())
        own.Problem(std::string("server, CAs of kind ") + kind,
                    "it takes certificates of " + (one.is_string() ? one.as_string() : "") + ", which does not count",
                    "fleetseal ca replace --kind " + std::string(kind) + " (lost-client-ca.md)");
    }
  }
}

Status CheckOrganisation(Context& context, const std::string& data, Collected& all, config::Findings& own) {
  if (!sys::FileExists(data + "/fleetseal.toml")) {
    context.advice = "name the directory that `fleetseal init --data DIR` made; it holds fleetseal.toml";
    return Fail(ErrorCode::kNotFound, data + " holds no organisation");
  }
  struct stat facts {};
  const bool is_split = ::stat((data + "/signer").c_str(), &facts) == 0 && facts.st_uid == sys::kSignerUserId;
  const bool has_users = sys::IsRoot() && is_split;
  for (const Place& place : kPlaces) CheckPlace(data, place, has_users, own);
  own.Checked("owners and modes");
  own.FreeSpace(data);
  for (const char* name : {"signer", "sealer", "server"}) Merge(name, AskProgram(data, name, {"--check"}), all, own);
  CompareClientCas(all, own);
  return {};
}

// A path that was mistyped is no damage.
Status RequireFile(Context& context, const std::string& option, const std::string& path, const std::string& advice) {
  struct stat facts {};
  if (path.empty()) return {};
  if (::stat(path.c_str(), &facts) == 0) {
    if (!S_ISDIR(facts.st_mode) || option == "--data") return {};
    context.advice = advice;
    return BadArgument(option, path + " is a folder, a file is wanted");
  }
  if (errno != ENOENT && errno != ENOTDIR) return {};
  context.advice = advice;
  return Fail(ErrorCode::kNotFound, option + ": there is no " + path);
}

Status RequireFiles(Context& context, const DoctorOptions& options) {
  TRY(RequireFile(context, "--data", options.data,
                  "name the directory that `fleetseal init --data DIR` made; it holds fleetseal.toml"));
  TRY(RequireFile(
      context, "--device", options.installer_config,
      "name the installer's configuration: /etc/fleetseal/installer/installer.json on a device; `fleetseal lab status "
      "--json` names those of a lab"));
  return RequireFile(
      context, "--agent", options.agent_config,
      "name the agent's configuration: /etc/fleetseal/agent/agent.toml on a device; `fleetseal lab status "
      "--json` names those of a lab");
}

// Run as root, the program takes its own user.
Status CheckDeviceProgram(const std::string& name, const std::string& path, Collected& all, config::Findings& own) {
  if (path.empty()) return {};
  TRY_ASSIGN(const auto program, SiblingProgram("fleetseal-" + name));
  Merge(name, CaptureProgram(program, {"--config", path, "--check"}, std::nullopt), all, own);
  return {};
}

codec::Json PortsToJson(const LiveReport& live) {
  codec::Json ports = codec::Json::MakeArray();
  for (const LivePort& port : live.ports)
    ports.Push(codec::Json::MakeObject()
                   .Set("name", port.name)
                   .Set("url", port.url)
                   .Set("holder", port.holder)
                   .Set("isReachable", port.is_reachable));
  return ports;
}

std::string FindingsText(const Collected& all) {
  std::string text;
  for (const auto& finding : all.findings.as_array()) {
    text += ShownOr(finding, "level", "") + ": " + ShownOr(finding, "where", "") +
            "\n  what:  " + OneLine(TextOr(finding, "what", "")) + "\n  do:    " + ShownOr(finding, "advice", "") +
            "\n";
  }
  return text.empty() ? "all is well\n" : text;
}

// A path without its ./ and x/../; other text as it is.
std::string Tidied(const std::string& text) {
  return text.starts_with('/') ? std::filesystem::path(text).lexically_normal().string() : text;
}

std::string Human(const Collected& all, const LiveReport& live, const codec::Json& mine, UnixSeconds now,
                  const std::string& version) {
  std::string text = FindingsText(all);
  Rows rows;
  for (const auto& one : all.expiries.as_array()) {
    const int64_t left = (IntegerOr(one, "ends", 0) - now.value) / 86'400;
    rows.push_back({Tidied(TextOr(one, "what", "")), std::to_string(left),
                    FormatTime({IntegerOr(one, "ends", 0)}).substr(0, 10), TextOr(one, "renew", "")});
  }
  std::sort(rows.begin(), rows.end(), [](const auto& left, const auto& right) { return left[2] < right[2]; });
  if (!rows.empty()) text += "\n" + FormatWrappedTable({"WHAT ENDS", "DAYS", "ON", "HOW TO RENEW"}, rows);
  rows.clear();
  for (const LivePort& port : live.ports)
    rows.push_back({port.name, port.url, port.holder, port.is_reachable ? "yes" : "no"});
  if (!rows.empty()) text += "\n" + FormatTable({"PORT", "ADDRESS", "HELD BY", "ANSWERS"}, rows);
  rows.clear();
  for (const auto& one : all.disks.as_array())
    rows.push_back(
        {Tidied(TextOr(one, "directory", "")), FormatBytes(static_cast<uint64_t>(IntegerOr(one, "freeBytes", 0)))});
  if (!rows.empty()) text += "\n" + FormatTable({"DISK", "FREE"}, rows);
  text += "\n";
  if (!live.clock.empty()) text += "clocks: " + live.clock + "\n";
  text += "version: " + version + "\n";
  for (const auto& one : ArrayOr(mine, "checked")) text += "checked: " + one.as_string() + "\n";
  return text;
}

}  // namespace

Status Doctor(Context& context, const DoctorOptions& options) {
  if (options.data.empty() && options.installer_config.empty() && options.agent_config.empty())
    return Fail(ErrorCode::kInvalidArgument, "say what to look at: --data, --device, --agent");
  TRY(RequireFiles(context, options));
  config::Findings own;
  Collected all;
  LiveReport live;
  if (!options.data.empty()) {
    TRY(CheckOrganisation(context, options.data, all, own));
    live = LookAtLive(context, options.data, own);
  }
  TRY(CheckDeviceProgram("installer", options.installer_config, all, own));
  TRY(CheckDeviceProgram("agent", options.agent_config, all, own));
  const codec::Json mine = own.ToJson();
  all.Add(mine);
  const auto& findings = all.findings.as_array();
  const auto problems = std::count_if(findings.begin(), findings.end(),
                                      [](const auto& one) { return TextOr(one, "level", "") == "problem"; });
  const std::string human = Human(all, live, mine, context.clock.Now(), context.version);
  codec::Json json = codec::Json::MakeObject().Set("problems", static_cast<int64_t>(problems));
  json.Set("findings", std::move(all.findings)).Set("checked", *mine.Find("checked"));
  json.Set("expiries", std::move(all.expiries)).Set("disks", std::move(all.disks));
  json.Set("ports", PortsToJson(live)).Set("clock", live.clock).Set("version", context.version);
  Answer(context, json, human);
  if (problems == 0) return {};
  return Fail(ErrorCode::kProblemsFound,
              FormatCount(problems, "problem") + (context.is_json ? ", in the findings" : ", named above"));
}

}  // namespace fleetseal::cli
