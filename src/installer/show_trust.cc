#include "installer/show_trust.h"

#include <algorithm>

#include "codec/base64.h"
#include "crypto/digest.h"
#include "installer/keys.h"
#include "installer/state/state_file.h"

namespace fleetseal::installer {
namespace {

using codec::Json;

std::string Text(const Sha256& hash) { return codec::EncodeBase64Url(hash.view()); }

Json Texts(const std::vector<std::string>& texts) {
  Json list = Json::MakeArray();
  for (const auto& text : texts) list.Push(text);
  return list;
}

Json Roots(const manifest::RootPackage& package) {
  Json roots = Json::MakeArray();
  for (const auto* kind : {&package.root_keys, &package.root_keys_ext}) {
    for (const auto& root : *kind) {
      Json one = Json::MakeObject();
      one.Set("kid", root.kid.text()).Set("alg", crypto::SignatureAlgorithmName(root.key.default_algorithm()));
      one.Set("thumbprint", root.key.key_id()).Set("isDisabled", package.IsRootDisabled(root.kid.text()));
      roots.Push(std::move(one));
    }
  }
  return roots;
}

// null: not known. The hash that disables an RSA key is of another form than the thumbprint, and only the key gives it.
Json IsInForce(const manifest::RootPackage& package, const manifest::SigningKeyListing& listing, UnixSeconds now) {
  if (now < listing.not_before || listing.not_after <= now) return false;
  const auto& disabled = package.disabled_signing_keys;
  if (listing.alg == crypto::SignatureAlgorithm::kRs256 && !disabled.empty()) return nullptr;
  return std::find(disabled.begin(), disabled.end(), listing.thumbprint) == disabled.end();
}

Json SigningKeys(const manifest::RootPackage& package, UnixSeconds now) {
  Json keys = Json::MakeArray();
  for (const auto& listing : package.signing_keys) {
    Json one = Json::MakeObject();
    one.Set("kid", listing.kid.text())
        .Set("alg", crypto::SignatureAlgorithmName(listing.alg))
        .Set("role", KeyRoleName(listing.role));
    if (!listing.products.empty()) {
      Json products = Json::MakeArray();
      for (const auto& product : listing.products) products.Push(product.text());
      one.Set("products", std::move(products));
    }
    one.Set("notBefore", listing.not_before.value).Set("notAfter", listing.not_after.value);
    one.Set("thumbprint", Text(listing.thumbprint)).Set("isInForce", IsInForce(package, listing, now));
    keys.Push(std::move(one));
  }
  return keys;
}

Json Logs(const manifest::RootPackage& package) {
  Json logs = Json::MakeArray();
  for (const auto& log : package.logs) {
    Json one = Json::MakeObject();
    one.Set("origin", log.origin).Set("vkeys", Texts(log.vkeys)).Set("witnesses", Texts(log.witnesses));
    one.Set("quorum", log.quorum);
    logs.Push(std::move(one));
  }
  return logs;
}

}  // namespace

Result<Json> ShowTrust(const Config& config, const sys::Clock& clock) {
  const auto keys = DeviceKeyring::OpenExisting(config.state_directory);
  if (!keys && keys.error().code == ErrorCode::kNotFound)
    return Fail(ErrorCode::kTrustStateMissing,
                config.state_directory + " holds no keys: the installer was never started");
  TRY(keys);
  const auto state = StateFile(config.state_directory, (*keys)->seal_key()).Load();
  if (!state && state.error().code == ErrorCode::kNotFound)
    return Fail(ErrorCode::kTrustStateMissing,
                config.state_directory + " holds no state: the installer was never started");
  TRY(state);
  const manifest::RootPackage& package = state->trust.root_package();
  const UnixSeconds now = trust::EffectiveNow(state->trust, clock.Now());
  Json shown = Json::MakeObject();
  shown.Set("packageVersion", package.version).Set("published", package.published.value);
  shown.Set("expires", package.expires.value).Set("isExpired", now >= package.expires);
  shown.Set("directorEpoch", package.director_epoch).Set("threshold", package.threshold);
  shown.Set("roots", Roots(package)).Set("signingKeys", SigningKeys(package, now));
  Json disabled = Json::MakeArray();
  for (const auto& hash : package.disabled_signing_keys) disabled.Push(Text(hash));
  shown.Set("disabledSigningKeys", std::move(disabled)).Set("logs", Logs(package));
  Json authorities = Json::MakeArray();
  for (const auto& der : package.server_cas) authorities.Push(Text(crypto::HashSha256(der)));
  shown.Set("serverCAs", std::move(authorities));
  shown.Set("timeFloor", state->trust.time_floor.value).Set("now", now.value);
  return shown;
}

}  // namespace fleetseal::installer
