#include "cli/keys.h"

#include <algorithm>

#include "api/signing/key_messages.h"
#include "cli/admin_client.h"
#include "cli/arguments.h"
#include "cli/documents.h"
#include "cli/people.h"
#include "cli/table.h"
#include "cli/updates.h"
#include "codec/base64.h"
#include "codec/hex.h"
#include "jose/jwk.h"
#include "manifest/person_documents.h"
#include "manifest/root_package.h"
#include "manifest/typ.h"
#include "sys/file.h"
#include "translog/log_reader.h"

namespace fleetseal::cli {
namespace {

using api::signing::KeysAnswer;
using api::signing::SigningKeyRow;

constexpr const char* kKeysPath = "/admin/v1/keys";
constexpr int64_t kRequestSeconds = 86'400;

Result<KeysAnswer> GetKeys(AdminClient& client) {
  TRY_ASSIGN(const auto json, client.Get(kKeysPath));
  return KeysAnswer::Parse(json);
}

Result<SigningKeyRow> FindKey(const KeysAnswer& answer, const std::string& kid) {
  for (const auto& row : answer.keys) {
    if (row.kid == kid) return row;
  }
  return Fail(ErrorCode::kNotFound, "the signer has no key " + kid + ": see `fleetseal key list`");
}

std::string Products(const SigningKeyRow& row) {
  std::string text;
  for (const auto& product : row.products) text += (text.empty() ? "" : " ") + product.text();
  return text.empty() ? "-" : text;
}

// The record says that the signer made this key: its log key is not the server's.
Status CheckRecord(AdminClient& client, const SigningKeyRow& row, const std::string& package_file) {
  if (!row.log_index)
    return Fail(ErrorCode::kLogProofMissing, row.kid + " was made with the organisation: its listing vouches for it");
  TRY_ASSIGN(const auto text, sys::ReadTextFile(package_file, limits::kPackageBytesMax));
  TRY_ASSIGN_CONTEXT(const auto document, manifest::RootPackageDocument::Parse(text), "reading " + package_file);
  if (document.package.logs.empty()) return Fail(ErrorCode::kLogProofMissing, "the package names no log");
  TRY_ASSIGN(const auto policy, document.package.logs.front().ToPolicy());
  const translog::LogReader reader([&](const std::string& path) -> Result<Bytes> {
    TRY_ASSIGN(const auto body, client.GetText("/log/" + path));
    return ToBytes(body);
  });
  TRY_ASSIGN_CONTEXT(const auto head, reader.ReadCheckpoint(policy), "reading the log " + policy.origin);
  const auto index = static_cast<uint64_t>(*row.log_index);
  if (index >= head.checkpoint.size) return Fail(ErrorCode::kLogProofMissing, "the log does not hold the key's record");
  TRY_ASSIGN_CONTEXT(const auto leaves, reader.ReadEntries(index, index + 1, head.checkpoint),
                     "reading the key's record");
  TRY_ASSIGN(const auto leaf, codec::ParseJson(AsText(leaves.front())));
  if (TextOr(leaf, "type", "") != "signing-key" || TextOr(leaf, "action", "") != "create" ||
      TextOr(leaf, "kid", "") != row.kid || TextOr(leaf, "role", "") != row.role ||
      TextOr(leaf, "thumbprint", "") != ToBase64Url(row.thumbprint) ||
      TextOr(leaf, "changeId", "") != row.change_id.value_or(""))
    return Fail(ErrorCode::kLogProofMissing, "the log has no record that the signer made the key " + row.kid +
                                                 " with this thumbprint: do not have it signed");
  return {};
}

// Writes the form that `root sign-key` and `root rotate --add-key` read.
Status WriteKeyFile(Context& context, AdminClient& client, const SigningKeyRow& row, const KeyFileOptions& file) {
  if (file.output.empty()) return {};
  if (file.package.empty())
    return BadArgument("--package", "name the present root-key package: its log must have the new key on record");
  TRY_ASSIGN(const auto jwk, jose::ParseJwk(row.jwk));
  if (jwk.kid != row.kid || jwk.key.thumbprint() != row.thumbprint)
    return Fail(ErrorCode::kCorrupt, "the thumbprint of " + row.kid + " is not its key's");
  TRY(CheckRecord(client, row, file.package));
  codec::Json products = codec::Json::MakeArray();
  for (const auto& product : row.products) products.Push(product.text());
  codec::Json json = codec::Json::MakeObject();
  json.Set("kid", row.kid).Set("role", row.role).Set("products", std::move(products)).Set("jwk", row.jwk);
  json.Set("thumbprint", ToBase64Url(row.thumbprint));
  TRY(sys::WriteFileDurably(file.output, AsBytes(json.Serialize() + "\n"), 0644));
  Note(context, "the log has the key on record; written to " + file.output);
  return {};
}

codec::Json ShownKey(const SigningKeyRow& row) {
  KeysAnswer one;
  one.keys.push_back(row);
  return one.ToJson().Find("keys")->as_array().front();
}

Result<SigningKeyRow> MakeKey(Context& context, AdminClient& client, const manifest::CreateKey& create,
                              const std::vector<std::string>& also_signed_by) {
  TRY_ASSIGN(const auto before, GetKeys(client));
  TRY_ASSIGN(const auto people, client.Get("/admin/v1/people"));
  RegisterChangeRequest request;
  request.changes.emplace_back(create);
  request.sequence = IntegerOr(people, "sequence", 0) + 1;
  request.change_id = NewIdOf<ChangeId>(context, "change");
  TRY_CONTEXT(PostRegisterChange(context, client, request, also_signed_by), "deciding on a new key");
  TRY_ASSIGN(const auto after, GetKeys(client));
  for (auto row : after.keys) {
    const bool is_new = std::ranges::none_of(before.keys, [&](const auto& old) { return old.kid == row.kid; });
    if (!is_new || row.role != manifest::KeyRoleName(create.role)) continue;
    // What was decided, whatever the server says of it.
    if (row.alg != crypto::SignatureAlgorithmName(create.alg) || row.products != create.products)
      return Fail(ErrorCode::kProtocolError, "the server shows another key than was decided on: do not have it signed");
    row.change_id = request.change_id->text();
    return row;
  }
  return Fail(ErrorCode::kProtocolError, "the server does not show the new key: see `fleetseal key list`");
}

Status CreateAndWrite(Context& context, AdminClient& client, const manifest::CreateKey& create,
                      const KeyFileOptions& file, const std::vector<std::string>& also_signed_by) {
  // Before anything is signed.
  if (!file.output.empty() && file.package.empty())
    return BadArgument("--package", "name the present root-key package: its log must have the new key on record");
  TRY_ASSIGN(const auto row, MakeKey(context, client, create, also_signed_by));
  TRY(WriteKeyFile(context, client, row, file));
  const std::string name = file.output.empty() ? "KEY.json" : file.output;
  Answer(context, ShownKey(row),
         "the signer made the " + row.role + " key " + row.kid + " (thumbprint " + ToBase64Url(row.thumbprint) +
             "); nothing trusts it yet\nnext, where the roots are:\n  fleetseal root sign-key --folder roots --root "
             "root-1 "
             "--passphrase-file pass --key " +
             name + " -o " + row.kid + ".jws\n  fleetseal root rotate --package PRESENT.json --add-key " + name +
             " -o NEXT.json, and sign it with `fleetseal root package`\nthen here:\n  fleetseal root publish NEXT.json "
             "--sjwk " +
             row.kid + ".jws");
  return {};
}

Status SignResign(Context& context, AdminClient& client, const codec::Json& update) {
  TRY_ASSIGN(const auto id, TextOf(update, "id"));
  manifest::ResignRequest request;
  request.request_id = NewIdOf<RequestId>(context, "resign");
  TRY_ASSIGN(request.product, ProductName::Parse(TextOr(update, "product", "")));
  TRY_ASSIGN(request.manifest_sha256, codec::DecodeHexSha256(id));
  request.audience = manifest::AudienceOf(client.identity().organisation());
  request.requester = client.identity().id();
  request.nonce = NewNonce(context);
  request.issued = context.clock.Now();
  request.expires = request.issued + kRequestSeconds;
  TRY_ASSIGN(auto compact, client.identity().SignDocument(manifest::kTypRequest, request.Build()));
  TRY_ASSIGN(const auto answer,
             client.Post("/admin/v1/resignings", codec::Json::MakeObject().Set("request", std::move(compact))));
  Note(context, TextOr(update, "product", "") + "@" + TextOr(update, "version", "") + ": signed by " +
                    TextOr(answer, "keyKid", "?") + ", record " + std::to_string(IntegerOr(answer, "logIndex", 0)));
  return {};
}

}  // namespace

Status KeyList(Context& context) {
  TRY_ASSIGN(auto client, AdminClient::OpenAny(context));
  TRY_ASSIGN(const auto answer, GetKeys(*client));
  std::vector<std::vector<std::string>> rows;
  for (const auto& row : answer.keys) {
    rows.push_back({row.kid, row.role, row.is_in_use ? "in use" : row.state, Products(row),
                    row.not_after ? FormatTime(*row.not_after) : "-", std::to_string(row.releases)});
  }
  std::string text = FormatTable({"KEY", "ROLE", "STATE", "PRODUCTS", "ENDS", "RELEASES"}, rows, {"RELEASES"});
  for (const auto& warning : answer.warnings) text += "\nwarning: " + warning;
  Answer(context, answer.ToJson(), text);
  return {};
}

Status KeyShow(Context& context, const KeyShowOptions& options) {
  TRY_ASSIGN(auto client, AdminClient::OpenAny(context));
  TRY_ASSIGN(const auto answer, GetKeys(*client));
  TRY_ASSIGN(const auto row, FindKey(answer, options.kid));
  TRY(WriteKeyFile(context, *client, row, options.file));
  Answer(context, ShownKey(row),
         row.kid + "  " + row.role + " key for " + Products(row) + ", " + (row.is_in_use ? "in use" : row.state) +
             "\nthumbprint " + ToBase64Url(row.thumbprint));
  return {};
}

Status KeyCreate(Context& context, const KeyCreateOptions& options) {
  manifest::CreateKey create;
  bool is_known = false;
  for (const auto role :
       {manifest::KeyRole::kPublisher, manifest::KeyRole::kAgentRelease, manifest::KeyRole::kDirector}) {
    if (manifest::KeyRoleName(role) != options.role) continue;
    create.role = role;
    is_known = true;
  }
  if (!is_known) return BadArgument("--role", "is publisher, agent-release or director");
  for (const auto& text : options.products) {
    TRY_ASSIGN(auto product, Argument("--product", ProductName::Parse(text)));
    create.products.push_back(std::move(product));
  }
  if (create.products.empty() != (create.role == manifest::KeyRole::kDirector))
    return BadArgument("--product", "a director has none, other keys at least one");
  TRY_ASSIGN(create.alg, Argument("--algorithm", crypto::SignatureAlgorithmFromName(options.algorithm)));
  TRY_ASSIGN(auto client, AdminClient::OpenAs(context, manifest::PersonRole::kSecurity));
  return CreateAndWrite(context, *client, create, options.file, options.also_signed_by);
}

Status KeyRotate(Context& context, const KeyRotateOptions& options) {
  TRY_ASSIGN(auto client, AdminClient::OpenAs(context, manifest::PersonRole::kSecurity));
  TRY_ASSIGN(const auto answer, GetKeys(*client));
  std::string kid = options.kid;
  for (const auto& row : answer.keys) {
    if (kid == "director" && row.role == "director" && row.is_in_use) kid = row.kid;
  }
  TRY_ASSIGN(const auto row, FindKey(answer, kid));
  manifest::CreateKey create;
  for (const auto role :
       {manifest::KeyRole::kPublisher, manifest::KeyRole::kAgentRelease, manifest::KeyRole::kDirector}) {
    if (manifest::KeyRoleName(role) == row.role) create.role = role;
  }
  create.products = row.products;
  TRY_ASSIGN(create.alg, crypto::SignatureAlgorithmFromName(row.alg));
  // What a person signs is not the server's word alone: the package that is trusted now lists the key's products.
  if (!options.file.package.empty()) {
    TRY_ASSIGN(const auto text, sys::ReadTextFile(options.file.package, limits::kPackageBytesMax));
    TRY_ASSIGN_CONTEXT(const auto document, manifest::RootPackageDocument::Parse(text),
                       "reading " + options.file.package);
    const auto* listing = document.package.FindListing(kid);
    if (listing == nullptr || manifest::KeyRoleName(listing->role) != row.role || listing->products != row.products)
      return Fail(ErrorCode::kConflict, "the server shows " + kid + " otherwise than " + options.file.package +
                                            " lists it: use `fleetseal key create`");
  }
  return CreateAndWrite(context, *client, create, options.file, options.also_signed_by);
}

Status KeyAccept(Context& context, const std::vector<std::string>& files) {
  TRY_ASSIGN(auto client, AdminClient::OpenAs(context, manifest::PersonRole::kSecurity));
  codec::Json kids = codec::Json::MakeArray();
  for (const auto& file : files) {
    TRY_ASSIGN(std::string text, sys::ReadTextFile(file, limits::kJwsBytesMax));
    while (text.ends_with('\n')) text.pop_back();
    TRY_ASSIGN_CONTEXT(const auto answer, client->Post(kKeysPath, codec::Json::MakeObject().Set("sjwk", text)), file);
    kids.Push(TextOr(answer, "kid", "?"));
  }
  TRY_ASSIGN(const auto answer, GetKeys(*client));
  std::string human = std::to_string(files.size()) + " signed keys taken";
  for (const auto& warning : answer.warnings) human += "\nwarning: " + warning;
  Answer(context, codec::Json::MakeObject().Set("kids", std::move(kids)), human);
  return {};
}

Status KeyRetire(Context& context, const KeyRetireOptions& options) {
  TRY_ASSIGN(const auto kid, Argument("key", KeyId::Parse(options.kid)));
  TRY_ASSIGN(auto client, AdminClient::OpenAs(context, manifest::PersonRole::kSecurity));
  TRY_ASSIGN(const auto people, client->Get("/admin/v1/people"));
  RegisterChangeRequest request;
  request.changes.emplace_back(manifest::RetireKey{kid});
  request.sequence = IntegerOr(people, "sequence", 0) + 1;
  TRY_CONTEXT(PostRegisterChange(context, *client, request, options.also_signed_by), "retiring " + options.kid);
  Answer(context, codec::Json::MakeObject().Set("kid", options.kid).Set("state", "retired"),
         options.kid +
             " is retired: it signs nothing any more and its key file is removed\nbackups made before hold it "
             "still, encrypted; the next root-key package need not list it");
  return {};
}

Status UpdateResign(Context& context, const UpdateResignOptions& options) {
  if (options.updates.empty() != options.is_all) return BadArgument("update", "name updates, or give --all");
  TRY_ASSIGN(auto client, AdminClient::OpenAs(context, manifest::PersonRole::kPublisher));
  std::vector<codec::Json> updates;
  for (const auto& name : options.updates) {
    TRY_ASSIGN(auto update, FindUpdate(*client, name));
    updates.push_back(std::move(update));
  }
  if (options.is_all) {
    TRY_ASSIGN(auto all, client->List("/admin/v1/updates", "updates"));
    for (auto& update : all) {
      const std::string state = TextOr(update, "state", "");
      if (state != "signed" && state != "deployable") continue;
      TRY(CheckUpdateRow(*client, update));
      updates.push_back(std::move(update));
    }
  }
  for (const auto& update : updates) TRY(SignResign(context, *client, update));
  const auto count = static_cast<int64_t>(updates.size());
  Answer(context, codec::Json::MakeObject().Set("updates", count),
         std::to_string(count) + " updates bear a signature by the key of today");
  return {};
}

}  // namespace fleetseal::cli
