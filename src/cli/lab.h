// A lab: a whole organisation with devices on loopback, for trying, for tests and for the demo.
//
// Source: design section 6. Everything is real: processes with users of their own (as root), TLS, log, ciphertext.
// Layout of DIR: org/ (see docs/protocol/processes.md), devices/<id>/{installer,agent,run}/, firmware/, logs/,
// lab.json. One thread.
#pragma once

#include <string>
#include <vector>

#include "cli/context.h"

namespace fleetseal::cli {

struct LabOptions {
  std::string directory;
  int devices = 1;
  bool is_populated = false;
  bool is_adu_readable = false;  // an organisation made with init --adu-readable
};
Status LabUp(Context& context, const LabOptions& options);
Status LabStatus(Context& context, const std::string& directory);
// Ends all processes of the lab; the directory stays.
Status LabDown(Context& context, const std::string& directory);
// The supervisor of the lab's devices; LabUp starts it in the background.
Status LabDevices(Context& context, const std::string& directory, int ready_fd);

struct LabOfferOptions {
  std::string directory;
  std::string device;
  std::string documents;  // folder as `update show --documents` writes it
  std::string content;    // a sealed file to stream in, empty: none
};
// Plays the device's agent: offers a folder of documents to its installer and tells the verdict. Refused if it refuses.
Status LabOffer(Context& context, const LabOfferOptions& options);

}  // namespace fleetseal::cli
