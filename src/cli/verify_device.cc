#include "cli/verify_device.h"

#include <fcntl.h>

#include <algorithm>
#include <limits>

#include "api/installer/messages.h"
#include "base/limits.h"
#include "cli/documents.h"
#include "cli/verify_chain.h"
#include "crypto/digest.h"
#include "crypto/long_digest.h"
#include "sys/file.h"
#include "trust/offer.h"

namespace fleetseal::cli {
namespace {

namespace wire = api::installer;

constexpr size_t kStateBytesMax = 4 * 1024 * 1024;
constexpr size_t kDeviceBytesMax = 64 * 1024;

// What is offered, and which files it came from.
struct Offered {
  wire::OfferDocumentsRequest request;
  std::vector<Report::Files> package_files;  // as request.packages
  Report::Files status_files;
  Report::Files order_files;
};

Result<trust::TrustState> ReadState(const std::string& path) {
  TRY_ASSIGN(const std::string text, sys::ReadTextFile(path, kStateBytesMax));
  TRY_ASSIGN_CONTEXT(trust::TrustState state, trust::TrustState::Parse(text), path);
  // A device with such a state would answer nothing at all.
  if (const auto whole = trust::CheckStored(state, {}); !whole)
    return Fail(whole.error().code, path + ": " + whole.error().detail);
  return state;
}

Result<Offered> ReadOffer(const std::string& path) {
  TRY_ASSIGN(const std::string text, sys::ReadTextFile(path, limits::kLocalMessageBytesMax));
  TRY_ASSIGN_CONTEXT(wire::InstallerRequest request, wire::ParseInstallerRequest(text), path);
  auto* documents = std::get_if<wire::OfferDocumentsRequest>(&request);
  if (documents == nullptr) return Fail(ErrorCode::kInvalidArgument, path + " is no offer-documents message");
  Offered offered{std::move(*documents), {}, {path}, {path}};
  offered.package_files.assign(offered.request.packages.size(), {path});
  return offered;
}

// The next packages by their versions. One that cannot be read comes last, and is refused there.
void OfferPackages(const std::vector<FoundDocument>& documents, const trust::TrustState& state, Offered& offered,
                   Report& report) {
  std::vector<std::pair<int64_t, const FoundDocument*>> packages;
  for (const FoundDocument& document : documents) {
    if (document.kind != DocumentKind::kPackage) continue;
    const auto parsed = manifest::RootPackageDocument::Parse(document.text);
    const int64_t version = parsed ? parsed->package.version : std::numeric_limits<int64_t>::max();
    const auto known = state.package_hashes.find(version);
    if (parsed && known != state.package_hashes.end() && known->second == parsed->signed_sha256)
      report.Good("root-key package " + std::to_string(version), {document.path}, "the device knows it already");
    else
      packages.emplace_back(version, &document);
  }
  std::stable_sort(packages.begin(), packages.end(),
                   [](const auto& left, const auto& right) { return left.first < right.first; });
  for (const auto& [version, document] : packages) {
    offered.request.packages.push_back(document->text);
    offered.package_files.push_back({document->path});
  }
}

// The one document of a kind; nullptr if there is none.
Result<const FoundDocument*> OneOf(const std::vector<FoundDocument>& documents, DocumentKind kind) {
  const FoundDocument* found = nullptr;
  for (const FoundDocument& document : documents) {
    if (document.kind != kind) continue;
    if (found != nullptr)
      return Fail(ErrorCode::kInvalidArgument, "a device is given one " + std::string(KindName(kind)) +
                                                   " at a time, and there are " + found->path + " and " +
                                                   document.path);
    found = &document;
  }
  return found;
}

Result<Offered> OfferOf(const std::vector<FoundDocument>& documents, const trust::TrustState& state, Report& report) {
  Offered offered;
  OfferPackages(documents, state, offered, report);
  const auto take = [&](DocumentKind kind, std::optional<std::string>& text, Report::Files& files) -> Status {
    TRY_ASSIGN(const FoundDocument* document, OneOf(documents, kind));
    if (document == nullptr) return {};
    text = document->text;
    files.push_back(document->path);
    return {};
  };
  std::optional<std::string> manifest;
  TRY(take(DocumentKind::kStatus, offered.request.status, offered.status_files));
  TRY(take(DocumentKind::kOrder, offered.request.order, offered.order_files));
  TRY(take(DocumentKind::kManifest, manifest, offered.order_files));
  TRY(take(DocumentKind::kManifestSignature, offered.request.manifest_signature, offered.order_files));
  TRY(take(DocumentKind::kLogProof, offered.request.log_proof, offered.order_files));
  if (manifest) offered.request.manifest = ToBytes(AsBytes(*manifest));
  return offered;
}

bool IsOffered(DocumentKind kind) {
  return kind == DocumentKind::kPackage || kind == DocumentKind::kStatus || kind == DocumentKind::kOrder ||
         kind == DocumentKind::kManifest || kind == DocumentKind::kManifestSignature || kind == DocumentKind::kLogProof;
}

trust::OfferVerdict Judge(const trust::TrustState& state, const trust::DeviceProfile& device,
                          const wire::OfferDocumentsRequest& request, UnixSeconds now) {
  const std::vector<std::string_view> packages(request.packages.begin(), request.packages.end());
  trust::OfferedDocuments offered;
  offered.packages = packages;
  offered.status = request.status;
  offered.order = request.order;
  if (request.manifest) offered.manifest = AsText(*request.manifest);
  offered.manifest_signature = request.manifest_signature ? std::string_view(*request.manifest_signature) : "";
  offered.log_proof = request.log_proof ? std::string_view(*request.log_proof) : "";
  if (request.consistency) offered.consistency = *request.consistency;
  return trust::Offer(state, device, offered, {now, std::nullopt, {}});
}

std::string_view OfferedName(trust::OfferedKind kind) {
  switch (kind) {
    case trust::OfferedKind::kPackage:
      return "package";
    case trust::OfferedKind::kStatus:
      return "status";
    case trust::OfferedKind::kOrder:
      return "order";
  }
  return {};
}

void ReportOrder(const trust::OfferVerdict& verdict, const Offered& offered, Report& report) {
  const trust::AcceptedOrder& accepted = *verdict.order;
  const manifest::Order& order = accepted.order.order();
  const std::string id = "order " + order.order_id.text() + " of plan " + order.plan_id.text();
  std::vector<Link> chain = SignerChain(verdict.state.root_package(), accepted.order.signer(),
                                        {id + ", " + DatesText(order.issued, order.expires)});
  std::string what = accepted.is_repeat ? "the device has taken it before: " : "the device takes it: ";
  if (!accepted.manifest) return report.Good("order", offered.order_files, what + "a cancel", std::move(chain));
  const trust::VerifiedManifest& manifest = *accepted.manifest;
  auto below = SignerChain(verdict.state.root_package(), manifest.signer(),
                           {"manifest, SHA-256 " + ToBase64Url(manifest.sha256())});
  chain.insert(chain.end(), below.begin(), below.end());
  what += manifest.manifest().product.text() + " " + manifest.manifest().version.text() + ", release counter " +
          std::to_string(manifest.signature().release_counter);
  if (accepted.is_installed) what += ", which is installed";
  report.Good("order", offered.order_files, what, std::move(chain));
}

// One finding a document, in the order of the checks. What comes after a refusal was not looked at.
void ReportVerdict(const trust::OfferVerdict& verdict, const trust::TrustState& before, const Offered& offered,
                   Report& report) {
  const wire::OfferDocumentsRequest& request = offered.request;
  const int64_t first_version = before.root_package().version + 1;
  bool has_stopped = false;
  const auto stop = [&](const std::string& name, const Report::Files& files, trust::OfferedKind kind) {
    if (!has_stopped && verdict.refusal && verdict.refusal->document == kind)
      report.Bad(name, files, verdict.refusal->refusal);
    else
      report.NotJudged(name, files, "a device stops at what it refuses");
    has_stopped = true;
  };
  std::string_view newest = before.package->text;
  size_t accepted = 0;
  for (size_t i = 0; i < request.packages.size(); ++i) {
    if (request.packages[i] == newest) {
      report.Good("root-key package", offered.package_files[i], "the device knows it already");
    } else if (accepted == verdict.packages_accepted) {
      stop("root-key package", offered.package_files[i], trust::OfferedKind::kPackage);
    } else {
      const std::string version = std::to_string(first_version + static_cast<int64_t>(accepted));
      const bool is_last = ++accepted == verdict.packages_accepted;
      report.Good("root-key package " + version, offered.package_files[i], "the device steps to it",
                  is_last ? PackageChain(*verdict.state.package) : std::vector<Link>{});
      newest = request.packages[i];
    }
  }
  if (request.status && verdict.is_status_accepted) {
    const auto& status = *verdict.state.status;
    report.Good("status", offered.status_files,
                "version " + std::to_string(status.version) + ", epoch " + std::to_string(status.epoch) +
                    ", the device takes it; " + DatesText(status.issued, status.expires));
  } else if (request.status) {
    // An expired package is found when the status comes.
    const bool is_package = verdict.refusal && verdict.refusal->document == trust::OfferedKind::kPackage;
    stop("status", offered.status_files, is_package ? trust::OfferedKind::kPackage : trust::OfferedKind::kStatus);
  }
  if (request.order && verdict.order)
    ReportOrder(verdict, offered, report);
  else if (request.order)
    stop("order", offered.order_files, trust::OfferedKind::kOrder);
  else if (request.manifest || request.manifest_signature || request.log_proof)
    report.NotJudged("manifest", offered.order_files,
                     "a device looks at a manifest, its signature and proof with an order only");
}

Result<trust::ComputedFile> ComputeFile(const std::string& path) {
  TRY_ASSIGN(const auto file, sys::OpenFile(path, O_RDONLY));
  crypto::Sha256Hasher sha256;
  crypto::LongHasher sha384(crypto::LongDigest::kSha384);
  crypto::LongHasher sha512(crypto::LongDigest::kSha512);
  trust::ComputedFile computed;
  Bytes buffer(limits::kSegmentBytes);
  while (true) {
    TRY_ASSIGN(const size_t count, sys::ReadUpToAt(file.get(), buffer, computed.size.value));
    if (count == 0) break;
    const ByteView bytes = ByteView(buffer).first(count);
    sha256.Update(bytes);
    sha384.Update(bytes);
    sha512.Update(bytes);
    computed.size.value += count;
  }
  computed.sha256 = sha256.Finish();
  computed.sha384 = sha384.Finish();
  computed.sha512 = sha512.Finish();
  return computed;
}

// Check 11, after the order was taken: size and every hash that its manifest lists.
Result<std::optional<Refusal>> JudgeContents(const std::vector<std::string>& contents,
                                             const trust::OfferVerdict& verdict, Report& report) {
  std::optional<Refusal> first;
  for (const std::string& content : contents) {
    const size_t sign = content.find('=');
    if (sign == std::string::npos) return Fail(ErrorCode::kInvalidArgument, "--content is FILE_ID=FILE");
    const std::string id = content.substr(0, sign);
    const std::string path = content.substr(sign + 1);
    TRY_ASSIGN(const trust::ComputedFile computed, ComputeFile(path));
    if (!verdict.order || !verdict.order->manifest) {
      report.NotJudged("content", {path}, "there is no order that the device takes it for");
      continue;
    }
    const manifest::UpdateFile* file = verdict.order->manifest->manifest().FindFile(id);
    const Verdict<void> checked = file != nullptr
                                      ? trust::CheckFile(*file, computed)
                                      : Refuse(ErrorCode::kFileNotInManifest, "the manifest has no file " + id);
    if (checked) {
      report.Good("content", {path}, "file " + id + ", " + std::to_string(computed.size.value) + " bytes");
      continue;
    }
    report.Bad("content", {path}, checked.error());
    if (!first) first = checked.error();
  }
  return first;
}

codec::Json RefusalJson(std::string_view document, const Refusal& refusal) {
  codec::Json json = codec::Json::MakeObject();
  json.Set("document", document).Set("code", ErrorCodeName(refusal.code)).Set("detail", refusal.detail);
  return json;
}

codec::Json AnswerJson(const trust::OfferVerdict& verdict, const std::optional<Refusal>& content,
                       const trust::DeviceProfile& device, int64_t first_version) {
  codec::Json accepted = codec::Json::MakeArray();
  for (size_t i = 0; i < verdict.packages_accepted; ++i)
    accepted.Push("package " + std::to_string(first_version + static_cast<int64_t>(i)));
  if (verdict.is_status_accepted) accepted.Push("status");
  if (verdict.order) accepted.Push("order");
  codec::Json json = codec::Json::MakeObject();
  json.Set("deviceId", device.device_id.text()).Set("accepted", std::move(accepted));
  if (verdict.refusal)
    json.Set("refusal", RefusalJson(OfferedName(verdict.refusal->document), verdict.refusal->refusal));
  else if (content)
    json.Set("refusal", RefusalJson("content", *content));
  json.Set("trustStateSha256", ToBase64Url(crypto::HashSha256(verdict.state.Serialize())));
  return json;
}

}  // namespace

Status JudgeAsDevice(const DeviceQuestion& question, const std::vector<FoundDocument>& documents, UnixSeconds now,
                     Report& report, codec::Json& answer) {
  if (!question.offer.empty() && !documents.empty())
    return Fail(ErrorCode::kInvalidArgument, "name documents, or --offer FILE with all of them");
  TRY_ASSIGN(const trust::TrustState state, ReadState(question.trust_state));
  TRY_ASSIGN(const std::string device_text, sys::ReadTextFile(question.device, kDeviceBytesMax));
  TRY_ASSIGN_CONTEXT(const auto description, trust::ParseDeviceDescription(device_text), question.device);
  TRY_ASSIGN(const Offered offered,
             question.offer.empty() ? OfferOf(documents, state, report) : ReadOffer(question.offer));
  const auto verdict = Judge(state, description.device, offered.request, now);
  ReportVerdict(verdict, state, offered, report);
  for (const FoundDocument& document : documents) {
    const std::string name(KindName(document.kind));
    if (document.refusal)
      report.Bad(name, {document.path}, *document.refusal);
    else if (!IsOffered(document.kind))
      report.NotJudged(name, {document.path}, "not among what a device is offered: leave it out");
  }
  TRY_ASSIGN(const std::optional<Refusal> content, JudgeContents(question.contents, verdict, report));
  answer.Set("device", AnswerJson(verdict, content, description.device, state.root_package().version + 1));
  return {};
}

}  // namespace fleetseal::cli
