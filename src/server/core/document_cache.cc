#include "server/core/document_cache.h"

#include <utility>

#include "jose/jws.h"

namespace fleetseal::server {
namespace {

bool SaysTheSame(const manifest::StatusDocument& a, const manifest::StatusDocument& b) {
  return a.epoch == b.epoch && a.package_version == b.package_version && a.package_sha256 == b.package_sha256 &&
         a.withdrawn == b.withdrawn && a.newest == b.newest;
}

bool IsHalfOver(const manifest::StatusDocument& status, UnixSeconds now) {
  return now.value - status.issued.value >= (status.expires.value - status.issued.value) / 2;
}

}  // namespace

std::vector<std::string> Documents::PackagesFrom(int64_t from) const {
  std::vector<std::string> texts;
  size_t bytes = 0;
  for (const Package& package : packages) {
    if (package.version < from) continue;
    bytes += package.text.size();
    if (!texts.empty() && (texts.size() >= limits::kPackageStepsMax || bytes > api::device::kPackagesBytesMax)) break;
    texts.push_back(package.text);
  }
  return texts;
}

bool Documents::HasNewerStatus(const std::optional<api::device::Numbered>& known) const {
  if (status.empty()) return false;
  return !known || *known < api::device::Numbered{status_payload.epoch, status_payload.version};
}

std::shared_ptr<const Documents> DocumentCache::Get() const {
  const std::lock_guard lock(mutex_);
  return documents_;
}

Status DocumentCache::AddPackages(const std::vector<std::string>& texts) {
  if (texts.empty()) return {};
  const std::lock_guard writer(writer_);
  Documents documents = *Get();
  for (const std::string& text : texts) {
    TRY_ASSIGN(manifest::RootPackageDocument package, manifest::RootPackageDocument::Parse(text));
    const int64_t version = package.package.version;
    if (version <= documents.newest_version()) continue;  // another thread asked at the same time
    if (!documents.packages.empty() && version != documents.newest_version() + 1) {
      return Fail(ErrorCode::kProtocolError, "package versions have a gap");
    }
    documents.packages.push_back({version, text});
    documents.newest = std::make_shared<const manifest::RootPackageDocument>(std::move(package));
  }
  Publish(std::move(documents));
  return {};
}

Status DocumentCache::SetStatus(std::string_view compact, UnixSeconds now, bool is_forced) {
  TRY_ASSIGN(const auto jws, jose::UnverifiedJws::Parse(compact));
  TRY_ASSIGN(manifest::StatusDocument status, manifest::StatusDocument::Parse(AsText(jws.unverified_payload())));
  const std::lock_guard writer(writer_);
  Documents documents = *Get();
  const bool is_older =
      !documents.status.empty() && std::pair(status.epoch, status.version) <
                                       std::pair(documents.status_payload.epoch, documents.status_payload.version);
  if (is_older) return {};  // two answers of the signer may overtake each other
  if (!is_forced && !documents.status.empty() && SaysTheSame(documents.status_payload, status) &&
      !IsHalfOver(documents.status_payload, now)) {
    return {};
  }
  documents.status = compact;
  documents.status_payload = std::move(status);
  Publish(std::move(documents));
  return {};
}

void DocumentCache::Publish(Documents documents) {
  api::device::CheckInAnswer answer;
  answer.next_check_in_seconds = check_in_seconds_;
  documents.answer = std::make_shared<const std::string>(answer.Build());
  documents.answer_with_status = documents.answer;
  if (!documents.status.empty()) {
    answer.status = documents.status;
    documents.answer_with_status = std::make_shared<const std::string>(answer.Build());
    documents.status_answer = std::make_shared<const std::string>(api::device::StatusAnswer{documents.status}.Build());
  }
  auto next = std::make_shared<const Documents>(std::move(documents));
  const std::lock_guard lock(mutex_);
  documents_ = std::move(next);
}

}  // namespace fleetseal::server
