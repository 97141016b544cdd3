// What `fleetseal verify` found: one finding a document, with the chain that vouches for it, as a tree or as JSON.
//
// Source: trust model sections 3 to 6 (root -> signing key -> document -> log). "Good" is said only of what was judged.
// Names and texts of documents are put on one line and made clean here, so none of them can pass for a finding.
// One thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "codec/json.h"

namespace fleetseal::cli {

// One step of a chain: what it vouches for stands below it.
struct Link {
  std::string text;
  std::vector<Link> next;
};
// The links below one another.
std::vector<Link> Chain(std::vector<std::string> texts);

class Report {
 public:
  using Files = std::vector<std::string>;
  void Good(const std::string& document, const Files& files, const std::string& detail, std::vector<Link> chain = {});
  void Bad(const std::string& document, const Files& files, const Refusal& refusal, std::vector<Link> chain = {});
  // Nothing is wrong, but something that is needed to judge it is missing: `why` says what.
  void NotJudged(const std::string& document, const Files& files, const std::string& why, std::vector<Link> chain = {});

  std::string Text(bool is_coloured) const;
  codec::Json ToJson() const;  // the findings
  // "trusted", "refused" or "not judged".
  std::string Verdict() const;
  // Ok if all was judged and is good; else the first refusal, else the first finding that was not judged.
  Status Outcome() const;

 private:
  struct Finding {
    std::string outcome;  // ok, refused, not judged
    std::string document;
    Files files;
    std::string detail;
    std::optional<Refusal> refusal;
    std::vector<Link> chain;
  };
  std::vector<Finding> findings_;
};

}  // namespace fleetseal::cli
