// What the signer keeps of a published package: where its record stands in the log, and the ceremony's transcript.
//
// Source: trust model section 6; docs/protocol/processes.md section 3. The admin API answers with the same text.
// Thread rule: plain value.
#pragma once

#include <optional>
#include <string>

#include "base/result.h"
#include "codec/json.h"

namespace fleetseal::api::signing {

struct PackageRecord {
  int64_t log_index = 0;
  std::optional<std::string> transcript;  // exact text
  static Result<PackageRecord> Parse(const codec::Json& json);
  codec::Json ToJson() const;
};

}  // namespace fleetseal::api::signing
