#include "device/device_client.h"

#include <chrono>
#include <utility>

#include "codec/base64.h"
#include "codec/hex.h"
#include "device/part_file.h"
#include "pki/est.h"
#include "sys/file.h"

namespace fleetseal::device {
namespace {

using api::device::CheckInAnswer;
using api::device::CheckInRequest;

constexpr std::string_view kAgentVersion = "fleetseal-agent/0.1.0";
constexpr int kHttpAccepted = 202;
// A server that dawdles is left; what came is kept and fetched on in the next cycle.
constexpr uint32_t kSlowestBytesPerSecond = 100;
constexpr std::chrono::seconds kSlowestTime{30};
// A transfer is interrupted only after it gave what the slowest gives in its time: else one that dawdles would begin
// its time anew with each interlude, and never be left.
constexpr uint64_t kInterludeBytesMin = kSlowestBytesPerSecond * static_cast<uint64_t>(kSlowestTime.count());

template <typename T>
Result<T> Readable(Result<T> answer) {
  if (answer) return answer;
  return Fail(ErrorCode::kProtocolError, "the server's answer: " + answer.error().ToString());
}

}  // namespace

std::string_view AgentVersion() { return kAgentVersion; }

Result<std::unique_ptr<DeviceClient>> DeviceClient::Create(const ConnectOptions& options) {
  http::ClientOptions http;
  http.base_url = options.server_url;
  http.server_ca_path = options.server_ca_path;
  http.server_ca_pem = options.server_ca_pem;
  http.certificate_path = options.certificate_path;
  http.private_key_path = options.private_key_path;
  http.certificate_pem = options.certificate_pem;
  http.private_key_pem = options.private_key_pem;
  if (options.now) {
    http.certificate_dates = http::CertificateDates::kAtTime;
    http.certificate_time = *options.now;
  }
  if (options.is_to_learn_time) http.certificate_dates = http::CertificateDates::kNotJudged;
  http.low_speed_bytes_per_second = kSlowestBytesPerSecond;
  http.low_speed_time = kSlowestTime;
  http.rate_max = options.rate_max;
  http.proxy = options.proxy;
  http.cancel = options.cancel;
  http.user_agent = std::string(kAgentVersion);
  http.response_bytes_max = api::device::kAnswerBytesMax;
  TRY_ASSIGN_CONTEXT(std::unique_ptr<http::Client> client, http::Client::Create(std::move(http)), "server connection");
  return std::unique_ptr<DeviceClient>(new DeviceClient(std::move(client), options.is_to_learn_time));
}

Status DeviceClient::CheckRoute(std::string_view path) const {
  if (!is_to_learn_time_ || path == api::device::kPackagesPath || path == api::device::kStatusPath) return {};
  return Fail(ErrorCode::kInvalidArgument, "without the time only packages and status are asked for");
}

Result<std::string> DeviceClient::Ask(http::ClientRequest request) {
  const std::string path = request.path;
  TRY(CheckRoute(path));
  TRY_ASSIGN_CONTEXT(http::ClientResponse response, http_->Do(request), path);
  TRY_CONTEXT(http::CheckStatus(response), path);
  return std::move(response.body);
}

Result<CheckInAnswer> DeviceClient::CheckIn(const CheckInRequest& request) {
  http::ClientRequest http;
  http.method = http::Method::kPost;
  http.path = std::string(api::device::kCheckInPath);
  http.content_type = "application/json";
  http.body = request.Build();
  TRY_ASSIGN(const std::string body, Ask(std::move(http)));
  return Readable(CheckInAnswer::Parse(body));
}

Result<std::vector<std::string>> DeviceClient::Packages(int64_t from) {
  http::ClientRequest http;
  http.path = std::string(api::device::kPackagesPath);
  http.query = {{"from", std::to_string(from)}};
  TRY_ASSIGN(const std::string body, Ask(std::move(http)));
  TRY_ASSIGN(api::device::PackagesAnswer answer, Readable(api::device::PackagesAnswer::Parse(body)));
  return std::move(answer.packages);
}

Result<std::string> DeviceClient::StatusDocument(const std::optional<Bytes>& nonce) {
  http::ClientRequest http;
  http.path = std::string(api::device::kStatusPath);
  if (nonce) http.query = {{"nonce", codec::EncodeBase64Url(*nonce)}};
  TRY_ASSIGN(const std::string body, Ask(std::move(http)));
  TRY_ASSIGN(api::device::StatusAnswer answer, Readable(api::device::StatusAnswer::Parse(body)));
  return std::move(answer.status);
}

Result<std::vector<api::device::ReceiptResult>> DeviceClient::SendReceipts(std::vector<std::string> receipts) {
  const size_t count = receipts.size();
  http::ClientRequest http;
  http.method = http::Method::kPost;
  http.path = std::string(api::device::kReceiptsPath);
  http.content_type = "application/json";
  http.body = api::device::ReceiptsRequest{.receipts = std::move(receipts)}.Build();
  TRY_ASSIGN(const std::string body, Ask(std::move(http)));
  TRY_ASSIGN(api::device::ReceiptsAnswer answer, Readable(api::device::ReceiptsAnswer::Parse(body)));
  if (answer.results.size() != count) return Fail(ErrorCode::kProtocolError, "one result a receipt is missing");
  return std::move(answer.results);
}

Status DeviceClient::FillPart(const std::string& name, PartFile& part, uint64_t size_wanted,
                              const Interlude& interlude) {
  while (size_wanted == 0 || part.size() < size_wanted) {
    bool is_interrupted = false;
    const uint64_t start = part.size();
    const http::Client::DownloadRequest request{
        .path = std::string(api::device::kContentPrefix) + name, .offset = start, .if_range_etag = ""};
    const auto sink = [&](ByteView bytes) -> Status {
      TRY(part.Append(bytes));
      if (part.size() - start < kInterludeBytesMin || !interlude.is_due || !interlude.is_due()) return {};
      is_interrupted = true;
      return Fail(ErrorCode::kCancelled, "interrupted for a check-in");
    };
    auto downloaded = http_->Download(request, sink);
    if (is_interrupted) {
      TRY(interlude.run());
      continue;
    }
    if (!downloaded && part.is_too_large()) TRY(part.Discard());
    if (!downloaded) return tl::unexpected(downloaded.error());
    break;
  }
  return {};
}

Result<std::string> DeviceClient::Fetch(const Content& content, const std::string& directory,
                                        const Interlude& interlude) {
  TRY(CheckRoute(api::device::kContentPrefix));
  TRY(sys::MakeDirectories(directory, 0700));
  const std::string name = codec::EncodeHex(content.sealed_sha256);
  const std::string path = sys::JoinPath(directory, name);
  // S1_5: what is cached is hashed again before it is used.
  if (sys::FileExists(path)) {
    if (FileIs(path, content.sealed_sha256, content.sealed_size)) return path;
    TRY(sys::RemoveFile(path));
  }
  for (int attempt = 0;; ++attempt) {
    TRY_ASSIGN(std::unique_ptr<PartFile> part, PartFile::Open(path + ".part", content.sealed_size));
    const bool was_continued = part->size() > 0;
    TRY_CONTEXT(FillPart(name, *part, content.sealed_size.value, interlude), "fetch " + name);
    const Status finished = part->Finish(content.sealed_sha256, path);
    if (finished) return path;
    if (finished.error().code != ErrorCode::kFileHashMismatch || !was_continued || attempt > 0)
      return tl::unexpected(WithContext(finished.error(), "fetch " + name));
  }
}

Result<pki::Certificate> DeviceClient::PostRequest(std::string_view operation, ByteView csr_der,
                                                   std::vector<std::pair<std::string, std::string>> headers) {
  http::ClientRequest http;
  TRY(CheckRoute(api::device::kEstPrefix));
  http.method = http::Method::kPost;
  http.path = std::string(api::device::kEstPrefix) + std::string(operation);
  http.content_type = "application/pkcs10";
  http.headers = std::move(headers);
  http.body = pki::EncodeEstBody(csr_der);
  TRY_ASSIGN_CONTEXT(const http::ClientResponse response, http_->Do(http), http.path);
  TRY_CONTEXT(http::CheckStatus(response), http.path);
  if (response.status == kHttpAccepted) return Fail(ErrorCode::kConflict, "the enrolment waits for a person");
  // Reference EST section 3: compare only type/subtype.
  if (response.MediaType() != "application/pkcs7-mime")
    return Fail(ErrorCode::kProtocolError, "EST answered with another media type");
  TRY_ASSIGN(const Bytes der, Readable(pki::DecodeEstBody(pki::EstBody::kCertificates, response.body)));
  TRY_ASSIGN(std::vector<pki::Certificate> certificates, Readable(pki::DecodeCertsOnly(der)));
  return std::move(certificates.front());
}

Result<pki::Certificate> DeviceClient::Enrol(ByteView csr_der, std::string_view device_id, std::string_view proof) {
  const std::string credentials = std::string(device_id) + ":" + std::string(proof);
  return PostRequest("simpleenroll", csr_der,
                     {{"authorization", "Basic " + codec::EncodeBase64(AsBytes(credentials))}});
}

Result<pki::Certificate> DeviceClient::Reenrol(ByteView csr_der) { return PostRequest("simplereenroll", csr_der, {}); }

}  // namespace fleetseal::device
