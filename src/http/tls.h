// What a TLS listener demands. The only options that exist: nothing here turns verification off.
//
// Source: S0.2, S4.28; trust model section 9 (each listener trusts exactly one CA bundle for clients, never the system
// store). TLS 1.3 by default; no renegotiation, compression, 0-RTT or session tickets.
// Thread rule: plain values. `private_key_pem` is wiped by its owner.
#pragma once

#include <cstdint>
#include <string>

namespace fleetseal::http {

enum class ClientAuth : uint8_t {
  kRequired,   // no certificate ends the handshake
  kRequested,  // no certificate is fine, a bad one ends the handshake; routes decide (RouteOptions::peer)
};

struct TlsServerOptions {
  // Own certificate first, then the chain up to but without the root. PEM text.
  std::string certificate_chain_pem{};
  // Unencrypted PKCS#8 or SEC1. PEM text; or the path of a file with it, if the text is empty.
  std::string private_key_pem{};
  std::string private_key_path{};
  // Exactly these sign client certificates. PEM text, one or more blocks; each is a trust anchor.
  std::string client_ca_pem{};
  ClientAuth client_auth = ClientAuth::kRequired;
  // Also take TLS 1.2, with ECDHE and AEAD suites only.
  bool allows_tls12 = false;
  // Let a client certificate through whose only fault is that it ended: routes refuse it unless they say kMayBeExpired.
  bool accepts_expired_client = false;
  // Sessions kept in memory for resumption; 0: none. Stateful, so a ticket never carries the client's certificate.
  uint32_t session_cache_size = 0;
};

}  // namespace fleetseal::http
