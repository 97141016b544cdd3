// Tables and human numbers: what reads print.
//
// Source: design section 6. On a terminal a table fits its width: what a verb can spare is left out, then the widest
// columns are cut, never the first one and never numbers. Into a pipe every value is whole. Cells are made clean here
// (see terminal.h). Pure functions but for the width of standard output.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "sys/clock.h"

namespace fleetseal::cli {

using Rows = std::vector<std::vector<std::string>>;

// For `width` columns; 0: as wide as it is. Columns of numbers only ("7", "1.2 MiB", "-") stand on the right.
// Where they do not fit, those of `spare` are left out, one after the other, before anything is cut.
std::string FormatTable(const std::vector<std::string>& header, const Rows& rows, size_t width,
                        const std::vector<std::string>& spare = {});
// For standard output.
std::string FormatTable(const std::vector<std::string>& header, const Rows& rows);
std::string FormatTable(const std::vector<std::string>& header, const Rows& rows,
                        const std::vector<std::string>& spare);

// "1 device", "3 devices".
std::string FormatCount(int64_t count, std::string_view noun);
// "1.2 MiB".
std::string FormatBytes(uint64_t bytes);
// "2026-11-21 10:00:00Z".
std::string FormatTime(UnixSeconds time);
// "12 s", "3 min 20 s", "2 h 5 min", "9 days".
std::string FormatSeconds(uint64_t seconds);
// "5 s ago", "in 3 min 20 s", "now".
std::string FormatRelative(UnixSeconds time, UnixSeconds now);
// "2026-11-21 10:00:00Z (5 s ago)".
std::string FormatWhen(UnixSeconds time, UnixSeconds now);

}  // namespace fleetseal::cli
