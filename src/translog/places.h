// Where the logs of one organisation lie: the first one in the folder itself, each later one below `origins/`.
//
// Source: ADR 0013. A log that was left stays where it is, for auditors. Thread rule: pure but for looking whether a
// folder is there.
#pragma once

#include <string>

namespace fleetseal::translog {

inline constexpr const char* kOriginsFolder = "origins";

// The folder that a new log with this origin gets. REQUIRES: the origin is a plain name (register-change new-log).
std::string NewDirectoryOf(const std::string& folder, const std::string& origin);
// For readers: the folder of this origin if there is one, else `folder`.
std::string DirectoryOf(const std::string& folder, const std::string& origin);

}  // namespace fleetseal::translog
