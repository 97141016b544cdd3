// Accepting an order: checks 5 to 10 in the order of trust model section 8, and check 12 before the switch.
//
// Source: trust model sections 5 and 8. The first failure stops; a refused order changes nothing and does not consume
// its sequence. The installer stores AcceptedOrder::next_state durably before it acts. Thread rule: pure functions,
// plain values. VerifiedOrder is made here only.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "manifest/order.h"
#include "manifest/permit.h"
#include "trust/device_profile.h"
#include "trust/log_proof.h"
#include "trust/trust_state.h"
#include "trust/verify_manifest.h"

namespace fleetseal::trust {

// As the agent or an offline bundle brought them: nobody has checked anything. A cancel needs only `order`.
struct OrderDocuments {
  std::string order;               // compact JWS
  std::string manifest;            // exact bytes
  std::string manifest_signature;  // compact JWS
  std::string log_proof;           // tlog-proof
  std::vector<Sha256> consistency;
};

class VerifiedOrder {
 public:
  const manifest::Order& order() const { return order_; }
  const SignerInfo& signer() const { return signer_; }
  const Sha256& sha256() const { return sha256_; }  // of the compact order
  bool is_cancel() const { return order_.action == manifest::OrderAction::kCancel; }

 private:
  VerifiedOrder(manifest::Order order, SignerInfo signer, Sha256 sha256)
      : order_(std::move(order)), signer_(std::move(signer)), sha256_(sha256) {}
  friend Verdict<VerifiedOrder> VerifyOrder(const TrustState& state, std::string_view compact, UnixSeconds now);
  manifest::Order order_;
  SignerInfo signer_;
  Sha256 sha256_;
};

struct AcceptedOrder {
  TrustState next_state;
  VerifiedOrder order;
  std::optional<VerifiedManifest> manifest;  // nullopt for a cancel
  bool is_repeat = false;                    // the same bytes as the stored order: resume, or report its outcome
  bool is_installed = false;                 // the manifest is what is installed already
  std::optional<PermitId> permit;            // the permit that this needs; used up by AfterCommit
  OrderDocuments documents;                  // for the recheck
};

// Codes of check 3 and 4: PackageExpired, StatusExpired. 5: those of VerifyListedJws, OrderNotForThisDevice,
// OrderReplayed, OrderCancelled, OrderExpired, PackageVersionTooLow. 6: those of VerifyManifest. 7: RollbackRefused,
// PermitInvalid. 8: NotCompatible, DeliveryNotAllowed, FileHashMismatch (contents are not the manifest's files). 9:
// those of AcceptLogged. 10: OutsideWindow (past).
Verdict<AcceptedOrder> AcceptOrder(const TrustState& state, const DeviceProfile& device, OrderDocuments documents,
                                   UnixSeconds now);

// OutsideWindow unless the order's window is open and its deadline is not past: when to switch (an accepted order may
// wait).
Verdict<void> JudgeWindow(const manifest::Order& order, UnixSeconds now);

// Check 12, just before the switch, with the state as it is now: the order is still the newest (else OrderCancelled),
// its key and the manifest's are still good, it is not withdrawn, counter and permit still fit, and JudgeWindow. Codes
// as AcceptOrder.
Verdict<void> RecheckBeforeSwitch(const TrustState& state, const DeviceProfile& device, const AcceptedOrder& accepted,
                                  UnixSeconds now);

// After health and commit: installed counter, high-water mark and the used permit. REQUIRES: not a cancel.
TrustState AfterCommit(const TrustState& state, const AcceptedOrder& accepted);

// What can be said of an order without the device that it is for: epoch, dates, package version, withdrawal, and with
// its manifest at hand whether contents, minCounter and permit fit. Gives the permit. Codes as AcceptOrder.
Verdict<std::optional<manifest::Permit>> JudgeOrderAlone(const TrustState& state, const VerifiedOrder& order,
                                                         const VerifiedManifest* manifest, UnixSeconds now);

// The signature chain and the payload's form only: for those who show orders. Codes: those of VerifyListedJws and
// Order::Parse.
Verdict<VerifiedOrder> VerifyOrder(const TrustState& state, std::string_view compact, UnixSeconds now);

}  // namespace fleetseal::trust
