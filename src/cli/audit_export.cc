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
#include "codec/base64.h"
#include "crypto/digest.h"
#include "jose/jwk.h"
#include "jose/jws.h"
#include "manifest/log_leaf.h"
#include "manifest/order.h"
#include "manifest/receipt_proof.h"
#include "manifest/root_package.h"
#include "merkle/hash.h"
#include "merkle/proof.h"
#include "sys/file.h"

namespace fleetseal::cli {
namespace {

using api::signing::EvidenceAnswer;
using api::signing::ReceiptEvidence;

struct Folder {
  std::string path;
  size_t files = 0;

  Status Write(const std::string& name, std::string_view text) {
    ++files;
    return sys::WriteFileDurably(sys::JoinPath(path, name), AsBytes(text), 0644);
  }
  // "approval-1.jws", …
  Status WriteAll(const std::string& name, const std::vector<std::string>& texts) {
    for (size_t i = 0; i < texts.size(); ++i) TRY(Write(name + "-" + std::to_string(i + 1) + ".jws", texts[i]));
    return {};
  }
};

Result<std::vector<manifest::RootPackageDocument>> ReadPackages(AdminClient& client) {
  std::vector<manifest::RootPackageDocument> packages;
  TRY_ASSIGN(const auto answer, client.Get(std::string(api::admin::kPackagesPath), {{"from", "1"}}));
  for (const auto& text : ArrayOr(answer, "packages")) {
    if (!text.is_string()) return Fail(ErrorCode::kProtocolError, "a package is no text");
    TRY_ASSIGN(auto package, manifest::RootPackageDocument::Parse(text.as_string()));
    packages.push_back(std::move(package));
  }
  if (packages.empty()) return Fail(ErrorCode::kProtocolError, "the server names no package");
  return packages;
}

// The packages that were there at that time: judged as of then, a later one that lists other keys has no say.
Status WritePackages(Folder& folder, const std::vector<manifest::RootPackageDocument>& packages, UnixSeconds at) {
  for (const auto& document : packages) {
    if (document.package.published > at && document.package.version > packages.front().package.version) break;
    TRY(folder.Write("root-package-" + std::to_string(document.package.version) + ".json", document.text));
  }
  return {};
}

// The proof of the record at that place, if it is the one that is meant: of a log of the package, the present one
// first.
template <typename IsIt>
std::optional<merkle::LogProof> Prove(AdminClient& client, const manifest::RootPackage& package, int64_t log_index,
                                      const IsIt& is_it) {
  for (const auto& log : package.logs) {
    const auto policy = log.ToPolicy();
    if (!policy) continue;
    const translog::LogReader reader = ServedLog(client, {}, log.origin);
    const auto head = reader.ReadCheckpoint(*policy);
    if (!head || static_cast<uint64_t>(log_index) >= head->checkpoint.size) continue;
    auto proof = reader.BuildProof(static_cast<uint64_t>(log_index), *head);
    if (proof && is_it(AsText(proof->leaf))) return *std::move(proof);
  }
  return std::nullopt;
}

std::optional<merkle::LogProof> ProveBatch(AdminClient& client, const manifest::RootPackage& package,
                                           const ReceiptEvidence& receipt) {
  if (receipt.batch.empty()) return std::nullopt;
  const Sha256 root = merkle::RootOf(receipt.batch);
  return Prove(client, package, receipt.log_index, [&](std::string_view text) {
    const auto leaf = manifest::ReceiptBatchLeaf::Parse(text);
    return leaf && leaf->root == root;
  });
}

Status WriteReceipts(AdminClient& client, Folder& folder, const manifest::RootPackage& package,
                     const std::vector<ReceiptEvidence>& receipts, size_t& without_proof) {
  for (size_t i = 0; i < receipts.size(); ++i) {
    const std::string name = "receipt-" + std::to_string(i + 1);
    TRY(folder.Write(name + ".jws", receipts[i].receipt));
    const auto log_proof = ProveBatch(client, package, receipts[i]);
    if (!log_proof) {
      ++without_proof;
      continue;
    }
    const manifest::ReceiptProof proof{receipts[i].salt, receipts[i].place, receipts[i].batch,
                                       merkle::BuildLogProof(*log_proof)};
    TRY(folder.Write(name + ".proof.json", proof.Build()));
  }
  return {};
}

Result<std::string> KeysText(const std::vector<std::string>& keys) {
  codec::Json object = codec::Json::MakeObject();
  for (const auto& text : keys) {
    TRY_ASSIGN(const auto json, codec::ParseJson(text));
    TRY_ASSIGN(const auto jwk, jose::ParseJwk(json));
    const std::string thumbprint = jwk.key.key_id();
    if (object.Find(thumbprint) == nullptr) object.Set(thumbprint, json);
  }
  return object.Serialize();
}

struct Released {
  std::string manifest;
  std::string log_proof;
  UnixSeconds recorded;  // when the signature came onto the log
};
Result<Released> ReadReleased(AdminClient& client, const manifest::RootPackage& package, const std::string& id,
                              const EvidenceAnswer& evidence) {
  TRY_ASSIGN(const auto answer, client.Get(std::string(api::admin::kUpdatesPath) + "/" + id + "/documents"));
  Released released;
  TRY_ASSIGN(const auto manifest_text, TextOf(answer, "manifest"));
  TRY_ASSIGN(const auto manifest_bytes, codec::DecodeBase64Url(manifest_text));
  released.manifest = AsText(manifest_bytes);
  const Sha256 signature = crypto::HashSha256(evidence.manifest_signature);
  const auto proof = Prove(client, package, evidence.log_index, [&](std::string_view text) {
    const auto leaf = manifest::ManifestSignatureLeaf::Parse(text);
    if (!leaf || leaf->jws_sha256 != signature) return false;
    released.recorded = leaf->time;
    return true;
  });
  if (!proof) return Fail(ErrorCode::kLogProofMissing, "no log of the newest package has the record of the signature");
  released.log_proof = merkle::BuildLogProof(*proof);
  return released;
}

Result<UnixSeconds> IssuedOf(const std::string& order) {
  TRY_ASSIGN(const auto jws, jose::UnverifiedJws::Parse(order));
  TRY_ASSIGN(const auto parsed, manifest::Order::Parse(AsText(jws.unverified_payload())));
  return parsed.issued;
}

// How the update was decided, judged as of the moment its signature came onto the log.
Status WriteRelease(Folder& folder, const std::vector<manifest::RootPackageDocument>& packages,
                    const Released& released, const EvidenceAnswer& evidence) {
  TRY(sys::MakeDirectories(folder.path, 0755));
  TRY(WritePackages(folder, packages, released.recorded));
  TRY(folder.Write("manifest.json", released.manifest));
  TRY(folder.Write("manifest.jws", evidence.manifest_signature));
  TRY(folder.Write("log.proof", released.log_proof));
  TRY(folder.Write("request.jws", evidence.request));
  return folder.WriteAll("approval", evidence.approvals);
}

std::string AsOf(UnixSeconds time) {
  std::string text = FormatTime(time);
  std::replace(text.begin(), text.end(), ' ', 'T');
  return text;
}

std::string Line(const std::string& folder, const std::string& part, UnixSeconds as_of, const std::string& what) {
  return "  fleetseal verify " + folder + "/" + part + " --key " + folder + "/keys.json --as-of " + AsOf(as_of) +
         "\n      " + what + "\n";
}

}  // namespace

Status AuditExport(Context& context, const AuditExportOptions& options) {
  if (sys::FileExists(options.output) || sys::DirectoryExists(options.output))
    return Fail(ErrorCode::kAlreadyExists, options.output + ": evidence is never written over");
  TRY_ASSIGN(const DeviceId device, Argument("--device", DeviceId::Parse(options.device)));
  TRY_ASSIGN(auto client, AdminClient::OpenAny(context));
  TRY_ASSIGN(const auto update, FindUpdate(*client, options.update));
  TRY_ASSIGN(const auto id, TextOf(update, "id"));
  TRY_ASSIGN(const auto answer,
             client->Get(std::string(api::admin::kDevicesPath) + "/" + device.text() + "/evidence", {{"update", id}}));
  TRY_ASSIGN_CONTEXT(const auto evidence, EvidenceAnswer::Parse(answer), "reading the evidence");
  if (!evidence.order || !evidence.plan)
    return Fail(ErrorCode::kNotFound, device.text() + " never got an order for this update");
  TRY_ASSIGN(const auto packages, ReadPackages(*client));
  TRY_ASSIGN(const auto released, ReadReleased(*client, packages.back().package, id, evidence));
  TRY_ASSIGN(const auto keys, KeysText(evidence.keys));
  TRY_ASSIGN(const UnixSeconds ordered, IssuedOf(*evidence.order));

  Folder release{sys::JoinPath(options.output, "release")};
  TRY(WriteRelease(release, packages, released, evidence));
  Folder delivery{sys::JoinPath(options.output, "delivery")};
  TRY(sys::MakeDirectories(delivery.path, 0755));
  TRY(WritePackages(delivery, packages, ordered));
  TRY(delivery.Write("plan.jws", *evidence.plan));
  TRY(delivery.Write("order.jws", *evidence.order));
  size_t without_proof = 0;
  TRY(WriteReceipts(*client, delivery, packages.back().package, evidence.receipts, without_proof));
  TRY(sys::WriteFileDurably(sys::JoinPath(options.output, "keys.json"), AsBytes(keys), 0644));

  codec::Json json = codec::Json::MakeObject();
  json.Set("folder", options.output).Set("releaseAsOf", released.recorded.value).Set("deliveryAsOf", ordered.value);
  json.Set("receipts", std::ssize(evidence.receipts)).Set("receiptsWithoutProof", static_cast<int64_t>(without_proof));
  std::string text = FormatCount(static_cast<int64_t>(release.files + delivery.files), "document") + " written to " +
                     options.output + "; judge them offline:\n";
  text += Line(options.output, "release", released.recorded, "who asked, who approved, what was signed and recorded");
  text += Line(options.output, "delivery", ordered, "who planned, what was ordered, what the device answered");
  if (evidence.receipts.empty()) text += "the device has not answered yet: there is no receipt\n";
  if (without_proof > 0)
    text += FormatCount(static_cast<int64_t>(without_proof), "receipt") +
            " without proof: the batch is of a log that was left, or of an older signer\n";
  Answer(context, json, text);
  return {};
}

}  // namespace fleetseal::cli
