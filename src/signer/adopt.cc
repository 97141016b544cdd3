// --adopt FOLDER
#include <map>

#include "crypto/digest.h"
#include "jose/jwk.h"
#include "jose/sjwk.h"
#include "manifest/log_leaf.h"
#include "pki/csr.h"
#include "signer/ceremony.h"
#include "signer/register_flow.h"
#include "signer/service.h"
#include "signer/store/device_store.h"
#include "signer/store/plan_store.h"

namespace fleetseal::signer {
namespace {

using codec::Json;

constexpr size_t kFileBytesMax = 1024 * 1024;
constexpr std::string_view kPersonPrefix = "person-";

// What the folder holds, verified.
struct Adoption {
  std::string package_text;
  std::optional<trust::TrustState> trust;
  std::map<std::string, std::string> sjwks;  // by kid
  SecurityKeys security;
  std::optional<VerifiedChange> change;
  std::optional<crypto::PublicKey> server_key;
  CaKeys::ServerNames server_names;
  std::map<std::string, crypto::PublicKey> person_keys;  // by person id
};

Result<std::string> ReadIn(const std::string& folder, std::string_view name) {
  TRY_ASSIGN_CONTEXT(std::string text, sys::ReadTextFile(sys::JoinPath(folder, name), kFileBytesMax),
                     "read what to adopt");
  return text;
}

std::string_view Trimmed(std::string_view text) {
  return text.ends_with('\n') ? text.substr(0, text.size() - 1) : text;
}

// The package lists this key under this kid, and a root of it signed exactly this key.
Result<std::string> AdoptSjwk(const std::string& folder, const trust::TrustState& trust, const KeyFacts& facts,
                              jose::ModulusForm form) {
  TRY_ASSIGN(const std::string text, ReadIn(folder, "sjwk/" + facts.kid + ".jws"));
  const std::string compact(Trimmed(text));
  const auto& package = trust.root_package();
  TRY(CheckSjwk(package, compact, facts, form));
  const manifest::SigningKeyListing* listing = package.FindListing(facts.kid);
  if (listing == nullptr || listing->thumbprint != facts.key.thumbprint() ||
      manifest::KeyRoleName(listing->role) != PurposeText(facts.purpose)) {
    return Fail(ErrorCode::kSigningKeyNotListed, facts.kid + " is not what the roots signed and the package lists");
  }
  return compact;
}

Status ReadTrust(const Core& core, const std::string& folder, Adoption& adoption) {
  TRY_ASSIGN(adoption.package_text, ReadIn(folder, "package.json"));
  auto trust = trust::Provision(adoption.package_text, core.Now(), core.profile());
  if (!trust) return Fail(trust.error());
  if (const auto good = trust::CheckPackage(*trust->package); !good) return Fail(good.error());
  if (const auto fresh = trust::JudgePackageFresh(*trust, core.Now()); !fresh) return Fail(fresh.error());
  adoption.trust = *std::move(trust);
  const auto form = core.config().is_adu_readable ? jose::ModulusForm::kStandardBase64 : jose::ModulusForm::kBase64Url;
  for (const auto& key : core.keys().All()) {
    TRY_ASSIGN(adoption.sjwks[key->facts.kid], AdoptSjwk(folder, *adoption.trust, key->facts, form));
  }
  return {};
}

Status ReadSecurity(const std::string& folder, Adoption& adoption) {
  TRY_ASSIGN(const std::string text, ReadIn(folder, "security.json"));
  TRY_ASSIGN_CONTEXT(const Json json, codec::ParseJson(text), "security.json");
  codec::ObjectReader reader(json, "security.json");
  const int64_t quorum = reader.Integer("quorum", 1);
  const Json keys(reader.Array("keys", 32));
  TRY(reader.Finish());
  TRY_ASSIGN(adoption.security, ParseSecurityKeys(keys.Serialize(), quorum));
  return {};
}

Status ReadChange(const Core& core, const std::string& folder, Adoption& adoption) {
  TRY_ASSIGN(const std::string text, ReadIn(folder, "register-change.json"));
  TRY_ASSIGN_CONTEXT(const Json json, codec::ParseJson(text), "register-change.json");
  codec::ObjectReader reader(json, "register-change.json");
  std::vector<std::string> jws;
  for (const Json& one : reader.Array("jws", 32)) {
    if (!one.is_string())
      reader.Stop(ErrorCode::kMemberTypeWrong, "jws", "not a string");
    else
      jws.push_back(one.as_string());
  }
  TRY(reader.Finish());
  TRY_ASSIGN(adoption.change, VerifyChange(core, adoption.security, jws));
  if (adoption.change->change.is_about_keys())
    return Fail(ErrorCode::kInvalidArgument, "the first register-change makes and retires no keys");
  if (adoption.change->change.new_log() != nullptr)
    return Fail(ErrorCode::kInvalidArgument, "the first register-change makes no log");
  if (adoption.change->change.replace_ca() != nullptr)
    return Fail(ErrorCode::kInvalidArgument, "the first register-change replaces no CA");
  return {};
}

Status ReadRequests(const std::string& folder, Adoption& adoption) {
  const std::string csr_folder = sys::JoinPath(folder, "csr");
  TRY_ASSIGN(const auto names, sys::ListDirectory(csr_folder));
  for (const auto& name : names) {
    if (!name.ends_with(".der")) return Fail(ErrorCode::kInvalidArgument, "csr/" + name + " is no request");
    TRY_ASSIGN(const Bytes der, sys::ReadFile(sys::JoinPath(csr_folder, name), kFileBytesMax));
    TRY_ASSIGN_CONTEXT(const pki::CertificateRequest request, pki::ParseCertificateRequest(der), name);
    const std::string subject = name.substr(0, name.size() - 4);
    if (subject == "server") {
      adoption.server_key = request.public_key;
    } else if (subject.starts_with(kPersonPrefix)) {
      adoption.person_keys.emplace(subject.substr(kPersonPrefix.size()), request.public_key);
    } else {
      return Fail(ErrorCode::kInvalidArgument, "csr/" + name + " is for nobody");
    }
  }
  if (!adoption.server_key) return {};
  TRY_ASSIGN(const std::string text, ReadIn(folder, "server-names.json"));
  TRY_ASSIGN_CONTEXT(const Json json, codec::ParseJson(text), "server-names.json");
  codec::ObjectReader reader(json, "server-names.json");
  adoption.server_names = {reader.Strings("dns", 64), reader.Strings("ips", 64)};
  return reader.Finish();
}

// A pinned key that is nobody's could be revoked by nobody.
Status RequirePinnedArePeople(storage::Session& session) {
  TRY_ASSIGN(const auto state, store::ReadRegisterState(session));
  TRY_ASSIGN(const SecurityKeys pinned, ParseSecurityKeys(state->security_keys, state->quorum));
  TRY_ASSIGN(const SecurityKeys counting, CountingKeys(session, *state));
  if (counting.keys.size() == pinned.keys.size()) return {};
  return Fail(ErrorCode::kPersonUnknown,
              "the first register-change makes not every key of security.json a person's "
              "with the role security");
}

// Everything of one adoption, inside the caller's transaction.
Status Apply(storage::Session& session, const Adoption& adoption, int64_t log_index) {
  TRY(store::InsertPackage(session, {adoption.trust->root_package().version, adoption.package_text}));
  for (const auto& [kid, compact] : adoption.sjwks) TRY(store::PutSjwk(session, kid, compact));
  TRY(store::PutRegisterState(session, {0, adoption.security.quorum, BuildSecurityKeys(adoption.security.keys)}));
  TRY(ApplyChange(session, *adoption.change, log_index));
  TRY(RequirePinnedArePeople(session));
  for (const auto& [id, key] : adoption.person_keys) {
    TRY_ASSIGN(const auto person, store::FindPerson(session, id));
    if (!person || person->kid != key.key_id())
      return Fail(ErrorCode::kPersonUnknown, "csr/person-" + id + ".der has no such person");
  }
  return {};
}

Status TryApply(const Core& core, const Adoption& adoption) {
  const Status outcome = core.database().WithTransaction([&](storage::Session& session) -> Status {
    TRY(Apply(session, adoption, 0));
    return Fail(ErrorCode::kCancelled, "only tried");
  });
  if (!outcome && outcome.error().code == ErrorCode::kCancelled) return {};
  return outcome;
}

Result<Adoption> ReadAll(const Core& core, const std::string& folder) {
  Adoption adoption;
  TRY(ReadTrust(core, folder, adoption));
  TRY(ReadSecurity(folder, adoption));
  TRY(ReadChange(core, folder, adoption));
  TRY(ReadRequests(folder, adoption));
  TRY(TryApply(core, adoption));
  return adoption;
}

Status RecordAndApply(Core& core, const Adoption& adoption) {
  const auto& change = *adoption.change;
  const manifest::PackageLeaf package{core.Now(), adoption.trust->root_package().version,
                                      adoption.trust->package->signed_sha256};
  const manifest::PersonDocumentLeaf people{"register-change", core.Now(), crypto::HashSha256(change.documents.front()),
                                            change.change.change_id.text()};
  TRY_ASSIGN(const auto indices, core.Record({package.Build(), people.Build()}));
  TRY(core.database().WithTransaction(
      [&](storage::Session& session) { return Apply(session, adoption, indices.back()); }));
  core.SetTrust(*adoption.trust);
  return {};
}

struct Issued {
  std::string name;  // in the output
  std::string kind;
  std::string subject;
  pki::Certificate certificate;
};

Result<Json> IssueCertificates(const Core& core, const Adoption& adoption) {
  std::vector<Issued> issued;
  if (adoption.server_key) {
    TRY_ASSIGN(pki::Certificate certificate,
               core.cas().IssueServer(adoption.server_names, *adoption.server_key, core.Now()));
    issued.push_back({"server", "server", "server", std::move(certificate)});
  }
  for (const auto& [id, key] : adoption.person_keys) {
    TRY_ASSIGN(const PersonId person, PersonId::Parse(id));
    TRY_ASSIGN(pki::Certificate certificate, core.cas().IssuePerson(person, key, core.Now()));
    issued.push_back({std::string(kPersonPrefix) + id, "person", id, std::move(certificate)});
  }
  Json certificates = Json::MakeObject();
  for (const auto& one : issued) {
    const Sha256& fingerprint = one.certificate.fingerprint();
    TRY_ASSIGN(const int64_t index, core.Record(manifest::CertificateLeaf{core.Now(), fingerprint, one.kind}.Build()));
    TRY(core.database().WithTransaction([&](storage::Session& session) {
      return store::InsertCertificate(session, {Text(fingerprint), one.kind, one.subject, 0, false, index});
    }));
    certificates.Set(one.name, one.certificate.ToPem());
  }
  return Json::MakeObject().Set("certificates", std::move(certificates));
}

}  // namespace

Result<Json> AdoptOrganisation(const Config& config, const std::string& folder, const sys::Clock& clock) {
  TRY_ASSIGN(const auto service, SignerService::Open(config, clock));
  Core& core = service->core();
  if (core.Trust())
    return Fail(ErrorCode::kAlreadyExists,
                "the organisation was adopted already; if its creation was interrupted, remove the "
                "directory and create it again");
  TRY_ASSIGN(const Adoption adoption, ReadAll(core, folder));
  TRY(RecordAndApply(core, adoption));
  return IssueCertificates(core, adoption);
}

}  // namespace fleetseal::signer
