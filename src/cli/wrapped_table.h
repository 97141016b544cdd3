// Tables whose last column holds sentences: what does not fit goes on in lines of its own, between words.
//
// Source: design section 6. As table.h, which cuts instead; beside it, because few verbs say sentences. Implemented in
// table.cc. Pure functions but for the width of standard output.
#pragma once

#include <string>
#include <vector>

#include "cli/table.h"

namespace fleetseal::cli {

// For `width` columns; 0: as wide as it is. The last column gives first, down to some words' width; a word is never
// cut.
std::string FormatWrappedTable(const std::vector<std::string>& header, const Rows& rows, size_t width);
// For standard output.
std::string FormatWrappedTable(const std::vector<std::string>& header, const Rows& rows);

}  // namespace fleetseal::cli
