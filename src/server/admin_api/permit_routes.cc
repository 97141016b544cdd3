// Routes of downgrade permits: the server carries requests and approvals to the signer and keeps nothing of them.
#include "api/admin/paths.h"
#include "jose/jws.h"
#include "manifest/permit.h"
#include "manifest/person_documents.h"
#include "server/admin_api/admin_api.h"
#include "server/core/identity.h"

namespace fleetseal::server {
namespace {

using http::Method;
using http::Request;

// {"<name>": compact JWS} and nothing else.
Result<std::string> OneDocument(const Request& request, std::string_view name) {
  TRY_ASSIGN(const codec::Json json, codec::ParseJson(request.body));
  codec::ObjectReader reader(json, "body");
  std::string compact = reader.String(name, limits::kJwsBytesMax);
  TRY(reader.Finish());
  return compact;
}

Result<std::string> Ask(Core& core, const Person& person, const Request& request) {
  TRY(DemandRole(person, {PersonRole::kPublisher}));
  TRY_ASSIGN(const std::string compact, OneDocument(request, "request"));
  TRY_ASSIGN(const auto jws, jose::UnverifiedJws::Parse(compact));
  TRY_ASSIGN(const auto parsed, manifest::PermitRequest::Parse(AsText(jws.unverified_payload())));
  if (parsed.requester != person.id)
    return Fail(ErrorCode::kPermissionDenied, "the request is signed for another person");
  TRY(DemandProduct(person, parsed.product));
  TRY_ASSIGN(const auto answer,
             core.signer.With([&](SignerPool::Client& client) { return client.RequestPermit(compact); }));
  return answer.ToJson().Serialize();
}

Result<std::string> Approve(Core& core, const Person& person, const Request& request) {
  TRY(DemandRole(person, {PersonRole::kApprover}));
  TRY_ASSIGN(const std::string compact, OneDocument(request, "approval"));
  TRY_ASSIGN(const auto jws, jose::UnverifiedJws::Parse(compact));
  TRY_ASSIGN(const auto approval, manifest::Approval::Parse(AsText(jws.unverified_payload())));
  if (approval.request_id.text() != request.Param("id"))
    return Fail(ErrorCode::kInvalidArgument, "the approval is for another permit");
  if (approval.approver != person.id)
    return Fail(ErrorCode::kPermissionDenied, "the approval is signed for another person");
  TRY_ASSIGN(const auto answer,
             core.signer.With([&](SignerPool::Client& client) { return client.ApprovePermit(compact); }));
  return answer.ToJson().Serialize();
}

Result<std::string> List(Core& core, const Request& request) {
  std::optional<api::signing::RequestState> state;
  if (!request.Query("state").empty()) {
    TRY_ASSIGN(state, api::signing::RequestStateFromName(request.Query("state")));
  }
  TRY_ASSIGN(const auto rows, core.signer.With([&](SignerPool::Client& client) { return client.ListPermits(state); }));
  codec::Json list = codec::Json::MakeArray();
  for (const auto& row : rows) list.Push(row.ToJson());
  return codec::Json::MakeObject().Set("permits", std::move(list)).Serialize();
}

}  // namespace

Status AddPermitRoutes(http::Router& router, const AdminApiParts& parts) {
  Core& core = parts.core;
  const std::string path(api::admin::kPermitsPath);
  TRY(OnPerson(router, core, Method::kPost, path,
               [&core](const Person& person, const Request& request) { return Ask(core, person, request); }));
  TRY(OnPerson(router, core, Method::kGet, path,
               [&core](const Person&, const Request& request) { return List(core, request); }));
  TRY(OnPerson(router, core, Method::kGet, path + "/{id}",
               [&core](const Person&, const Request& request) -> Result<std::string> {
                 TRY_ASSIGN(const PermitId id, PermitId::Parse(request.Param("id")));
                 TRY_ASSIGN(const auto answer,
                            core.signer.With([&](SignerPool::Client& client) { return client.ShowPermit(id); }));
                 return answer.ToJson().Serialize();
               }));
  return OnPerson(router, core, Method::kPost, path + "/{id}/approvals",
                  [&core](const Person& person, const Request& request) { return Approve(core, person, request); });
}

}  // namespace fleetseal::server
