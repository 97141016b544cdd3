#include "cli/verify_chain.h"

#include "cli/documents.h"
#include "cli/table.h"

namespace fleetseal::cli {

std::string DatesText(UnixSeconds from, UnixSeconds to) { return FormatTime(from) + " to " + FormatTime(to); }

// root -> key -> document.
std::vector<Link> SignerChain(const manifest::RootPackage& package, const trust::SignerInfo& signer,
                              std::vector<std::string> below) {
  std::string products;
  for (const auto& product : signer.products) products += (products.empty() ? " of " : ", ") + product.text();
  std::vector<std::string> texts = {
      "root-key package " + std::to_string(package.version) + ", " + DatesText(package.published, package.expires),
      "root " + signer.root_kid.text(),
      "key " + signer.key_kid.text() + ", " + ToBase64Url(signer.thumbprint) + ", " +
          std::string(manifest::KeyRoleName(signer.role)) + products + ", listed " +
          DatesText(signer.not_before, signer.not_after)};
  texts.insert(texts.end(), below.begin(), below.end());
  return Chain(std::move(texts));
}

std::vector<Link> PackageChain(const manifest::RootPackageDocument& document) {
  const manifest::RootPackage& package = document.package;
  std::vector<Link> chain;
  chain.push_back({DatesText(package.published, package.expires) + ", director epoch " +
                       std::to_string(package.director_epoch) + ", SHA-256 of what is signed " +
                       ToBase64Url(document.signed_sha256),
                   {}});
  Link roots{std::to_string(trust::CountRootSignatures(package, document)) + " of its own roots signed, " +
                 std::to_string(package.threshold) + " are needed",
             {}};
  for (const auto* list : {&package.root_keys, &package.root_keys_ext}) {
    for (const auto& root : *list) {
      roots.next.push_back({"root " + root.kid.text() + ", " + root.key.key_id() +
                                (package.IsRootDisabled(root.kid.text()) ? ", disabled" : ""),
                            {}});
    }
  }
  chain.push_back(std::move(roots));
  for (const auto& listing : package.signing_keys) {
    chain.push_back({"lists " + listing.kid.text() + ", " + std::string(manifest::KeyRoleName(listing.role)) + ", " +
                         DatesText(listing.not_before, listing.not_after),
                     {}});
  }
  for (const auto& log : package.logs) {
    chain.push_back(
        {"log " + log.origin + ", witnesses needed: " + (log.quorum == 0 ? "none" : std::to_string(log.quorum)), {}});
  }
  return chain;
}

}  // namespace fleetseal::cli
