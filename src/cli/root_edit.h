// The single edits of a package that a root ceremony makes, each on the parsed value.
//
// Source: trust model sections 1 and 3. For root_change.cc. Thread rule: one thread; reads the files that are named.
#pragma once

#include "base/result.h"
#include "cli/root_change.h"

namespace fleetseal::cli {

Status EditRoots(manifest::RootPackage& package, const RootChangeOptions& options);
Status EditListings(manifest::RootPackage& package, const RootChangeOptions& options, UnixSeconds now);
Status EditLogs(manifest::RootPackage& package, const RootChangeOptions& options);
Status EditAuthorities(manifest::RootPackage& package, const RootChangeOptions& options);
Status EditCounters(manifest::RootPackage& package, const RootChangeOptions& options);
// KeyPurposeWrong if a listed key is that of a CA of the package.
Status CheckPurposes(const manifest::RootPackage& package);

}  // namespace fleetseal::cli
