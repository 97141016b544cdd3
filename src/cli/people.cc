#include "cli/people.h"

#include "cli/arguments.h"
#include "cli/documents.h"
#include "cli/security_team.h"
#include "cli/table.h"
#include "codec/base64.h"
#include "manifest/person_documents.h"
#include "manifest/typ.h"
#include "sys/file.h"

namespace fleetseal::cli {
namespace {

Result<manifest::ProductScope> ScopeOf(const std::vector<std::string>& products) {
  manifest::ProductScope scope;
  scope.is_all = products.empty() || products.front() == "*";
  if (scope.is_all) return scope;
  for (const auto& text : products) {
    TRY_ASSIGN(auto product, Argument("--product", ProductName::Parse(text)));
    scope.products.push_back(std::move(product));
  }
  return scope;
}

std::string JoinStrings(const codec::Json::Array& array) {
  std::string text;
  for (const auto& element : array) {
    if (element.is_string()) text += (text.empty() ? "" : " ") + element.as_string();
  }
  return text;
}

}  // namespace

Result<codec::Json> PostRegisterChange(Context& context, AdminClient& client, const RegisterChangeRequest& request,
                                       const std::vector<std::string>& also_signed_by) {
  manifest::RegisterChange change;
  change.change_id = request.change_id ? *request.change_id : NewIdOf<ChangeId>(context, "change");
  change.sequence = request.sequence;
  change.changes = request.changes;
  change.nonce = NewNonce(context);
  change.issued = context.clock.Now();
  const std::string payload = change.Build();
  codec::Json signatures = codec::Json::MakeArray();
  TRY_ASSIGN(auto compact, client.identity().SignDocument(manifest::kTypRegisterChange, payload));
  signatures.Push(std::move(compact));
  for (const auto& folder : also_signed_by) {
    TRY_ASSIGN(const auto other, Identity::Load(folder));
    TRY_ASSIGN(auto more, other->SignDocument(manifest::kTypRegisterChange, payload));
    signatures.Push(std::move(more));
  }
  codec::Json body = codec::Json::MakeObject();
  body.Set("jws", std::move(signatures));
  return client.Post("/admin/v1/register-changes", body);
}

Status UserAdd(Context& context, const UserAddOptions& options) {
  TRY_ASSIGN(const auto id, Argument("name", PersonId::Parse(options.name)));
  std::vector<manifest::PersonRole> roles;
  for (const auto& name : options.roles) {
    TRY_ASSIGN(const auto role, Argument("--role", manifest::PersonRoleFromName(name)));
    roles.push_back(role);
  }
  TRY_ASSIGN(auto scope, ScopeOf(options.products));
  TRY_ASSIGN(auto client, AdminClient::OpenAs(context, manifest::PersonRole::kSecurity));
  const std::string folder = options.output.empty() ? sys::JoinPath(context.identities, options.name) : options.output;
  TRY_ASSIGN(auto ca, sys::ReadTextFile(client->identity().server_ca_path(), 64 * 1024));
  TRY(WriteIdentity({folder, id, client->identity().organisation(), client->identity().url(), roles, ca}));
  TRY_ASSIGN(const auto made, Identity::Load(folder));
  TRY_ASSIGN(const auto people, client->Get("/admin/v1/people"));
  RegisterChangeRequest request;
  request.changes.emplace_back(manifest::AddPerson{id, roles, std::move(scope), made->public_key()});
  request.sequence = IntegerOr(people, "sequence", 0) + 1;
  TRY_CONTEXT(PostRegisterChange(context, *client, request, options.also_signed_by), "adding " + options.name);
  TRY_ASSIGN(const auto csr, IdentityCsr(folder));
  codec::Json body = codec::Json::MakeObject();
  body.Set("csr", codec::EncodeBase64Url(csr));
  TRY_ASSIGN_CONTEXT(const auto answer, client->Post("/admin/v1/person-certificates", body),
                     "certificate of " + options.name);
  TRY_ASSIGN(const auto certificate, TextOf(answer, "certificate"));
  TRY(WriteIdentityCertificate(folder, certificate));
  codec::Json json = codec::Json::MakeObject();
  json.Set("id", options.name).Set("folder", folder).Set("kid", made->public_key().key_id());
  Answer(context, json, options.name + " is in the register; key and certificate are in " + folder);
  return {};
}

Status UserList(Context& context) {
  TRY_ASSIGN(auto client, AdminClient::OpenAny(context));
  TRY_ASSIGN(const auto answer, client->Get("/admin/v1/people"));
  TRY_ASSIGN(const Register reg, ReadRegister(*client));
  const Team team = TeamOf(reg);
  std::vector<std::vector<std::string>> rows;
  for (const auto& person : ArrayOr(answer, "people")) {
    rows.push_back({TextOr(person, "id", ""), TextOr(person, "state", ""), JoinStrings(ArrayOr(person, "roles")),
                    JoinStrings(ArrayOr(person, "products")), team.Has(TextOr(person, "id", "")) ? "counts" : "-"});
  }
  const std::string danger = TeamDanger(team);
  Answer(context, answer,
         FormatTable({"PERSON", "STATE", "ROLES", "PRODUCTS", "SECURITY KEY"}, rows) + "\n" + TeamText(team) +
             (danger.empty() ? "" : "\nwarning: " + danger));
  return {};
}

namespace {

// By one of the security team, at once.
Result<codec::Json> PostRevocation(Context& context, AdminClient& client, const UserRevokeOptions& options) {
  manifest::Revocation revocation;
  revocation.revocation_id = NewIdOf<RequestId>(context, "revocation");
  revocation.kind = manifest::RevocationKind::kPerson;
  revocation.subject = options.name;
  revocation.action = manifest::RevocationAction::kRevoke;
  revocation.reason = options.reason;
  revocation.person = client.identity().id();
  revocation.nonce = NewNonce(context);
  revocation.issued = context.clock.Now();
  TRY_ASSIGN(auto compact, client.identity().SignDocument(manifest::kTypRevocation, revocation.Build()));
  codec::Json body = codec::Json::MakeObject();
  body.Set("revocation", std::move(compact));
  return client.Post("/admin/v1/revocations", body);
}

// By the quorum, as somebody whose own key counts there is revoked.
Result<codec::Json> PostRemoval(Context& context, AdminClient& client, const UserRevokeOptions& options) {
  TRY_ASSIGN(const auto id, Argument("name", PersonId::Parse(options.name)));
  TRY_ASSIGN(const auto people, client.Get("/admin/v1/people"));
  RegisterChangeRequest request;
  request.changes.emplace_back(manifest::RevokePerson{id});
  request.sequence = IntegerOr(people, "sequence", 0) + 1;
  return PostRegisterChange(context, client, request, options.also_signed_by);
}

}  // namespace

Status UserRevoke(Context& context, const UserRevokeOptions& options) {
  const std::string& name = options.name;
  TRY_ASSIGN(auto client, AdminClient::OpenAs(context, manifest::PersonRole::kSecurity));
  // For the words at the end: a revocation does not wait for it.
  const auto reg = ReadRegister(*client);
  const auto answer = options.also_signed_by.empty() ? PostRevocation(context, *client, options)
                                                     : PostRemoval(context, *client, options);
  if (!answer && answer.error().code == ErrorCode::kQuorumNotReached)
    context.advice = "the key of " + name +
                     " counts among the security keys, so the quorum revokes it: add `--also-signed-by FOLDER` for "
                     "further members of the team";
  if (!answer && answer.error().code == ErrorCode::kConflict)
    context.advice =
        "set a team without " + name +
        " first: `fleetseal user set-security`; if too few of its keys are left for that, the roots replace the team: "
        "docs/operations/lost-security-keys.md";
  TRY(answer);
  Team team = reg ? TeamOf(*reg) : Team{};
  std::string words = name + " is revoked: no signature of that key counts any more";
  if (std::erase(team.people, name) > 0) {
    words += "\nfrom now on: " + TeamText(team);
    const std::string danger = TeamDanger(team);
    if (!danger.empty()) Note(context, "warning: " + danger);
  }
  Answer(context, *answer, words);
  return {};
}

}  // namespace fleetseal::cli
