// Judging by the rules of the Azure agent: whatever surrounds them, only what the trusted roots signed is accepted.
#include "adu/adu.h"
#include "codec/base64.h"
#include "crypto/digest.h"
#include "fuzz/target.h"
#include "fuzz/world.h"

namespace fleetseal::fuzz {
namespace {

struct World {
  std::vector<adu::RootKey> roots;
  adu::Package package;

  World() {
    auto read = adu::ParseRoots(WorldFile("adu-roots.json"));
    CHECK(read.has_value());
    roots = *std::move(read);
    auto verified = adu::VerifyPackage(roots, WorldFile("adu-package.json"));
    CHECK(verified.has_value());
    package = *std::move(verified);
  }
};
const World& TheWorld() {
  static const World world;
  return world;
}

bool TryRoots(ByteView input) {
  const auto roots = adu::ParseRoots(AsText(input));
  if (roots) {
    for (const adu::RootKey& root : *roots) CHECK(root.key.type() == crypto::KeyType::kRsa);
  }
  return roots.has_value();
}
bool TryPackage(ByteView input) {
  const World& world = TheWorld();
  const auto package = adu::VerifyPackage(world.roots, AsText(input));
  if (!package) return false;
  CHECK(package->signed_sha256 == world.package.signed_sha256);
  CHECK(package->version == world.package.version && package->roots.size() == world.package.roots.size());
  CHECK(package->signatures_judged == world.roots.size());
  return true;
}
bool TrySignature(ByteView input) {
  const World& world = TheWorld();
  const auto accepted = adu::VerifySignature(world.roots, world.package, AsText(input));
  if (!accepted) return false;
  static const Sha256 genuine = crypto::HashSha256(WorldFile("adu-manifest.json"));
  CHECK(accepted->manifest_sha256 == genuine);
  CHECK(adu::CheckManifest(*accepted, WorldFile("adu-manifest.json")).has_value());
  return true;
}

constexpr Case kCases[] = {
    {"roots", TryRoots},
    {"package", TryPackage},
    {"manifest-signature", TrySignature},
};

}  // namespace

FLEETSEAL_FUZZ_TARGET(adu, kCases)

}  // namespace fleetseal::fuzz
