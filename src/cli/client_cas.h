// `fleetseal ca`: another device CA or people CA, by the stopped signer, decided by the security team.
//
// Source: ADR 0015; docs/operations/lost-client-ca.md. Signer and server, each run under its own user, show, judge
// and take; this only asks, signs and hands over. One thread.
#pragma once

#include <string>
#include <vector>

#include "cli/context.h"

namespace fleetseal::cli {

struct CaReplaceOptions {
  std::string data;
  std::string kind;                         // device, people
  bool is_old_dropped = false;              // certificates of the old CAs are refused from now on
  bool is_confirmed = false;                // without it, it only shows what would be signed
  std::vector<std::string> also_signed_by;  // folders of further security identities (quorum above 1)
};
// The CA that issues is the old one or the new one, whatever happens. If a CA was replaced before and the server's file
// is behind the signer's, it is only handed over, nobody signs, and the answer has isReplaced false; with
// is_old_dropped, or without a server here, each call replaces. Codes: Busy (the signer runs), SignerHalted, NotFound
// (the file of an accepted CA is lost and it is not dropped), those of --show-cas, --replace-ca, --show-client-cas and
// --take-device-cas.
Status CaReplace(Context& context, const CaReplaceOptions& options);

}  // namespace fleetseal::cli
