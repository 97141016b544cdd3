#include "cli/identity.h"

#include <algorithm>

#include "cli/arguments.h"
#include "config/toml_reader.h"
#include "jose/jws.h"
#include "pki/csr.h"
#include "sys/file.h"

namespace fleetseal::cli {
namespace {

std::string QuotedList(const std::vector<manifest::PersonRole>& roles) {
  std::string text;
  for (const auto role : roles) {
    if (!text.empty()) text += ", ";
    text += "\"" + std::string(manifest::PersonRoleName(role)) + "\"";
  }
  return text;
}

Result<crypto::PrivateKey> ReadKey(const std::string& folder) {
  TRY_ASSIGN(const auto pem, sys::ReadSecretFile(folder + "/person.key", 16 * 1024));
  return crypto::PrivateKey::FromPem(AsText(pem.reveal()));
}

// The folders below `identities` that can be used, sorted.
std::vector<std::string> IdentityNames(const std::string& identities) {
  auto names = sys::ListDirectory(identities);
  if (!names) return {};
  std::erase_if(*names, [&](const auto& name) {
    const std::string folder = sys::JoinPath(identities, name);
    return !sys::FileExists(folder + "/identity.toml") || !sys::FileExists(folder + "/person.crt");
  });
  std::sort(names->begin(), names->end());
  return *std::move(names);
}

std::string Known(const std::string& identities) {
  if (identities.empty()) return "; a name alone needs FLEETSEAL_IDENTITIES";
  std::string text;
  for (const auto& name : IdentityNames(identities)) text += (text.empty() ? "; there are: " : ", ") + name;
  return text;
}

// A name below context.identities, or a path.
std::string FolderOf(const Context& context) {
  if (context.identity.find('/') != std::string::npos) return context.identity;
  return sys::JoinPath(context.identities, context.identity);
}

}  // namespace

Result<std::unique_ptr<Identity>> Identity::Load(const std::string& folder) {
  TRY_ASSIGN_CONTEXT(auto file, config::TomlFile::Load(folder + "/identity.toml"), "reading the identity in " + folder);
  auto reader = file->root();
  std::unique_ptr<Identity> identity(new Identity());
  identity->folder_ = folder;
  identity->id_ = reader.Parsed<PersonId>("id");
  identity->organisation_ = reader.Parsed<Organisation>("organisation");
  identity->url_ = reader.HttpsUrl("url");
  for (const auto& name : reader.Strings("roles")) {
    const auto role = manifest::PersonRoleFromName(name);
    if (role)
      identity->roles_.push_back(*role);
    else
      reader.Stop("roles", "no role is called " + name);
  }
  TRY(reader.Finish());
  TRY_ASSIGN_CONTEXT(auto key, ReadKey(folder), "reading the key of " + identity->id_.text());
  identity->signer_ = std::make_unique<crypto::SoftwareSigner>(std::move(key));
  return identity;
}

Result<std::unique_ptr<Identity>> Identity::Choose(const Context& context, manifest::PersonRole role) {
  if (!context.identity.empty()) {
    const std::string folder = FolderOf(context);
    if (sys::FileExists(folder + "/identity.toml")) return Load(folder);
    return BadArgument("--as", "there is no identity in " + folder + Known(context.identities));
  }
  if (context.identities.empty()) {
    return Fail(ErrorCode::kInvalidArgument,
                "no identity: set FLEETSEAL_IDENTITIES to the folder of identities (`fleetseal init` and `fleetseal "
                "lab up` tell it), or name one with --as FOLDER");
  }
  const auto names = IdentityNames(context.identities);
  if (names.empty()) return BadArgument("--identities", context.identities + " holds no identity");
  for (const auto& name : names) {
    const std::string folder = sys::JoinPath(context.identities, name);
    TRY_ASSIGN(auto identity, Load(folder));
    if (identity->HasRole(role)) return identity;
  }
  return Fail(ErrorCode::kRoleMissing, "no identity in " + context.identities + " has the role " +
                                           std::string(manifest::PersonRoleName(role)) + "; name one with --as");
}

Result<std::unique_ptr<Identity>> Identity::ChooseAny(const Context& context) {
  for (const auto role :
       {manifest::PersonRole::kAuditor, manifest::PersonRole::kOperator, manifest::PersonRole::kPublisher,
        manifest::PersonRole::kSecurity, manifest::PersonRole::kApprover}) {
    auto identity = Choose(context, role);
    if (identity || identity.error().code != ErrorCode::kRoleMissing) return identity;
  }
  return Choose(context, manifest::PersonRole::kAuditor);
}

Result<std::unique_ptr<Identity>> Identity::ChooseOnly(const Context& context) {
  if (context.identity.empty() && !context.identities.empty() && IdentityNames(context.identities).size() > 1)
    return BadArgument("--as", "say whose" + Known(context.identities));
  return ChooseAny(context);
}

Result<std::string> Identity::SignDocument(std::string_view typ, std::string_view payload) const {
  jose::JwsHeader header;
  header.alg = public_key().default_algorithm();
  header.typ = std::string(typ);
  header.kid = public_key().key_id();
  return jose::SignCompact(*signer_, header, AsBytes(payload));
}

bool Identity::HasRole(manifest::PersonRole role) const {
  return std::find(roles_.begin(), roles_.end(), role) != roles_.end();
}

Status WriteIdentity(const NewIdentity& identity) {
  if (sys::FileExists(identity.folder + "/identity.toml")) {
    return Fail(ErrorCode::kAlreadyExists, identity.folder + " holds an identity already");
  }
  TRY(sys::MakeDirectories(identity.folder, 0700));
  TRY_ASSIGN(const auto key, crypto::PrivateKey::Generate(crypto::KeyKind::kP256));
  std::string toml = "# One person's identity. person.key never leaves this folder.\n";
  toml += "id = \"" + identity.id.text() + "\"\n";
  toml += "organisation = \"" + identity.organisation.text() + "\"\n";
  toml += "url = \"" + identity.url + "\"\n";
  toml += "roles = [" + QuotedList(identity.roles) + "]\n";
  TRY(sys::WriteFileDurably(identity.folder + "/person.key", AsBytes(key.ToPem()), 0600));
  TRY(sys::WriteFileDurably(identity.folder + "/server-ca.crt", AsBytes(identity.server_ca_pem), 0644));
  return sys::WriteFileDurably(identity.folder + "/identity.toml", AsBytes(toml), 0644);
}

Status WriteIdentityCertificate(const std::string& folder, std::string_view certificate_pem) {
  return sys::WriteFileDurably(folder + "/person.crt", AsBytes(certificate_pem), 0644);
}

Result<Bytes> IdentityCsr(const std::string& folder) {
  TRY_ASSIGN(auto identity, Identity::Load(folder));
  const std::string uri = "urn:fleetseal:" + identity->organisation().text() + ":person:" + identity->id().text();
  return pki::BuildCertificateRequest(identity->signer(), identity->id().text(), {uri});
}

}  // namespace fleetseal::cli
