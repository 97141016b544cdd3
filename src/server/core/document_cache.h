// DocumentCache: the signed documents that every device gets: root-key packages and the status, with ready-made
// answers.
//
// Source: docs/protocol/processes.md section 5. A new status takes the place of the old one only if it says something
// else or half of the old one's life is over: else every check-in would carry a status that changes nothing. Thread
// rule: any thread; readers take an immutable snapshot.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/device/messages.h"
#include "manifest/root_package.h"
#include "manifest/status.h"

namespace fleetseal::server {

struct Documents {
  struct Package {
    int64_t version = 0;
    std::string text;
  };
  std::vector<Package> packages;  // oldest first, versions without gaps
  std::shared_ptr<const manifest::RootPackageDocument> newest;
  std::string status;  // compact; empty: none yet
  manifest::StatusDocument status_payload;
  // Check-in answers without order for a device that has the newest package: with and without the status.
  std::shared_ptr<const std::string> answer;
  std::shared_ptr<const std::string> answer_with_status;
  std::shared_ptr<const std::string> status_answer;

  int64_t newest_version() const { return packages.empty() ? 0 : packages.back().version; }
  // Texts of versions >= from: at most kPackageStepsMax, and at most kPackagesBytesMax (but at least one).
  std::vector<std::string> PackagesFrom(int64_t from) const;
  // A device that knows less than this (or nothing) is sent it.
  bool HasNewerStatus(const std::optional<api::device::Numbered>& known) const;
};

class DocumentCache {
 public:
  explicit DocumentCache(int64_t check_in_seconds) : check_in_seconds_(check_in_seconds) {}

  // Never null.
  std::shared_ptr<const Documents> Get() const;
  // Appends packages; versions go on where the cache ends, known ones are skipped. Codes: those of
  // RootPackageDocument::Parse; ProtocolError.
  Status AddPackages(const std::vector<std::string>& texts);
  // Codes: those of UnverifiedJws::Parse and StatusDocument::Parse. `is_forced`: takes it whatever
  // it says. One that is older than the held one is dropped.
  Status SetStatus(std::string_view compact, UnixSeconds now, bool is_forced);

 private:
  void Publish(Documents documents);

  const int64_t check_in_seconds_;
  mutable std::mutex mutex_;
  std::mutex writer_;
  std::shared_ptr<const Documents> documents_ = std::make_shared<const Documents>();
};

}  // namespace fleetseal::server
