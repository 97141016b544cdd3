// What orders and the orders that cancel them share: how they are recorded before they are released.
//
// Source: trust model section 5 (sequences) and 6 (an order is published only after its record is durable). The number
// after an order's own is kept free for the order that cancels it: it voids that order and all before it, and none that
// was signed since. Thread rule: the caller holds the locks of plan and devices.
#pragma once

#include <functional>
#include <vector>

#include "manifest/order.h"
#include "signer/core.h"
#include "signer/store/plan_store.h"

namespace fleetseal::signer {

// An order takes one sequence, and its cancel the next.
inline constexpr int64_t kSequencesAnOrder = 2;

struct DirectedOrder {
  manifest::Order order;
  std::string compact;
  std::string salt = NewSalt();
};

// LimitExceeded, InvalidArgument (a device is there twice).
Status CheckDeviceList(const std::vector<DeviceId>& devices);
// Verifies as a device would, records all, then stores each by `put` with the device's last sequence. Codes: those of
// trust::VerifyOrder, DocumentTooLarge (longer than devices read), LogNotWritable.
using PutDirected = std::function<Status(storage::Session&, const store::OrderRow&)>;
Status RecordDirected(const Core& core, const trust::TrustState& trust, const std::vector<DirectedOrder>& orders,
                      const PutDirected& put);

}  // namespace fleetseal::signer
