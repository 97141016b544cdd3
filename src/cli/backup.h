// Backup of an organisation's data directory into one encrypted file, and restore of such a file into a new directory.
//
// Source: issue "the ground", item 7; ADR 0009; docs/operations/backup.md. A backup is a sealed file (documents.md
// section 6) under a key of its own; inside is a manifest line, then each directory and file with its rights and, after
// its bytes, their SHA-256. It holds no root keys and no identities of people. Programs may run meanwhile: signer.db is
// copied first, so every other file is at least as new, and the log is cut to what its lock row knows. One thread.
#pragma once

#include <string>

#include "base/secret_bytes.h"
#include "cli/context.h"

namespace fleetseal::cli {

struct BackupOptions {
  std::string data;
  std::string output;
  std::string key_file;
  std::string new_key_file;  // alone: makes a key
};
// Codes: NotFound (no organisation), AlreadyExists (the output), NoSpace, ConfigInvalid (rights of the key file),
// Unsupported (PostgreSQL, links, names that are no UTF-8). The output is there whole or not at all.
Status Backup(Context& context, const BackupOptions& options);

struct RestoreOptions {
  std::string file;
  std::string data;
  std::string key_file;
};
// Codes: AlreadyExists (the target is not empty), DecryptFailed (wrong key, changed), Truncated, FormatVersionUnknown.
// The target is there whole or not at all. The restored signer starts halted (ADR 0009).
Status Restore(Context& context, const RestoreOptions& options);

// What both sides share.
Result<SecretBytes> ReadBackupKey(const std::string& path);
inline constexpr const char* kBackupLabel = "fleetseal backup v1";
inline constexpr int64_t kBackupIdMax = 0x7fffffff;  // of users and groups
inline constexpr uint32_t kBackupHeaderMax = 64 * 1024;

}  // namespace fleetseal::cli
