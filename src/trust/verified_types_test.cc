// S0.28: what was not verified cannot be taken for what was. Nobody outside trust/ can make a verified order, manifest
// or JWS, by any constructor, so the way from a download to a handler cannot be written without the checks between
// them.
#include <gtest/gtest.h>

#include <type_traits>

#include "trust/trust.h"

namespace fleetseal::trust {
namespace {

// By the very arguments that its own constructor takes, by none, and from the unverified thing itself.
template <typename T, typename... Parts>
constexpr bool kIsClosed =
    !std::is_constructible_v<T, Parts...> && !std::is_default_constructible_v<T> && !std::is_aggregate_v<T>;

static_assert(kIsClosed<VerifiedJws, Bytes, SignerInfo, Sha256>);
static_assert(kIsClosed<VerifiedManifest, manifest::UpdateManifest, manifest::ManifestSignature, SignerInfo, Sha256>);
static_assert(kIsClosed<VerifiedOrder, manifest::Order, SignerInfo, Sha256>);
static_assert(!std::is_constructible_v<VerifiedManifest, manifest::UpdateManifest>);
static_assert(!std::is_constructible_v<VerifiedOrder, manifest::Order>);
static_assert(!std::is_constructible_v<VerifiedJws, std::string_view>);
// An accepted order holds a verified one: who has none cannot make it.
static_assert(!std::is_default_constructible_v<AcceptedOrder>);
// The parts can be read and not replaced.
static_assert(std::is_same_v<decltype(std::declval<VerifiedManifest&>().manifest()), const manifest::UpdateManifest&>);
static_assert(std::is_same_v<decltype(std::declval<VerifiedOrder&>().order()), const manifest::Order&>);

TEST(VerifiedTypes, S0_28_AreMadeByVerifyingOnly) { SUCCEED() << "the assertions above are the test"; }

}  // namespace
}  // namespace fleetseal::trust
