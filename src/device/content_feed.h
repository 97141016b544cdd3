// Feeds one fetched file into the installer through a pipe.
//
// Source: trust model section 8 ("sealed content through a pipe"). REQUIRES: SIGPIPE is ignored in this process (the
// installer may close its end first). Thread rule: one thread at a time an installer connection.
#pragma once

#include <string>

#include "api/installer/installer_client.h"

namespace fleetseal::device {

// The phase afterwards. The installer's code if it refuses the content; StorageFailed for the file or the pipe.
Result<api::installer::InstallerPhase> FeedContent(api::installer::InstallerClient& installer,
                                                   const api::installer::WantedContent& wanted,
                                                   const std::string& path);

// The number inside a compact receipt of our own installer: what is acknowledged. ProtocolError if it cannot be read.
Result<int64_t> ReceiptNumber(const std::string& compact);

}  // namespace fleetseal::device
