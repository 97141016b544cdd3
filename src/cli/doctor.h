// `fleetseal doctor`: is everything at rest as it should be?
//
// Source: issue "the ground", item 1; docs/protocol/processes.md section 3. Owners and modes are judged here; what is
// inside each folder by the program that owns it, run with --check under its own user; a device's likewise. Changes
// nothing. One thread.
#pragma once

#include <string>

#include "cli/context.h"

namespace fleetseal::cli {

// At least one of them.
struct DoctorOptions {
  std::string data;              // of an organisation
  std::string installer_config;  // of a device
  std::string agent_config;
};

// InvalidArgument without anything to look at; NotFound for a path that is not there. Answers with what was found.
// Corrupt if there is a problem; warnings alone are success.
Status Doctor(Context& context, const DoctorOptions& options);

}  // namespace fleetseal::cli
