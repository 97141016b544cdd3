#include "cli/audit_export.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "api/admin/paths.h"
#include "api/signing/evidence_messages.h"
#include "cli/arguments.h"
#include "cli/public_log.h"
#include "cli/table.h"
#include "cli/updates.h"
#include "codec/hex.h"
#include "crypto/digest.h"
#include "jose/jwk.h"
#include "jose/jws.h"
#include "manifest/log_leaf.h"
#include "manifest/order.h"
#include "manifest/person_documents.h"
#include "manifest/receipt.h"
#include "manifest/receipt_proof.h"
#include "merkle/hash.h"
#include "merkle/note.h"
#include "merkle/proof.h"
#include "sys/file.h"

namespace fleetseal::cli {
namespace {

using api::signing::EvidenceAnswer;
using api::signing::ReceiptEvidence;
using manifest::RootPackageDocument;

template <typename Document>
Result<Document> PayloadOf(const std::string& compact) {
  TRY_ASSIGN(const auto jws, jose::UnverifiedJws::Parse(compact));
  return Document::Parse(AsText(jws.unverified_payload()));
}

// What is judged together, as of one time.
struct Folder {
  std::string name;
  std::string what;
  UnixSeconds as_of;
  std::vector<std::pair<std::string, std::string>> files;  // name, text
  std::vector<std::string> origins;                        // of the logs that its proofs are of

  void Add(const std::string& file, const std::string& text) { files.emplace_back(file, text); }
};

// --- the log

// The record at that place, if it is the one that is meant, of any log that a package named: a log that was left is
// served still. nullopt: none of them has it. What is served and is not a log is an error.
template <typename IsIt>
Result<std::optional<merkle::LogProof>> Prove(AdminClient& client, const std::vector<RootPackageDocument>& packages,
                                              int64_t log_index, const IsIt& is_it) {
  std::vector<manifest::PackageLog> logs;
  for (auto package = packages.rbegin(); package != packages.rend(); ++package) {
    for (const auto& log : package->package.logs) {
      if (std::ranges::none_of(logs, [&](const auto& each) { return each.origin == log.origin; })) logs.push_back(log);
    }
  }
  for (const auto& log : logs) {
    TRY_ASSIGN(const auto policy, log.ToPolicy());
    const translog::LogReader reader = ServedLog(client, {}, log.origin);
    const auto head = reader.ReadCheckpoint(policy);
    if (!head && head.error().code == ErrorCode::kNotFound) continue;
    if (!head) return tl::unexpected(WithContext(head.error(), "reading the log " + log.origin));
    if (static_cast<uint64_t>(log_index) >= head->checkpoint.size) continue;
    TRY_ASSIGN_CONTEXT(auto proof, reader.BuildProof(static_cast<uint64_t>(log_index), *head),
                       "reading the log " + log.origin);
    if (is_it(AsText(proof.leaf))) return std::optional(std::move(proof));
  }
  return std::optional<merkle::LogProof>();
}

Result<std::string> OriginOf(const merkle::LogProof& proof) {
  TRY_ASSIGN(const auto note, merkle::ParseNote(proof.checkpoint_note));
  TRY_ASSIGN(const auto checkpoint, merkle::ParseCheckpoint(note.text));
  return checkpoint.origin;
}

// --- what is asked for

// Each answer has so many.
Result<std::vector<RootPackageDocument>> ReadPackages(AdminClient& client) {
  constexpr size_t kPackagesMax = 100'000;
  std::vector<RootPackageDocument> packages;
  while (packages.size() < kPackagesMax) {
    const int64_t from = packages.empty() ? 1 : packages.back().package.version + 1;
    TRY_ASSIGN(const auto answer, client.Get(std::string(api::admin::kPackagesPath), {{"from", std::to_string(from)}}));
    const auto& texts = ArrayOr(answer, "packages");
    if (texts.empty()) break;
    for (const auto& text : texts) {
      if (!text.is_string()) return Fail(ErrorCode::kProtocolError, "a package is no text");
      TRY_ASSIGN(auto package, RootPackageDocument::Parse(text.as_string()));
      if (!packages.empty() && package.package.version <= packages.back().package.version)
        return Fail(ErrorCode::kProtocolError, "packages do not rise");
      packages.push_back(std::move(package));
    }
  }
  if (packages.empty()) return Fail(ErrorCode::kProtocolError, "the server names no package");
  return packages;
}

// That it is of this update and device; whether it is true is for `fleetseal verify` to say.
Status CheckAsked(const EvidenceAnswer& evidence, const DeviceId& device, const Sha256& update) {
  bool is_asked = crypto::HashSha256(evidence.manifest) == update;
  for (const auto& [compact, plan] : evidence.orders) {
    TRY_ASSIGN(const auto order, PayloadOf<manifest::Order>(compact));
    is_asked = is_asked && order.device_id == device && order.manifest_sha256 == update;
  }
  if (!is_asked) return Fail(ErrorCode::kProtocolError, "the server answered about another update or device");
  return {};
}

// --- folders

// The packages that were there by then, and those up to the first that names each log: judged as of that time, a later
// one that lists other keys has no say.
void AddPackages(Folder& folder, const std::vector<RootPackageDocument>& packages) {
  std::vector<std::string> missing = folder.origins;
  for (const auto& document : packages) {
    const bool is_first = document.package.version == packages.front().package.version;
    if (!is_first && document.package.published > folder.as_of && missing.empty()) break;
    for (const auto& log : document.package.logs) std::erase(missing, log.origin);
    folder.Add("root-package-" + std::to_string(document.package.version) + ".json", document.text);
  }
}

// How the update was decided, as of the moment when the last of those who signed did.
Result<Folder> ReleaseFolder(AdminClient& client, const std::vector<RootPackageDocument>& packages,
                             const EvidenceAnswer& evidence) {
  Folder folder{"release", "who asked, who approved, what was signed, that the log has it", {}, {}, {}};
  TRY_ASSIGN(const auto request, PayloadOf<manifest::SignRequest>(evidence.request));
  folder.as_of = request.issued;
  folder.Add("manifest.json", std::string(AsText(evidence.manifest)));
  folder.Add("manifest.jws", evidence.manifest_signature);
  folder.Add("request.jws", evidence.request);
  for (size_t i = 0; i < evidence.approvals.size(); ++i) {
    TRY_ASSIGN(const auto approval, PayloadOf<manifest::Approval>(evidence.approvals[i]));
    folder.as_of = std::max(folder.as_of, approval.issued);
    folder.Add("approval-" + std::to_string(i + 1) + ".jws", evidence.approvals[i]);
  }
  const Sha256 signature = crypto::HashSha256(evidence.manifest_signature);
  TRY_ASSIGN(const auto proof, Prove(client, packages, evidence.log_index, [&](std::string_view text) {
               const auto leaf = manifest::ManifestSignatureLeaf::Parse(text);
               return leaf && leaf->jws_sha256 == signature;
             }));
  if (!proof) return Fail(ErrorCode::kLogProofMissing, "no log of the packages has the record of the signature");
  TRY_ASSIGN(auto origin, OriginOf(*proof));
  folder.origins.push_back(std::move(origin));
  folder.Add("log.proof", merkle::BuildLogProof(*proof));
  AddPackages(folder, packages);
  return folder;
}

struct Receipts {
  size_t count = 0;
  size_t without_proof = 0;
};

Status AddReceipt(AdminClient& client, const std::vector<RootPackageDocument>& packages, const ReceiptEvidence& receipt,
                  Folder& folder, Receipts& receipts) {
  const std::string name = "receipt-" + std::to_string(++receipts.count);
  folder.Add(name + ".jws", receipt.receipt);
  std::optional<merkle::LogProof> proof;
  if (!receipt.batch.empty()) {
    const Sha256 root = merkle::RootOf(receipt.batch);
    TRY_ASSIGN(proof, Prove(client, packages, receipt.log_index, [&](std::string_view text) {
                 const auto leaf = manifest::ReceiptBatchLeaf::Parse(text);
                 return leaf && leaf->root == root;
               }));
  }
  if (!proof) {
    receipts.without_proof += 1;
    return {};
  }
  TRY_ASSIGN(auto origin, OriginOf(*proof));
  folder.origins.push_back(std::move(origin));
  folder.Add(name + ".proof.json",
             manifest::ReceiptProof{receipt.salt, receipt.place, receipt.batch, merkle::BuildLogProof(*proof)}.Build());
  return {};
}

// One order with its plan and what the device answered to it, as of when it was signed.
Result<Folder> DeliveryFolder(AdminClient& client, const std::vector<RootPackageDocument>& packages,
                              const EvidenceAnswer& evidence, size_t place, Receipts& receipts) {
  const auto& [compact, plan] = evidence.orders[place];
  TRY_ASSIGN(const auto order, PayloadOf<manifest::Order>(compact));
  Folder folder{"delivery-" + std::to_string(place + 1), "", order.issued, {}, {}};
  folder.Add("plan.jws", plan);
  folder.Add("order.jws", compact);
  const size_t before = receipts.count;
  for (const auto& each : evidence.receipts) {
    TRY_ASSIGN(const auto receipt, PayloadOf<manifest::Receipt>(each.receipt));
    if (receipt.order_id == order.order_id) TRY(AddReceipt(client, packages, each, folder, receipts));
  }
  folder.what = "who planned, what was ordered" + std::string(receipts.count == before
                                                                  ? "; no receipt for this order is known"
                                                                  : ", what the device answered, that the log has it");
  AddPackages(folder, packages);
  return folder;
}

// --- who

struct Keys {
  std::string text;                    // an object of JWKs by thumbprint
  std::vector<std::string> described;  // "alice  5dSo…"
};

// Whose key it is only the document that it signed says, and the server that named it.
template <typename Document, typename Who>
Status Describe(const std::string& compact, const Who& who, Keys& keys) {
  TRY_ASSIGN(const auto jws, jose::UnverifiedJws::Parse(compact));
  TRY_ASSIGN(const auto document, Document::Parse(AsText(jws.unverified_payload())));
  const std::string line = jws.header().kid.value_or("") + "  " + who(document);
  if (std::ranges::find(keys.described, line) == keys.described.end()) keys.described.push_back(line);
  return {};
}

Result<Keys> KeysOf(const EvidenceAnswer& evidence) {
  Keys keys;
  codec::Json object = codec::Json::MakeObject();
  for (const auto& text : evidence.keys) {
    TRY_ASSIGN(const auto json, codec::ParseJson(text));
    TRY_ASSIGN(const auto jwk, jose::ParseJwk(json));
    const std::string thumbprint = jwk.key.key_id();
    if (object.Find(thumbprint) == nullptr) object.Set(thumbprint, json);
  }
  keys.text = object.Serialize();
  TRY(Describe<manifest::SignRequest>(
      evidence.request, [](const auto& it) { return it.requester.text(); }, keys));
  for (const auto& compact : evidence.approvals)
    TRY(Describe<manifest::Approval>(
        compact, [](const auto& it) { return it.approver.text(); }, keys));
  for (const auto& [order, plan] : evidence.orders)
    TRY(Describe<manifest::Plan>(
        plan, [](const auto& it) { return it.operator_id.text(); }, keys));
  for (const auto& each : evidence.receipts)
    TRY(Describe<manifest::Receipt>(
        each.receipt, [](const auto& it) { return "device " + it.device_id.text(); }, keys));
  return keys;
}

// --- writing

std::string AsOf(UnixSeconds time) {
  std::string text = FormatTime(time);
  std::replace(text.begin(), text.end(), ' ', 'T');
  return text;
}

// The folder has its name only once everything is in it.
Status WriteAll(const std::string& output, const std::vector<Folder>& folders, const Keys& keys) {
  const std::string part = output + ".part";
  TRY(sys::MakeDirectories(part, 0755));
  for (const auto& folder : folders) {
    TRY(sys::MakeDirectories(sys::JoinPath(part, folder.name), 0755));
    for (const auto& [name, text] : folder.files)
      TRY(sys::WriteFileDurably(sys::JoinPath(part, folder.name + "/" + name), AsBytes(text), 0644));
  }
  TRY(sys::WriteFileDurably(sys::JoinPath(part, "keys.json"), AsBytes(keys.text), 0644));
  return sys::RenameDurably(part, output);
}

void Tell(const Context& context, const AuditExportOptions& options, const std::vector<Folder>& folders,
          const Keys& keys, const Receipts& receipts, int64_t left_out) {
  codec::Json list = codec::Json::MakeArray();
  int64_t files = 0;
  std::string commands;
  for (const auto& folder : folders) {
    const std::string path = sys::JoinPath(options.output, folder.name);
    files += std::ssize(folder.files);
    list.Push(codec::Json::MakeObject().Set("path", path).Set("asOf", folder.as_of.value));
    commands += "  fleetseal verify " + path + " --key " + sys::JoinPath(options.output, "keys.json") + " --as-of " +
                AsOf(folder.as_of) + "\n      " + folder.what + "\n";
  }
  codec::Json json = codec::Json::MakeObject();
  json.Set("folder", options.output).Set("folders", std::move(list));
  json.Set("receipts", static_cast<int64_t>(receipts.count));
  json.Set("receiptsWithoutProof", static_cast<int64_t>(receipts.without_proof)).Set("receiptsLeftOut", left_out);
  std::string text = FormatCount(files, "document") + " written to " + options.output +
                     "; judge them offline, with --trusted-package and the first package that you know:\n" + commands +
                     "whose the keys are is what the server says; compare with the people and the device:\n";
  for (const auto& line : keys.described) text += "  " + line + "\n";
  if (receipts.without_proof > 0)
    text += FormatCount(static_cast<int64_t>(receipts.without_proof), "receipt") +
            " without proof: no log of the packages has the record, or an older signer made it\n";
  if (left_out > 0) text += FormatCount(left_out, "receipt") + " more for these orders did not find room\n";
  Answer(context, json, text);
}

}  // namespace

Status AuditExport(Context& context, const AuditExportOptions& given) {
  AuditExportOptions options = given;
  while (options.output.size() > 1 && options.output.ends_with('/')) options.output.pop_back();
  for (const std::string& path : {options.output, options.output + ".part"}) {
    if (sys::FileExists(path) || sys::DirectoryExists(path))
      return Fail(ErrorCode::kAlreadyExists, path + ": evidence is never written over");
  }
  const std::string parent = sys::ParentDirectory(options.output);
  if (!sys::DirectoryExists(parent)) return BadArgument("--output", "there is no folder " + parent);
  TRY_ASSIGN(const DeviceId device, Argument("--device", DeviceId::Parse(options.device)));
  TRY_ASSIGN(auto client, AdminClient::OpenAny(context));
  TRY_ASSIGN(const auto update, FindUpdate(*client, options.update));
  TRY_ASSIGN(const auto id, TextOf(update, "id"));
  TRY_ASSIGN(const auto answer,
             client->Get(std::string(api::admin::kDevicesPath) + "/" + device.text() + "/evidence", {{"update", id}}));
  TRY_ASSIGN_CONTEXT(const auto evidence, EvidenceAnswer::Parse(answer), "reading the evidence");
  TRY_ASSIGN(const Sha256 manifest, codec::DecodeHexSha256(id));
  TRY(CheckAsked(evidence, device, manifest));
  if (evidence.orders.empty()) return Fail(ErrorCode::kNotFound, device.text() + " never got an order for this update");
  TRY_ASSIGN(const auto packages, ReadPackages(*client));
  TRY_ASSIGN(const auto keys, KeysOf(evidence));
  std::vector<Folder> folders;
  TRY_ASSIGN(folders.emplace_back(), ReleaseFolder(*client, packages, evidence));
  Receipts receipts;
  for (size_t place = 0; place < evidence.orders.size(); ++place) {
    TRY_ASSIGN(folders.emplace_back(), DeliveryFolder(*client, packages, evidence, place, receipts));
  }
  TRY(WriteAll(options.output, folders, keys));
  Tell(context, options, folders, keys, receipts, evidence.left_out);
  return {};
}

}  // namespace fleetseal::cli
