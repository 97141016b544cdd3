// How many CAs of one kind of clients there may be: what the signer accepts and the servers take.
//
// Source: ADR 0015. Thread rule: a constant.
#pragma once

#include <cstddef>

namespace fleetseal::limits {

// Each replacement adds one until the old ones are dropped or end.
inline constexpr size_t kClientCasMax = 16;

}  // namespace fleetseal::limits
