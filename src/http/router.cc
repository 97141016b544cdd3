#include "http/router.h"

#include <algorithm>
#include <utility>

namespace fleetseal::http {
namespace {

bool IsLiteral(std::string_view segment) {
  return !segment.empty() && segment != "." && segment != ".." &&
         std::ranges::all_of(segment, [](char c) { return c > 0x20 && c < 0x7f && c != '{' && c != '}' && c != '/'; });
}

bool IsLowerCaseMediaType(std::string_view text) {
  return text.find('/') != std::string_view::npos &&
         std::ranges::none_of(text, [](char c) { return (c >= 'A' && c <= 'Z') || c == ';' || c == ' '; });
}

std::string MediaTypeOf(const Headers& headers) {
  const std::string* field = headers.Find("content-type");
  if (field == nullptr) return {};
  std::string type = field->substr(0, field->find(';'));
  while (!type.empty() && (type.back() == ' ' || type.back() == '\t')) type.pop_back();
  for (char& c : type) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return type;
}

}  // namespace

Status Router::OnIoThread(Method method, std::string pattern, Handler handler, RouteOptions options) {
  return Add(Route{method, std::move(pattern), HandlerKind::kIoThread, std::move(options), std::move(handler), {}});
}

Status Router::OnWorker(Method method, std::string pattern, Handler handler, RouteOptions options) {
  return Add(Route{method, std::move(pattern), HandlerKind::kWorker, std::move(options), std::move(handler), {}});
}

Status Router::OnStream(Method method, std::string pattern, StreamingHandler handler, RouteOptions options) {
  return Add(Route{method, std::move(pattern), HandlerKind::kStreaming, std::move(options), {}, std::move(handler)});
}

Status Router::Add(Route route) {
  const auto refuse = [&](std::string_view why) {
    return Fail(ErrorCode::kInvalidArgument, "route " + route.pattern + ": " + std::string(why));
  };
  if (!route.pattern.starts_with('/')) return refuse("does not start with /");
  if (route.pattern.size() > 1 && route.pattern.ends_with('/')) return refuse("ends with /");
  if (route.method == Method::kHead || route.method == Method::kOther) return refuse("has a method that is not routed");
  for (const std::string& type : route.options.media_types) {
    if (!IsLowerCaseMediaType(type)) return refuse("has a bad media type");
  }
  Node* node = &root_;
  bool is_exact = true;
  std::string_view rest = std::string_view(route.pattern).substr(1);
  while (!rest.empty()) {
    const size_t end = std::min(rest.find('/'), rest.size());
    const std::string_view segment = rest.substr(0, end);
    rest.remove_prefix(end == rest.size() ? end : end + 1);
    if (segment.size() > 2 && segment.front() == '{' && segment.back() == '}') {
      const std::string_view name = segment.substr(1, segment.size() - 2);
      if (!IsLiteral(name)) return refuse("has a bad parameter name");
      if (!node->any) {
        node->any = std::make_unique<Node>();
        node->any_name = name;
      }
      if (node->any_name != name) return refuse("gives another name to a parameter that exists");
      node = node->any.get();
      is_exact = false;
      continue;
    }
    if (!IsLiteral(segment)) return refuse("has a bad segment");
    auto& child = node->literals[std::string(segment)];
    if (!child) child = std::make_unique<Node>();
    node = child.get();
  }
  if (node->routes.contains(route.method)) return Fail(ErrorCode::kAlreadyExists, "route " + route.pattern + " exists");
  if (is_exact) exact_[route.pattern] = node;
  const Method method = route.method;
  node->routes[method] = std::make_unique<Route>(std::move(route));
  return {};
}

const Router::Node* Router::Walk(const Node& node, std::string_view rest, QueryMap& params) {
  if (rest.empty()) return node.routes.empty() ? nullptr : &node;
  const size_t end = std::min(rest.find('/'), rest.size());
  const std::string_view segment = rest.substr(0, end);
  const std::string_view after = rest.substr(end == rest.size() ? end : end + 1);
  if (const auto found = node.literals.find(segment); found != node.literals.end()) {
    if (const Node* leaf = Walk(*found->second, after, params)) return leaf;
  }
  if (!node.any) return nullptr;
  const Node* leaf = Walk(*node.any, after, params);
  if (leaf != nullptr) params[node.any_name] = segment;
  return leaf;
}

Router::Match Router::Find(Method method, std::string_view path) const {
  Match match;
  const auto exact = exact_.find(path);
  const Node* node = nullptr;
  if (exact != exact_.end()) {
    node = exact->second;
  } else if (!path.empty()) {
    node = Walk(root_, path.substr(1), match.params);
  }
  if (node == nullptr) return match;
  const auto found = node->routes.find(method == Method::kHead ? Method::kGet : method);
  if (found != node->routes.end()) {
    match.route = found->second.get();
    return match;
  }
  for (const auto& [allowed, route] : node->routes) {
    if (!match.allow.empty()) match.allow += ", ";
    match.allow += MethodName(allowed);
    if (allowed == Method::kGet) match.allow += ", HEAD";
  }
  return match;
}

std::vector<const Route*> Router::routes() const {
  std::vector<const Route*> all;
  std::vector<const Node*> open = {&root_};
  while (!open.empty()) {
    const Node* node = open.back();
    open.pop_back();
    for (const auto& [method, route] : node->routes) all.push_back(route.get());
    for (const auto& [segment, child] : node->literals) open.push_back(child.get());
    if (node->any) open.push_back(node->any.get());
  }
  return all;
}

std::optional<Response> CheckRoute(const Route& route, const Request& request, UnixSeconds now) {
  const std::string& id = request.request_id;
  if (route.options.peer != PeerRule::kNone && request.peer_certificate_der() == nullptr) {
    return ProblemResponse(ErrorCode::kNotAuthenticated, id);
  }
  // Trust model section 9: simplereenroll alone takes an expired certificate. Judged a request, since a connection may
  // outlive its certificate.
  if (route.options.peer == PeerRule::kRequired && now > request.peer->certificate_not_after) {
    return ProblemResponse(ErrorCode::kCertificateExpired, id);
  }
  if (request.content_length > route.options.body_bytes_max) {
    return ProblemResponse(ErrorCode::kDocumentTooLarge, id,
                           "the limit here is " + std::to_string(route.options.body_bytes_max) + " bytes");
  }
  const auto& types = route.options.media_types;
  if (request.content_length > 0 && !types.empty() &&
      std::ranges::find(types, MediaTypeOf(request.headers)) == types.end()) {
    return ProblemResponse(ErrorCode::kMediaTypeUnsupported, id, "expected " + types.front());
  }
  return std::nullopt;
}

}  // namespace fleetseal::http
