// --check of the sealer: its key and every update record, read only.
//
// Source: docs/protocol/processes.md section 3. Thread rule: any thread; a sealer may run meanwhile.
#pragma once

#include "config/findings/findings.h"
#include "sealer/config.h"

namespace fleetseal::sealer {

config::Findings CheckSealer(const Config& config);

}  // namespace fleetseal::sealer
