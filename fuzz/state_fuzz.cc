// What our programs keep for themselves. Whoever can write there has their user; still nobody crashes on it.
#include "fuzz/round_trip.h"
#include "fuzz/target.h"
#include "installer/receipts/receipt_chain.h"
#include "installer/state/state_file.h"
#include "sealer/update_record.h"

namespace fleetseal::fuzz {
namespace {

bool TryInstallerState(ByteView input) {
  const auto state = installer::PersistedState::Parse(AsText(input));
  if (!state) return false;
  const std::string text = state->Serialize();
  const auto again = installer::PersistedState::Parse(text);
  CHECK(again.has_value() && again->Serialize() == text);
  return true;
}

constexpr Case kCases[] = {
    {"installer-state", TryInstallerState},
    {"receipt-chain", Value<installer::ReceiptChain>},
    {"update-record", Document<sealer::UpdateRecord>},
};

}  // namespace

FLEETSEAL_FUZZ_TARGET(state, kCases)

}  // namespace fleetseal::fuzz
