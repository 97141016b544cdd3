// Routes of the signer's keys and of signing an update again.
#include "api/admin/paths.h"
#include "server/admin_api/admin_api.h"

namespace fleetseal::server {
namespace {

// {"<name>": compact JWS} and nothing else.
Result<std::string> OneDocument(const http::Request& request, std::string_view name) {
  TRY_ASSIGN(const codec::Json json, codec::ParseJson(request.body));
  codec::ObjectReader reader(json, "body");
  std::string compact = reader.String(name, limits::kJwsBytesMax);
  TRY(reader.Finish());
  return compact;
}

}  // namespace

Status AddKeyRoutes(http::Router& router, const AdminApiParts& parts) {
  using http::Method;
  Core& core = parts.core;
  SigningService& signing = parts.signing;
  TRY(OnPerson(router, core, Method::kGet, std::string(api::admin::kKeysPath),
               [&signing](const Person&, const http::Request&) -> Result<std::string> {
                 TRY_ASSIGN(const auto answer, signing.Keys());
                 return answer.ToJson().Serialize();
               }));
  TRY(OnPerson(router, core, Method::kPost, std::string(api::admin::kKeysPath),
               [&signing](const Person& person, const http::Request& request) -> Result<std::string> {
                 TRY_ASSIGN(const std::string sjwk, OneDocument(request, "sjwk"));
                 TRY_ASSIGN(const std::string kid, signing.TakeSjwk(person, sjwk));
                 return codec::Json::MakeObject().Set("kid", kid).Serialize();
               }));
  return OnPerson(router, core, Method::kPost, std::string(api::admin::kResigningsPath),
                  [&signing](const Person& person, const http::Request& request) -> Result<std::string> {
                    TRY_ASSIGN(const std::string compact, OneDocument(request, "request"));
                    TRY_ASSIGN(const auto answer, signing.Resign(person, compact));
                    return answer.ToJson().Serialize();
                  });
}

}  // namespace fleetseal::server
