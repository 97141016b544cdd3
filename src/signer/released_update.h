// A signed update as plans and orders need it.
//
// Source: trust model section 2: an order is for a manifest on the log, deployable, not withdrawn. Thread rule: plain
// value.
#pragma once

#include <vector>

#include "manifest/manifest_signature.h"
#include "manifest/order.h"
#include "manifest/update_manifest.h"
#include "signer/core.h"
#include "signer/store/request_store.h"

namespace fleetseal::signer {

struct ReleasedUpdate {
  store::RequestRow row;
  manifest::UpdateManifest manifest;
  manifest::ManifestSignature signature;
  std::vector<manifest::OrderContent> contents;  // empty until the import is complete
};
// UpdateNotSigned, Withdrawn, Corrupt.
Result<ReleasedUpdate> FindReleased(const Core& core, const Sha256& manifest_sha256);
// UpdateNotDeployable unless every file was imported.
Status RequireDeployable(const ReleasedUpdate& update);

}  // namespace fleetseal::signer
