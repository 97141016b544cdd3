// `fleetseal recover`: why a signer is halted, and the security team's signed decision how it goes on.
//
// Source: ADR 0009; documents.md section 4 (continue-after-restore). The signer itself, run under its own user, shows
// and judges; this only asks, signs and hands over. A running signer gets the decision through the server. One thread.
#pragma once

#include <string>
#include <vector>

#include "cli/context.h"

namespace fleetseal::cli {

Status RecoverShow(Context& context, const std::string& data);

struct RecoverContinueOptions {
  std::string data;
  std::vector<std::string> quarantine;      // devices whose word is not believed
  bool is_log_adopted = false;              // take over log files that are ahead of the database
  bool is_confirmed = false;                // without it, it only shows what would be signed
  std::vector<std::string> also_signed_by;  // folders of further security identities (quorum above 1)
};
Status RecoverContinue(Context& context, const RecoverContinueOptions& options);

// Runs a program of an organisation's data directory under the user that owns its folder; its standard output.
Result<std::string> AskProgram(const std::string& data, const std::string& name,
                               const std::vector<std::string>& arguments);

}  // namespace fleetseal::cli
