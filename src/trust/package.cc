#include "trust/package.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "base/check.h"
#include "base/limits.h"

namespace fleetseal::trust {

using manifest::KeyRole;
using manifest::RootPackage;
using manifest::RootPackageDocument;

namespace {

// The current director key and the next one (trust model section 3).
constexpr int kDirectorListingsMax = 2;

void SetPackage(TrustState& state, RootPackageDocument document) {
  auto package = std::make_shared<const RootPackageDocument>(std::move(document));
  state.package_hashes[package->package.version] = package->signed_sha256;
  while (state.package_hashes.size() > kPackageHashesMax) state.package_hashes.erase(state.package_hashes.begin());
  state.package = std::move(package);
}

// Which signature of a document, by which key, is good: the roots before and after a step are mostly the same, and each
// signature is verified once.
using VerifiedSignatures = std::map<std::pair<size_t, Sha256>, bool>;

int64_t CountRootSignatures(const RootPackage& roots, const RootPackageDocument& document,
                            VerifiedSignatures& verified) {
  // Trust model section 3, "A step": distinct by key, not by kid, and only signaturesExt counts.
  std::set<Sha256> signed_by;
  std::string signed_bytes;
  for (size_t i = 0; i < document.signatures.size(); ++i) {
    const manifest::PackageSignature& signature = document.signatures[i];
    const manifest::RootKey* root = roots.FindRoot(signature.kid.text());
    if (root == nullptr || roots.IsRootDisabled(signature.kid.text())) continue;
    if (signature.alg != root->key.default_algorithm()) continue;
    const auto [known, is_new] = verified.try_emplace({i, root->key.thumbprint()}, false);
    if (is_new) {
      if (signed_bytes.empty()) signed_bytes = document.SignedBytes();
      known->second = root->key.Verify(signature.alg, AsBytes(signed_bytes), signature.signature).has_value();
    }
    if (known->second) signed_by.insert(root->key.thumbprint());
  }
  return static_cast<int64_t>(signed_by.size());
}

Verdict<void> CheckPackage(const RootPackageDocument& document, VerifiedSignatures& verified) {
  if (CountRootSignatures(document.package, document, verified) < document.package.threshold) {
    return Refuse(ErrorCode::kPackageStepInvalid, "fewer than k of the package's own roots signed it");
  }
  return CheckContents(document.package);
}

}  // namespace

Verdict<void> CheckContents(const RootPackage& package) {
  const auto refuse = [](std::string detail) { return Refuse(ErrorCode::kPackageStepInvalid, std::move(detail)); };
  // Trust model section 3, "Greatest lifetimes".
  if (package.expires.value - package.published.value > limits::kPackageLifetimeMax)
    return refuse("the package lives longer than 400 days");
  int directors = 0;
  std::set<Sha256> keys;
  for (const auto* roots : {&package.root_keys, &package.root_keys_ext}) {
    for (const manifest::RootKey& root : *roots) keys.insert(root.key.thumbprint());
  }
  for (const manifest::SigningKeyListing& listing : package.signing_keys) {
    const bool is_director = listing.role == KeyRole::kDirector;
    directors += is_director ? 1 : 0;
    const int64_t most = is_director ? limits::kDirectorListingLifetimeMax : limits::kPublisherListingLifetimeMax;
    if (listing.not_after.value - listing.not_before.value > most)
      return refuse("listing " + listing.kid.text() + " lives too long");
    // Trust model section 1: one purpose each, whatever the kid says.
    if (!keys.insert(listing.thumbprint).second)
      return refuse("listing " + listing.kid.text() + " is a key that has a purpose already");
  }
  if (directors > kDirectorListingsMax) return refuse("more than two director listings");
  return {};
}

int64_t CountRootSignatures(const RootPackage& roots, const RootPackageDocument& document) {
  VerifiedSignatures verified;
  return CountRootSignatures(roots, document, verified);
}

Verdict<void> CheckPackage(const RootPackageDocument& document) {
  VerifiedSignatures verified;
  return CheckPackage(document, verified);
}

Verdict<TrustState> Provision(std::string_view package_text, UnixSeconds build_time, Profile profile) {
  TRY_ASSIGN(RootPackageDocument document, RootPackageDocument::Parse(package_text));
  TRY(CheckPackage(document));
  TrustState state;
  state.profile = profile;
  state.build_time = build_time;
  state.time_floor = std::max(build_time, document.package.published);
  SetPackage(state, std::move(document));
  return state;
}

Verdict<TrustState> AcceptBuiltIn(const TrustState& stored, std::span<const std::string> built_in,
                                  UnixSeconds build_time) {
  CHECK(stored.package != nullptr);
  TrustState state = stored;
  state.build_time = std::max(state.build_time, build_time);
  state.time_floor = std::max(state.time_floor, build_time);
  for (const std::string& text : built_in) {
    TRY_ASSIGN(const RootPackageDocument document, RootPackageDocument::Parse(text));
    // Trust model section 3, "First trust": the higher of stored and built-in holds.
    if (document.package.version < state.root_package().version) continue;
    if (document.package.version == state.root_package().version) {
      if (document.signed_sha256 != state.package->signed_sha256) {
        return Refuse(ErrorCode::kPackageStepInvalid, "the built-in package of the stored version has other bytes");
      }
      continue;
    }
    TRY(TakePackageStep(state, text));
  }
  return state;
}

Verdict<void> CheckStored(const TrustState& stored, std::span<const std::string> built_in) {
  CHECK(stored.package != nullptr);
  const auto refuse = [](std::string detail) { return Refuse(ErrorCode::kPackageStepInvalid, std::move(detail)); };
  const RootPackage& package = stored.root_package();
  if (CountRootSignatures(package, *stored.package) < package.threshold)
    return refuse("the stored package is not signed by its roots");
  const auto own = stored.package_hashes.find(package.version);
  if (own == stored.package_hashes.end() || own->second != stored.package->signed_sha256 ||
      std::next(own) != stored.package_hashes.end())
    return refuse("the stored package is not the last one that was stepped to");
  for (const std::string& text : built_in) {
    TRY_ASSIGN(const RootPackageDocument document, RootPackageDocument::Parse(text));
    const auto passed = stored.package_hashes.find(document.package.version);
    if (passed != stored.package_hashes.end() && passed->second != document.signed_sha256)
      return refuse("package " + std::to_string(document.package.version) + " is not the one that was built in");
  }
  for (const auto& [name, counter] : stored.counters)
    if (counter.installed > counter.high_water) return refuse("counter " + name + " is above its high-water mark");
  if (stored.time_floor < stored.build_time) return refuse("the time floor is below the build time");
  return {};
}

Verdict<TrustState> AcceptPackageStep(const TrustState& state, std::string_view text) {
  TrustState next = state;
  TRY(TakePackageStep(next, text));
  return next;
}

Verdict<void> TakePackageStep(TrustState& state, std::string_view text) {
  CHECK(state.package != nullptr);
  const RootPackage& current = state.root_package();
  const auto refuse = [](std::string detail) { return Refuse(ErrorCode::kPackageStepInvalid, std::move(detail)); };
  TRY_ASSIGN(RootPackageDocument document, RootPackageDocument::Parse(text));
  const RootPackage& next_package = document.package;
  // Trust model section 3, "A step"; section 8.3. One at a time.
  if (next_package.version != current.version + 1) {
    return refuse("version " + std::to_string(next_package.version) + " does not follow " +
                  std::to_string(current.version));
  }
  // k(N) distinct enabled roots of N ...
  VerifiedSignatures verified;
  if (CountRootSignatures(current, document, verified) < current.threshold)
    return refuse("fewer than k roots of the known package signed it");
  // ... and k(N+1) of N+1, and lifetimes.
  TRY(CheckPackage(document, verified));
  if (next_package.director_epoch < current.director_epoch) return refuse("directorEpoch fell");
  const bool is_new_epoch = next_package.director_epoch > current.director_epoch;
  const UnixSeconds published = next_package.published;
  // Nothing is refused any more.
  SetPackage(state, std::move(document));
  if (is_new_epoch) {
    // Trust model section 5: undoes a thief of the director key who ran numbers or time to their end.
    state.status.reset();
    state.order.reset();
    state.time_floor = std::max(state.build_time, published);
  } else {
    state.time_floor = std::max(state.time_floor, published);
  }
  return {};
}

Verdict<void> JudgePackageFresh(const TrustState& state, UnixSeconds now) {
  // Trust model section 3: only the newest must be unexpired.
  if (EffectiveNow(state, now) >= state.root_package().expires) {
    return Refuse(ErrorCode::kPackageExpired,
                  "package " + std::to_string(state.root_package().version) + " has expired");
  }
  return {};
}

}  // namespace fleetseal::trust
