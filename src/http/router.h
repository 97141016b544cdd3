// Router: which handler answers a method and path, on which thread, and what it may be sent.
//
// Patterns are segments: "/device/v1/check-in", "/content/v1/{sha256}" ({name} matches one non-empty segment). A
// literal segment goes before a {name}. HEAD is answered by GET routes. Unknown path 404, known path with another
// method 405 with Allow, body too large 413, other media type 415, peer rule 401 or 403; all as problem+json, before
// the body is read. Thread rule: built by one thread, then const; find is safe from any thread. It must outlive no one:
// Server shares it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/limits.h"
#include "base/result.h"
#include "http/body_reader.h"
#include "http/message.h"

namespace fleetseal::http {

enum class HandlerKind : uint8_t {
  kIoThread,   // must not block: it holds up every connection of that thread
  kWorker,     // may block; bounded queue, past it 503 LimitExceeded
  kStreaming,  // may block; reads the body while it arrives; threads of its own, so slow uploads starve nobody
};

enum class PeerRule : uint8_t {
  kRequired,      // a client certificate within its dates; else 401 NotAuthenticated, 403 CertificateExpired
  kMayBeExpired,  // a client certificate; the handler judges its dates (trust model section 9: simplereenroll only)
  kNone,          // the handler judges all of it
};

using Handler = std::function<Response(const Request&)>;
using StreamingHandler = std::function<Response(const Request&, BodyReader&)>;

struct RouteOptions {
  PeerRule peer = PeerRule::kRequired;
  // A larger declared Content-Length is refused with 413 DocumentTooLarge before the body is read. Bytes.
  uint64_t body_bytes_max = limits::kHttpBodyBytesMax;
  // Media types (without parameters, lower-case) that a request with a body may have; empty: any.
  std::vector<std::string> media_types{};
};

struct Route {
  Method method = Method::kGet;
  std::string pattern{};
  HandlerKind kind = HandlerKind::kIoThread;
  RouteOptions options{};
  Handler handler{};                     // kIoThread, kWorker
  StreamingHandler streaming_handler{};  // kStreaming
};

class Router {
 public:
  // InvalidArgument for a bad pattern or media type, AlreadyExists for a second route of that method and pattern.
  Status OnIoThread(Method method, std::string pattern, Handler handler, RouteOptions options = {});
  Status OnWorker(Method method, std::string pattern, Handler handler, RouteOptions options = {});
  Status OnStream(Method method, std::string pattern, StreamingHandler handler, RouteOptions options = {});

  struct Match {
    const Route* route = nullptr;  // null: no route
    QueryMap params{};
    std::string allow{};  // set if the path is known but not for this method
  };
  Match Find(Method method, std::string_view path) const;

  // Every route, for OpenAPI and posture checks.
  std::vector<const Route*> routes() const;

 private:
  struct Node {
    std::map<std::string, std::unique_ptr<Node>, std::less<>> literals{};
    std::unique_ptr<Node> any{};
    std::string any_name{};
    std::map<Method, std::unique_ptr<Route>> routes{};
  };
  struct StringHash {
    using is_transparent = void;
    size_t operator()(std::string_view text) const { return std::hash<std::string_view>{}(text); }
  };

  Status Add(Route route);
  static const Node* Walk(const Node& node, std::string_view rest, QueryMap& params);

  Node root_;
  // Patterns without {names}: one look-up answers most requests.
  std::unordered_map<std::string, const Node*, StringHash, std::equal_to<>> exact_;
};

// nullopt if the request may go on to `route`, else the refusal. `now` judges the peer's dates.
std::optional<Response> CheckRoute(const Route& route, const Request& request, UnixSeconds now);

}  // namespace fleetseal::http
