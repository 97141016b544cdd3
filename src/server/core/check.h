// --check of the server: database, sealed content, certificate, read only.
//
// Source: docs/protocol/processes.md section 3; S0.20. Thread rule: any thread; a server may run meanwhile.
#pragma once

#include "config/findings/findings.h"
#include "server/core/config.h"
#include "sys/clock.h"

namespace fleetseal::server {

config::Findings CheckServer(const ServerConfig& config, const sys::Clock& clock);

}  // namespace fleetseal::server
