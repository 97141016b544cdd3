// What `fleetseal doctor` sees of an organisation that runs: its ports and who holds them, its clocks, its status; and
// what ends when.
//
// Source: design section 6; trust model section 5 (dates). An organisation of which nothing runs is warned of, for it
// may be meant; one of which a part does not run has a problem, and so has a port that somebody else holds. Asks
// nothing that needs an identity. Bounded: each question to the network ends within kLiveSeconds. One thread.
#pragma once

#include <string>

#include "cli/context.h"
#include "config/findings/findings.h"

namespace fleetseal::cli {

inline constexpr int64_t kLiveSeconds = 5;
// Clocks may be so far apart before it is a problem.
inline constexpr int64_t kClockApartMax = 60;

struct LivePort {
  std::string name;  // "device API"
  std::string url;
  std::string holder;  // "fleetseal-server (process 12)", "nobody", "?" if this user may not see
  bool is_reachable = false;
};
struct LiveReport {
  std::vector<LivePort> ports;
  std::string clock;  // a sentence; empty if the signer did not answer
};
// Findings go to `findings`, dates of people's certificates and of the status too.
LiveReport LookAtLive(const Context& context, const std::string& data, config::Findings& findings);

// "NAME (process N)" of who listens on this TCP port of this machine; "nobody"; "?".
std::string HolderOfPort(int port);

}  // namespace fleetseal::cli
