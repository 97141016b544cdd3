// keys and take-sjwk: what the signer's keys are, and the roots' word for a new one.
#include "codec/base64.h"
#include "jose/jwk.h"
#include "jose/sjwk.h"
#include "log/log.h"
#include "signer/store/key_store.h"
#include "signer/store/plan_store.h"
#include "signer/verbs.h"

namespace fleetseal::signer {
namespace {

using api::signing::KeysAnswer;
using api::signing::SigningKeyRow;

// Before the end of a listing that ends with nobody to follow: a director's lasts 35 days, the others 400.
constexpr int64_t kDirectorWarnSeconds = 10 * limits::kDaySeconds;
constexpr int64_t kWarnSeconds = 60 * limits::kDaySeconds;

std::string Days(UnixSeconds when, UnixSeconds now) {
  if (when <= now) return "has ended";
  return "ends in " + std::to_string((when.value - now.value) / limits::kDaySeconds) + " days";
}

jose::ModulusForm FormOf(const Core& core) {
  return core.config().is_adu_readable ? jose::ModulusForm::kStandardBase64 : jose::ModulusForm::kBase64Url;
}

Result<SigningKeyRow> RowOf(const store::SigningKeyRow& stored) {
  SigningKeyRow row;
  row.kid = stored.kid;
  row.role = stored.role;
  row.state = KeyStateName(stored.retired ? KeyState::kRetired : KeyState::kWaiting);
  TRY_ASSIGN(const codec::Json products, codec::ParseJson(stored.products));
  for (const auto& text : products.as_array()) {
    TRY_ASSIGN(ProductName product, ProductName::Parse(text.as_string()));
    row.products.push_back(std::move(product));
  }
  row.alg = stored.alg;
  TRY_ASSIGN(row.jwk, codec::ParseJson(stored.jwk));
  TRY_ASSIGN(row.thumbprint, codec::DecodeBase64UrlSha256(stored.thumbprint));
  row.created = {stored.created};
  if (!stored.change_id.empty()) row.change_id = stored.change_id;
  row.log_index = stored.log_index;
  if (stored.retired) row.retired = UnixSeconds{*stored.retired};
  return row;
}

void AddRing(const Core& core, const manifest::RootPackage& package, KeysAnswer& answer) {
  const auto ring = core.ring().keys();
  for (auto& row : answer.keys) {
    if (const auto* listing = package.FindListing(row.kid); listing != nullptr) {
      row.not_before = listing->not_before;
      row.not_after = listing->not_after;
    }
    for (const auto& key : ring) {
      const KeyFacts& facts = key.key->facts;
      if (facts.kid != row.kid) continue;
      row.state = KeyStateName(JudgeKey(key, package, core.Now()));
      row.has_sjwk = key.sjwk && package.FindRoot(key.root_kid) != nullptr && !package.IsRootDisabled(key.root_kid);
      const auto is_chosen = [&](const ProductName* product) {
        const auto chosen = core.ring().InUse(package, core.Now(), facts.purpose, product);
        return chosen && chosen->key == key.key;
      };
      row.is_in_use = facts.products.empty() && is_chosen(nullptr);
      for (const auto& product : facts.products) row.is_in_use = row.is_in_use || is_chosen(&product);
    }
  }
}

void AddReleases(const std::vector<store::ReleaseRow>& releases, KeysAnswer& answer) {
  for (const auto& release : releases) {
    const auto kid = SigningKid(release.manifest_signature);
    if (!kid) continue;
    for (auto& row : answer.keys) row.releases += row.kid == *kid ? 1 : 0;
  }
}

// The row's dates are those of its listing.
std::string WaitsFor(const SigningKeyRow& row) {
  const bool is_listed = row.not_after.has_value();
  const std::string root =
      "a root that counts to sign it (fleetseal root sign-key), then fleetseal key accept " + row.kid + ".jws";
  if (!row.has_sjwk && is_listed) return " is listed, signs nothing yet, and waits for " + root;
  if (!row.has_sjwk) return " waits for the package that lists it and for " + root;
  if (!is_listed) return " waits for the package that lists it";
  return " is listed with another thumbprint, role, products or algorithm than it has: list it anew (fleetseal root "
         "rotate --add-key)";
}

void AddWarnings(UnixSeconds now, KeysAnswer& answer) {
  if (answer.package_expires.value - now.value < kWarnSeconds)
    answer.warnings.push_back("root-key package " + std::to_string(answer.package_version) + " " +
                              Days(answer.package_expires, now) + ": publish the next one");
  for (const auto& row : answer.keys) {
    const std::string name = row.role + " key " + row.kid;
    if (row.is_in_use && row.not_after &&
        row.not_after->value - now.value < (row.role == "director" ? kDirectorWarnSeconds : kWarnSeconds))
      answer.warnings.push_back(name + " " + Days(*row.not_after, now) + ": rotate it (fleetseal key rotate " +
                                row.kid + ")");
    if (row.state == "waiting") answer.warnings.push_back(name + WaitsFor(row));
    if (row.state == "ended" || row.state == "disabled")
      answer.warnings.push_back(name + " is " + row.state + ": retire it (fleetseal key retire " + row.kid + ")");
    if (row.releases > 0 && row.state != "ready")
      answer.warnings.push_back(std::to_string(row.releases) + " releases are signed by " + row.kid + ", which is " +
                                row.state +
                                ": no device installs them until they are signed again (fleetseal update "
                                "resign --all)");
  }
}

}  // namespace

Result<KeysAnswer> Keys(Core& core) {
  const std::shared_lock register_lock(core.register_mutex);
  TRY_ASSIGN(const auto trust, core.Trust());
  const manifest::RootPackage& package = trust->root_package();
  KeysAnswer answer;
  std::vector<store::ReleaseRow> releases;
  const Status read = core.database().WithSnapshot([&](storage::Session& session) -> Status {
    answer.keys.clear();
    TRY_ASSIGN(const auto rows, store::ListSigningKeys(session));
    for (const auto& stored : rows) {
      TRY_ASSIGN(SigningKeyRow row, RowOf(stored));
      answer.keys.push_back(std::move(row));
    }
    TRY_ASSIGN(releases, store::ListReleases(session));
    return {};
  });
  TRY(read);
  AddRing(core, package, answer);
  AddReleases(releases, answer);
  answer.package_version = package.version;
  answer.package_expires = package.expires;
  AddWarnings(core.Now(), answer);
  return answer;
}

Result<std::string> TakeSjwk(Core& core, std::string_view text) {
  const std::unique_lock register_lock(core.register_mutex);
  const std::string compact(text);
  TRY_ASSIGN(const auto jws, jose::UnverifiedJws::Parse(compact));
  TRY_ASSIGN(const codec::Json json, codec::ParseJson(AsText(jws.unverified_payload())));
  TRY_ASSIGN(const jose::Jwk jwk, jose::ParseJwk(json, FormOf(core)));
  const std::string kid = jwk.kid.value_or("");
  TRY_ASSIGN(const auto row, core.database().WithSnapshot(
                                 [&](storage::Session& session) { return store::FindSigningKey(session, kid); }));
  if (!row) return Fail(ErrorCode::kNotFound, "the signer has no key " + kid);
  const HeldKey held = core.keys().FindKid(kid);
  if (row->retired || held == nullptr) return Fail(ErrorCode::kConflict, kid + " is retired");
  TRY_ASSIGN(const auto trust, core.Trust());
  TRY_ASSIGN(const std::string root, CheckSjwk(trust->root_package(), compact, held->facts, FormOf(core)));
  TRY(core.database().WithTransaction(
      [&](storage::Session& session) { return store::PutSjwk(session, kid, compact); }));
  TRY(core.ReloadKeys());
  core.SetCachedStatus(std::nullopt);
  log::Event(log::Level::kInfo, "key.vouched", {{"kid", kid}, {"root", root}});
  return kid;
}

}  // namespace fleetseal::signer
