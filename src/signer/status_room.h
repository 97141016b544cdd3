// Whether the next status still fits: one past its bounds is refused by every device, and the fleet stops.
//
// Source: manifest/status.h (what a status holds at most). Checked where something is about to be added, so that the
// person who adds it is told. Thread rule: any thread.
#pragma once

#include <optional>

#include "signer/store/plan_store.h"

namespace fleetseal::signer {

// With what the tables hold, and `more` beside it. LimitExceeded.
Status CheckStatusRoom(storage::Session& session, const std::optional<store::NewestRow>& more = std::nullopt);

}  // namespace fleetseal::signer
