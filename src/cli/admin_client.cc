#include "cli/admin_client.h"

#include <fcntl.h>

#include "cli/progress.h"
#include "cli/table.h"
#include "cli/terminal.h"
#include "pki/certificate.h"
#include "sys/file.h"

namespace fleetseal::cli {
namespace {

const codec::Json::Array kNoElements;

// One request ends within this, whatever the other side does; `rollout start` and the like, which a server completes
// by itself, too. docs/reference/cli.md names it.
// Longer than a server waits for its signer, so that it can say which of the two does not answer.
constexpr int64_t kRequestSecondsMax = 75;

// What to do where the code alone cannot know it: the certificate that did not pass may be ours or the server's.
void Advise(const Context& context, const Identity& identity, const Error& error) {
  if (error.code == ErrorCode::kTimedOut) {
    context.advice =
        "see whether server and signer still run and answer (`fleetseal doctor --data DIR` on the server's machine); "
        "what was sent may have been taken: look before sending it again";
    return;
  }
  if (error.code != ErrorCode::kTlsFailed) return;
  const auto pem = sys::ReadTextFile(identity.certificate_path(), 64 * 1024);
  const auto certificate =
      pem ? pki::Certificate::FromPem(*pem) : Result<pki::Certificate>(tl::unexpected(pem.error()));
  const UnixSeconds now = context.clock.Now();
  if (certificate && certificate->not_after() < now) {
    context.advice = "your own certificate ended at " + FormatTime(certificate->not_after()) +
                     " (by this machine's clock): " +
                     "have the security team add you again (`fleetseal user add`), or set the clock";
  } else if (certificate && certificate->not_before() > now) {
    context.advice = "this machine's clock says " + FormatTime(now) + ", before your certificate begins: set the clock";
  } else {
    context.advice =
        "see that --url names a Fleetseal server of this organisation, that the clocks of both machines are right "
        "(here " +
        FormatTime(now) + "), and that the server's certificate holds (`fleetseal doctor --data DIR` there)";
  }
}

// A server that answers and says "unreachable" speaks of what stands behind it.
Status Judge(const Context& context, const http::ClientResponse& response) {
  const Status status = http::CheckStatus(response);
  if (!status && InfoOf(status.error().code).exit == ExitCode::kUnreachable) {
    context.advice =
        "the server answers, but not its signer or sealer: see that both run (`fleetseal doctor --data DIR` there, or "
        "systemctl) and what they logged, then try again";
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
  options.total_timeout = std::chrono::seconds(kRequestSecondsMax);
  std::string url = options.base_url;
  TRY_ASSIGN_CONTEXT(auto client, http::Client::Create(std::move(options)),
                     "opening the admin API as " + identity->id().text());
  return std::unique_ptr<AdminClient>(new AdminClient(context, std::move(identity), std::move(client), std::move(url)));
}

Result<std::unique_ptr<AdminClient>> AdminClient::OpenAs(const Context& context, manifest::PersonRole role) {
  TRY_ASSIGN(auto identity, Identity::Choose(context, role));
  return Open(context, std::move(identity));
}

Result<std::unique_ptr<AdminClient>> AdminClient::OpenAny(const Context& context) {
  TRY_ASSIGN(auto identity, Identity::ChooseAny(context));
  return Open(context, std::move(identity));
}

Result<http::ClientResponse> AdminClient::Ask(const http::ClientRequest& request) {
  Result<http::ClientResponse> response = [&] {
    const Waiting waiting(context_, "the server at " + url_, kRequestSecondsMax);
    return client_->Do(request);
  }();
  if (!response) {
    Advise(context_, *identity_, response.error());
    return tl::unexpected(WithContext(std::move(response).error(), url_));
  }
  TRY(Judge(context_, *response));
  return response;
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
  TRY_ASSIGN(const auto response, Ask(request));
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
  TRY_ASSIGN(auto response, Ask(request));
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

std::string ShownOr(const codec::Json& json, std::string_view name, std::string_view fallback) {
  return CleanLine(TextOr(json, name, fallback));
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
