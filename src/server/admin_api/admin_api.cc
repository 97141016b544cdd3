#include "server/admin_api/admin_api.h"

#include <charconv>

#include "api/admin/paths.h"
#include "api/device/messages.h"
#include "codec/hex.h"
#include "server/core/answers.h"
#include "server/core/identity.h"

namespace fleetseal::server {
namespace {

using http::Method;
using http::Request;
using http::Response;

// A plan may name many devices, a group many members.
constexpr uint64_t kBodyMax = limits::kHttpBodyBytesMax;

std::string Path(std::string_view base, std::string_view rest) { return std::string(base) + std::string(rest); }

Result<int64_t> VersionOf(const Request& request) {
  const std::string text(request.Param("version"));
  int64_t version = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), version);
  if (error != std::errc() || end != text.data() + text.size() || version < 1)
    return Fail(ErrorCode::kInvalidArgument, "a package's version is a number");
  return version;
}

Result<std::string> Audit(Core& core, const Person& person, const Request& request) {
  TRY(DemandRole(person, {PersonRole::kAuditor, PersonRole::kSecurity}));
  TRY_ASSIGN(const auto from, QueryNumber(request, "from"));
  TRY_ASSIGN(const int64_t limit, PageLimit(request));
  const auto documents = core.documents.Get();
  if (!documents->newest) return Fail(ErrorCode::kUnreachable, "the signer has not answered yet");
  TRY_ASSIGN(const auto head, core.proofs.Head(documents->newest->package));
  const auto begin = static_cast<uint64_t>(from.value_or(0));
  TRY_ASSIGN(const auto leaves, core.proofs.Entries(begin, begin + static_cast<uint64_t>(limit), head.checkpoint));
  api::admin::AuditAnswer answer;
  answer.size = static_cast<int64_t>(head.checkpoint.size);
  size_t bytes = 0;
  for (const Bytes& leaf : leaves) {
    bytes += leaf.size();
    if (bytes > api::admin::kAnswerBytesMax / 2) break;  // escaping may double it
    api::admin::AuditEntry entry;
    entry.index = static_cast<int64_t>(begin + answer.entries.size());
    entry.leaf = AsText(leaf);
    answer.entries.push_back(std::move(entry));
  }
  return answer.Build();
}

Result<std::string> WhoAmI(const Person& person) {
  api::admin::WhoAmI answer;
  answer.id = person.id;
  for (const PersonRole role : person.roles) answer.roles.emplace_back(manifest::PersonRoleName(role));
  if (person.products.is_all) answer.products.emplace_back("*");
  for (const ProductName& product : person.products.products) answer.products.push_back(product.text());
  return answer.Build();
}

}  // namespace

Status OnPerson(http::Router& router, Core& core, Method method, const std::string& pattern, PersonHandler handler) {
  http::RouteOptions options;
  options.body_bytes_max = kBodyMax;
  options.media_types = {"application/json"};
  return router.OnWorker(
      method, pattern,
      [&core, handler = std::move(handler)](const Request& request) {
        const Result<Person> person = PersonOf(core, request);
        if (!person) return Problem(person.error(), request);
        return AnswerJson(handler(*person, request), request);
      },
      options);
}

Status AddRegisterRoutes(http::Router& router, const AdminApiParts& parts) {
  using namespace api::admin;
  Core& core = parts.core;
  DeviceService& devices = parts.devices;
  SigningService& signing = parts.signing;
  TRY(OnPerson(router, core, Method::kGet, std::string(kWhoAmIPath),
               [](const Person& person, const Request&) { return server::WhoAmI(person); }));
  TRY(OnPerson(router, core, Method::kPost, std::string(kRegisterChangesPath),
               [&devices](const Person& person, const Request& request) -> Result<std::string> {
                 TRY_ASSIGN(const auto body, RegisterChangeRequest::Parse(request.body));
                 TRY_ASSIGN(const auto answer, devices.ChangeRegister(person, body, request.remote_address()));
                 return answer.Build();
               }));
  TRY(OnPerson(router, core, Method::kPost, std::string(kPersonCertificatesPath),
               [&devices](const Person& person, const Request& request) -> Result<std::string> {
                 TRY_ASSIGN(const auto body, PersonCertificateRequest::Parse(request.body));
                 TRY_ASSIGN(const auto answer, devices.CertifyPerson(person, body));
                 return answer.Build();
               }));
  TRY(OnPerson(router, core, Method::kPost, std::string(kRevocationsPath),
               [&devices](const Person& person, const Request& request) -> Result<std::string> {
                 TRY_ASSIGN(const auto body, RevocationRequest::Parse(request.body));
                 TRY_ASSIGN(const auto answer, devices.Revoke(person, body, request.remote_address()));
                 return answer.Build();
               }));
  TRY(OnPerson(router, core, Method::kGet, std::string(kPackagesPath),
               [&core](const Person&, const Request& request) -> Result<std::string> {
                 TRY_ASSIGN(const auto from, QueryNumber(request, "from"));
                 return api::device::PackagesAnswer{core.documents.Get()->PackagesFrom(from.value_or(1))}.Build();
               }));
  TRY(OnPerson(router, core, Method::kPost, std::string(kPackagesPath),
               [&devices, &signing](const Person& person, const Request& request) -> Result<std::string> {
                 TRY_ASSIGN(const auto body, PackageRequest::Parse(request.body));
                 TRY_ASSIGN(const auto answer, devices.PublishPackage(person, body));
                 if (const Status followed = signing.FollowLog(); !followed)
                   LogFailure("log.not-followed", followed.error());
                 return answer.Build();
               }));
  TRY(OnPerson(router, core, Method::kGet, Path(kPackagesPath, "/{version}"),
               [&core](const Person&, const Request& request) -> Result<std::string> {
                 TRY_ASSIGN(const int64_t version, VersionOf(request));
                 TRY_ASSIGN(const auto record, core.signer.With([&](SignerPool::Client& client) {
                   return client.FindPackageRecord(version);
                 }));
                 return record.ToJson().Serialize();
               }));
  TRY(OnPerson(router, core, Method::kGet, std::string(kPeoplePath),
               [&devices](const Person&, const Request& request) -> Result<std::string> {
                 TRY_ASSIGN(const int64_t limit, PageLimit(request));
                 TRY_ASSIGN(const auto answer, devices.People(request.Query("cursor"), limit));
                 return answer.Build();
               }));
  return OnPerson(router, core, Method::kGet, std::string(kAuditPath),
                  [&core](const Person& person, const Request& request) { return Audit(core, person, request); });
}

Status AddRequestRoutes(http::Router& router, const AdminApiParts& parts) {
  using namespace api::admin;
  Core& core = parts.core;
  SigningService& signing = parts.signing;
  TRY(OnPerson(router, core, Method::kPost, std::string(kRequestsPath),
               [&signing](const Person& person, const Request& request) -> Result<std::string> {
                 TRY_ASSIGN(const auto body, SubmitRequest::Parse(request.body));
                 TRY_ASSIGN(const auto answer, signing.Submit(person, body));
                 return answer.Build();
               }));
  TRY(OnPerson(router, core, Method::kGet, std::string(kRequestsPath),
               [&signing](const Person&, const Request& request) -> Result<std::string> {
                 std::optional<api::signing::RequestState> state;
                 if (!request.Query("state").empty()) {
                   TRY_ASSIGN(state, api::signing::RequestStateFromName(request.Query("state")));
                 }
                 TRY_ASSIGN(const auto answer, signing.List(state));
                 return answer.Build();
               }));
  TRY(OnPerson(router, core, Method::kGet, Path(kRequestsPath, "/{id}"),
               [&signing](const Person&, const Request& request) -> Result<std::string> {
                 TRY_ASSIGN(const RequestId id, RequestId::Parse(request.Param("id")));
                 TRY_ASSIGN(const auto answer, signing.Show(id));
                 return answer.Build();
               }));
  return OnPerson(router, core, Method::kPost, Path(kRequestsPath, "/{id}/approvals"),
                  [&signing](const Person& person, const Request& request) -> Result<std::string> {
                    TRY_ASSIGN(const RequestId id, RequestId::Parse(request.Param("id")));
                    TRY_ASSIGN(const auto body, ApproveRequest::Parse(request.body));
                    TRY_ASSIGN(const auto answer, signing.Approve(person, id, body));
                    return answer.Build();
                  });
}

Status AddAdminRoutes(http::Router& router, const AdminApiParts& parts) {
  TRY(AddRegisterRoutes(router, parts));
  TRY(AddRequestRoutes(router, parts));
  TRY(AddKeyRoutes(router, parts));
  TRY(AddPermitRoutes(router, parts));
  TRY(AddUpdateRoutes(router, parts));
  TRY(AddRolloutRoutes(router, parts));
  TRY(AddDeviceListRoutes(router, parts));
  Core& core = parts.core;
  TRY(router.OnIoThread(Method::kGet, "/metrics", [&core](const Request&) {
    Response response;
    response.content_type = "text/plain; version=0.0.4; charset=utf-8";
    response.body = core.metrics.ToText(core.devices.size());
    return response;
  }));
  return AddPublicRoutes(router, core, http::PeerRule::kRequired);
}

}  // namespace fleetseal::server
