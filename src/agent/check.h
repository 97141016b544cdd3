// --check: everything of an agent at rest: identity, trusted CA, downloads, and the installer's socket.
//
// Source: docs/protocol/processes.md section 3. Takes no lock and changes nothing, so it works beside the running
// agent. One thread.
#pragma once

#include "agent/config/config.h"
#include "config/findings/findings.h"
#include "sys/clock.h"

namespace fleetseal::agent {

config::Findings CheckAgent(const Config& config, const sys::Clock& clock);

}  // namespace fleetseal::agent
