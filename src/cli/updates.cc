#include "cli/updates.h"

#include <algorithm>
#include <map>
#include <thread>

#include "base/limits.h"
#include "cli/arguments.h"
#include "cli/devices.h"
#include "cli/documents.h"
#include "cli/progress.h"
#include "cli/table.h"
#include "codec/base64.h"
#include "codec/hex.h"
#include "crypto/digest.h"
#include "manifest/person_documents.h"
#include "manifest/root_package.h"
#include "manifest/typ.h"
#include "manifest/update_manifest.h"
#include "sys/file.h"

namespace fleetseal::cli {
namespace {

std::string BaseName(const std::string& path) { return path.substr(path.find_last_of('/') + 1); }

struct FileArgument {
  std::string path;
  std::string handler = std::string(manifest::kHandlerSlot);
  std::map<std::string, std::string> properties;
};

std::vector<std::string> Split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  size_t begin = 0;
  while (true) {
    const size_t end = text.find(separator, begin);
    parts.push_back(text.substr(begin, end - begin));
    if (end == std::string::npos) return parts;
    begin = end + 1;
  }
}

// PATH[:HANDLER[:name=value,...]]. A path with a colon in it is taken whole if it exists.
Result<FileArgument> ParseFileArgument(const std::string& text) {
  if (sys::FileExists(text)) return FileArgument{text, std::string(manifest::kHandlerSlot), {}};
  const auto parts = Split(text, ':');
  if (parts.size() < 2 || parts.size() > 3) return BadArgument("--file", "there is no file " + text);
  FileArgument file;
  file.path = parts[0];
  if (!sys::FileExists(file.path)) return BadArgument("--file", "there is no file " + file.path);
  if (parts[1] == "slot")
    file.handler = std::string(manifest::kHandlerSlot);
  else if (parts[1] == "file")
    file.handler = std::string(manifest::kHandlerFile);
  else
    return BadArgument("--file", "the handler is slot or file, not " + parts[1]);
  if (parts.size() == 3) {
    TRY_ASSIGN(file.properties, ParseProperties(Split(parts[2], ',')));
  }
  return file;
}

Result<manifest::UpdateManifest> ManifestFromOptions(Context& context, const UpdateSubmitOptions& options) {
  if (options.product.empty() || options.version.empty() || options.files.empty()) {
    return Fail(ErrorCode::kInvalidArgument,
                "an update needs --product, --version, --compatible and --file (or --import-manifest alone)");
  }
  manifest::UpdateManifest update;
  TRY_ASSIGN(update.product, Argument("--product", ProductName::Parse(options.product)));
  TRY_ASSIGN(update.version, Argument("--version", manifest::UpdateVersion::Parse(options.version)));
  for (const auto& set : options.compatibility) {
    TRY_ASSIGN(auto properties, ParseProperties(Split(set, ',')));
    update.compatibility.push_back(std::move(properties));
  }
  if (update.compatibility.empty()) {
    return Fail(ErrorCode::kInvalidArgument, "say what the update is for: --compatible manufacturer=NAME,model=NAME");
  }
  for (const auto& text : options.files) {
    TRY_ASSIGN(const auto argument, ParseFileArgument(text));
    TRY_ASSIGN_CONTEXT(const auto hashed, HashFile(context, argument.path), "hashing " + argument.path);
    manifest::UpdateFile file{manifest::MakeFileId(BaseName(argument.path), hashed.sha256),
                              BaseName(argument.path),
                              hashed.size,
                              hashed.sha256,
                              {},
                              {}};
    update.steps.push_back({argument.handler, {file.id}, argument.properties});
    update.files.push_back(std::move(file));
  }
  update.created = context.clock.Now();
  if (!options.component.empty()) update.component = options.component;
  if (!options.description.empty()) update.description = options.description;
  return update;
}

Result<manifest::UpdateManifest> BuildManifest(Context& context, const UpdateSubmitOptions& options) {
  if (options.import_manifest.empty()) return ManifestFromOptions(context, options);
  TRY_ASSIGN(const auto text, sys::ReadTextFile(options.import_manifest, limits::kManifestBytesMax));
  TRY_ASSIGN_CONTEXT(const auto import, manifest::ImportManifest::Parse(text), "reading " + options.import_manifest);
  return import.ToUpdateManifest();
}

// The policy says how the product is delivered; a request with another delivery would be refused.
Result<manifest::Delivery> DeliveryOf(AdminClient& client, const ProductName& product) {
  TRY_ASSIGN(const auto people, client.Get("/admin/v1/people"));
  for (const auto& policy : ArrayOr(people, "policies")) {
    if (TextOr(policy, "product", "") == product.text())
      return manifest::DeliveryFromName(TextOr(policy, "delivery", ""));
  }
  return Fail(ErrorCode::kPolicyMissing, "no policy for " + product.text());
}

Result<std::string> WaitForSignature(Context& context, AdminClient& client, const Submitted& submitted,
                                     int64_t timeout_seconds) {
  const int64_t deadline = context.clock.MonotonicMs() + timeout_seconds * 1000;
  const int64_t started = context.clock.MonotonicMs();
  StatusLine line(context);
  std::string told;
  while (true) {
    TRY_ASSIGN(const auto request, client.Get("/admin/v1/requests/" + submitted.request_id));
    const std::string state = TextOr(request, "state", "");
    if (state == "signed") return state;
    if (state == "rejected") return Fail(ErrorCode::kRequestRejected, TextOr(request, "reason", "no reason given"));
    if (state == "expired") return Fail(ErrorCode::kApprovalExpired, "nobody approved in time");
    const std::string now = "waiting for approvals: " + std::to_string(ArrayOr(request, "approved").size()) + " of " +
                            std::to_string(IntegerOr(request, "needed", 0));
    const auto waited = static_cast<uint64_t>(context.clock.MonotonicMs() - started) / 1000;
    line.Show(now + "  (" + FormatSeconds(waited) + ")", now != told);
    told = now;
    if (context.clock.MonotonicMs() > deadline)
      return Fail(ErrorCode::kApprovalsMissing,
                  now + "; the same command again waits on, and imports once it is signed");
    std::this_thread::sleep_for(std::chrono::milliseconds(500));
  }
}

Result<Bytes> ManifestBytesOf(AdminClient& client, const std::string& request_id) {
  TRY_ASSIGN(const auto request, client.Get("/admin/v1/requests/" + request_id));
  TRY_ASSIGN(const auto text, TextOf(request, "manifest"));
  return codec::DecodeBase64Url(text);
}

Result<manifest::UpdateManifest> ManifestOf(AdminClient& client, const std::string& request_id) {
  TRY_ASSIGN(const auto bytes, ManifestBytesOf(client, request_id));
  return manifest::UpdateManifest::Parse(AsText(bytes));
}

// What an interrupted `publish` of the same files and options has submitted: only the time differs. Nothing if there is
// none that waits or is signed; another update of that version is left to the signer, who says what is wrong with it.
Result<std::optional<Submitted>> FindSubmitted(AdminClient& client, manifest::UpdateManifest update) {
  TRY_ASSIGN(const auto rows, client.List("/admin/v1/updates", "updates"));
  for (const auto& row : rows) {
    const std::string state = TextOr(row, "state", "");
    const bool is_open = state == "submitted" || state == "signed" || state == "deployable";
    const bool is_named =
        TextOr(row, "product", "") == update.product.text() && TextOr(row, "version", "") == update.version.text();
    if (!is_open || !is_named) continue;
    TRY_ASSIGN(auto request_id, TextOf(row, "requestId"));
    TRY_ASSIGN(const auto known, ManifestOf(client, request_id));
    update.created = known.created;
    if (update.Build() != known.Build()) continue;
    TRY_ASSIGN(auto id, TextOf(row, "id"));
    return std::optional<Submitted>({std::move(request_id), std::move(id)});
  }
  return std::optional<Submitted>();
}

// A transfer that broke off changes nothing there: nobody has to clean up.
Error InterruptedImport(Error error, const std::string& path) {
  if (InfoOf(error.code).exit == ExitCode::kUnreachable)
    error.detail += "; what was complete is kept: the same command again goes on with the rest";
  return WithContext(std::move(error), "importing " + path);
}

void TellWhatIsMissing(const Context& context, const codec::Json& update) {
  std::string missing;
  for (const auto& file : ArrayOr(update, "files")) {
    if (TextOr(file, "sealedSha256", "").empty())
      missing.append(missing.empty() ? "" : ", ").append(TextOr(file, "fileName", ""));
  }
  if (!missing.empty()) Note(context, "still missing: " + missing + "; import it to make the update deployable");
}

std::string DescribeUpdate(const codec::Json& update) {
  std::string text =
      TextOr(update, "product", "") + " " + TextOr(update, "version", "") + "  " + TextOr(update, "state", "");
  const int64_t counter = IntegerOr(update, "releaseCounter", 0);
  if (counter > 0) text += "  release counter " + std::to_string(counter);
  text += "\nid " + TextOr(update, "id", "") + "\nrequest " + TextOr(update, "requestId", "") + "\n";
  for (const auto& file : ArrayOr(update, "files")) {
    const std::string sealed = TextOr(file, "sealedSha256", "");
    text += "  " + TextOr(file, "fileName", "") + "  " +
            FormatBytes(static_cast<uint64_t>(IntegerOr(file, "size", 0))) +
            (sealed.empty() ? "  not imported" : "  sealed as " + sealed) + "\n";
  }
  return text;
}

Status WriteDocument(const std::string& folder, const std::string& name, std::string_view text) {
  return sys::WriteFileDurably(folder + "/" + name, AsBytes(text), 0644);
}

Status WriteDocuments(AdminClient& client, const std::string& id, const UpdateShowOptions& options) {
  TRY(sys::MakeDirectories(options.documents, 0755));
  AdminClient::Query query;
  if (!options.device.empty()) query.emplace_back("device", options.device);
  TRY_ASSIGN(const auto answer, client.Get("/admin/v1/updates/" + id + "/documents", query));
  TRY_ASSIGN(const auto manifest_text, TextOf(answer, "manifest"));
  TRY_ASSIGN(const auto manifest_bytes, codec::DecodeBase64Url(manifest_text));
  TRY(WriteDocument(options.documents, "manifest.json", AsText(manifest_bytes)));
  const std::pair<const char*, const char*> texts[] = {
      {"manifestSignature", "manifest.jws"}, {"logProof", "log.proof"}, {"checkpoint", "checkpoint"}};
  for (const auto& [member, file] : texts) {
    TRY_ASSIGN(const auto text, TextOf(answer, member));
    TRY(WriteDocument(options.documents, file, text));
  }
  for (const auto& package : ArrayOr(answer, "packages")) {
    if (!package.is_string()) return Fail(ErrorCode::kProtocolError, "a package is no text");
    TRY_ASSIGN(const auto document, manifest::RootPackageDocument::Parse(package.as_string()));
    TRY(WriteDocument(options.documents, "root-package-" + std::to_string(document.package.version) + ".json",
                      document.text));
  }
  if (options.device.empty()) return {};
  TRY_ASSIGN(const auto status, TextOf(answer, "status"));
  TRY(WriteDocument(options.documents, "status.jws", status));
  const std::string order = TextOr(answer, "order", "");
  if (order.empty())
    return Fail(ErrorCode::kNotFound, "the device " + options.device + " has no order for this update");
  return WriteDocument(options.documents, "order.jws", order);
}

}  // namespace

namespace {

Result<Submitted> Submit(Context& context, const manifest::UpdateManifest& update, const UpdateSubmitOptions& options) {
  const std::string text = update.Build();
  TRY_CONTEXT(manifest::UpdateManifest::Parse(text), "checking the manifest");
  TRY_ASSIGN(auto client, AdminClient::OpenAs(context, manifest::PersonRole::kPublisher));
  manifest::SignRequest request;
  request.request_id = NewIdOf<RequestId>(context, "request");
  request.product = update.product;
  request.manifest_sha256 = crypto::HashSha256(text);
  TRY_ASSIGN(request.delivery, DeliveryOf(*client, update.product));
  request.audience = manifest::AudienceOf(client->identity().organisation());
  request.requester = client->identity().id();
  request.nonce = NewNonce(context);
  request.issued = context.clock.Now();
  request.expires = request.issued + options.valid_seconds;
  TRY_ASSIGN(auto compact, client->identity().SignDocument(manifest::kTypRequest, request.Build()));
  codec::Json body = codec::Json::MakeObject();
  body.Set("request", std::move(compact)).Set("manifest", codec::EncodeBase64Url(AsBytes(text)));
  TRY_ASSIGN(const auto answer, client->Post("/admin/v1/requests", body));
  TRY_ASSIGN(auto request_id, TextOf(answer, "requestId"));
  return Submitted{std::move(request_id), codec::EncodeHex(request.manifest_sha256)};
}

// A manifest bears its time, so the same command again has other bytes for the signer: people are told that it is the
// same update, and where it stands.
Error ExplainVersion(Context& context, const manifest::UpdateManifest& update, Error error) {
  if (error.code != ErrorCode::kVersionExists) return error;
  const auto client = AdminClient::OpenAs(context, manifest::PersonRole::kPublisher);
  const auto known = client ? FindSubmitted(**client, update) : tl::unexpected(client.error());
  if (!known || !*known) {
    context.advice = "give the update a new version; `fleetseal update show " + update.product.text() + "@" +
                     update.version.text() + "` shows the one that there is";
    return error;
  }
  const Submitted& submitted = **known;
  const auto request = (*client)->Get("/admin/v1/requests/" + submitted.request_id);
  const std::string state = request ? ShownOr(*request, "state", "known") : "known";
  error.detail = update.product.text() + " " + update.version.text() +
                 " was requested already with these very files and options: " + submitted.request_id + ", which is " +
                 state;
  context.advice = state == "signed" ? "nothing is to be submitted: `fleetseal update import " + submitted.request_id +
                                           " FILE` goes on, `fleetseal update show` tells how it stands"
                                     : "nothing is to be submitted: approvers run `fleetseal approval approve " +
                                           submitted.request_id + "`";
  return error;
}

}  // namespace

Result<Submitted> SubmitUpdate(Context& context, const UpdateSubmitOptions& options) {
  TRY_ASSIGN(const auto update, BuildManifest(context, options));
  return Submit(context, update, options);
}

Status UpdateSubmit(Context& context, const UpdateSubmitOptions& options) {
  TRY_ASSIGN(const auto update, BuildManifest(context, options));
  const auto submitted_now = Submit(context, update, options);
  if (!submitted_now) return tl::unexpected(ExplainVersion(context, update, submitted_now.error()));
  const Submitted& submitted = *submitted_now;
  codec::Json json = codec::Json::MakeObject();
  json.Set("requestId", submitted.request_id).Set("id", submitted.id);
  Answer(context, json,
         "submitted as " + submitted.request_id + "\nupdate id " + submitted.id +
             "\nnext: approvers run `fleetseal approval show " + submitted.request_id +
             "` and `fleetseal approval approve " + submitted.request_id + "`");
  return {};
}

namespace {

Result<codec::Json> FindRow(AdminClient& client, const std::string& text) {
  if (text.size() == 64 && text.find_first_not_of("0123456789abcdef") == std::string::npos) {
    return client.Get("/admin/v1/updates/" + text);
  }
  TRY_ASSIGN(const auto updates, client.List("/admin/v1/updates", "updates"));
  std::vector<const codec::Json*> found;
  for (const auto& update : updates) {
    const std::string id = TextOr(update, "id", "");
    const std::string name = TextOr(update, "product", "") + "@" + TextOr(update, "version", "");
    const bool is_prefix = text.size() >= 8 && id.starts_with(text);
    if (is_prefix || name == text || TextOr(update, "requestId", "") == text) found.push_back(&update);
  }
  if (found.empty())
    return Fail(ErrorCode::kNotFound, "no update is called " + text + " (use vendor/name@version or the id)");
  if (found.size() > 1)
    return Fail(ErrorCode::kInvalidArgument, text + " names more than one update; use the whole id");
  return *found.front();
}

}  // namespace

Status CheckUpdateRow(AdminClient& client, const codec::Json& row) {
  TRY_ASSIGN(const auto id, TextOf(row, "id"));
  TRY_ASSIGN(const auto request_id, TextOf(row, "requestId"));
  TRY_ASSIGN(const auto bytes, ManifestBytesOf(client, request_id));
  const std::string name = TextOr(row, "product", "") + "@" + TextOr(row, "version", "");
  if (codec::EncodeHex(crypto::HashSha256(bytes)) != id)
    return Fail(ErrorCode::kManifestHashMismatch, "the server shows another manifest for the update " + id);
  TRY_ASSIGN(const auto manifest, manifest::UpdateManifest::Parse(AsText(bytes)));
  const std::string true_name = manifest.product.text() + "@" + manifest.version.text();
  if (true_name != name)
    return Fail(ErrorCode::kManifestHashMismatch,
                "the server calls " + name + " what by its manifest is " + true_name + " (" + id + ")");
  return {};
}

Result<codec::Json> FindUpdate(AdminClient& client, const std::string& text) {
  TRY_ASSIGN(auto row, FindRow(client, text));
  TRY(CheckUpdateRow(client, row));
  const std::string name = TextOr(row, "product", "") + "@" + TextOr(row, "version", "");
  const bool is_asked = text == name || TextOr(row, "id", "").starts_with(text) || TextOr(row, "requestId", "") == text;
  if (!is_asked) return Fail(ErrorCode::kManifestHashMismatch, "the server answers with another update than " + text);
  return row;
}

Status UpdateImport(Context& context, const UpdateImportOptions& options) {
  TRY_ASSIGN(auto client, AdminClient::OpenAs(context, manifest::PersonRole::kPublisher));
  TRY_ASSIGN(const auto update, FindUpdate(*client, options.update));
  TRY_ASSIGN(const auto id, TextOf(update, "id"));
  TRY_ASSIGN(const auto request_id, TextOf(update, "requestId"));
  TRY_ASSIGN(const auto manifest, ManifestOf(*client, request_id));
  for (const auto& path : options.files) {
    TRY_ASSIGN_CONTEXT(const auto hashed, HashFile(context, path), "hashing " + path);
    const auto it = std::find_if(manifest.files.begin(), manifest.files.end(),
                                 [&](const auto& file) { return file.sha256 == hashed.sha256; });
    if (it == manifest.files.end()) {
      return Fail(ErrorCode::kFileNotInManifest,
                  path + " is none of the files of " + manifest.product.text() + " " + manifest.version.text());
    }
    const auto& rows = ArrayOr(update, "files");
    const bool is_there = std::any_of(rows.begin(), rows.end(), [&](const auto& row) {
      return TextOr(row, "fileId", "") == it->id.text() && !TextOr(row, "sealedSha256", "").empty();
    });
    // Offered all the same: the server makes up for an import that ended before its last step.
    if (is_there) Note(context, BaseName(path) + " was imported before; it is sent only if the server has lost it");
    const auto uploaded = client->UploadFile("/admin/v1/updates/" + id + "/files/" + it->id.text(), path,
                                             is_there ? "checking" : "importing " + BaseName(path));
    if (!uploaded) return tl::unexpected(InterruptedImport(uploaded.error(), path));
  }
  TRY_ASSIGN(const auto after, client->Get("/admin/v1/updates/" + id));
  TellWhatIsMissing(context, after);
  Answer(context, after, DescribeUpdate(after));
  return {};
}

Status UpdatePublish(Context& context, const UpdateSubmitOptions& options, int64_t timeout_seconds) {
  if (!options.import_manifest.empty()) {
    return Fail(ErrorCode::kInvalidArgument,
                "with --import-manifest use submit and import: the manifest does not say where the files are");
  }
  TRY_ASSIGN(const auto update, BuildManifest(context, options));
  TRY_ASSIGN(auto client, AdminClient::OpenAs(context, manifest::PersonRole::kPublisher));
  TRY_ASSIGN(const auto before, FindSubmitted(*client, update));
  Submitted submitted;
  if (before) {
    submitted = *before;
  } else {
    TRY_ASSIGN(submitted, Submit(context, update, options));
  }
  Note(context, (before ? "going on with " + submitted.request_id + ", submitted before"
                        : "submitted as " + submitted.request_id) +
                    "; approvers run `fleetseal approval approve " + submitted.request_id + "`");
  TRY(WaitForSignature(context, *client, submitted, timeout_seconds));
  Note(context, "signed and on the log");
  UpdateImportOptions import{submitted.id, {}};
  for (const auto& text : options.files) {
    TRY_ASSIGN(const auto argument, ParseFileArgument(text));
    import.files.push_back(argument.path);
  }
  return UpdateImport(context, import);
}

Status UpdateWithdraw(Context& context, const std::string& update, const std::string& reason) {
  TRY_ASSIGN(auto client, AdminClient::OpenAs(context, manifest::PersonRole::kPublisher));
  TRY_ASSIGN(const auto row, FindUpdate(*client, update));
  TRY_ASSIGN(const auto id, TextOf(row, "id"));
  TRY_ASSIGN(const Sha256 manifest, codec::DecodeHexSha256(id));
  return SendRevocation(context, *client, manifest::RevocationKind::kManifest, ToBase64Url(manifest),
                        manifest::RevocationAction::kWithdraw, reason,
                        TextOr(row, "product", "") + "@" + TextOr(row, "version", "") +
                            " is withdrawn: devices refuse it, and its rollouts are cancelled");
}

Status UpdateList(Context& context) {
  TRY_ASSIGN(auto client, AdminClient::OpenAny(context));
  TRY_ASSIGN(auto updates, client->List("/admin/v1/updates", "updates"));
  std::vector<std::vector<std::string>> rows;
  for (const auto& update : updates) {
    const int64_t counter = IntegerOr(update, "releaseCounter", 0);
    rows.push_back({TextOr(update, "product", ""), TextOr(update, "version", ""), TextOr(update, "state", ""),
                    counter > 0 ? std::to_string(counter) : "-", TextOr(update, "id", "").substr(0, 16)});
  }
  codec::Json json = codec::Json::MakeObject();
  json.Set("updates", std::move(updates));
  Answer(context, json, FormatTable({"PRODUCT", "VERSION", "STATE", "COUNTER", "ID"}, rows));
  return {};
}

Status UpdateShow(Context& context, const UpdateShowOptions& options) {
  TRY_ASSIGN(auto client, AdminClient::OpenAny(context));
  TRY_ASSIGN(const auto update, FindUpdate(*client, options.update));
  TRY_ASSIGN(const auto id, TextOf(update, "id"));
  if (!options.documents.empty()) TRY(WriteDocuments(*client, id, options));
  Answer(context, update,
         DescribeUpdate(update) + (options.documents.empty() ? "" : "documents written to " + options.documents));
  if (TextOr(update, "state", "") == "signed") TellWhatIsMissing(context, update);
  return {};
}

}  // namespace fleetseal::cli
