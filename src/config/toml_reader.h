// TomlReader: strict reading of a TOML configuration file, in the manner of codec::ObjectReader.
//
// Source: TOML 1.0 through toml++ (in the .cc only). Every failure is ConfigInvalid and says "file:line: what". Keys
// that nobody asked for are refused, so a misspelt key never passes as a default. The first failure sticks; getters
// then return empty values, and Finish(), which every reader ends with, returns it.
//   TRY_ASSIGN(auto file, TomlFile::Load(path));
//   TomlReader reader = file->root();
//   config.listen = reader.String("listen");
//   TomlReader tls = reader.Table("tls");
//   config.ca = tls.Path("ca");
//   TRY(reader.Finish());  // also checks the tables handed out by `reader`
// Thread rule: one thread. A reader must not outlive its TomlFile.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace fleetseal::config {

class TomlReader;

class TomlFile {
 public:
  // NotFound, StorageFailed, DocumentTooLarge, or ConfigInvalid for a syntax error.
  static Result<std::unique_ptr<TomlFile>> Load(const std::string& path);
  // For tests; relative paths resolve against the directory of `path`, which need not exist.
  static Result<std::unique_ptr<TomlFile>> Parse(std::string_view text, const std::string& path);
  ~TomlFile();
  TomlFile(const TomlFile&) = delete;
  TomlFile& operator=(const TomlFile&) = delete;

  TomlReader root();
  const std::string& path() const;

 private:
  friend class TomlReader;
  class Impl;
  explicit TomlFile(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

// One table. Cheap to copy; all copies and sub-readers share the file's first failure.
class TomlReader {
 public:
  bool Has(std::string_view key) const;

  std::string String(std::string_view key);
  std::optional<std::string> OptionalString(std::string_view key);
  std::string StringOr(std::string_view key, std::string_view fallback);
  int64_t Integer(std::string_view key, int64_t least, int64_t greatest);
  int64_t IntegerOr(std::string_view key, int64_t fallback, int64_t least, int64_t greatest);
  std::optional<int64_t> OptionalInteger(std::string_view key, int64_t least, int64_t greatest);
  bool Bool(std::string_view key);
  bool BoolOr(std::string_view key, bool fallback);
  std::vector<std::string> Strings(std::string_view key);
  // Empty if the key is not there.
  std::vector<std::string> OptionalStrings(std::string_view key);
  // A path: relative ones resolve against the directory of the configuration file. Empty texts are refused.
  std::string Path(std::string_view key);
  std::optional<std::string> OptionalPath(std::string_view key);
  std::string PathOr(std::string_view key, std::string_view fallback);
  // Must begin with https:// and name a host (S0.16: there is no plain HTTP and no switch that turns checks off).
  std::string HttpsUrl(std::string_view key);
  std::optional<std::string> OptionalHttpsUrl(std::string_view key);
  // An id type with a static Result<T> Parse(std::string_view).
  template <typename T>
  T Parsed(std::string_view key) {
    const std::string text = String(key);
    if (!is_good()) return T{};
    auto parsed = T::Parse(text);
    if (parsed) return *std::move(parsed);
    Stop(key, parsed.error().detail);
    return T{};
  }

  // A sub-table; an empty reader stands in if it is missing.
  TomlReader Table(std::string_view key);
  std::optional<TomlReader> OptionalTable(std::string_view key);
  // [[key]] tables in order; empty if there are none.
  std::vector<TomlReader> Tables(std::string_view key);
  // The keys of this table, sorted: for tables whose keys are names, e.g. [handlers.NAME]. Asks for none of them.
  std::vector<std::string> Keys() const;

  // Records a failure that the caller found in the value of `key`.
  void Stop(std::string_view key, std::string_view detail);
  bool is_good() const;
  // The first failure anywhere in the file, else the first key that was never asked for, in this table or below.
  Status Finish();

 private:
  friend class TomlFile;
  friend class TomlFile::Impl;
  TomlReader(TomlFile::Impl* file, const void* table, std::string name);
  const void* Get(std::string_view key, bool is_required);

  TomlFile::Impl* file_;
  const void* table_;  // a toml::table; null after a failure
  std::string name_;   // "" for the root, "tls" for [tls]
};

}  // namespace fleetseal::config
