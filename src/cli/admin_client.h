// AdminClient: the admin API as JSON in, JSON out, over mutual TLS with one person's certificate.
//
// Source: docs/protocol/processes.md section 6. Errors carry the server's code (problem+json). One owner thread.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "cli/identity.h"
#include "codec/json.h"
#include "http/client.h"

namespace fleetseal::cli {

class AdminClient {
 public:
  // Opens no connection. Takes the identity's own URL unless context.url names another.
  static Result<std::unique_ptr<AdminClient>> Open(const Context& context, std::unique_ptr<Identity> identity);
  // Identity::Choose, then Open.
  static Result<std::unique_ptr<AdminClient>> OpenAs(const Context& context, manifest::PersonRole role);
  static Result<std::unique_ptr<AdminClient>> OpenAny(const Context& context);

  using Query = std::vector<std::pair<std::string, std::string>>;
  Result<codec::Json> Get(const std::string& path, const Query& query = {});
  Result<codec::Json> Post(const std::string& path, const codec::Json& body);
  Result<codec::Json> Put(const std::string& path, const codec::Json& body);
  // All pages of a list: the elements of member `name`.
  Result<codec::Json::Array> List(const std::string& path, std::string_view name, Query query = {});
  Result<std::string> GetText(const std::string& path);
  Result<codec::Json> UploadFile(const std::string& path, const std::string& file, const std::string& label);

  const Identity& identity() const { return *identity_; }
  http::Client& http() { return *client_; }

 private:
  AdminClient(const Context& context, std::unique_ptr<Identity> identity, std::unique_ptr<http::Client> client,
              std::string url)
      : context_(context), identity_(std::move(identity)), client_(std::move(client)), url_(std::move(url)) {}
  // Says what is waited for, and judges the answer.
  Result<http::ClientResponse> Ask(const http::ClientRequest& request);
  Result<codec::Json> Send(http::Method method, const std::string& path, const codec::Json* body, const Query& query);

  const Context& context_;
  std::unique_ptr<Identity> identity_;
  std::unique_ptr<http::Client> client_;
  std::string url_;
};

// Typed access to answers: MemberMissing / MemberTypeWrong name the member (ProtocolError would hide which).
Result<std::string> TextOf(const codec::Json& json, std::string_view name);
std::string TextOr(const codec::Json& json, std::string_view name, std::string_view fallback);
// As TextOr, on one line without anything that commands a terminal: for text that other people and devices chose.
std::string ShownOr(const codec::Json& json, std::string_view name, std::string_view fallback);
int64_t IntegerOr(const codec::Json& json, std::string_view name, int64_t fallback);
const codec::Json::Array& ArrayOr(const codec::Json& json, std::string_view name);

}  // namespace fleetseal::cli
