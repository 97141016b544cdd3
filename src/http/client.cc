#include "http/client.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <limits>

#include <curl/curl.h>

#include "api/problem/problem.h"
#include "base/check.h"
#include "http/target.h"
#include "http/tls/identity.h"

namespace fleetseal::http {
namespace {

// All header blocks of an answer, bytes.
constexpr size_t kResponseHeaderBytesMax = 64 * 1024;
// A problem document that Download collects instead of content, bytes.
constexpr size_t kProblemBytesMax = 64 * 1024;
constexpr long kTransferBufferBytes = 64 * 1024;
constexpr long kExpectWaitMilliseconds = 30'000;

struct SlistDeleter {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
struct CurlDeleter {
  void operator()(CURL* curl) const { curl_easy_cleanup(curl); }
};

// libcurl wants one call before any thread uses it; the result is kept for the life of the process.
bool IsCurlReady() {
  static const bool is_ready = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
  return is_ready;
}

bool IsTextWithoutControls(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c >= 0x20 && c < 0x7f; });
}

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

std::string_view Trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t' || text.back() == '\r' || text.back() == '\n'))
    text.remove_suffix(1);
  return text;
}

std::optional<uint64_t> ParseNumber(std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// "bytes 5-9/100" → {5, 100}.
struct ContentRange {
  uint64_t first = 0;
  uint64_t total = 0;
};
std::optional<ContentRange> ParseContentRange(std::string_view text) {
  constexpr std::string_view kUnit = "bytes ";
  if (!text.starts_with(kUnit)) return std::nullopt;
  text.remove_prefix(kUnit.size());
  const size_t dash = text.find('-');
  const size_t slash = text.find('/');
  if (dash == std::string_view::npos || slash == std::string_view::npos || dash > slash) return std::nullopt;
  const auto first = ParseNumber(text.substr(0, dash));
  const auto total = ParseNumber(text.substr(slash + 1));
  if (!first || !total) return std::nullopt;
  return ContentRange{*first, *total};
}

// What one call collects; libcurl's callbacks get a pointer to it.
struct Call {
  const std::atomic<bool>* cancel = nullptr;
  ClientResponse response;
  size_t header_bytes = 0;
  size_t body_max = 0;
  std::optional<Error> fault;  // set by a callback that ended the transfer
  const Sink* sink = nullptr;
  const Progress* progress = nullptr;
  uint64_t offset = 0;  // a download's
  DownloadResult download;
  const Source* source = nullptr;
  uint64_t source_left = 0;

  bool Stop(Error error) {
    if (!fault) fault = std::move(error);
    return false;
  }
  bool OnHeader(std::string_view line);
  bool OnBody(std::string_view bytes);
  bool CheckDownloadHead();
};

bool Call::OnHeader(std::string_view line) {
  header_bytes += line.size();
  if (header_bytes > kResponseHeaderBytesMax)
    return Stop({ErrorCode::kProtocolError, "the answer's header is too large", {}});
  if (line.starts_with("HTTP/")) {
    // A new block: 100 Continue or a proxy's answer came before it. What it took counts on, or there were no end.
    response.headers.Clear();
    const size_t space = std::min(line.find(' '), line.size());
    response.status = static_cast<int>(ParseNumber(line.substr(std::min(space + 1, line.size()), 3)).value_or(0));
    return true;
  }
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) return true;
  response.headers.AddToList(Lower(Trim(line.substr(0, colon))), Trim(line.substr(colon + 1)));
  return true;
}

// Before the first byte reaches the sink: is this the part that was asked for?
bool Call::CheckDownloadHead() {
  download.status = response.status;
  if (const std::string* etag = response.headers.Find("etag"); etag != nullptr && etag->size() > 2) {
    download.etag = etag->substr(1, etag->size() - 2);
  }
  if (response.status == 206) {
    const std::string* field = response.headers.Find("content-range");
    const auto range = field != nullptr ? ParseContentRange(*field) : std::nullopt;
    if (!range || range->first != offset)
      return Stop({ErrorCode::kProtocolError, "the server sent another range than asked for", {}});
    download.total = range->total;
    return true;
  }
  if (response.status != 200)
    return Stop({ErrorCode::kProtocolError, "HTTP status " + std::to_string(response.status) + " to a download", {}});
  // 200 to a range: the content changed (If-Range) or the server cannot resume; the caller decides to start over.
  if (offset > 0) return Stop({ErrorCode::kConflict, "the server does not continue this download", {}});
  if (const std::string* length = response.headers.Find("content-length")) download.total = ParseNumber(*length);
  return true;
}

bool Call::OnBody(std::string_view bytes) {
  if (sink == nullptr || response.status >= 400) {
    if (bytes.size() > body_max - response.body.size()) {
      return Stop(
          {ErrorCode::kDocumentTooLarge, "the answer is larger than " + std::to_string(body_max) + " bytes", {}});
    }
    response.body.append(bytes);
    return true;
  }
  if (download.received == 0 && !CheckDownloadHead()) return false;
  const Status taken = (*sink)(AsBytes(bytes));
  if (!taken) return Stop(taken.error());
  download.received += bytes.size();
  if (progress != nullptr && *progress) (*progress)(offset + download.received, download.total.value_or(0));
  return true;
}

size_t HeaderCallback(char* data, size_t size, size_t count, void* user) {
  return static_cast<Call*>(user)->OnHeader({data, size * count}) ? size * count : 0;
}

int ProgressCallback(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
  auto* call = static_cast<Call*>(user);
  if (call->cancel == nullptr || !call->cancel->load()) return 0;
  call->Stop({ErrorCode::kCancelled, "the request was cancelled", {}});
  return 1;
}

size_t ReadCallback(char* data, size_t size, size_t count, void* user) {
  auto* call = static_cast<Call*>(user);
  const auto room = static_cast<size_t>(std::min<uint64_t>(size * count, call->source_left));
  if (room == 0) return 0;
  const auto got = (*call->source)(std::span<uint8_t>(reinterpret_cast<uint8_t*>(data), room));
  if (!got || *got == 0 || *got > room) {
    call->Stop(got ? Error{ErrorCode::kTruncated, "the source of the upload ended early", {}} : got.error());
    return CURL_READFUNC_ABORT;
  }
  call->source_left -= *got;
  return *got;
}

ErrorCode CodeOf(CURLcode code) {
  switch (code) {
    case CURLE_OPERATION_TIMEDOUT:
      return ErrorCode::kTimedOut;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_CRL_BADFILE:
    case CURLE_USE_SSL_FAILED:
      return ErrorCode::kTlsFailed;
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_GOT_NOTHING:
    case CURLE_PROXY:
      return ErrorCode::kUnreachable;
    case CURLE_PARTIAL_FILE:
      return ErrorCode::kTruncated;
    case CURLE_OUT_OF_MEMORY:
    case CURLE_FAILED_INIT:
      return ErrorCode::kInternal;
    default:
      return ErrorCode::kProtocolError;
  }
}

}  // namespace

class Client::Impl {
 public:
  explicit Impl(ClientOptions options) : options_(std::move(options)) {}

  Status Open();
  Result<ClientResponse> Do(const ClientRequest& request);
  Result<DownloadResult> Download(const DownloadRequest& request, const Sink& sink, const Progress& progress);
  Result<ClientResponse> Upload(const UploadRequest& request, const Source& source, const Progress& progress);

 private:
  using Pairs = std::vector<std::pair<std::string, std::string>>;
  using Slist = std::unique_ptr<curl_slist, SlistDeleter>;

  Status CheckUrl() const;
  void ApplyBase(Call& call);
  void BoundTransfer();
  Status SetTarget(const std::string& path, const Pairs& query);
  Status SetHeaders(const Pairs& headers, const std::string& content_type, bool expects_continue, Slist& list);
  Status Perform(Call& call);
  template <typename Value>
  void Set(CURLoption option, Value value) {
    const CURLcode code = curl_easy_setopt(curl_.get(), option, value);
    if (code != CURLE_OK && !setup_fault_)
      setup_fault_ = std::string(curl_easy_strerror(code)) + ", option " + std::to_string(option);
  }

  static size_t BodyCallback(char* data, size_t size, size_t count, void* user);
  static CURLcode ContextCallback(CURL*, void* ssl_context, void* user);

  ClientOptions options_;
  std::string server_ca_pem_;
  std::optional<TlsIdentity> identity_;
  std::unique_ptr<CURL, CurlDeleter> curl_;
  std::optional<std::string> setup_fault_;
  char error_text_[CURL_ERROR_SIZE] = {};
};

Status Client::Impl::CheckUrl() const {
  const std::string& url = options_.base_url;
  constexpr std::string_view kScheme = "https://";
  const bool is_good = url.starts_with(kScheme) && url.size() > kScheme.size() && !url.ends_with('/') &&
                       url.find_first_of("?#@ \\") == std::string::npos && IsTextWithoutControls(url);
  if (!is_good)
    return Fail(ErrorCode::kConfigInvalid, "not an https:// URL without user, query and final slash: " + url);
  if (!options_.proxy.empty() && (!options_.proxy.starts_with("http://") || !IsTextWithoutControls(options_.proxy))) {
    return Fail(ErrorCode::kConfigInvalid, "not an http:// proxy: " + options_.proxy);
  }
  return {};
}

Status Client::Impl::Open() {
  if (!IsCurlReady()) return Fail(ErrorCode::kInternal, "libcurl does not start");
  TRY(CheckUrl());
  TRY_ASSIGN(server_ca_pem_, TextOrFile(options_.server_ca_pem, options_.server_ca_path, "the server CA"));
  // Read once here, so that a bad bundle fails now and an empty one never falls back to anything.
  TRY(LoadCertificates(server_ca_pem_, "the server CA"));
  TRY_ASSIGN(const std::string chain,
             TextOrFile(options_.certificate_pem, options_.certificate_path, "the client certificate"));
  TRY_ASSIGN(std::string key, TextOrFile(options_.private_key_pem, options_.private_key_path, "the client key"));
  if (!chain.empty() || !key.empty()) {
    auto identity = LoadIdentity(chain, key);
    WipeText(key);
    TRY(identity);
    identity_ = *std::move(identity);
  }
  WipeText(options_.private_key_pem);
  curl_.reset(curl_easy_init());
  if (!curl_) return Fail(ErrorCode::kInternal, "libcurl gives no handle");
  return {};
}

size_t Client::Impl::BodyCallback(char* data, size_t size, size_t count, void* user) {
  return static_cast<Call*>(user)->OnBody({data, size * count}) ? size * count : 0;
}

CURLcode Client::Impl::ContextCallback(CURL*, void* ssl_context, void* user) {
  const auto* impl = static_cast<const Impl*>(user);
  auto* context = static_cast<SSL_CTX*>(ssl_context);
  if (!ApplyPolicy(context, true)) return CURLE_SSL_CIPHER;
  X509_VERIFY_PARAM* judged = SSL_CTX_get0_param(context);
  if (impl->options_.certificate_dates == CertificateDates::kAtTime)
    X509_VERIFY_PARAM_set_time(judged, static_cast<time_t>(impl->options_.certificate_time.value));
  if (impl->options_.certificate_dates == CertificateDates::kNotJudged)
    X509_VERIFY_PARAM_set_flags(judged, X509_V_FLAG_NO_CHECK_TIME);
  if (impl->identity_ && !UseIdentity(context, *impl->identity_)) return CURLE_SSL_CERTPROBLEM;
  return CURLE_OK;
}

void Client::Impl::ApplyBase(Call& call) {
  curl_easy_reset(curl_.get());  // keeps connections
  setup_fault_.reset();
  error_text_[0] = '\0';
  Set(CURLOPT_ERRORBUFFER, error_text_);
  Set(CURLOPT_NOSIGNAL, 1L);
  Set(CURLOPT_PROTOCOLS_STR, "https");
  Set(CURLOPT_REDIR_PROTOCOLS_STR, "https");
  Set(CURLOPT_FOLLOWLOCATION, 0L);
  Set(CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  Set(CURLOPT_PROXY, options_.proxy.c_str());  // empty: none, the environment is not asked
  Set(CURLOPT_NOPROXY, "");
  Set(CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
  // Debian's libcurl has the system's folder and bundle compiled in; all of them go.
  Set(CURLOPT_CAPATH, static_cast<char*>(nullptr));
  Set(CURLOPT_CAINFO, static_cast<char*>(nullptr));
  curl_blob ca = {server_ca_pem_.data(), server_ca_pem_.size(), CURL_BLOB_NOCOPY};
  Set(CURLOPT_CAINFO_BLOB, &ca);
  Set(CURLOPT_CA_CACHE_TIMEOUT, 0L);
  Set(CURLOPT_SSL_VERIFYPEER, 1L);
  Set(CURLOPT_SSL_VERIFYHOST, 2L);
  Set(CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  Set(CURLOPT_SSL_CTX_FUNCTION, &Impl::ContextCallback);
  Set(CURLOPT_SSL_CTX_DATA, static_cast<void*>(this));
  Set(CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(options_.connect_timeout.count()));
  Set(CURLOPT_USERAGENT, options_.user_agent.c_str());
  Set(CURLOPT_BUFFERSIZE, kTransferBufferBytes);
  Set(CURLOPT_HEADERFUNCTION, &HeaderCallback);
  Set(CURLOPT_HEADERDATA, static_cast<void*>(&call));
  Set(CURLOPT_WRITEFUNCTION, &Impl::BodyCallback);
  Set(CURLOPT_WRITEDATA, static_cast<void*>(&call));
  Set(CURLOPT_NOPROGRESS, 0L);
  Set(CURLOPT_XFERINFOFUNCTION, &ProgressCallback);
  Set(CURLOPT_XFERINFODATA, static_cast<void*>(&call));
  call.cancel = options_.cancel;
  call.body_max = options_.response_bytes_max;
}

void Client::Impl::BoundTransfer() {
  Set(CURLOPT_LOW_SPEED_LIMIT, static_cast<long>(options_.low_speed_bytes_per_second));
  Set(CURLOPT_LOW_SPEED_TIME, static_cast<long>(options_.low_speed_time.count()));
  Set(CURLOPT_MAX_RECV_SPEED_LARGE, static_cast<curl_off_t>(options_.rate_max));
  Set(CURLOPT_MAX_SEND_SPEED_LARGE, static_cast<curl_off_t>(options_.rate_max));
}

Status Client::Impl::SetTarget(const std::string& path, const Pairs& query) {
  if (!path.starts_with('/') || !IsTextWithoutControls(path))
    return Fail(ErrorCode::kInvalidArgument, "not a request path");
  std::string url = options_.base_url + PercentEncode(path, true);
  char separator = '?';
  for (const auto& [name, value] : query) {
    url += std::exchange(separator, '&');
    url += PercentEncode(name, false) + "=" + PercentEncode(value, false);
  }
  Set(CURLOPT_PATH_AS_IS, 1L);
  Set(CURLOPT_URL, url.c_str());
  return {};
}

Status Client::Impl::SetHeaders(const Pairs& headers, const std::string& content_type, bool expects_continue,
                                Slist& list) {
  const auto append = [&list](const std::string& line) {
    curl_slist* longer = curl_slist_append(list.get(), line.c_str());
    if (longer == nullptr) return false;
    static_cast<void>(list.release());
    list.reset(longer);
    return true;
  };
  bool is_appended = append(expects_continue ? "Expect: 100-continue" : "Expect:") &&
                     append(content_type.empty() ? "Content-Type:" : "Content-Type: " + content_type);
  if (!IsTextWithoutControls(content_type)) return Fail(ErrorCode::kInvalidArgument, "not a media type");
  for (const auto& [name, value] : headers) {
    if (!IsTextWithoutControls(name) || !IsTextWithoutControls(value) || name.find(':') != std::string::npos) {
      return Fail(ErrorCode::kInvalidArgument, "not a header field: " + name);
    }
    // libcurl sends a field without value only with ';'.
    is_appended = is_appended && append(value.empty() ? name + ";" : name + ": " + value);
  }
  if (!is_appended) return Fail(ErrorCode::kInternal, "no memory for header fields");
  Set(CURLOPT_HTTPHEADER, list.get());
  return {};
}

Status Client::Impl::Perform(Call& call) {
  if (setup_fault_) return Fail(ErrorCode::kInternal, "libcurl lacks an option: " + *setup_fault_);
  const CURLcode code = curl_easy_perform(curl_.get());
  long status = 0;
  curl_easy_getinfo(curl_.get(), CURLINFO_RESPONSE_CODE, &status);
  call.response.status = static_cast<int>(status);
  Set(CURLOPT_HTTPHEADER, static_cast<curl_slist*>(nullptr));
  if (call.fault) return tl::unexpected(*call.fault);
  if (code == CURLE_OK) return {};
  std::string detail = curl_easy_strerror(code);
  if (error_text_[0] != '\0') detail += std::string(": ") + error_text_;
  // TLS 1.3 refuses a client certificate only after the handshake: the alert comes with the first read.
  const bool is_alert =
      (code == CURLE_RECV_ERROR || code == CURLE_SEND_ERROR) && detail.find("SSL routines") != std::string::npos;
  return Fail(is_alert ? ErrorCode::kTlsFailed : CodeOf(code), std::move(detail));
}

Result<ClientResponse> Client::Impl::Do(const ClientRequest& request) {
  Call call;
  Slist list;
  ApplyBase(call);
  TRY(SetTarget(request.path, request.query));
  TRY(SetHeaders(request.headers, request.content_type, false, list));
  Set(CURLOPT_TIMEOUT_MS, static_cast<long>(options_.total_timeout.count()));
  switch (request.method) {
    case Method::kGet:
      Set(CURLOPT_HTTPGET, 1L);
      break;
    case Method::kHead:
      Set(CURLOPT_NOBODY, 1L);
      break;
    case Method::kPost:
    case Method::kPut:
    case Method::kPatch:
    case Method::kDelete:
      Set(CURLOPT_POST, 1L);
      Set(CURLOPT_CUSTOMREQUEST, MethodName(request.method).data());
      Set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.body.size()));
      Set(CURLOPT_POSTFIELDS, request.body.data());
      break;
    case Method::kOther:
      return Fail(ErrorCode::kInvalidArgument, "not a method that is sent");
  }
  TRY(Perform(call));
  return std::move(call.response);
}

Result<DownloadResult> Client::Impl::Download(const DownloadRequest& request, const Sink& sink,
                                              const Progress& progress) {
  Call call;
  Slist list;
  ApplyBase(call);
  BoundTransfer();
  TRY(SetTarget(request.path, {}));
  Pairs headers;
  if (request.offset > 0) headers.emplace_back("Range", "bytes=" + std::to_string(request.offset) + "-");
  if (request.offset > 0 && !request.if_range_etag.empty())
    headers.emplace_back("If-Range", '"' + request.if_range_etag + '"');
  TRY(SetHeaders(headers, "", false, list));
  Set(CURLOPT_HTTPGET, 1L);
  call.sink = &sink;
  call.progress = &progress;
  call.offset = request.offset;
  call.body_max = kProblemBytesMax;
  TRY(Perform(call));
  if (call.response.status >= 400) return tl::unexpected(api::ParseProblem(call.response.status, call.response.body));
  // An empty body never reached the sink's check.
  if (call.download.received == 0 && !call.CheckDownloadHead()) return tl::unexpected(*call.fault);
  return std::move(call.download);
}

Result<ClientResponse> Client::Impl::Upload(const UploadRequest& request, const Source& source,
                                            const Progress& progress) {
  if (request.method != Method::kPut && request.method != Method::kPost)
    return Fail(ErrorCode::kInvalidArgument, "an upload is PUT or POST");
  Call call;
  Slist list;
  ApplyBase(call);
  BoundTransfer();
  TRY(SetTarget(request.path, request.query));
  TRY(SetHeaders(request.headers, request.content_type, true, list));
  call.source_left = request.size;
  const Source counted = [&](std::span<uint8_t> buffer) -> Result<size_t> {
    auto got = source(buffer);
    if (got && progress) progress(request.size - call.source_left + *got, request.size);
    return got;
  };
  call.source = &counted;
  // libcurl gives a server one second to say whether it wants the body, and then sends it to one that is only busy.
  Set(CURLOPT_EXPECT_100_TIMEOUT_MS, kExpectWaitMilliseconds);
  Set(CURLOPT_UPLOAD, 1L);
  Set(CURLOPT_CUSTOMREQUEST, MethodName(request.method).data());
  Set(CURLOPT_INFILESIZE_LARGE, static_cast<curl_off_t>(request.size));
  Set(CURLOPT_UPLOAD_BUFFERSIZE, kTransferBufferBytes);
  Set(CURLOPT_READFUNCTION, &ReadCallback);
  Set(CURLOPT_READDATA, static_cast<void*>(&call));
  TRY(Perform(call));
  return std::move(call.response);
}

Result<std::unique_ptr<Client>> Client::Create(ClientOptions options) {
  auto impl = std::make_unique<Impl>(std::move(options));
  TRY(impl->Open());
  return std::unique_ptr<Client>(new Client(std::move(impl)));
}

Client::Client(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Client::~Client() = default;
Result<ClientResponse> Client::Do(const ClientRequest& request) { return impl_->Do(request); }
Result<DownloadResult> Client::Download(const DownloadRequest& request, const Sink& sink, const Progress& progress) {
  return impl_->Download(request, sink, progress);
}
Result<ClientResponse> Client::Upload(const UploadRequest& request, const Source& source, const Progress& progress) {
  return impl_->Upload(request, source, progress);
}

std::string ClientResponse::MediaType() const {
  const std::string* field = headers.Find("content-type");
  return field == nullptr ? std::string() : Lower(Trim(std::string_view(*field).substr(0, field->find(';'))));
}

Status CheckStatus(const ClientResponse& response) {
  if ((response.status >= 200 && response.status < 300) || response.status == 304) return {};
  if (response.status >= 400) return tl::unexpected(api::ParseProblem(response.status, response.body));
  return Fail(ErrorCode::kProtocolError, "HTTP status " + std::to_string(response.status) + " is not expected");
}

}  // namespace fleetseal::http
