// A root-key package in plain words: what devices trust, what a step changes, what is dangerous about it, and which
// signatures are still missing.
//
// Source: trust model section 3; issue "root ceremony": a holder of a root must see before signing what will be trusted
// before and after. Computed from the parsed package alone. Thread rule: pure functions.
#pragma once

#include <string>
#include <vector>

#include "base/bytes.h"
#include "codec/json.h"
#include "manifest/root_package.h"

namespace fleetseal::cli {

std::vector<const manifest::RootKey*> RootsOf(const manifest::RootPackage& package);
// Distinct keys that are not disabled.
int64_t CountEnabledRoots(const manifest::RootPackage& package);

// What devices trust under it, several lines.
std::string DescribePackage(const manifest::RootPackage& package, UnixSeconds now);
// One line a difference, printable ASCII, none if there is no difference but version and publication.
std::vector<std::string> DescribeChanges(const manifest::RootPackage& before, const manifest::RootPackage& after);
// What a holder should think about before signing. `before` may be null.
std::vector<std::string> DescribeDangers(const manifest::RootPackage* before, const manifest::RootPackage& after,
                                         UnixSeconds now);

// Who of one package's enabled roots signed a document, and who could still.
struct SignatureCount {
  int64_t version = 0;  // whose roots
  int64_t needed = 0;
  std::vector<std::string> signed_by;
  std::vector<std::string> missing;  // enabled, and have not signed
  bool is_enough() const { return static_cast<int64_t>(signed_by.size()) >= needed; }
};
SignatureCount CountSignatures(const manifest::RootPackage& roots, const manifest::RootPackageDocument& document);
std::string DescribeSignatures(const SignatureCount& count);
codec::Json SignaturesJson(const SignatureCount& count);

}  // namespace fleetseal::cli
