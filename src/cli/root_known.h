// What a root folder remembers: the package that its roots last built on, so that a holder is not shown another
// history.
//
// Source: trust model section 3; docs/how-to/root-ceremony.md. Beside a draft lies what its drafter put there, and the
// draft's own roots vouch for nothing: a package of strangers is signed well enough by strangers. The folder keeps the
// text of the last package that was compared (known-package.json). Thread rule: one thread.
#pragma once

#include <string>

#include "cli/context.h"
#include "manifest/root_package.h"

namespace fleetseal::cli {

// Shows that `previous` is the package that the folder remembers, or follows from it step by step (those between lie
// beside `previous_file` as root-package-N.json). A folder that remembers nothing yet: a note, and good. Codes:
// PackageStepInvalid (another history, an older package, or a step between is missing or bad).
Status CheckKnownPackage(const Context& context, const std::string& folder,
                         const manifest::RootPackageDocument& previous, const std::string& previous_file);
// Durable when it returns. REQUIRES: CheckKnownPackage was good, or the organisation is being made.
Status RememberPackage(const std::string& folder, const std::string& package_text);

}  // namespace fleetseal::cli
