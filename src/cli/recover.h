// `fleetseal recover`: why a signer is halted, and the security team's signed decision how it goes on.
//
// Source: ADR 0009; documents.md section 4 (continue-after-restore). The signer itself, run under its own user, shows
// and judges; this only asks, signs and hands over. A running signer gets the decision through the server. One thread.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "cli/context.h"
#include "cli/identity.h"
#include "manifest/register_change.h"

namespace fleetseal::cli {

Status RecoverShow(Context& context, const std::string& data);

struct RecoverContinueOptions {
  std::string data;
  std::vector<std::string> quarantine;      // devices whose word is not believed
  bool is_log_adopted = false;              // take over log files that are ahead of the database
  bool is_confirmed = false;                // without it, it only shows what would be signed
  std::vector<std::string> also_signed_by;  // folders of further security identities (quorum above 1)
};
// The decision that fits what `recover show --json` says. Codes: those of DeviceId::Parse.
Result<manifest::ContinueAfterRestore> DecideContinue(const Context& context, const codec::Json& state,
                                                      bool is_log_adopted, const std::vector<std::string>& quarantine);
Status RecoverContinue(Context& context, const RecoverContinueOptions& options);

struct RecoverNewLogOptions {
  std::string data;
  std::string origin;  // of the new log
  std::string reason;
  bool is_confirmed = false;                // without it, it only shows what would be signed
  std::vector<std::string> also_signed_by;  // folders of further security identities (quorum above 1)
};
// Lets the stopped signer prepare a new log (ADR 0013), and says which package the roots must sign next.
Status RecoverNewLog(Context& context, const RecoverNewLogOptions& options);

// A register-change with one change, signed by these people: what a stopped signer takes, {"jws":[compact]}.
Result<codec::Json> SignDecision(Context& context, const Identity& identity,
                                 const std::vector<std::string>& also_signed_by, int64_t sequence,
                                 manifest::Change decision);
inline constexpr const char* kStopSignerAdvice =
    "stop the signer meanwhile: end `fleetseal run`, or systemctl stop fleetseal-signer";

// Runs a program of an organisation's data directory under the user that owns its folder; its standard output.
Result<std::string> AskProgram(const std::string& data, const std::string& name,
                               const std::vector<std::string>& arguments);
// As AskProgram, with public bytes in a file behind `verb`, in a folder that the program's user passes through.
Result<std::string> HandOver(const std::string& data, const std::string& name, const std::string& verb,
                             std::string_view text, const std::vector<std::string>& more = {});

}  // namespace fleetseal::cli
