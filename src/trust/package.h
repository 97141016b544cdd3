// First trust and package steps.
//
// Source: trust model section 3 ("A step", "Greatest lifetimes", "First trust") and section 8.3. A step is verified and
// stored before expiry is judged; only the newest package must be unexpired. Thread rule: pure functions.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "trust/trust_state.h"

namespace fleetseal::trust {

// Trust from a provisioning bundle: the package must be signed by k of its own enabled roots.
// Codes: PackageStepInvalid, and those of RootPackageDocument::Parse.
Verdict<TrustState> Provision(std::string_view package_text, UnixSeconds build_time,
                              Profile profile = Profile::kNative);

// At start: raises build time and floor, then takes those of `built_in` (ascending versions) that are above the stored
// package, each as a step. PackageStepInvalid if they do not chain, or if one of the stored version has other signed
// bytes.
Verdict<TrustState> AcceptBuiltIn(const TrustState& stored, std::span<const std::string> built_in,
                                  UnixSeconds build_time);

// Whether a stored state can be one that trust/ made on this device: its package is signed by its own roots and the
// last one stepped to, no package that was built in was passed with other bytes, no counter is above its high-water
// mark, the floor is not below the build time. PackageStepInvalid.
Verdict<void> CheckStored(const TrustState& stored, std::span<const std::string> built_in);

// One step N -> N+1. Codes: PackageStepInvalid (version, signatures of either threshold, epoch, lifetimes), and those
// of RootPackageDocument::Parse. When the epoch rises, status, order and floor start anew.
Verdict<TrustState> AcceptPackageStep(const TrustState& state, std::string_view text);
// The same in place, for who takes many: `state` is the next one, or unchanged if the step is refused.
Verdict<void> TakePackageStep(TrustState& state, std::string_view text);

// PackageExpired unless the newest package is in its dates.
Verdict<void> JudgePackageFresh(const TrustState& state, UnixSeconds now);

// Greatest lifetimes, one purpose a key, k of its own roots: what `fleetseal` and the signer check before they publish.
// PackageStepInvalid.
Verdict<void> CheckPackage(const manifest::RootPackageDocument& document);
// The part of CheckPackage that needs no signature: what a draft must be before anybody signs it. PackageStepInvalid.
Verdict<void> CheckContents(const manifest::RootPackage& package);
// How many distinct enabled roots of `roots` (by key) have signed `document`.
int64_t CountRootSignatures(const manifest::RootPackage& roots, const manifest::RootPackageDocument& document);

}  // namespace fleetseal::trust
