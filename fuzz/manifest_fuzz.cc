// Root-key packages, the transcripts of their ceremonies, and manifests.
#include "crypto/digest.h"
#include "fuzz/round_trip.h"
#include "fuzz/target.h"
#include "manifest/ceremony_transcript.h"
#include "manifest/root_package.h"
#include "manifest/update_manifest.h"

namespace fleetseal::fuzz {
namespace {

using manifest::RootPackageDocument;

bool TryPackage(ByteView input) {
  const auto document = RootPackageDocument::Parse(AsText(input));
  if (!document) return false;
  CHECK(document->signed_sha256 == crypto::HashSha256(document->SignedBytes()));
  // The signed bytes alone carry everything that is signed: put together again they are the same package.
  const auto again = RootPackageDocument::Parse(
      manifest::AssemblePackage(document->SignedBytes(), document->positional_signatures, document->signatures));
  CHECK(again.has_value());
  CHECK(again->SignedBytes() == document->SignedBytes());
  CHECK(manifest::BuildProtected(again->package) == manifest::BuildProtected(document->package));
  // What we would write for it is read as the same package.
  const auto rebuilt = RootPackageDocument::Parse(manifest::AssemblePackage(
      manifest::BuildProtected(document->package), document->positional_signatures, document->signatures));
  CHECK(rebuilt.has_value());
  CHECK(manifest::BuildProtected(rebuilt->package) == manifest::BuildProtected(document->package));
  for (const auto& log : document->package.logs) (void)log.ToPolicy();
  return true;
}

bool TryImportManifest(ByteView input) {
  const auto parsed = manifest::ImportManifest::Parse(AsText(input));
  if (!parsed) return false;
  const manifest::UpdateManifest update = parsed->ToUpdateManifest();
  const auto again = manifest::UpdateManifest::Parse(update.Build());
  CHECK(again.has_value() && again->Build() == update.Build());
  return true;
}

bool TryVkey(ByteView input) {
  const auto standard = manifest::VkeyFromPackage(AsText(input));
  if (!standard) return false;
  const auto back = manifest::VkeyToPackage(*standard);
  CHECK(back.has_value() && *back == AsText(input));
  return true;
}
bool TryProduct(ByteView input) {
  const auto product = manifest::ProductFromPackage(AsText(input));
  if (product) CHECK(manifest::ProductToPackage(*product) == AsText(input));
  return product.has_value();
}

constexpr Case kCases[] = {
    {"package", TryPackage},
    {"update-manifest", Document<manifest::UpdateManifest>},
    {"import-manifest", TryImportManifest},
    {"package-vkey", TryVkey},
    {"package-product", TryProduct},
    {"ceremony-transcript", Document<manifest::CeremonyTranscript>},
};

}  // namespace

FLEETSEAL_FUZZ_TARGET(manifest, kCases)

}  // namespace fleetseal::fuzz
