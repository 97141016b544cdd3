// Who else could change what a program relies on: directories with state and configuration files.
//
// Source: issue "The ground", wrong permissions; trust model section 2 (a process believes its own files). Secrets have
// a check of their own (ReadSecretFile). Each refusal tells the command that mends it. Thread rule: any thread.
#pragma once

#include <string>

#include "base/result.h"

namespace fleetseal::sys {

enum class Reach : uint8_t {
  kNobodyElse,  // others may neither read nor write
  kNobodyElseWrites,
};
// ConfigInvalid if others than its owner and root can reach the file or directory, or it belongs to a third user;
// NotFound, StorageFailed.
Status RequireOwn(const std::string& path, Reach reach);

}  // namespace fleetseal::sys
