// Random bytes for keys and nonces from OpenSSL's generator. Ids and jitter that tests must foresee come from
// sys::Random.
//
// Thread rule: callable from every thread. Ends the process if the generator fails: no caller could go on.
#pragma once

#include <span>

#include "base/bytes.h"

namespace fleetseal::crypto {

void FillRandom(std::span<uint8_t> out);
Bytes RandomBytes(size_t size);

}  // namespace fleetseal::crypto
