#include "signer/key_ring.h"

#include <algorithm>
#include <array>

#include "jose/sjwk.h"
#include "signer/store/key_store.h"
#include "signer/store/plan_store.h"

namespace fleetseal::signer {
namespace {

constexpr std::array<std::string_view, 6> kStateNames = {"waiting", "listed", "ready", "ended", "disabled", "retired"};

bool IsFor(const KeyFacts& facts, Purpose purpose, const ProductName* product) {
  return facts.purpose == purpose &&
         (product == nullptr || std::ranges::find(facts.products, *product) != facts.products.end());
}

// The root that signed the sjwk, and the key that it is about.
struct Vouched {
  std::string root_kid;
  jose::Jwk key;
};

Result<Vouched> ReadSjwk(std::string_view compact) {
  TRY_ASSIGN(const auto jws, jose::UnverifiedJws::Parse(compact));
  TRY_ASSIGN(const codec::Json json, codec::ParseJson(AsText(jws.unverified_payload())));
  auto jwk = jose::ParseJwk(json);
  if (!jwk) jwk = jose::ParseJwk(json, jose::ModulusForm::kStandardBase64);
  TRY(jwk);
  return Vouched{jws.header().kid.value_or(""), *std::move(jwk)};
}

Result<Vouched> ReadDocument(std::string_view compact) {
  TRY_ASSIGN(const auto jws, jose::UnverifiedJws::Parse(compact));
  if (!jws.header().sjwk) return Fail(ErrorCode::kHeaderNotAllowed, "the document bears no sjwk");
  return ReadSjwk(*jws.header().sjwk);
}

KeyState JudgeListing(const manifest::RootPackage& package, const std::string& kid, const crypto::PublicKey& key,
                      UnixSeconds now) {
  if (package.IsSigningKeyDisabled(key)) return KeyState::kDisabled;
  const manifest::SigningKeyListing* listing = package.FindListing(kid);
  if (listing == nullptr || listing->thumbprint != key.thumbprint()) return KeyState::kWaiting;
  if (listing->not_before > now) return KeyState::kListed;
  return listing->not_after > now ? KeyState::kReady : KeyState::kEnded;
}

// The role and the products are those of the listing: what a key was made for does not widen it.
bool IsListedFor(const manifest::RootPackage& package, const KeyFacts& facts, const ProductName* product) {
  const manifest::SigningKeyListing* listing = package.FindListing(facts.kid);
  return listing != nullptr && manifest::KeyRoleName(listing->role) == PurposeText(facts.purpose) &&
         listing->alg == facts.alg &&
         (product == nullptr || std::ranges::find(listing->products, *product) != listing->products.end());
}

}  // namespace

std::string_view KeyStateName(KeyState state) { return kStateNames[static_cast<size_t>(state)]; }

KeyState JudgeKey(const RingKey& key, const manifest::RootPackage& package, UnixSeconds now) {
  const KeyState listed = JudgeListing(package, key.key->facts.kid, key.key->facts.key, now);
  if (listed != KeyState::kReady && listed != KeyState::kListed) return listed;
  const bool is_vouched =
      key.sjwk && package.FindRoot(key.root_kid) != nullptr && !package.IsRootDisabled(key.root_kid);
  return is_vouched && IsListedFor(package, key.key->facts, nullptr) ? listed : KeyState::kWaiting;
}

bool IsListed(const manifest::RootPackage& package, std::string_view compact, UnixSeconds now) {
  const auto vouched = ReadDocument(compact);
  if (!vouched || package.FindRoot(vouched->root_kid) == nullptr || package.IsRootDisabled(vouched->root_kid))
    return false;
  return JudgeListing(package, vouched->key.kid.value_or(""), vouched->key.key, now) == KeyState::kReady;
}

Result<std::string> SigningKid(std::string_view compact) {
  TRY_ASSIGN(const Vouched vouched, ReadDocument(compact));
  return vouched.key.kid.value_or("");
}

Result<std::string> CheckSjwk(const manifest::RootPackage& package, std::string_view compact, const KeyFacts& facts,
                              jose::ModulusForm form) {
  TRY_ASSIGN_CONTEXT(const jose::UnverifiedJws sjwk, jose::UnverifiedJws::Parse(compact), facts.kid);
  const manifest::RootKey* root = package.FindRoot(sjwk.header().kid.value_or(""));
  if (root == nullptr) return Fail(ErrorCode::kUnknownRootKid, "sjwk of " + facts.kid);
  if (package.IsRootDisabled(root->kid.text())) return Fail(ErrorCode::kDisallowedRootKid, root->kid.text());
  TRY_ASSIGN_CONTEXT(const jose::SigningKey key, jose::VerifySjwk(sjwk, root->key, root->key.default_algorithm(), form),
                     facts.kid);
  if (!(key.key == facts.key) || key.kid != facts.kid || key.alg != facts.alg)
    return Fail(ErrorCode::kSigningKeyNotListed, "the sjwk of " + key.kid + " is about another key than " + facts.kid);
  return root->kid.text();
}

Status KeyRing::Reload(storage::Database& database, const SigningKeys& keys) {
  std::vector<RingKey> ring;
  const Status read = database.WithSnapshot([&](storage::Session& session) -> Status {
    ring.clear();
    TRY_ASSIGN(const auto rows, store::ListSigningKeys(session));
    for (const auto& row : rows) {
      const HeldKey held = keys.FindKid(row.kid);
      if (row.retired || held == nullptr) continue;
      RingKey key{held, {}, {}, row.created};
      TRY_ASSIGN(key.sjwk, store::FindSjwk(session, row.kid));
      if (key.sjwk) {
        TRY_ASSIGN(const auto jws, jose::UnverifiedJws::Parse(*key.sjwk));
        key.root_kid = jws.header().kid.value_or("");
      }
      ring.push_back(std::move(key));
    }
    return {};
  });
  TRY(read);
  Set(std::move(ring));
  return {};
}

void KeyRing::Set(std::vector<RingKey> keys) {
  const std::lock_guard lock(mutex_);
  keys_ = std::move(keys);
}

std::vector<RingKey> KeyRing::keys() const {
  const std::lock_guard lock(mutex_);
  return keys_;
}

Result<KeyInUse> KeyRing::InUse(const manifest::RootPackage& package, UnixSeconds now, Purpose purpose,
                                const ProductName* product) const {
  const std::lock_guard lock(mutex_);
  const RingKey* chosen = nullptr;
  std::string others;
  for (const RingKey& key : keys_) {
    if (!IsFor(key.key->facts, purpose, product)) continue;
    const KeyState state = JudgeKey(key, package, now);
    if (state != KeyState::kReady || !IsListedFor(package, key.key->facts, product)) {
      others += (others.empty() ? "" : ", ") + key.key->facts.kid + " is " + std::string(KeyStateName(state));
    } else if (chosen == nullptr || key.created > chosen->created) {
      chosen = &key;
    }
  }
  if (chosen != nullptr) return KeyInUse{chosen->key, *chosen->sjwk};
  // Listings end with their package as a rule; what helps then is the next package.
  if (package.expires <= now)
    return Fail(ErrorCode::kPackageExpired, "root-key package " + std::to_string(package.version));
  const std::string what =
      std::string(PurposeText(purpose)) + " key" + (product == nullptr ? "" : " for " + product->text());
  return Fail(
      ErrorCode::kSigningKeyNotListed,
      "no " + what + " may sign now" + (others.empty() ? "" : " (" + others + ")") + ": see `fleetseal key list`");
}

}  // namespace fleetseal::signer
