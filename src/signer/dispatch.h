// From a message on the signer's socket to a verb and back.
//
// Source: docs/protocol/processes.md section 3. One table names every verb there is; anything else is InvalidArgument.
// Thread rule: any thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "signer/core.h"

namespace fleetseal::signer {

// The whole answer, {"ok":…} or {"error":…}. A refusal is logged here, once.
std::string AnswerMessage(Core& core, std::string_view message);
std::vector<std::string_view> VerbNames();

}  // namespace fleetseal::signer
