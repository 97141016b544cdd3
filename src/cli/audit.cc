#include "api/admin/fleet.h"
#include "base/limits.h"
#include "cli/admin_client.h"
#include "cli/arguments.h"
#include "cli/progress.h"
#include "cli/public_log.h"
#include "cli/table.h"
#include "cli/verify.h"
#include "codec/base64.h"
#include "manifest/root_package.h"
#include "sys/file.h"
#include "translog/log_reader.h"
#include "translog/places.h"
#include "trust/log_proof.h"

namespace fleetseal::cli {
namespace {

// How much of the log was read; how long it is stands in a checkpoint that is yet to be believed.
class ReadProgress {
 public:
  explicit ReadProgress(const Context& context)
      : context_(context), line_(context), started_ms_(context.clock.MonotonicMs()) {}
  void Count() {
    ++files_;
    const int64_t elapsed = context_.clock.MonotonicMs() - started_ms_;
    if (elapsed < 2'000) return;
    line_.Show("verifying the log: " + std::to_string(files_) + " files, " +
                   std::to_string(files_ * 1000 / static_cast<uint64_t>(elapsed)) + " a second",
               false);
  }

 private:
  const Context& context_;
  StatusLine line_;
  int64_t started_ms_;
  uint64_t files_ = 0;
};

// A history that was written anew is whole by itself. It shows only to who remembers a checkpoint of before.
Result<merkle::Checkpoint> CheckGoesOn(const translog::LogReader& reader, const manifest::RootPackage& package,
                                       const std::string& known_file, const merkle::Checkpoint& checkpoint) {
  TRY_ASSIGN(const auto note, sys::ReadTextFile(known_file, translog::kTileFileBytesMax));
  auto known = trust::VerifyLogCheckpoint(package, note);
  if (!known) return Fail(known.error());
  if (known->origin != checkpoint.origin)
    return Fail(ErrorCode::kInvalidArgument, known_file + " is of the log " + known->origin);
  if (known->size > checkpoint.size)
    return Fail(ErrorCode::kLogForked, "the log has " + std::to_string(checkpoint.size) + " records, and had " +
                                           std::to_string(known->size) + " before");
  TRY_ASSIGN(const auto proof, reader.ConsistencyProof(known->size, checkpoint));
  TRY_CONTEXT(merkle::VerifyConsistency(known->size, checkpoint.size, known->root, checkpoint.root, proof),
              "the log does not go on from " + known_file);
  return *std::move(known);
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
  // The log that is written now. One that was left is verified with the package that named it first.
  TRY_ASSIGN(const auto policy, package.package.logs.front().ToPolicy());
  const std::string directory = translog::DirectoryOf(options.log_directory, policy.origin);
  ReadProgress progress(context);
  const auto count = [&progress] { progress.Count(); };
  const translog::LogReader reader =
      options.log_directory.empty()
          ? ServedLog(*client, count, policy.origin)
          : translog::LogReader([&](const std::string& path) -> Result<Bytes> {
              count();
              return sys::ReadFile(sys::JoinPath(directory, path), translog::kTileFileBytesMax);
            });
  TRY_ASSIGN_CONTEXT(const auto report, reader.Fsck(policy), "verifying the log " + policy.origin);
  codec::Json json = codec::Json::MakeObject();
  json.Set("origin", policy.origin).Set("size", report.checkpoint.size);
  json.Set("root", codec::EncodeBase64(report.checkpoint.root.view()))
      .Set("leafBytes", report.leaf_bytes)
      .Set("files", report.files);
  std::string since;
  if (!options.known.empty()) {
    TRY_ASSIGN(const auto known, CheckGoesOn(reader, package.package, options.known, report.checkpoint));
    json.Set("knownSize", known.size);
    since = "\nit goes on from the known checkpoint of " + std::to_string(known.size) + " records";
  }
  Answer(context, json,
         "log " + policy.origin + " is whole: " + std::to_string(report.checkpoint.size) + " records, root " +
             codec::EncodeBase64(report.checkpoint.root.view()) +
             ", every tile recomputed, checkpoint signed by the key of the package" + since);
  return {};
}

Status AuditEvents(Context& context, const AuditEventsOptions& options) {
  if (!options.event.empty() && !api::admin::IsEventName(options.event))
    return BadArgument("--event", "no event is called " + options.event + "; there are: " + api::admin::EventNames());
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
  const std::vector<std::string> header = {"TIME", "DEVICE", "EVENT", "UPDATE", "ACTOR", "ORIGIN"};
  Answer(context, answer, rows.empty() ? "no event matches" : FormatTable(header, rows, {"ORIGIN", "ACTOR"}));
  return {};
}

Status AuditQuery(Context& context, int64_t from, int64_t limit, const std::string& type) {
  constexpr int64_t kPageMax = 1000;
  TRY_ASSIGN(auto client, AdminClient::OpenAny(context));
  std::vector<std::vector<std::string>> rows;
  codec::Json entries = codec::Json::MakeArray();
  int64_t size = 0;
  int64_t found = 0;
  // Of a type, as many as are asked for, wherever on the log they lie; else the records from there on.
  while (found < limit) {
    const int64_t count = type.empty() ? std::min(limit - found, kPageMax) : kPageMax;
    TRY_ASSIGN(const auto answer,
               client->Get("/admin/v1/audit", {{"from", std::to_string(from)}, {"limit", std::to_string(count)}}));
    size = IntegerOr(answer, "size", 0);
    const auto& page = ArrayOr(answer, "entries");
    for (const auto& entry : page) {
      TRY_ASSIGN(const auto leaf_text, TextOf(entry, "leaf"));
      TRY_ASSIGN(const auto leaf, codec::ParseJson(leaf_text));
      if (found == limit || (!type.empty() && TextOr(leaf, "type", "") != type)) continue;
      entries.Push(entry);
      rows.push_back({std::to_string(IntegerOr(entry, "index", 0)), FormatTime({IntegerOr(leaf, "time", 0)}),
                      TextOr(leaf, "type", ""), leaf_text});
      ++found;
    }
    from += std::ssize(page);
    if (page.empty() || from >= size) break;
  }
  codec::Json json = codec::Json::MakeObject();
  json.Set("entries", std::move(entries)).Set("size", size);
  const std::string none =
      type.empty() ? "no record from there on" : "no record of the type " + type + " from there on";
  Answer(context, json, rows.empty() ? none : FormatTable({"INDEX", "TIME", "TYPE", "RECORD"}, rows));
  return {};
}

}  // namespace fleetseal::cli
