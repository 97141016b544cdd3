// The links of a chain as `fleetseal verify` draws them: package, root, key, document.
//
// Source: trust model sections 3 to 6. Words only; nothing is judged here. One thread.
#pragma once

#include <string>
#include <vector>

#include "cli/verify_report.h"
#include "trust/trust.h"

namespace fleetseal::cli {

std::string DatesText(UnixSeconds from, UnixSeconds to);
// root -> key -> document.
std::vector<Link> SignerChain(const manifest::RootPackage& package, const trust::SignerInfo& signer,
                              std::vector<std::string> below);
std::vector<Link> PackageChain(const manifest::RootPackageDocument& document);

}  // namespace fleetseal::cli
