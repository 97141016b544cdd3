// The leaf encoding under the log writer's name; the code is in merkle/leaf.h, where the device can reach it too.
//
// Source: docs/protocol/documents.md section 7. Thread rule: pure functions.
#pragma once

#include "merkle/leaf.h"

namespace fleetseal::translog {

using merkle::BuildLeaf;
using merkle::Leaf;
using merkle::ParseLeaf;

}  // namespace fleetseal::translog
