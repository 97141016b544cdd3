// What writers of whole files (sys/file.h) leave when they are cut off: a file beside the one they meant, perhaps with
// a secret in it. Nobody reads it; whoever owns the directory removes it.
//
// Thread rule: any thread.
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace fleetseal::sys {

// Stands in the name of every such file, between the name that is meant and what chance made.
inline constexpr std::string_view kTemporaryMark = ".tmp-";

// REQUIRES: nobody writes in that directory now. Codes: those of ListDirectory and RemoveFile.
Status RemoveTemporaries(const std::string& directory);

}  // namespace fleetseal::sys
