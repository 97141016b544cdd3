// --create
#include "codec/base64.h"
#include "jose/jwk.h"
#include "signer/ceremony.h"
#include "signer/service.h"
#include "signer/store/schema.h"

namespace fleetseal::signer {
namespace {

using codec::Json;

Json DescribeKey(const KeyFacts& facts, jose::ModulusForm form) {
  Json products = Json::MakeArray();
  for (const auto& product : facts.products) products.Push(Json(product.text()));
  return Json::MakeObject()
      .Set("kid", facts.kid)
      .Set("role", PurposeText(facts.purpose))
      .Set("products", std::move(products))
      .Set("jwk", jose::BuildJwk({.key = facts.key, .kid = facts.kid, .alg = facts.alg}, form))
      .Set("thumbprint", Text(facts.key.thumbprint()));
}

Result<std::string> CreateLog(const Config& config, const LogKey& key) {
  TRY_ASSIGN(const auto database, storage::Database::Open({.url = config.database}));
  TRY(storage::Migrate(*database, store::kMigrationModule, store::Migrations()));
  TRY(storage::Migrate(*database, translog::kMigrationModule, translog::Migrations()));
  TRY_CONTEXT(translog::LogWriter::Create({config.log, config.log_origin, *database, key.checkpoint_signer()}),
              "make the log");
  return VkeyOf(config.log_origin, key);
}

}  // namespace

Result<Json> CreateOrganisation(const Config& config, const CreateOptions& options, const sys::Clock& clock) {
  TRY(sys::MakeDirectories(config.data, 0700));
  TRY_ASSIGN(const auto lock, sys::FileLock::Acquire(LockPathOf(config)));
  if (sys::DirectoryExists(KeysFolderOf(config)))
    return Fail(ErrorCode::kAlreadyExists,
                config.data + " holds a signer already; if its creation was interrupted, remove " +
                    KeysFolderOf(config) + ", the database and " + config.log + ", and create it again");
  TRY_ASSIGN(const SecretBytes passphrase, ReadPassphrase(config));
  TRY_ASSIGN(const auto keystore,
             Keystore::Create(KeysFolderOf(config), AsText(passphrase.reveal()), config.keystore_cost));
  const auto form = config.is_adu_readable ? jose::ModulusForm::kStandardBase64 : jose::ModulusForm::kBase64Url;
  Json keys = Json::MakeArray();
  for (const auto& product : options.products) {
    TRY_ASSIGN(const KeyFacts facts, keystore->Generate(Purpose::kPublisher, options.algorithm, {product}));
    keys.Push(DescribeKey(facts, form));
  }
  TRY_ASSIGN(const KeyFacts director, keystore->Generate(Purpose::kDirector, options.algorithm));
  keys.Push(DescribeKey(director, form));
  TRY(keystore->Generate(Purpose::kLog, crypto::SignatureAlgorithm::kEdDsa));
  TRY(CaKeys::Create(*keystore, config.organisation, clock.Now()));
  TRY_ASSIGN(const CaKeys cas, CaKeys::Load(*keystore, config.organisation));
  TRY_ASSIGN(const LogKey log_key, LogKey::Load(*keystore));
  TRY_ASSIGN(const std::string vkey, CreateLog(config, log_key));
  Json pems = Json::MakeObject();
  pems.Set("server", cas.server_ca().ToPem())
      .Set("device", cas.device_ca().ToPem())
      .Set("people", cas.people_ca().ToPem());
  return Json::MakeObject()
      .Set("keys", std::move(keys))
      .Set("log", Json::MakeObject().Set("origin", config.log_origin).Set("vkey", vkey))
      .Set("cas", std::move(pems));
}

}  // namespace fleetseal::signer
