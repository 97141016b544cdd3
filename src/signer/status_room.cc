#include "signer/status_room.h"

#include "base/limits.h"
#include "codec/base64.h"
#include "signer/store/request_store.h"

namespace fleetseal::signer {
namespace {

Result<bool> IsBelowMinCounter(const store::WithdrawnRow& row, const manifest::RootPackage& package) {
  if (row.product.empty()) return false;
  TRY_ASSIGN(const ProductName product, ProductName::Parse(row.product));
  const auto least = package.min_counter.find(product);
  return least != package.min_counter.end() && row.release_counter < least->second;
}

Status AddNewest(const store::NewestRow& row, manifest::StatusDocument& status) {
  TRY_ASSIGN(const ProductName product, ProductName::Parse(row.product));
  TRY_ASSIGN(const Environment environment, Environment::Parse(row.environment));
  int64_t& newest = status.newest[product][environment];
  newest = std::max(newest, row.release_counter);
  return {};
}

size_t PairsOf(const manifest::NewestCounters& newest) {
  size_t pairs = 0;
  for (const auto& [product, environments] : newest) pairs += environments.size();
  return pairs;
}

}  // namespace

Status FillStatusLists(storage::Session& session, const manifest::RootPackage& package,
                       manifest::StatusDocument& status) {
  status.withdrawn.clear();
  status.newest.clear();
  TRY_ASSIGN(const auto withdrawn, store::ListWithdrawn(session));
  for (const auto& row : withdrawn) {
    TRY_ASSIGN(const bool is_refused_anyway, IsBelowMinCounter(row, package));
    if (is_refused_anyway) continue;
    TRY_ASSIGN(const Sha256 hash, codec::DecodeBase64UrlSha256(row.manifest_sha256));
    status.withdrawn.push_back(hash);
  }
  TRY_ASSIGN(const auto newest, store::ListNewest(session));
  for (const auto& row : newest) TRY(AddNewest(row, status));
  return {};
}

Status CheckStatusRoom(storage::Session& session, const manifest::RootPackage& package,
                       const std::optional<store::NewestRow>& more) {
  // As long as its numbers can be written.
  constexpr int64_t kLongest = limits::kJsonIntegerMax;
  manifest::StatusDocument status;
  TRY(FillStatusLists(session, package, status));
  if (more) TRY(AddNewest(*more, status));
  status.epoch = status.version = status.issued.value = status.expires.value = status.package_version = kLongest;
  for (auto& [product, environments] : status.newest) {
    for (auto& [environment, counter] : environments) counter = kLongest;
  }
  if (status.withdrawn.size() > manifest::kStatusWithdrawnMax)
    return Fail(ErrorCode::kLimitExceeded,
                "a status names at most " + std::to_string(manifest::kStatusWithdrawnMax) +
                    " withdrawn updates: raise the minCounter of their products above the old ones with the next "
                    "root-key package, which takes them off the list");
  // Plans leave room for every withdrawal that there may be: the kill switch never finds the list full of names.
  status.withdrawn.resize(manifest::kStatusWithdrawnMax);
  const std::string advice = "plans for too many products and environments are active: cancel or pause old ones";
  if (PairsOf(status.newest) > manifest::kStatusNewestMax) return Fail(ErrorCode::kLimitExceeded, advice);
  if (status.Build().size() > manifest::kStatusPayloadBytesMax)
    return Fail(ErrorCode::kLimitExceeded, "the status would be too long for devices: " + advice);
  return {};
}

}  // namespace fleetseal::signer
