// Tells the sealer which files of a signed manifest it may seal.
//
// Source: docs/protocol/processes.md section 4 (`expect`). Thread rule: any thread.
#pragma once

#include "signer/core.h"
#include "signer/store/request_store.h"

namespace fleetseal::signer {

// Does nothing for an update that is delivered in the clear. Unreachable, and the sealer's codes.
Status TellSealer(const Core& core, const store::RequestRow& row);

}  // namespace fleetseal::signer
