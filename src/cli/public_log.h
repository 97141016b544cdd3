// The log as anybody reads it from a server, and the package that names its key.
//
// Source: trust model section 6. Nothing here is believed: who reads checks it against a signed checkpoint. Thread
// rule: one thread; the reader uses `client`, which outlives it.
#pragma once

#include <functional>
#include <string>

#include "cli/admin_client.h"
#include "translog/log_reader.h"

namespace fleetseal::cli {

// The newest package that the server hands out with an update's documents is not enough: a fresh organisation has none.
// ProtocolError.
Result<std::string> NewestPackage(AdminClient& client);
// Over the admin API; `on_file` is told of each file that is fetched. Without an origin: the log that is written now.
translog::LogReader ServedLog(AdminClient& client, std::function<void()> on_file = {}, const std::string& origin = {});

}  // namespace fleetseal::cli
