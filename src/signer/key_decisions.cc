#include "signer/key_decisions.h"

#include "codec/base64.h"
#include "jose/jwk.h"
#include "log/log.h"
#include "manifest/log_leaf.h"
#include "signer/store/plan_store.h"

namespace fleetseal::signer {
namespace {

using codec::Json;

Purpose PurposeOf(manifest::KeyRole role) {
  switch (role) {
    case manifest::KeyRole::kPublisher:
      return Purpose::kPublisher;
    case manifest::KeyRole::kAgentRelease:
      return Purpose::kAgentRelease;
    case manifest::KeyRole::kDirector:
      break;
  }
  return Purpose::kDirector;
}

store::SigningKeyRow RowOf(const KeyFacts& facts) {
  Json products = Json::MakeArray();
  for (const auto& product : facts.products) products.Push(Json(product.text()));
  store::SigningKeyRow row;
  row.kid = facts.kid;
  row.role = PurposeText(facts.purpose);
  row.products = products.Serialize();
  row.alg = crypto::SignatureAlgorithmName(facts.alg);
  row.jwk = jose::BuildJwk({.key = facts.key, .kid = facts.kid, .alg = facts.alg}).Serialize();
  row.thumbprint = Text(facts.key.thumbprint());
  return row;
}

Result<KeyDecision> PrepareCreate(Core& core, const manifest::RegisterChange& change,
                                  const manifest::CreateKey& create) {
  if (core.config().is_adu_readable && create.alg != crypto::SignatureAlgorithm::kRs256)
    return Fail(ErrorCode::kAlgorithmNotAllowed, "an Azure-readable organisation has RS256 keys only");
  TRY_ASSIGN(const auto rows,
             core.database().WithSnapshot([](storage::Session& session) { return store::ListSigningKeys(session); }));
  if (rows.size() >= kSigningKeysMax)
    return Fail(ErrorCode::kLimitExceeded, "a signer has at most " + std::to_string(kSigningKeysMax) + " keys");
  const Purpose purpose = PurposeOf(create.role);
  TRY_ASSIGN(const KeyFacts facts, core.keystore().Generate(purpose, create.alg, create.products));
  TRY_ASSIGN(LoadedKey made, core.keystore().LoadOne(StoreOf(purpose), facts.kid));
  KeyDecision decision{RowOf(facts), std::move(made), {}};
  TRY_ASSIGN(const KeyId kid, KeyId::Parse(facts.kid));
  decision.leaf =
      manifest::SigningKeyLeaf{core.Now(), "create", kid, decision.row.role, facts.key.thumbprint(), change.change_id}
          .Build();
  decision.row.change_id = change.change_id.text();
  return decision;
}

// Another key stands ready wherever this one signs.
Status RequireSuccessor(const Core& core, const RingKey& retired) {
  TRY_ASSIGN(const auto trust, core.Trust());
  const auto& package = trust->root_package();
  if (JudgeKey(retired, package, core.Now()) != KeyState::kReady) return {};
  KeyRing rest;
  std::vector<RingKey> others;
  for (auto& key : core.ring().keys()) {
    if (key.key != retired.key) others.push_back(std::move(key));
  }
  rest.Set(std::move(others));
  std::vector<const ProductName*> wanted;
  for (const auto& product : retired.key->facts.products) wanted.push_back(&product);
  if (wanted.empty()) wanted.push_back(nullptr);
  for (const ProductName* product : wanted) {
    if (rest.InUse(package, core.Now(), retired.key->facts.purpose, product)) continue;
    return Fail(ErrorCode::kConflict, retired.key->facts.kid +
                                          " is the only key that signs for its purpose now: make another and publish "
                                          "it first; a stolen key is disabled by the roots, then retired");
  }
  return {};
}

Result<KeyDecision> PrepareRetire(Core& core, const manifest::RegisterChange& change,
                                  const manifest::RetireKey& retire) {
  TRY_ASSIGN(const auto row, core.database().WithSnapshot([&](storage::Session& session) {
    return store::FindSigningKey(session, retire.kid.text());
  }));
  if (!row) return Fail(ErrorCode::kNotFound, "the signer has no key " + retire.kid.text());
  if (row->retired) return Fail(ErrorCode::kConflict, row->kid + " is retired already");
  for (const auto& key : core.ring().keys()) {
    if (key.key->facts.kid == row->kid) TRY(RequireSuccessor(core, key));
  }
  TRY_ASSIGN(const Sha256 thumbprint, codec::DecodeBase64UrlSha256(row->thumbprint));
  return KeyDecision{
      *row,
      {},
      manifest::SigningKeyLeaf{core.Now(), "retire", retire.kid, row->role, thumbprint, change.change_id}.Build()};
}

}  // namespace

Result<KeyDecision> PrepareKeyDecision(Core& core, const manifest::RegisterChange& change) {
  if (const auto* create = std::get_if<manifest::CreateKey>(&change.changes.front()))
    return PrepareCreate(core, change, *create);
  return PrepareRetire(core, change, std::get<manifest::RetireKey>(change.changes.front()));
}

Status StoreKeyDecision(storage::Session& session, const KeyDecision& decision, UnixSeconds now, int64_t log_index) {
  if (!decision.made) return store::RetireSigningKey(session, decision.row.kid, now.value);
  store::SigningKeyRow row = decision.row;
  row.created = now.value;
  row.log_index = log_index;
  return store::InsertSigningKey(session, row);
}

Status FinishKeyDecision(Core& core, KeyDecision decision) {
  log::Event(log::Level::kInfo, decision.made ? "key.created" : "key.retired",
             {{"kid", decision.row.kid}, {"role", decision.row.role}});
  if (decision.made) {
    core.keys().Add(*std::move(decision.made));
    return core.ReloadKeys();
  }
  core.keys().Remove(decision.row.kid);
  core.SetCachedStatus(std::nullopt);
  TRY(core.ReloadKeys());
  return DestroyRetired(core.database(), core.keystore(), core.keys());
}

Status AdoptFirstKeys(storage::Database& database, const SigningKeys& keys) {
  return database.WithTransaction([&](storage::Session& session) -> Status {
    for (const auto& key : keys.All()) {
      TRY_ASSIGN(const auto known, store::FindSigningKey(session, key->facts.kid));
      if (known) continue;
      TRY_ASSIGN(const auto sjwk, store::FindSjwk(session, key->facts.kid));
      if (sjwk) TRY(store::InsertSigningKey(session, RowOf(key->facts)));
    }
    return {};
  });
}

Status DestroyRetired(storage::Database& database, const Keystore& keystore, SigningKeys& keys) {
  TRY_ASSIGN(const auto rows,
             database.WithSnapshot([](storage::Session& session) { return store::ListSigningKeys(session); }));
  for (const auto& row : rows) {
    if (!row.retired) continue;
    keys.Remove(row.kid);
    const StoreName store = row.role == PurposeText(Purpose::kDirector) ? StoreName::kOnline : StoreName::kPublisher;
    TRY(keystore.Destroy(store, row.kid));
  }
  return {};
}

}  // namespace fleetseal::signer
