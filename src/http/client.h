// Client: HTTPS requests to one server with a client certificate, over libcurl.
//
// Source: S0.2, S3.1, S4.30; trap: Debian's libcurl trusts the system store besides the CA it is given, so the factory
// turns every default store off. Only https, no redirects, TLS 1.2 or newer, chain and name always verified: there is
// no option to skip that. Dates are judged too, but for the one case of trust model section 5 (CertificateDates). A
// proxy is used only if named here, never from the environment. Thread rule: one owner thread a Client, never called
// concurrently; `cancel` may be set from any thread.
#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/limits.h"
#include "base/result.h"
#include "http/message.h"

namespace fleetseal::http {

// How the dates of the server's certificates are judged.
enum class CertificateDates : uint8_t {
  kByClock,
  kAtTime,     // by a signed time: the clock is known to be wrong
  kNotJudged,  // only to learn the time: what is fetched so must be signed and is judged by who gets it
};

struct ClientOptions {
  // "https://host:port" with an optional path prefix, no query, no user.
  std::string base_url{};
  // Exactly these may sign the server's certificate. PEM text, or the path of a file with it if the text is empty.
  std::string server_ca_pem{};
  std::string server_ca_path{};
  // Client certificate (own first, then chain) and unencrypted key; all empty: none is shown.
  std::string certificate_pem{};
  std::string certificate_path{};
  std::string private_key_pem{};
  std::string private_key_path{};
  CertificateDates certificate_dates = CertificateDates::kByClock;
  UnixSeconds certificate_time{};  // with kAtTime
  std::chrono::milliseconds connect_timeout{10'000};
  // One request of Do, from start to end. Transfers are bounded by the rate instead.
  std::chrono::milliseconds total_timeout{60'000};
  // Download and Upload give up (TimedOut) below this many bytes per second for `low_speed_time`; 0: never.
  uint32_t low_speed_bytes_per_second = 100;
  std::chrono::seconds low_speed_time{60};
  // Transfers are held to this rate; 0: unbounded. Bytes per second.
  uint64_t rate_max = 0;
  // "http://host:port" of a CONNECT proxy; empty: none, whatever the environment says.
  std::string proxy{};
  // A longer body of Do's answers is refused with DocumentTooLarge.
  size_t response_bytes_max = 4 * 1024 * 1024;
  std::string user_agent = "fleetseal";
  // Not owned, may be null, outlives the client: true ends the running call with Cancelled within about a second.
  const std::atomic<bool>* cancel = nullptr;
};

struct ClientRequest {
  Method method = Method::kGet;
  std::string path{};  // starts with '/'; printable ASCII; sent percent-encoded
  std::vector<std::pair<std::string, std::string>> query{};
  std::vector<std::pair<std::string, std::string>> headers{};
  std::string content_type{};  // with a body
  std::string body{};
};

struct ClientResponse {
  int status = 0;
  Headers headers{};  // names in lower case
  std::string body{};

  // Content-Type without parameters, lower-case; empty if absent.
  std::string MediaType() const;
};

// What a transfer is told about its course: bytes so far and in all (0: not known).
using Progress = std::function<void(uint64_t done, uint64_t total)>;
// Takes the next bytes of a download; an error ends it and is what Download returns.
using Sink = std::function<Status(ByteView)>;
// Fills the buffer with the next bytes of an upload and says how many; 0 is the end.
using Source = std::function<Result<size_t>(std::span<uint8_t>)>;

struct DownloadResult {
  int status = 0;  // 200, 206; the sink saw nothing otherwise
  uint64_t received = 0;
  // Length of the whole content, if the server named it.
  std::optional<uint64_t> total{};
  std::string etag{};
};

class Client {
 public:
  // ConfigInvalid (URL, CA, paths), KeyInvalid, CertificateInvalid. Opens no connection.
  static Result<std::unique_ptr<Client>> Create(ClientOptions options);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // One request; any status is a response (CheckStatus turns >= 400 into its error).
  // Unreachable TimedOut TlsFailed ProtocolError DocumentTooLarge Cancelled InvalidArgument.
  Result<ClientResponse> Do(const ClientRequest& request);

  // GET from `offset` on. With offset > 0 the server must answer 206 with that range; `if_range_etag` (without quotes)
  // guards against other content. A status >= 400 is returned as its problem's error. As Do, and what `sink` returns.
  struct DownloadRequest {
    std::string path{};
    uint64_t offset = 0;
    std::string if_range_etag{};
  };
  Result<DownloadResult> Download(const DownloadRequest& request, const Sink& sink, const Progress& progress = {});

  // PUT or POST of `size` bytes from `source`; asks with Expect: 100-continue first.
  struct UploadRequest {
    Method method = Method::kPut;
    std::string path{};
    std::vector<std::pair<std::string, std::string>> query{};
    std::vector<std::pair<std::string, std::string>> headers{};
    std::string content_type = "application/octet-stream";
    uint64_t size = 0;
  };
  Result<ClientResponse> Upload(const UploadRequest& request, const Source& source, const Progress& progress = {});

 private:
  class Impl;
  explicit Client(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// Ok for 2xx and 304; the problem's error for >= 400; ProtocolError for anything else (redirects are never followed).
Status CheckStatus(const ClientResponse& response);

}  // namespace fleetseal::http
