// Findings: what is wrong with a program's own state at rest, and what to do about it. `--check` of each program prints
// them as JSON, and `fleetseal doctor` merges them: no program reads another's files.
//
// Source: docs/protocol/processes.md section 3. Details name files and ids, never contents. Thread rule: one thread.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "codec/json.h"

namespace fleetseal::config {

// Certificates, listings and packages that end within so many seconds are named.
inline constexpr int64_t kEndsSoonSeconds = 14 * 86'400;
// Below so many free bytes writers will soon fail.
inline constexpr uint64_t kFreeBytesMin = 256 * 1024 * 1024;

class Findings {
 public:
  // `what` is wrong now.
  void Problem(std::string where, std::string what, std::string advice);
  // `what` will be wrong soon.
  void Warning(std::string where, std::string what, std::string advice);
  // A failed step, with its code's advice.
  void Failed(std::string where, const Error& error);
  // What was looked at: so that silence is no accident.
  void Checked(std::string what) { checked_.push_back(std::move(what)); }
  // Something that holds until `not_after`: listed, and a finding if that is soon.
  void EndsAt(const std::string& where, UnixSeconds not_after, UnixSeconds now, const std::string& advice);
  void FreeSpace(const std::string& directory);
  // Something that whoever merges findings compares with another program's.
  void Fact(std::string name, std::vector<std::string> values) {
    facts_.emplace_back(std::move(name), std::move(values));
  }
  // That the file system is not mounted read-only; FreeSpace looks at it too.
  void Writable(const std::string& directory);
  void PrivateFile(const std::string& path);

  // {"findings":[{"level":"problem"|"warning","where","what","advice"}],"checked":[text],
  //  "expiries":[{"what","ends","renew"}],"disks":[{"directory","freeBytes"}],
  //  "facts":{name: [text]}}
  codec::Json ToJson() const;

 private:
  struct Finding {
    const char* level;
    std::string where;
    std::string what;
    std::string advice;
  };
  struct Expiry {
    std::string what;
    UnixSeconds ends;
    std::string renew;
  };
  std::vector<Finding> findings_;
  std::vector<Expiry> expiries_;
  std::vector<std::pair<std::string, uint64_t>> disks_;
  std::vector<std::string> checked_;
  std::vector<std::pair<std::string, std::vector<std::string>>> facts_;
};

// One line on standard output.
Status PrintFindings(const Findings& findings);

}  // namespace fleetseal::config
