#include <algorithm>

#include "base/limits.h"
#include "cli/arguments.h"
#include "cli/documents.h"
#include "cli/identity.h"
#include "cli/organisation.h"
#include "cli/root.h"
#include "cli/root_known.h"
#include "cli/supervisor.h"
#include "codec/base64.h"
#include "codec/json.h"
#include "jose/jwk.h"
#include "jose/jws.h"
#include "manifest/typ.h"
#include "pki/certificate.h"
#include "pki/csr.h"
#include "sys/file.h"
#include "sys/users.h"

namespace fleetseal::cli {
namespace {

struct Organising {
  Context& context;
  const InitOptions& options;
  Organisation organisation;
  std::vector<ProductName> products;
  bool is_root = false;
  std::string data;
  std::string adopt;       // folder handed to the signer, removed at the end
  std::string passphrase;  // file of the roots' passphrase
};

std::optional<sys::ChildUser> UserFor(const Organising& made, uid_t uid) {
  if (!made.is_root) return std::nullopt;
  return sys::ChildUserFor(uid);
}

std::string UidLine(const Organising& made, const char* key, uid_t uid) {
  return made.is_root ? std::string(key) + " = " + std::to_string(uid) + "\n" : std::string();
}

Status WriteText(const std::string& path, std::string_view text, mode_t mode) {
  return sys::WriteFileDurably(path, AsBytes(text), mode);
}

bool IsAddress(const std::string& name) {
  return name.find_first_not_of("0123456789.") == std::string::npos || name.find(':') != std::string::npos;
}

std::string UrlOf(const InitOptions& options, int port) {
  const std::string& name = options.names.front();
  const bool is_v6 = name.find(':') != std::string::npos;
  return "https://" + (is_v6 ? "[" + name + "]" : name) + ":" + std::to_string(port);
}

Status Own(const Organising& made, const std::string& path, uid_t uid, mode_t mode) {
  if (made.is_root) return sys::SetOwner(path, uid, uid, mode);
  return {};
}

Status MakeLayout(const Organising& made) {
  const std::string& data = made.data;
  TRY(sys::MakeDirectories(data, 0755));
  TRY_ASSIGN(const auto existing, sys::ListDirectory(data));
  if (!existing.empty()) return Fail(ErrorCode::kAlreadyExists, data + " is not empty");
  for (const char* name : {"signer", "sealer", "server", "server/tls", "server/ca", "offline", "offline/roots",
                           "offline/sjwk", "identities"}) {
    TRY(sys::MakeDirectories(data + "/" + name, 0700));
  }
  TRY(sys::MakeDirectories(data + "/log", 0755));
  for (const char* name : {"run", "run/signer", "run/sealer"}) TRY(sys::MakeDirectories(data + "/" + name, 0711));
  return {};
}

Status WriteConfigs(Organising& made) {
  const auto& options = made.options;
  const std::string group = made.is_root ? "socket_group = " + std::to_string(sys::kSharedGroupId) + "\n" : "";
  std::string signer =
      "organisation = \"" + options.organisation + "\"\n" + UidLine(made, "server_uid", sys::kServerUserId) + group;
  if (options.is_adu_readable) signer += "adu_readable = true\n";
  TRY(WriteText(made.data + "/signer/signer.toml", signer, 0600));
  Bytes secret(32);
  made.context.random.Fill(secret);
  TRY(WriteText(made.data + "/signer/passphrase", codec::EncodeBase64Url(secret) + "\n", 0400));
  TRY(WriteText(made.data + "/sealer/sealer.toml",
                "data = \".\"\n" + UidLine(made, "server_uid", sys::kServerUserId) +
                    UidLine(made, "signer_uid", sys::kSignerUserId) + group,
                0600));
  const std::string readable = options.is_adu_readable ? "adu_readable = true\n" : "";
  TRY(WriteText(made.data + "/server/server.toml",
                "organisation = \"" + options.organisation + "\"\ncheck_in_seconds = " +
                    std::to_string(options.check_in_seconds) + "\n" + readable + "\n[device]\nlisten = \"" +
                    options.listen_address + ":" + std::to_string(options.device_port) + "\"\n\n[admin]\nlisten = \"" +
                    options.listen_address + ":" + std::to_string(options.admin_port) + "\"\n",
                0600));
  return WriteText(made.data + "/fleetseal.toml",
                   "# What `fleetseal run --data` starts. Each program has its own file: signer/signer.toml, "
                   "sealer/sealer.toml, server/server.toml.\n"
                   "organisation = \"" +
                       options.organisation + "\"\ndevice_url = \"" + UrlOf(options, options.device_port) +
                       "\"\nadmin_url = \"" + UrlOf(options, options.admin_port) + "\"\n",
                   0644);
}

Status OwnLayout(const Organising& made) {
  if (!made.is_root) return {};
  TRY(sys::ChownTree(made.data + "/signer", sys::kSignerUserId, sys::kSignerUserId));
  TRY(sys::ChownTree(made.data + "/sealer", sys::kSealerUserId, sys::kSealerUserId));
  TRY(sys::ChownTree(made.data + "/server", sys::kServerUserId, sys::kServerUserId));
  TRY(Own(made, made.data + "/log", sys::kSignerUserId, 0755));
  TRY(Own(made, made.data + "/run/signer", sys::kSignerUserId, 0711));
  return Own(made, made.data + "/run/sealer", sys::kSealerUserId, 0711);
}

// What `fleetseal-signer --create` printed.
struct SignerKeys {
  codec::Json json;
  std::vector<manifest::SigningKeyListing> listings;
  std::vector<std::pair<std::string, crypto::PublicKey>> keys;
};

Result<SignerKeys> CreateSignerKeys(const Organising& made) {
  TRY_ASSIGN(const auto sealer, SiblingProgram("fleetseal-sealer"));
  TRY_ASSIGN(const auto signer, SiblingProgram("fleetseal-signer"));
  TRY(CaptureProgram(sealer, {"--config", made.data + "/sealer/sealer.toml", "--create"},
                     UserFor(made, sys::kSealerUserId)));
  std::vector<std::string> arguments{"--config", made.data + "/signer/signer.toml", "--create", "--algorithm",
                                     made.options.algorithm};
  for (const auto& product : made.products) arguments.insert(arguments.end(), {"--product", product.text()});
  TRY_ASSIGN(const auto text, CaptureProgram(signer, arguments, UserFor(made, sys::kSignerUserId)));
  SignerKeys created;
  TRY_ASSIGN_CONTEXT(created.json, codec::ParseJson(text), "reading what fleetseal-signer --create printed");
  const UnixSeconds now = made.context.clock.Now();
  for (const auto& entry : created.json.Find("keys")->as_array()) {
    codec::ObjectReader reader(entry, "key");
    const auto kid = reader.Parsed<KeyId>("kid");
    const std::string role = reader.String("role");
    const auto products = reader.Strings("products", 64);
    const auto thumbprint = reader.Base64UrlSha256("thumbprint");
    const codec::Json& jwk_json = reader.Object("jwk");
    TRY(reader.Finish());
    TRY_ASSIGN(const auto jwk,
               jose::ParseJwk(jwk_json, made.options.is_adu_readable ? jose::ModulusForm::kStandardBase64
                                                                     : jose::ModulusForm::kBase64Url));
    if (jwk.key.thumbprint() != thumbprint)
      return Fail(ErrorCode::kCorrupt, "thumbprint of " + kid.text() + " is not its key's");
    manifest::SigningKeyListing listing{
        kid, thumbprint, jwk.key.default_algorithm(), manifest::KeyRole::kPublisher, {}, now - 60, {}, {}};
    if (role == "director") {
      listing.role = manifest::KeyRole::kDirector;
      listing.not_after = listing.not_before + limits::kDirectorListingLifetimeMax;
    } else {
      if (role == "agent-release") listing.role = manifest::KeyRole::kAgentRelease;
      listing.not_after = listing.not_before + limits::kPublisherListingLifetimeMax;
    }
    for (const auto& product : products) {
      TRY_ASSIGN(auto name, ProductName::Parse(product));
      listing.products.push_back(std::move(name));
    }
    created.listings.push_back(std::move(listing));
    created.keys.emplace_back(kid.text(), jwk.key);
  }
  return created;
}

Result<std::string> CaText(const SignerKeys& created, const char* name) {
  const codec::Json* cas = created.json.Find("cas");
  const codec::Json* ca = cas == nullptr ? nullptr : cas->Find(name);
  if (ca == nullptr || !ca->is_string())
    return Fail(ErrorCode::kProtocolError, std::string("fleetseal-signer printed no CA ") + name);
  return ca->as_string();
}

// Roots, sjwks and the first package: everything that happens offline.
Status HoldCeremony(const Organising& made, const SignerKeys& created) {
  Context quiet = made.context;
  quiet.is_json = true;
  const std::string roots_folder = made.data + "/offline/roots";
  TRY(RootCreate(
      quiet,
      {roots_folder, made.options.roots, "root", made.options.algorithm, made.passphrase, made.options.threshold, {}}));
  TRY_ASSIGN(const auto roots, LoadRoots(roots_folder, made.passphrase, {}));
  for (const auto& [kid, key] : created.keys) {
    TRY_ASSIGN(const auto sjwk, SignSigningKey(roots.front(), kid, key, made.options.is_adu_readable));
    TRY(WriteText(made.data + "/offline/sjwk/" + kid + ".jws", sjwk, 0644));
    TRY(WriteText(made.adopt + "/sjwk/" + kid + ".jws", sjwk, 0644));
  }
  manifest::RootPackage package;
  package.version = 1;
  package.published = made.context.clock.Now() - 60;
  package.expires = package.published + limits::kPackageLifetimeMax;
  package.director_epoch = 1;
  package.threshold = made.options.threshold;
  for (const auto& root : roots) {
    auto& list = root.signer->public_key().type() == crypto::KeyType::kRsa ? package.root_keys : package.root_keys_ext;
    list.push_back({root.kid, root.signer->public_key()});
  }
  package.signing_keys = created.listings;
  codec::ObjectReader log(*created.json.Find("log"), "log");
  manifest::PackageLog listed{log.String("origin"), {}, {}, 0};
  const std::string vkey = log.String("vkey");
  TRY(log.Finish());
  TRY_ASSIGN(auto package_vkey, manifest::VkeyToPackage(vkey));
  listed.vkeys.push_back(std::move(package_vkey));
  package.logs.push_back(std::move(listed));
  TRY_ASSIGN(const auto server_ca_pem, CaText(created, "server"));
  TRY_ASSIGN(const auto device_ca_pem, CaText(created, "device"));
  TRY_ASSIGN(const auto server_ca, pki::Certificate::FromPem(server_ca_pem));
  TRY_ASSIGN(const auto device_ca, pki::Certificate::FromPem(device_ca_pem));
  package.server_cas.push_back(server_ca.der());
  package.device_cas.push_back(device_ca.der());
  TRY_ASSIGN(const auto text,
             SignPackage(manifest::BuildProtected(package), package, roots, made.options.is_adu_readable));
  TRY(WriteText(made.data + "/offline/root-package-1.json", text, 0644));
  TRY(RememberPackage(made.data + "/offline/roots", text));
  return WriteText(made.adopt + "/package.json", text, 0644);
}

// The first people and policies, signed by the security key that is pinned from here on.
Status FirstRegisterChange(const Organising& made, const std::string& server_ca) {
  const auto& options = made.options;
  const std::string folders = made.data + "/identities/";
  const std::string url = UrlOf(options, options.admin_port);
  manifest::RegisterChange change;
  change.change_id = NewIdOf<ChangeId>(made.context, "change");
  change.sequence = 1;
  change.nonce = NewNonce(made.context);
  change.issued = made.context.clock.Now();
  const std::pair<std::string, manifest::PersonRole> people[] = {
      {options.security_name, manifest::PersonRole::kSecurity},
      {options.operator_name, manifest::PersonRole::kOperator}};
  for (const auto& [name, role] : people) {
    TRY_ASSIGN(const auto id, PersonId::Parse(name));
    TRY(WriteIdentity({folders + name, id, made.organisation, url, {role}, server_ca}));
    TRY_ASSIGN(const auto identity, Identity::Load(folders + name));
    change.changes.emplace_back(manifest::AddPerson{id, {role}, {true, {}}, identity->public_key()});
    TRY_ASSIGN(const auto csr, IdentityCsr(folders + name));
    TRY(sys::WriteFileDurably(made.adopt + "/csr/person-" + name + ".der", csr, 0644));
  }
  for (const auto& product : made.products) {
    manifest::Policy policy;
    TRY_ASSIGN(policy.policy_id, KeyId::Parse("policy-" + std::string(product.name())));
    policy.product = product;
    policy.approvals = options.approvals;
    for (const auto& environment : options.environments) {
      TRY_ASSIGN(auto parsed, Environment::Parse(environment));
      policy.environments.push_back(std::move(parsed));
    }
    policy.review_by = change.issued + 180 * limits::kDaySeconds;
    change.changes.emplace_back(manifest::SetPolicy{policy});
  }
  TRY_ASSIGN(const auto security, Identity::Load(folders + options.security_name));
  TRY_ASSIGN(auto compact, security->SignDocument(manifest::kTypRegisterChange, change.Build()));
  codec::Json signed_change = codec::Json::MakeObject();
  signed_change.Set("jws", codec::Json::Array{std::move(compact)});
  TRY(WriteText(made.adopt + "/register-change.json", signed_change.Serialize(), 0644));
  codec::Json pinned = codec::Json::MakeObject();
  pinned.Set("quorum", 1).Set("keys", codec::Json::Array{jose::BuildJwk({security->public_key(), {}, {}})});
  return WriteText(made.adopt + "/security.json", pinned.Serialize(), 0644);
}

Status ServerRequest(const Organising& made) {
  TRY_ASSIGN(auto key, crypto::PrivateKey::Generate(crypto::KeyKind::kP256));
  TRY(WriteText(made.data + "/server/tls/server.key", key.ToPem(), 0600));
  TRY(Own(made, made.data + "/server/tls/server.key", sys::kServerUserId, 0600));
  const crypto::SoftwareSigner signer(std::move(key));
  TRY_ASSIGN(const auto csr, pki::BuildCertificateRequest(signer, "fleetseal-server", {}));
  TRY(sys::WriteFileDurably(made.adopt + "/csr/server.der", csr, 0644));
  codec::Json names = codec::Json::MakeObject();
  codec::Json dns = codec::Json::MakeArray();
  codec::Json ips = codec::Json::MakeArray();
  for (const auto& name : made.options.names) (IsAddress(name) ? ips : dns).Push(name);
  names.Set("dns", std::move(dns)).Set("ips", std::move(ips));
  return WriteText(made.adopt + "/server-names.json", names.Serialize(), 0644);
}

Status Adopt(const Organising& made, const SignerKeys& created) {
  if (made.is_root) TRY(sys::ChownTree(made.adopt, sys::kSignerUserId, sys::kSignerUserId));
  TRY_ASSIGN(const auto signer, SiblingProgram("fleetseal-signer"));
  TRY_ASSIGN(const auto text,
             CaptureProgram(signer, {"--config", made.data + "/signer/signer.toml", "--adopt", made.adopt},
                            UserFor(made, sys::kSignerUserId)));
  TRY_ASSIGN(const auto answer, codec::ParseJson(text));
  const codec::Json* certificates = answer.Find("certificates");
  if (certificates == nullptr)
    return Fail(ErrorCode::kProtocolError, "fleetseal-signer --adopt printed no certificates");
  codec::ObjectReader reader(*certificates, "certificates");
  const std::string server = reader.String("server", 64 * 1024);
  const std::string security = reader.String("person-" + made.options.security_name, 64 * 1024);
  const std::string first_operator = reader.String("person-" + made.options.operator_name, 64 * 1024);
  TRY(reader.Finish());
  TRY(WriteText(made.data + "/server/tls/server.crt", server, 0644));
  TRY(WriteIdentityCertificate(made.data + "/identities/" + made.options.security_name, security));
  TRY(WriteIdentityCertificate(made.data + "/identities/" + made.options.operator_name, first_operator));
  for (const char* name : {"server", "device", "people"}) {
    TRY_ASSIGN(const auto pem, CaText(created, name));
    TRY(WriteText(made.data + "/server/ca/" + name + ".crt", pem, 0644));
  }
  TRY(sys::RemoveTree(made.adopt));
  return OwnLayout(made);
}

}  // namespace

Status Init(Context& context, const InitOptions& given) {
  InitOptions options = given;
  // Such readers know RS256 only (trust model section 11).
  if (options.is_adu_readable) options.algorithm = "RS256";
  Organising made{context,
                  options,
                  {},
                  {},
                  sys::IsRoot(),
                  options.data,
                  options.data + "/signer/adopt",
                  options.data + "/offline/passphrase"};
  TRY_ASSIGN(made.organisation, Argument("--organisation", Organisation::Parse(options.organisation)));
  if (options.products.empty())
    return Fail(ErrorCode::kInvalidArgument, "name at least one product: --product vendor/name");
  if (options.names.empty()) return Fail(ErrorCode::kInvalidArgument, "name the server: --name HOST");
  if (options.threshold < 2 || options.threshold > options.roots) {
    return Fail(ErrorCode::kInvalidArgument, "--threshold is at least 2 and at most the number of roots");
  }
  for (const auto& text : options.products) {
    TRY_ASSIGN(auto product, Argument("--product", ProductName::Parse(text)));
    made.products.push_back(std::move(product));
  }
  TRY(MakeLayout(made));
  if (made.is_root) {
    TRY_ASSIGN(const auto opened, sys::OpenPathFor(options.data));
    for (const auto& path : opened) Note(context, "opened for passing through (x for others): " + path);
  }
  for (const char* name : {"", "/sjwk", "/csr"}) TRY(sys::MakeDirectories(made.adopt + name, 0700));
  Bytes secret(20);
  context.random.Fill(secret);
  TRY(WriteText(made.passphrase, codec::EncodeBase64Url(secret) + "\n", 0400));
  TRY(WriteConfigs(made));
  TRY(OwnLayout(made));
  TRY_ASSIGN_CONTEXT(const auto created, CreateSignerKeys(made), "making the signer's keys");
  TRY_CONTEXT(HoldCeremony(made, created), "root ceremony");
  TRY_ASSIGN(const auto server_ca, CaText(created, "server"));
  TRY_CONTEXT(FirstRegisterChange(made, server_ca), "first people");
  TRY_CONTEXT(ServerRequest(made), "server certificate");
  TRY_CONTEXT(Adopt(made, created), "handing the package to the signer");
  codec::Json json = codec::Json::MakeObject();
  json.Set("data", options.data)
      .Set("organisation", options.organisation)
      .Set("adminUrl", UrlOf(options, options.admin_port));
  json.Set("deviceUrl", UrlOf(options, options.device_port))
      .Set("rootPackage", options.data + "/offline/root-package-1.json");
  Answer(
      context, json,
      "organisation " + options.organisation + " is made in " + options.data + "\n  " +
          std::to_string(options.threshold) + " of " + std::to_string(options.roots) + " roots in " + options.data +
          "/offline: move this folder to a machine without network (the passphrase lies beside the keys: part them)\n"
          "  identities of " +
          options.security_name + " and " + options.operator_name + " in " + options.data +
          "/identities\nnext:\n  fleetseal run --data " + options.data +
          "\n  export FLEETSEAL_IDENTITIES=" + options.data +
          "/identities\n  fleetseal user add NAME --role publisher\n"
          "the one security key decides alone about people and policies, and nobody if it is lost: `fleetseal user add "
          "NAME --role security`, twice, then `fleetseal user set-security` for two of three");
  return {};
}

}  // namespace fleetseal::cli
