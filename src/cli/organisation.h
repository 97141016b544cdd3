// `fleetseal init` and `fleetseal run`: an organisation on one machine.
//
// Source: docs/protocol/processes.md sections 1 and 2; trust model section 1 (roots offline, k of n). One thread.
#pragma once

#include <string>
#include <vector>

#include "cli/context.h"

namespace fleetseal::cli {

struct InitOptions {
  std::string data;  // made; must be empty if it exists
  std::string organisation;
  std::vector<std::string> products;  // vendor/name
  std::vector<std::string> environments{"production", "test"};
  int roots = 3;
  int threshold = 2;
  int approvals = 2;
  std::string algorithm = "ES256";  // of roots and signing keys; RS256 for Azure-readable organisations
  bool is_adu_readable = false;
  std::string listen_address = "0.0.0.0";
  int device_port = 8443;
  int admin_port = 9443;
  std::vector<std::string> names{
      "localhost"};  // DNS names and addresses in the server's certificate; the first is in URLs
  int64_t check_in_seconds = 300;
  std::string security_name = "security";
  std::string operator_name = "operator";
};
// Makes roots, keys, CAs, package, register and configuration. Tells what it did and what to do with offline/.
Status Init(Context& context, const InitOptions& options);

// Starts sealer, signer and server of a data directory and watches them until a stop signal. `ready_fd` < 0: none.
Status Run(Context& context, const std::string& data, int ready_fd);

}  // namespace fleetseal::cli
