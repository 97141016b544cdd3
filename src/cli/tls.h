// `fleetseal tls`: the server's next certificate, and the old CA's word for a new one, from the stopped signer.
//
// Source: docs/operations/certificates.md, lost-ca-key.md. Signer and server, each run under its own user, show, issue
// and take; this only carries. One thread.
#pragma once

#include <string>

#include "cli/context.h"

namespace fleetseal::cli {

// NotFound, with what to do, unless an organisation was made there.
Status RequireOrganisation(Context& context, const std::string& data);

struct TlsRenewOptions {
  std::string data;
  std::string date;  // of today; needed only beyond the life of the root-key package
};
// The server's certificate file is the old one or the new one, whatever happens. Codes: Busy (the signer runs), those
// of --renew-server and --take-certificate.
Status TlsRenew(Context& context, const TlsRenewOptions& options);

struct TlsCrossSignOptions {
  std::string data;
  std::string ca;      // PEM file: the new CA's own certificate
  std::string output;  // PEM file: the same CA, certified by the signer's
};
// Whatever breaks off, the output is whole or not there, and what is in it is on the log. Codes: StorageFailed (the
// output's folder; nothing is issued), Busy (the signer runs), those of --cross-sign.
Status TlsCrossSign(Context& context, const TlsCrossSignOptions& options);

}  // namespace fleetseal::cli
