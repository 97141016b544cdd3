#include "cli/admin_client.h"

#include <fcntl.h>

#include "sys/file.h"

namespace fleetseal::cli {
namespace {

const codec::Json::Array kNoElements;

// A server that answers and says "unreachable" speaks of what stands behind it.
Status Judge(const Context& context, const http::ClientResponse& response) {
  const Status status = http::CheckStatus(response);
  if (!status && InfoOf(status.error().code).exit == ExitCode::kUnreachable) {
    context.advice =
        "the server answers, but not its signer or sealer: see that both run (`fleetseal run`, or systemctl) and what "
        "they logged, then try again";
  }
  return status;
}

}  // namespace

Result<std::unique_ptr<AdminClient>> AdminClient::Open(const Context& context, std::unique_ptr<Identity> identity) {
  http::ClientOptions options;
  options.base_url = context.url.empty() ? identity->url() : context.url;
  options.server_ca_path = identity->server_ca_path();
  options.certificate_path = identity->certificate_path();
  options.private_key_path = identity->key_path();
  TRY_ASSIGN_CONTEXT(auto client, http::Client::Create(std::move(options)),
                     "opening the admin API as " + identity->id().text());
  return std::unique_ptr<AdminClient>(new AdminClient(context, std::move(identity), std::move(client)));
}

Result<std::unique_ptr<AdminClient>> AdminClient::OpenAs(const Context& context, manifest::PersonRole role) {
  TRY_ASSIGN(auto identity, Identity::Choose(context, role));
  return Open(context, std::move(identity));
}

Result<std::unique_ptr<AdminClient>> AdminClient::OpenAny(const Context& context) {
  TRY_ASSIGN(auto identity, Identity::ChooseAny(context));
  return Open(context, std::move(identity));
}

Result<codec::Json> AdminClient::Send(http::Method method, const std::string& path, const codec::Json* body,
                                      const Query& query) {
  http::ClientRequest request;
  request.method = method;
  request.path = path;
  request.query = query;
  if (body != nullptr) {
    request.content_type = "application/json";
    request.body = body->Serialize();
  }
  TRY_ASSIGN(const auto response, client_->Do(request));
  TRY(Judge(context_, response));
  codec::JsonLimits limits;
  limits.bytes_max = 4 * 1024 * 1024;
  return codec::ParseJson(response.body, limits);
}

Result<codec::Json> AdminClient::Get(const std::string& path, const Query& query) {
  return Send(http::Method::kGet, path, nullptr, query);
}

Result<codec::Json> AdminClient::Post(const std::string& path, const codec::Json& body) {
  return Send(http::Method::kPost, path, &body, {});
}

Result<codec::Json> AdminClient::Put(const std::string& path, const codec::Json& body) {
  return Send(http::Method::kPut, path, &body, {});
}

Result<codec::Json::Array> AdminClient::List(const std::string& path, std::string_view name, Query query) {
  codec::Json::Array all;
  query.emplace_back("limit", "500");
  const size_t fixed = query.size();
  while (true) {
    TRY_ASSIGN(auto page, Get(path, query));
    for (const auto& element : ArrayOr(page, name)) all.push_back(element);
    const std::string cursor = TextOr(page, "cursor", "");
    if (cursor.empty()) return all;
    query.resize(fixed);
    query.emplace_back("cursor", cursor);
  }
}

Result<std::string> AdminClient::GetText(const std::string& path) {
  http::ClientRequest request;
  request.path = path;
  TRY_ASSIGN(auto response, client_->Do(request));
  TRY(Judge(context_, response));
  return std::move(response.body);
}

Result<codec::Json> AdminClient::UploadFile(const std::string& path, const std::string& file,
                                            const std::string& label) {
  TRY_ASSIGN(const auto fd, sys::OpenFile(file, O_RDONLY | O_CLOEXEC));
  TRY_ASSIGN(const ByteCount size, sys::SizeOf(fd.get()));
  ProgressLine progress(context_, label, size.value);
  http::Client::UploadRequest request;
  request.path = path;
  request.size = size.value;
  const auto source = [&](std::span<uint8_t> out) { return sys::ReadUpTo(fd.get(), out); };
  auto response = client_->Upload(request, source, [&](uint64_t done, uint64_t) { progress.Update(done); });
  progress.Finish();
  TRY(response);
  TRY(Judge(context_, *response));
  return codec::ParseJson(response->body);
}

Result<std::string> TextOf(const codec::Json& json, std::string_view name) {
  const codec::Json* value = json.Find(name);
  if (value == nullptr)
    return Fail(ErrorCode::kMemberMissing, "the server's answer has no member " + std::string(name));
  if (!value->is_string())
    return Fail(ErrorCode::kMemberTypeWrong, "the server's member " + std::string(name) + " is no text");
  return value->as_string();
}

std::string TextOr(const codec::Json& json, std::string_view name, std::string_view fallback) {
  const codec::Json* value = json.Find(name);
  return value != nullptr && value->is_string() ? value->as_string() : std::string(fallback);
}

int64_t IntegerOr(const codec::Json& json, std::string_view name, int64_t fallback) {
  const codec::Json* value = json.Find(name);
  return value != nullptr && value->is_integer() ? value->as_integer() : fallback;
}

const codec::Json::Array& ArrayOr(const codec::Json& json, std::string_view name) {
  const codec::Json* value = json.Find(name);
  return value != nullptr && value->is_array() ? value->as_array() : kNoElements;
}

}  // namespace fleetseal::cli
