// Do documents that are good by themselves belong together? An approval is of one payload, a plan of its orders, a
// receipt of one order: a true one of another release shows nothing about this one.
//
// Source: trust model section 2 ("An approval is bound to ..."). Compared is with what was judged good; where nothing
// of its kind is among the documents, a document stands for itself. Pure functions, one thread.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "cli/verify_documents.h"
#include "manifest/order.h"

namespace fleetseal::cli {

// What was judged good, and whether there was anything to judge.
struct Surroundings {
  struct Release {
    Sha256 manifest_sha256;
    Sha256 payload_sha256;  // of what approvals are about: the payload of the manifest signature
  };
  bool has_signatures = false;  // manifest signatures are among the documents
  std::vector<Release> releases;
  bool has_permits = false;
  std::vector<Sha256> permits;  // payloads
  bool has_orders = false;
  std::vector<manifest::Order> orders;
};

// Why the document is of nothing that lies here; nullopt if it is, or stands for itself. REQUIRES: its payload parses.
std::optional<std::string> OutOfPlace(DocumentKind kind, std::string_view payload, const Surroundings& around);

}  // namespace fleetseal::cli
