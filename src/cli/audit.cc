#include "base/limits.h"
#include "cli/admin_client.h"
#include "cli/verify.h"
#include "codec/base64.h"
#include "manifest/root_package.h"
#include "sys/file.h"
#include "translog/log_reader.h"

namespace fleetseal::cli {
namespace {

Result<merkle::LogPolicy> PolicyOf(const manifest::PackageLog& log) {
  merkle::LogPolicy policy;
  policy.origin = log.origin;
  policy.quorum = static_cast<int>(log.quorum);
  const std::pair<const std::vector<std::string>*, std::vector<merkle::Vkey>*> lists[] = {
      {&log.vkeys, &policy.keys}, {&log.witnesses, &policy.witnesses}};
  for (const auto& [texts, keys] : lists) {
    for (const auto& text : *texts) {
      TRY_ASSIGN(const auto standard, manifest::VkeyFromPackage(text));
      TRY_ASSIGN(auto key, merkle::Vkey::Parse(standard));
      keys->push_back(std::move(key));
    }
  }
  return policy;
}

// The newest package that the server hands out with an update's documents is not enough here: a fresh organisation has
// none.
Result<std::string> NewestPackage(AdminClient& client) {
  TRY_ASSIGN(const auto answer, client.Get("/admin/v1/packages", {{"from", "1"}}));
  const auto& packages = ArrayOr(answer, "packages");
  if (packages.empty() || !packages.back().is_string())
    return Fail(ErrorCode::kProtocolError, "the server names no package");
  return packages.back().as_string();
}

}  // namespace

Status AuditVerify(Context& context, const AuditVerifyOptions& options) {
  std::unique_ptr<AdminClient> client;
  if (options.log_directory.empty() || options.package.empty()) {
    TRY_ASSIGN(client, AdminClient::OpenAny(context));
  }
  std::string text;
  if (options.package.empty()) {
    TRY_ASSIGN(text, NewestPackage(*client));
  } else {
    TRY_ASSIGN(text, sys::ReadTextFile(options.package, limits::kPackageBytesMax));
  }
  TRY_ASSIGN_CONTEXT(const auto package, manifest::RootPackageDocument::Parse(text), "reading the root-key package");
  if (package.package.logs.empty()) return Fail(ErrorCode::kLogProofMissing, "the package names no log");
  TRY_ASSIGN(const auto policy, PolicyOf(package.package.logs.back()));
  const auto fetch = [&](const std::string& path) -> Result<Bytes> {
    TRY_ASSIGN(const auto body, client->GetText("/log/" + path));
    return ToBytes(body);
  };
  const auto reader = options.log_directory.empty() ? translog::LogReader(fetch)
                                                    : translog::LogReader::OfDirectory(options.log_directory);
  TRY_ASSIGN_CONTEXT(const auto report, reader.Fsck(policy), "verifying the log " + policy.origin);
  codec::Json json = codec::Json::MakeObject();
  json.Set("origin", policy.origin).Set("size", report.checkpoint.size);
  json.Set("root", codec::EncodeBase64(report.checkpoint.root.view()))
      .Set("leafBytes", report.leaf_bytes)
      .Set("files", report.files);
  Answer(context, json,
         "log " + policy.origin + " is whole: " + std::to_string(report.checkpoint.size) + " records, root " +
             codec::EncodeBase64(report.checkpoint.root.view()) +
             ", every tile recomputed, checkpoint signed by the key of the package");
  return {};
}

Status AuditEvents(Context& context, const AuditEventsOptions& options) {
  TRY_ASSIGN(auto client, AdminClient::OpenAny(context));
  std::vector<std::pair<std::string, std::string>> query = {{"limit", std::to_string(options.limit)}};
  const std::pair<const char*, const std::string*> texts[] = {{"device", &options.device}, {"update", &options.update},
                                                              {"hash", &options.hash},     {"actor", &options.actor},
                                                              {"origin", &options.origin}, {"event", &options.event}};
  for (const auto& [name, value] : texts) {
    if (!value->empty()) query.emplace_back(name, *value);
  }
  if (options.since > 0) query.emplace_back("since", std::to_string(options.since));
  if (options.until > 0) query.emplace_back("until", std::to_string(options.until));
  TRY_ASSIGN(const auto answer, client->Get("/admin/v1/events", query));
  std::vector<std::vector<std::string>> rows;
  for (const auto& event : ArrayOr(answer, "events")) {
    std::string what = TextOr(event, "event", "");
    for (const char* name : {"outcome", "code"}) {
      const std::string value = TextOr(event, name, "");
      if (!value.empty()) what.append(" ").append(value);
    }
    rows.push_back({FormatTime({IntegerOr(event, "time", 0)}), TextOr(event, "deviceId", ""), what,
                    TextOr(event, "update", "-"), TextOr(event, "actor", "-"), TextOr(event, "origin", "-")});
  }
  Answer(
      context, answer,
      rows.empty() ? "no event matches" : FormatTable({"TIME", "DEVICE", "EVENT", "UPDATE", "ACTOR", "ORIGIN"}, rows));
  return {};
}

Status AuditQuery(Context& context, int64_t from, int64_t limit, const std::string& type) {
  TRY_ASSIGN(auto client, AdminClient::OpenAny(context));
  TRY_ASSIGN(const auto answer,
             client->Get("/admin/v1/audit", {{"from", std::to_string(from)}, {"limit", std::to_string(limit)}}));
  std::vector<std::vector<std::string>> rows;
  codec::Json entries = codec::Json::MakeArray();
  for (const auto& entry : ArrayOr(answer, "entries")) {
    TRY_ASSIGN(const auto leaf_text, TextOf(entry, "leaf"));
    TRY_ASSIGN(const auto leaf, codec::ParseJson(leaf_text));
    if (!type.empty() && TextOr(leaf, "type", "") != type) continue;
    entries.Push(entry);
    rows.push_back({std::to_string(IntegerOr(entry, "index", 0)), FormatTime({IntegerOr(leaf, "time", 0)}),
                    TextOr(leaf, "type", ""), leaf_text});
  }
  codec::Json json = codec::Json::MakeObject();
  json.Set("entries", std::move(entries)).Set("size", IntegerOr(answer, "size", 0));
  Answer(context, json, FormatTable({"INDEX", "TIME", "TYPE", "RECORD"}, rows));
  return {};
}

}  // namespace fleetseal::cli
