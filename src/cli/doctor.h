// `fleetseal doctor`: is everything at rest as it should be?
//
// Source: issue "the ground", item 1; docs/protocol/processes.md section 3. Owners and modes are judged here; what is
// inside each folder by the program that owns it, run with --check under its own user. Changes nothing. One thread.
#pragma once

#include <string>

#include "cli/context.h"

namespace fleetseal::cli {

// Answers with what was found. Corrupt if there is a problem; warnings alone are success.
Status Doctor(Context& context, const std::string& data);

}  // namespace fleetseal::cli
