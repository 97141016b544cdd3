// Tells the sealer which files of a signed manifest it may seal.
//
// Source: docs/protocol/processes.md section 4 (`expect`). Thread rule: any thread.
#pragma once

#include "manifest/manifest_signature.h"
#include "manifest/update_manifest.h"
#include "signer/core.h"

namespace fleetseal::signer {

// Does nothing for an update that is delivered in the clear. Unreachable, and the sealer's codes.
Status TellSealer(const Core& core, const manifest::ManifestSignature& signature,
                  const manifest::UpdateManifest& manifest);

}  // namespace fleetseal::signer
