// `fleetseal verify --trust-state FILE --device FILE`: documents judged in one device's place, with all that it knows.
//
// Source: trust model sections 5 and 8 (the order of checks; what was verified before a refusal stays). The judge is
// trust::Offer, the installer's own code; only what needs the device itself is left out: its handlers, space, power,
// and the key that opens content. One thread.
#pragma once

#include <string>
#include <vector>

#include "cli/verify_documents.h"
#include "cli/verify_report.h"
#include "codec/json.h"

namespace fleetseal::cli {

struct DeviceQuestion {
  std::string trust_state;            // file: the text `trust` of the device's state.json
  std::string device;                 // file: its device.json
  std::string offer;                  // file: an offer-documents message; empty: the documents are what it is offered
  std::vector<std::string> contents;  // FILE_ID=FILE: a plain file for the order (check 11)
};

// Findings go to `report`, what the device would answer to the member `device` of `answer`. Codes: those of reading the
// files and of their parsers, PackageStepInvalid (no state that a device of ours can have), InvalidArgument (more than
// one document of a kind, of which a device is given one at a time; documents beside an offer; contents of another
// form).
Status JudgeAsDevice(const DeviceQuestion& question, const std::vector<FoundDocument>& documents, UnixSeconds now,
                     Report& report, codec::Json& answer);

}  // namespace fleetseal::cli
