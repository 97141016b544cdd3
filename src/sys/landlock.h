// Landlock: the trees and TCP ports that are left to this process. Part of sandbox.h, for nobody else.
//
// Source: Linux userspace-api/landlock, ABI 2 (renaming between folders) to 7, by raw system calls: the C library of
// Debian 12 knows neither them nor the newer constants. Thread rule: binds the calling thread and what it starts later.
#pragma once

#include "sys/sandbox.h"

namespace fleetseal::sys {

// Enters; returns the ABI that was used, 0 if this kernel has none that is of use. Codes: those of EnterSandbox.
Result<int> EnterLandlock(const SandboxPolicy& policy);

}  // namespace fleetseal::sys
