#include "cli/doctor.h"

#include <sys/stat.h>

#include "cli/admin_client.h"
#include "cli/recover.h"
#include "cli/supervisor.h"
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

// What a program found, or that it could not even look.
void Merge(const std::string& name, const Result<std::string>& text, codec::Json& all, config::Findings& own) {
  if (!text) return own.Failed("fleetseal-" + name, text.error());
  const auto json = codec::ParseJson(*text, {.bytes_max = 4 * 1024 * 1024});
  if (!json) return own.Failed("fleetseal-" + name, json.error());
  for (const auto& finding : ArrayOr(*json, "findings")) all.Push(finding);
  for (const auto& one : ArrayOr(*json, "checked")) {
    if (one.is_string()) own.Checked(one.as_string());
  }
}

Status CheckOrganisation(const std::string& data, codec::Json& all, config::Findings& own) {
  if (!sys::FileExists(data + "/fleetseal.toml")) return Fail(ErrorCode::kNotFound, data + " holds no organisation");
  struct stat facts {};
  const bool is_split = ::stat((data + "/signer").c_str(), &facts) == 0 && facts.st_uid == sys::kSignerUserId;
  const bool has_users = sys::IsRoot() && is_split;
  for (const Place& place : kPlaces) CheckPlace(data, place, has_users, own);
  own.Checked("owners and modes");
  for (const char* name : {"signer", "sealer", "server"}) Merge(name, AskProgram(data, name, {"--check"}), all, own);
  return {};
}

// Run as root, the program takes its own user.
Status CheckDeviceProgram(const std::string& name, const std::string& path, codec::Json& all, config::Findings& own) {
  if (path.empty()) return {};
  TRY_ASSIGN(const auto program, SiblingProgram("fleetseal-" + name));
  Merge(name, CaptureProgram(program, {"--config", path, "--check"}, std::nullopt), all, own);
  return {};
}

}  // namespace

Status Doctor(Context& context, const DoctorOptions& options) {
  if (options.data.empty() && options.installer_config.empty() && options.agent_config.empty())
    return Fail(ErrorCode::kInvalidArgument, "say what to look at: --data, --device, --agent");
  config::Findings own;
  codec::Json all = codec::Json::MakeArray();
  if (!options.data.empty()) TRY(CheckOrganisation(options.data, all, own));
  TRY(CheckDeviceProgram("installer", options.installer_config, all, own));
  TRY(CheckDeviceProgram("agent", options.agent_config, all, own));
  const codec::Json mine = own.ToJson();
  for (const auto& finding : ArrayOr(mine, "findings")) all.Push(finding);
  std::vector<std::vector<std::string>> rows;
  int problems = 0;
  for (const auto& finding : all.as_array()) {
    const std::string level = TextOr(finding, "level", "");
    problems += level == "problem" ? 1 : 0;
    rows.push_back({level, TextOr(finding, "where", ""),
                    OneLine(TextOr(finding, "what", "") + "; do: " + TextOr(finding, "advice", ""))});
  }
  std::string human = rows.empty() ? "all is well" : FormatTable({"LEVEL", "WHERE", "WHAT"}, rows);
  for (const auto& one : ArrayOr(mine, "checked")) human += "\n  checked: " + one.as_string();
  codec::Json json = codec::Json::MakeObject().Set("problems", problems).Set("findings", std::move(all));
  json.Set("checked", *mine.Find("checked"));
  Answer(context, json, human);
  if (problems == 0) return {};
  context.advice = "as each line above says";  // a wrong mode or a full disk needs no backup
  return Fail(ErrorCode::kCorrupt, std::to_string(problems) + " problem(s)");
}

}  // namespace fleetseal::cli
