#include "cli/verify_documents.h"

#include <fcntl.h>

#include <algorithm>

#include "base/limits.h"
#include "codec/json.h"
#include "jose/sjwk.h"
#include "manifest/security_replacement.h"
#include "manifest/typ.h"
#include "merkle/checkpoint.h"
#include "merkle/note.h"
#include "sealing/sealed_file.h"
#include "sys/file.h"
#include "trust/security_replacement.h"

namespace fleetseal::cli {
namespace {

constexpr size_t kTextBytesMax = 4 * 1024 * 1024;  // a trust state
constexpr std::string_view kSealedMagic("FLTSEAL\0", 8);

struct KindRow {
  DocumentKind kind;
  std::string_view name;
  std::string_view typ;
};
constexpr KindRow kKinds[] = {
    {DocumentKind::kPackage, "root-key package", ""},
    {DocumentKind::kManifest, "manifest", ""},
    {DocumentKind::kManifestSignature, "manifest signature", manifest::kTypManifest},
    {DocumentKind::kStatus, "status", manifest::kTypStatus},
    {DocumentKind::kOrder, "order", manifest::kTypOrder},
    {DocumentKind::kPermit, "permit", manifest::kTypPermit},
    {DocumentKind::kSigningKey, "signing key", jose::kSigningKeyTyp},
    {DocumentKind::kSecurityReplacement, "security replacement", manifest::kTypSecurityReplacement},
    {DocumentKind::kRequest, "request", manifest::kTypRequest},
    {DocumentKind::kApproval, "approval", manifest::kTypApproval},
    {DocumentKind::kPlan, "plan", manifest::kTypPlan},
    {DocumentKind::kRevocation, "revocation", manifest::kTypRevocation},
    {DocumentKind::kRegisterChange, "register-change", manifest::kTypRegisterChange},
    {DocumentKind::kReceipt, "receipt", manifest::kTypReceipt},
    {DocumentKind::kDeviceKeys, "device-keys", manifest::kTypDeviceKeys},
    {DocumentKind::kEnrolment, "enrolment", manifest::kTypEnrolment},
    {DocumentKind::kLogProof, "log proof", ""},
    {DocumentKind::kReceiptProof, "receipt proof", ""},
    {DocumentKind::kCheckpoint, "checkpoint", ""},
    {DocumentKind::kTrustState, "trust state", ""},
    {DocumentKind::kSealedFile, "sealed file", ""},
    {DocumentKind::kDeployment, "deployment message", ""},
    {DocumentKind::kUnknown, "unknown file", ""},
};

void ReadJws(FoundDocument& found, bool is_loose) {
  auto jws = jose::UnverifiedJws::Parse(found.text, limits::kJwsBytesMax,
                                        is_loose ? jose::HeaderPolicy::kLoose : jose::HeaderPolicy::kFleetseal);
  if (!jws) {
    found.refusal = Refusal(jws.error());
    return;
  }
  const std::string& typ = jws->header().typ;
  const auto row = std::find_if(std::begin(kKinds), std::end(kKinds),
                                [&](const KindRow& each) { return !each.typ.empty() && each.typ == typ; });
  if (row != std::end(kKinds))
    found.kind = row->kind;
  else if (is_loose && typ.empty() && jws->header().sjwk)
    found.kind = DocumentKind::kManifestSignature;
  else
    found.refusal = Refusal(ErrorCode::kTypMismatch, "typ is " + (typ.empty() ? "missing" : typ));
  if (found.kind == DocumentKind::kSecurityReplacement) found.signatures = {jws->compact()};
  found.jws = *std::move(jws);
}

// What goes from one holder of a root to the next.
void ReadReplacement(FoundDocument& found, const codec::Json& json) {
  found.kind = DocumentKind::kSecurityReplacement;
  codec::ObjectReader reader(json, "security replacement");
  const std::string payload = reader.String("payload", kTextBytesMax);
  found.signatures = reader.Strings("jws", trust::kReplacementSignaturesMax);
  Status read = reader.Finish();
  for (size_t i = 0; read && i < found.signatures.size(); ++i) {
    const auto jws = jose::UnverifiedJws::Parse(found.signatures[i]);
    if (!jws)
      read = tl::unexpected(jws.error());
    else if (AsText(jws->unverified_payload()) != payload)
      read = Fail(ErrorCode::kSignatureInvalid, "a signature is over another text than the one shown");
  }
  if (!read) found.refusal = Refusal(read.error());
}

void ReadJson(FoundDocument& found) {
  const auto json = codec::ParseJson(found.text, {.bytes_max = kTextBytesMax});
  if (!json) {
    found.refusal = Refusal(json.error());
    return;
  }
  const auto has = [&](std::string_view name) { return json->Find(name) != nullptr; };
  if (has("protected"))
    found.kind = DocumentKind::kPackage;
  else if (has("manifestVersion"))
    found.kind = DocumentKind::kManifest;
  else if (has("updateManifest") && has("updateManifestSignature"))
    found.kind = DocumentKind::kDeployment;
  else if (has("format") && has("profile") && has("package") && has("timeFloor"))
    found.kind = DocumentKind::kTrustState;
  else if (has("format") && has("batch") && has("logProof"))
    found.kind = DocumentKind::kReceiptProof;
  else if (has("payload") && has("jws"))
    ReadReplacement(found, *json);
}

// A signed note whose text is a checkpoint; a note with another text is no document of ours.
void ReadNote(FoundDocument& found) {
  const auto note = merkle::ParseNote(found.text);
  if (!note) {
    found.refusal = Refusal(note.error());
  } else if (const auto checkpoint = merkle::ParseCheckpoint(note->text); checkpoint) {
    found.kind = DocumentKind::kCheckpoint;
  } else {
    found.refusal = Refusal(checkpoint.error());
  }
}

}  // namespace

std::string_view KindName(DocumentKind kind) {
  const auto row =
      std::find_if(std::begin(kKinds), std::end(kKinds), [&](const KindRow& each) { return each.kind == kind; });
  return row == std::end(kKinds) ? "" : row->name;
}

Result<FoundDocument> ReadDocument(const std::string& path, bool is_loose) {
  FoundDocument found;
  found.path = path;
  if (sys::DirectoryExists(path)) return found;
  TRY_ASSIGN(const auto file, sys::OpenFile(path, O_RDONLY));
  TRY_ASSIGN(const ByteCount size, sys::SizeOf(file.get()));
  found.size = size.value;
  found.head.resize(sealing::kHeaderBytes);
  TRY_ASSIGN(const size_t count, sys::ReadUpToAt(file.get(), found.head, 0));
  found.head.resize(count);
  if (AsText(found.head).starts_with(kSealedMagic)) {
    found.kind = DocumentKind::kSealedFile;
    return found;
  }
  auto text = sys::ReadTextFile(path, kTextBytesMax);
  if (!text) {
    if (text.error().code != ErrorCode::kDocumentTooLarge) return tl::unexpected(text.error());
    found.refusal = Refusal(text.error());
    return found;
  }
  found.text = *std::move(text);
  if (found.text.starts_with("c2sp.org/tlog-proof@"))
    found.kind = DocumentKind::kLogProof;
  else if (found.text.starts_with("{"))
    ReadJson(found);
  else if (found.text.starts_with("ey"))
    ReadJws(found, is_loose);
  else if (found.text.find("\n\n\xe2\x80\x94 ") != std::string::npos)
    ReadNote(found);
  return found;
}

Result<std::vector<std::string>> ExpandPaths(const std::vector<std::string>& paths) {
  std::vector<std::string> files;
  for (const auto& path : paths) {
    if (!sys::DirectoryExists(path)) {
      files.push_back(path);
      continue;
    }
    TRY_ASSIGN(auto names, sys::ListDirectory(path));
    std::sort(names.begin(), names.end());
    for (const auto& name : names) files.push_back(sys::JoinPath(path, name));
  }
  if (files.empty()) return Fail(ErrorCode::kInvalidArgument, "name documents or folders of documents");
  return files;
}

}  // namespace fleetseal::cli
