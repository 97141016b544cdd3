// Requests and responses as handlers see them; no wire form, no vendor type.
//
// Source: RFC 9110; limits in base/limits.h. A Request is complete and checked: path and query are decoded, header
// names are lower-case, the body is whole (except on streaming routes, where BodyReader brings it).
// Thread rule: values; one owner at a time. Peer belongs to one connection, which serves one request at a time, so the
// handler that runs may use `attachment` without a lock.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"

struct x509_st;  // OpenSSL's X509

namespace fleetseal::http {

enum class Method : uint8_t { kGet, kHead, kPost, kPut, kPatch, kDelete, kOther };
std::string_view MethodName(Method method);

// Header fields in order. A request never holds one name twice: repeated list fields are joined with ", ", repeated
// single-value fields are refused before a handler sees them.
class Headers {
 public:
  // nullptr if absent. `name` in lower case.
  const std::string* Find(std::string_view name) const;
  void Add(std::string name, std::string value) { fields_.emplace_back(std::move(name), std::move(value)); }
  // Appends to the value of an existing field, else adds it.
  void AddToList(std::string name, std::string_view value);
  void Clear() { fields_.clear(); }
  const std::vector<std::pair<std::string, std::string>>& fields() const { return fields_; }

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

using QueryMap = std::map<std::string, std::string, std::less<>>;

// Who is at the other end of a connection. The certificate's chain and usage are verified; its dates are judged a
// request (RouteOptions::peer).
struct Peer {
  std::optional<Bytes> certificate_der{};
  // The same as TLS has parsed it, for pki::Certificate::FromParsed.
  std::shared_ptr<x509_st> certificate{};
  UnixSeconds certificate_not_after{};
  std::string remote_address{};
  // For the edge: what it made of the certificate, kept as long as the connection.
  std::shared_ptr<const void> attachment{};
};

struct Request {
  Method method = Method::kGet;
  std::string path{};  // decoded; starts with '/', no empty, "." or ".." segment, printable ASCII
  QueryMap query{};    // decoded; each name once
  QueryMap params{};   // what the route's {names} matched
  Headers headers{};
  std::string body{};
  uint64_t content_length = 0;
  std::shared_ptr<Peer> peer{};
  std::string request_id{};

  // nullptr without a client certificate.
  const Bytes* peer_certificate_der() const {
    return peer && peer->certificate_der ? &*peer->certificate_der : nullptr;
  }
  const std::string& remote_address() const { return peer->remote_address; }
  // Empty if absent.
  std::string_view Param(std::string_view name) const;
  std::string_view Query(std::string_view name) const;
};

// A file that is open for reading; closed with the last response that uses it.
class OpenedFile {
 public:
  // Follows no symbolic link in the last component. NotFound StorageFailed (not a regular file, cannot open).
  static Result<std::shared_ptr<const OpenedFile>> Open(const std::string& path);
  // Takes ownership of `fd`, open for pread of a regular file. StorageFailed.
  static Result<std::shared_ptr<const OpenedFile>> Adopt(int fd);
  ~OpenedFile();
  OpenedFile(const OpenedFile&) = delete;
  OpenedFile& operator=(const OpenedFile&) = delete;
  int fd() const { return fd_; }
  uint64_t size() const { return size_; }

 private:
  OpenedFile(int fd, uint64_t size) : fd_(fd), size_(size) {}
  const int fd_;
  const uint64_t size_;
};

// `size` bytes of `file` from `offset` on are the representation. Range, If-Range, If-None-Match and HEAD are answered
// by the server from `etag` (strong, without quotes; empty: no ranges by validator).
struct FileBody {
  std::shared_ptr<const OpenedFile> file{};
  uint64_t offset = 0;
  uint64_t size = 0;
  std::string etag{};
  // Asked on the I/O thread while the body is sent, a few times a second at most; false ends the connection. Must not
  // block. Empty: never asked.
  std::function<bool()> may_go_on{};
  // Told on the I/O thread when the last byte asked for was handed over: the end of what was sent, from `offset`. Must
  // not block.
  std::function<void(uint64_t end)> on_sent{};
};

struct Response;

// Where a Responder delivers; implemented by the connection and by fakes in tests.
class ResponseSink {
 public:
  virtual ~ResponseSink() = default;
  virtual void Send(Response response) = 0;
};

// The right to answer one request, once, from any thread. Destroyed unused, it answers 500 Internal. If the peer went
// away or the timeout answered first, Send does nothing. It may outlive the server.
class Responder {
 public:
  explicit Responder(std::unique_ptr<ResponseSink> sink) : sink_(std::move(sink)) {}
  Responder(Responder&&) noexcept = default;
  Responder& operator=(Responder&& other) noexcept;
  ~Responder();
  void Send(Response response);

 private:
  std::unique_ptr<ResponseSink> sink_;
};

// An answer that waits for an event: `subscribe` gets the Responder on the I/O thread, stores it where the event will
// find it, and returns; it must not block. After `timeout` (or when the server stops) `on_timeout` makes the answer.
struct Parked {
  std::function<void(Responder)> subscribe{};
  std::chrono::milliseconds timeout{0};
  std::function<Response()> on_timeout{};
};

struct Response {
  int status = 200;
  std::string content_type{};
  Headers headers{};
  // shared: made once, sent many times, not copied when large.
  std::variant<std::string, std::shared_ptr<const std::string>, FileBody, Parked> body{};
};

Response JsonResponse(int status, std::string json_text);
Response SharedResponse(int status, std::string content_type, std::shared_ptr<const std::string> body);
Response EmptyResponse(int status);
Response FileResponse(std::string content_type, FileBody file);
Response ParkedResponse(Parked parked);
// problem+json; see api/problem for what `safe_detail` may hold.
Response ProblemResponse(ErrorCode code, std::string_view request_id,
                         const std::optional<std::string>& safe_detail = std::nullopt,
                         std::optional<int> http_status = std::nullopt);
// The usual end of a handler: a refusal may be explained, an error keeps its detail for the log.
Response RefusalResponse(const Refusal& refusal, std::string_view request_id);
Response ErrorResponse(const Error& error, std::string_view request_id);

}  // namespace fleetseal::http
