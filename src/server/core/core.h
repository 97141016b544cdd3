// Core: what the use cases of the server share: stores, copies of the signer's lists, cached documents.
//
// Source: design section 3: the server holds no key but its TLS key; everything signed comes from the signer and is
// checked again by whoever relies on it. Thread rule: the members' own. Ownership: Core owns all of it and outlives the
// edges and services.
#pragma once

#include <memory>

#include "content/store.h"
#include "server/core/config.h"
#include "server/core/device_register.h"
#include "server/core/document_cache.h"
#include "server/core/metrics.h"
#include "server/core/people_register.h"
#include "server/core/proof_cache.h"
#include "server/core/signer_pool.h"
#include "server/core/task_pool.h"
#include "server/store/device_store.h"
#include "server/store/rollout_store.h"
#include "server/store/update_store.h"
#include "storage/database.h"
#include "sys/clock.h"
#include "trust/trust.h"

namespace fleetseal::server {

class Core {
 public:
  // Opens database and content store. Codes: those of storage::Database::Open, Migrate and content::Store::Open.
  static Result<std::unique_ptr<Core>> Open(ServerConfig config, sys::Clock& clock);

  // Fetches what is missing from the signer. Codes: those of SigningClient.
  Status RefreshPeople();
  Status RefreshPackages();
  Status RefreshStatus(bool is_forced);
  Status RefreshDevices();
  // Writes last-seen times; what could not be written is kept.
  Status FlushSeen();

  trust::Profile profile() const { return config.is_adu_readable ? trust::Profile::kAdu : trust::Profile::kNative; }

  const ServerConfig config;
  sys::Clock& clock;
  const std::unique_ptr<storage::Database> database;
  const std::unique_ptr<content::Store> content;
  UpdateStore updates;
  RolloutStore rollouts;
  DeviceStore device_store;
  SignerPool signer;
  DeviceRegister devices;
  PeopleRegister people;
  DocumentCache documents;
  ProofCache proofs;
  FollowedLog followed_log;
  Metrics metrics;
  TaskPool tasks;
  // Apart from `tasks`: everybody may ask for a status that holds a nonce, and no flood of that may delay an order.
  TaskPool nonce_tasks;

 private:
  Core(ServerConfig server_config, sys::Clock& server_clock, std::unique_ptr<storage::Database> db,
       std::unique_ptr<content::Store> store);
};

// An event for the log line of an error that nobody else reports.
void LogFailure(std::string_view event, const Error& error);
// The error side of a verdict, for handlers that return Result.
Error ErrorOf(const Refusal& refusal);

}  // namespace fleetseal::server
