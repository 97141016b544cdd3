// --check: everything of an installer at rest: configuration, provisioning, keys, state and its seal, boot files,
// slots.
//
// Source: docs/protocol/processes.md section 3; trust model section 8. Takes no lock and changes nothing, so it works
// beside the running installer: state and mark are replaced as wholes, and the mark is read first. One thread.
#pragma once

#include "config/findings/findings.h"
#include "installer/config/config.h"
#include "sys/clock.h"

namespace fleetseal::installer {

config::Findings CheckInstaller(const Config& config, const sys::Clock& clock);

}  // namespace fleetseal::installer
