// The clock of the signer against the times of its own records.
//
// Source: trust model section 5 (expiry is judged by the signer's clock, so a clock that was set back would bring
// expired documents back to life); docs/operations/clock.md. A record's time cannot be undone: what to do after a clock
// was wrongly ahead is `--clock-is-right` (ceremony.h). Thread rule: one thread, before the service listens.
#pragma once

#include "signer/core.h"

namespace fleetseal::signer {

// The greatest time of the newest records that count, 0 if there is none. Codes: Corrupt (a record that is none),
// StorageFailed, NotFound (log files).
Result<UnixSeconds> ReadNewestRecord(const std::string& directory, storage::Database& database,
                                     const translog::LogWriter& log);

// One warning in the log of events if the clock is behind (`clock.behind`), or far ahead of the newest record
// (`clock.ahead`): the latter may be an organisation that slept.
void TellClock(const Core& core, UnixSeconds newest);

// Whether the clock may be put on record for what no dated document of a person vouches for: within the life of the
// root-key package it may. Beyond that the owner of the machine says the `date`: without certificates the next package
// cannot be published. Codes: those of RequireRunning, PackageExpired, TrustStateMissing, InvalidArgument (CheckToday).
Status RequireDate(const Core& core, const std::string& date);

// InvalidArgument unless `date` (2027-01-31, UTC), which the owner of the machine read elsewhere, is the day of `now`.
Status CheckToday(const std::string& date, UnixSeconds now);

}  // namespace fleetseal::signer
