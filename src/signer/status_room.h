// What a status lists, and whether the next one still fits: one past its bounds is refused by every device, and the
// fleet stops.
//
// Source: manifest/status.h (what a status holds at most). Room is checked where something is about to be added, so
// that the person who adds it is told. Thread rule: any thread.
#pragma once

#include <optional>

#include "manifest/root_package.h"
#include "manifest/status.h"
#include "signer/store/plan_store.h"

namespace fleetseal::signer {

// Sets `withdrawn` and `newest` by what the tables hold. A withdrawn update below the package's minCounter is left out:
// every device that knows the package refuses it for that, and the list does not grow for ever.
Status FillStatusLists(storage::Session& session, const manifest::RootPackage& package,
                       manifest::StatusDocument& status);
// With what the tables hold, and `more` beside it. LimitExceeded.
Status CheckStatusRoom(storage::Session& session, const manifest::RootPackage& package,
                       const std::optional<store::NewestRow>& more = std::nullopt);

}  // namespace fleetseal::signer
