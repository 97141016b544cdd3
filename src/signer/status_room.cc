#include "signer/status_room.h"

#include <map>
#include <set>

#include "manifest/status.h"
#include "signer/store/request_store.h"

namespace fleetseal::signer {

Status CheckStatusRoom(storage::Session& session, const std::optional<store::NewestRow>& more) {
  TRY_ASSIGN(const auto withdrawn, store::ListWithdrawn(session));
  if (withdrawn.size() > manifest::kStatusWithdrawnMax)
    return Fail(ErrorCode::kLimitExceeded,
                "a status names at most " + std::to_string(manifest::kStatusWithdrawnMax) + " withdrawn updates");
  TRY_ASSIGN(auto newest, store::ListNewest(session));
  if (more) newest.push_back(*more);
  std::map<std::string, std::set<std::string>> environments;  // by product
  for (const auto& row : newest) environments[row.product].insert(row.environment);
  if (environments.size() > manifest::kStatusProductsMax)
    return Fail(ErrorCode::kLimitExceeded, "plans of too many products are active: cancel or pause old ones");
  for (const auto& [product, names] : environments) {
    if (names.size() > manifest::kStatusEnvironmentsMax)
      return Fail(ErrorCode::kLimitExceeded,
                  "plans for too many environments of " + product + " are active: cancel or pause old ones");
  }
  return {};
}

}  // namespace fleetseal::signer
