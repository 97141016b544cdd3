// `fleetseal tls renew`: the server's next certificate, from the stopped signer.
//
// Source: docs/operations/certificates.md. Signer and server, each run under its own user, show, issue and take it;
// this only carries. One thread.
#pragma once

#include <string>

#include "cli/context.h"

namespace fleetseal::cli {

struct TlsRenewOptions {
  std::string data;
  std::string date;  // of today; needed only beyond the life of the root-key package
};
// The server's certificate file is the old one or the new one, whatever happens. Codes: Busy (the signer runs), those
// of --renew-server and --take-certificate.
Status TlsRenew(Context& context, const TlsRenewOptions& options);

}  // namespace fleetseal::cli
