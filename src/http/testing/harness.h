// What the tests of http/ share: certificates, a running server, and a client that speaks raw bytes over TLS.
//
// The bodies are in harness_test.cc, which only test programs link. Nothing here waits by sleeping: sockets have a
// receive timeout that turns a hang into a failure. Thread rule: one thread a RawClient.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "http/client.h"
#include "http/server.h"

namespace fleetseal::http::testing {

struct Identity {
  std::string certificate_pem{};
  std::string key_pem{};
};

struct IssueRequest {
  std::string common_name = "client";
  bool is_server = false;
  bool is_ca = false;
  int64_t begins_in_seconds = -3600;
  int64_t ends_in_seconds = 3600;
};

// Signed by `issuer`, or by itself if null. P-256. Servers get SAN IP 127.0.0.1 and DNS localhost.
Identity Issue(const Identity* issuer, const IssueRequest& request);

// One organisation: a server CA, a device CA, a server and a client.
struct World {
  Identity server_ca{};
  Identity client_ca{};
  Identity server{};
  Identity client{};
  World();
  TlsServerOptions Tls() const;
  // A fresh client certificate with those dates.
  Identity ClientWithDates(int64_t begins_in_seconds, int64_t ends_in_seconds) const;
};
// Made once for the test program.
const World& SharedWorld();

ServerOptions OptionsFor(std::shared_ptr<const Router> router);
// Fails the test and returns null if the server does not start.
std::unique_ptr<Server> StartServer(ServerOptions options);
ClientOptions ClientOptionsFor(const Server& server);
std::unique_ptr<Client> MakeClient(ClientOptions options);

struct RawResponse {
  int status = 0;  // 0: the connection ended before a whole head
  std::string head{};
  std::string body{};
  // The value of a field, lower-case name; empty if absent.
  std::string Field(std::string_view name) const;
};

struct RawOptions {
  const Identity* client = nullptr;  // null: shows no certificate
  int version_max = 0;               // TLS1_1_VERSION …; 0: newest
  std::string cipher_list{};         // TLS 1.2; empty: OpenSSL's default
  bool weak_allowed = false;         // SECLEVEL=0, so that old versions can be tried
  std::string alpn{};                // one protocol name; empty: none offered
};

class RawClient {
 public:
  // Connects and shakes hands; is_connected() tells if that went well.
  RawClient(uint16_t port, const RawOptions& options);
  ~RawClient();
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  bool is_connected() const;
  // Name of the suite, "TLSv1.3" …
  std::string cipher() const;
  std::string version() const;
  bool was_resumed() const;
  bool Send(std::string_view bytes);
  // One response; `has_body` false for answers to HEAD.
  RawResponse Receive(bool has_body = true);
  // Everything until the server closes.
  std::string ReceiveAll();
  // True once the server has closed without another byte.
  bool IsClosedByServer();
  // Reads until the certificate was judged: TLS 1.3 refuses it after the handshake.
  bool IsAccepted();

 private:
  bool Fill();

  struct State;
  std::unique_ptr<State> state_;
};

std::string Get(std::string_view path, std::string_view extra_fields = {});

}  // namespace fleetseal::http::testing
