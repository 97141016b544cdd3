// Turns errno into our errors, in one place.
//
// Codes: ENOENT and ENOTDIR are NotFound, ENOSPC and EDQUOT are NoSpace, EEXIST is AlreadyExists, all others are
// StorageFailed. The detail is "<what> <path>: <text of errno>".
// Thread rule: pure functions.
#pragma once

#include <string_view>

#include "base/result.h"

namespace fleetseal::sys {

// `what` is the verb, e.g. "open"; `error` is the errno value as it was just after the call.
tl::unexpected<Error> FailErrno(std::string_view what, std::string_view path, int error);
ErrorCode CodeOfErrno(int error);

}  // namespace fleetseal::sys
