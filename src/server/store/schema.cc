#include "server/store/schema.h"

#include <vector>

#include "storage/migrate.h"

namespace fleetseal::server {
namespace {

std::vector<storage::Migration> Migrations() {
  return {
      {1,
       "updates",
       {"CREATE TABLE updates (manifest_sha256 TEXT PRIMARY KEY, number BIGINT NOT NULL UNIQUE, request_id TEXT NOT "
        "NULL, "
        "product TEXT NOT NULL, version TEXT NOT NULL, state TEXT NOT NULL, requester TEXT NOT NULL, created BIGINT "
        "NOT NULL, "
        "manifest TEXT NOT NULL, signature TEXT, log_index BIGINT, release_counter BIGINT)",
        "CREATE INDEX updates_request ON updates (request_id)",
        "CREATE TABLE update_files (manifest_sha256 TEXT NOT NULL, position BIGINT NOT NULL, file_id TEXT NOT NULL, "
        "file_name TEXT NOT NULL, size BIGINT NOT NULL, sha256 TEXT NOT NULL, sealed_sha256 TEXT, sealed_size BIGINT, "
        "PRIMARY KEY (manifest_sha256, file_id))"}},
      {2,
       "rollouts",
       {"CREATE TABLE rollouts (plan_id TEXT PRIMARY KEY, number BIGINT NOT NULL UNIQUE, plan TEXT NOT NULL, "
        "manifest_sha256 TEXT NOT NULL, state TEXT NOT NULL, created BIGINT NOT NULL)",
        "CREATE TABLE rollout_devices (plan_id TEXT NOT NULL, device_id TEXT NOT NULL, state TEXT NOT NULL, code TEXT, "
        "order_text TEXT NOT NULL, order_id TEXT NOT NULL, sequence BIGINT NOT NULL, PRIMARY KEY (plan_id, device_id))",
        "CREATE INDEX rollout_devices_device ON rollout_devices (device_id, sequence)"}},
      {3,
       "devices",
       {"CREATE TABLE timeline (device_id TEXT NOT NULL, number BIGINT NOT NULL, time BIGINT NOT NULL, event TEXT NOT "
        "NULL, "
        "plan_id TEXT, manifest_sha256 TEXT, outcome TEXT, code TEXT, PRIMARY KEY (device_id, number))",
        "CREATE TABLE device_seen (device_id TEXT PRIMARY KEY, seen BIGINT NOT NULL, release_counter BIGINT, "
        "manifest_sha256 TEXT, phase TEXT, agent_version TEXT)"}},
      {4,
       "groups",
       {"CREATE TABLE device_groups (name TEXT PRIMARY KEY, description TEXT)",
        "CREATE TABLE device_group_members (name TEXT NOT NULL, device_id TEXT NOT NULL, PRIMARY KEY (name, "
        "device_id))"}},
      {5,
       "kill switch",
       {"ALTER TABLE rollout_devices ADD COLUMN cancel_text TEXT",
        "ALTER TABLE rollout_devices ADD COLUMN cancel_id TEXT",
        "CREATE INDEX rollouts_manifest ON rollouts (manifest_sha256)"}},
      {6,
       "events",
       {"ALTER TABLE timeline ADD COLUMN ordinal BIGINT NOT NULL DEFAULT 0",
        "ALTER TABLE timeline ADD COLUMN actor TEXT", "ALTER TABLE timeline ADD COLUMN origin TEXT",
        "ALTER TABLE timeline ADD COLUMN update_name TEXT", "ALTER TABLE timeline ADD COLUMN content_sha256 TEXT",
        "ALTER TABLE timeline ADD COLUMN bytes BIGINT", "CREATE INDEX timeline_ordinal ON timeline (ordinal)",
        "CREATE INDEX timeline_manifest ON timeline (manifest_sha256, ordinal)",
        "CREATE TABLE refused_receipts (device_id TEXT NOT NULL, sha256 TEXT NOT NULL, code TEXT NOT NULL, "
        "compact TEXT NOT NULL, received BIGINT NOT NULL, PRIMARY KEY (device_id, sha256))"}},
      {7,
       "starts",
       {"ALTER TABLE rollouts ADD COLUMN starter TEXT", "ALTER TABLE rollouts ADD COLUMN starter_origin TEXT"}},
      {8,
       "told numbers",
       {"ALTER TABLE device_seen ADD COLUMN told_generation BIGINT NOT NULL DEFAULT 0",
        "ALTER TABLE device_seen ADD COLUMN told_package BIGINT NOT NULL DEFAULT 0",
        "ALTER TABLE device_seen ADD COLUMN told_status_epoch BIGINT NOT NULL DEFAULT 0",
        "ALTER TABLE device_seen ADD COLUMN told_status BIGINT NOT NULL DEFAULT 0",
        "ALTER TABLE device_seen ADD COLUMN told_order_epoch BIGINT NOT NULL DEFAULT 0",
        "ALTER TABLE device_seen ADD COLUMN told_order BIGINT NOT NULL DEFAULT 0",
        "ALTER TABLE device_seen ADD COLUMN told_risen BIGINT NOT NULL DEFAULT 0"}},
  };
}

// Whose records the log indices of `updates` are.
std::vector<storage::Migration> LogMigrations() {
  return {
      {1, "followed log", {"CREATE TABLE followed_log (id BIGINT PRIMARY KEY, origin TEXT NOT NULL)"}},
  };
}

}  // namespace

Status MigrateServerTables(storage::Database& database) {
  const std::vector<storage::Migration> migrations = Migrations();
  TRY(storage::Migrate(database, "server", migrations));
  return storage::Migrate(database, "server-log", LogMigrations());
}

}  // namespace fleetseal::server
