#include "signer/directed_orders.h"

#include <set>

#include "api/signing/messages.h"
#include "base/check.h"
#include "base/limits.h"
#include "crypto/digest.h"
#include "manifest/log_leaf.h"

namespace fleetseal::signer {

Status CheckDeviceList(const std::vector<DeviceId>& devices) {
  if (devices.size() > api::signing::kOrderDevicesMax)
    return Fail(ErrorCode::kLimitExceeded, "too many devices at once");
  if (std::set<DeviceId>(devices.begin(), devices.end()).size() != devices.size()) {
    return Fail(ErrorCode::kInvalidArgument, "a device is there twice");
  }
  return {};
}

Status RecordDirected(const Core& core, const trust::TrustState& trust, const std::vector<DirectedOrder>& orders,
                      const PutDirected& put) {
  CHECK(!orders.empty());
  static_assert(api::signing::kOrderDevicesMax <= translog::kEntryLeavesMax, "a batch is one entry of the log");
  // What a device would say about the director's key is the same for all of them.
  if (const auto verified = trust::VerifyOrder(trust, orders.front().compact, core.Now()); !verified)
    return Fail(verified.error());
  std::vector<std::string> leaves;
  for (const auto& directed : orders) {
    if (directed.compact.size() > limits::kDeviceJwsBytesMax)
      return Fail(ErrorCode::kDocumentTooLarge,
                  "the order of " + directed.order.device_id.text() + " would be longer than devices read");
    const manifest::Order& order = directed.order;
    leaves.push_back(manifest::OrderLeaf{core.Now(), crypto::HashSha256(directed.compact), order.plan_id,
                                         order.sequence, crypto::HashSha256(directed.salt + order.device_id.text())}
                         .Build());
  }
  // One write: a cancel's sequence is that of its order and one, so a record of it alone would give it out twice.
  const auto store = [&](storage::Session& session, uint64_t first) -> Status {
    for (size_t i = 0; i < orders.size(); ++i) {
      const manifest::Order& order = orders[i].order;
      TRY(put(session, {order.plan_id.text(), order.device_id.text(), order.generation, order.epoch, order.sequence,
                        orders[i].compact, static_cast<int64_t>(first + i), orders[i].salt}));
      TRY(store::SetLastSequence(session, order.device_id.text(), order.sequence));
    }
    return {};
  };
  TRY_ASSIGN(PendingRecord record, core.StartRecord(leaves, store));
  TRY(core.Await(record));
  return {};
}

}  // namespace fleetseal::signer
