// The whole of trust/: bytes and trust state in, verdict out. No I/O, no clock; nothing else decides.
//
// Source: trust model (normative). Start here: package.h, status.h, order.h; verify_manifest.h stands alone.
#pragma once

#include "trust/counter.h"
#include "trust/device_profile.h"
#include "trust/log_proof.h"
#include "trust/order.h"
#include "trust/package.h"
#include "trust/signing_key.h"
#include "trust/status.h"
#include "trust/trust_state.h"
#include "trust/verify_manifest.h"
