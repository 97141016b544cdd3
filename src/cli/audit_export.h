// Everything that shows how one update came onto one device, as files for whoever audits it.
//
// Source: design sections 1 and 6 (`audit export`); docs/how-to/verify.md. The server carries it and is not believed:
// what is written is judged by `fleetseal verify` alone. One thread.
#pragma once

#include <string>

#include "cli/admin_client.h"

namespace fleetseal::cli {

struct AuditExportOptions {
  std::string update;  // hex, hex prefix, or vendor/name@version
  std::string device;
  std::string output;  // a folder that is not there yet
};
// AlreadyExists (output), DeviceUnknown, UpdateNotSigned, NotFound (no order for that device), ProtocolError.
Status AuditExport(Context& context, const AuditExportOptions& options);

}  // namespace fleetseal::cli
