// TempDirectory: a fresh directory for one test, removed with all its contents.
//
// Thread rule: one owner. The directory lies below TMPDIR or /tmp.
#pragma once

#include <stdlib.h>

#include <string>
#include <string_view>

#include "base/check.h"
#include "sys/file.h"

namespace fleetseal::sys {

class TempDirectory {
 public:
  TempDirectory() {
    const char* root = getenv("TMPDIR");
    path_ = std::string(root != nullptr ? root : "/tmp") + "/fleetseal-test-XXXXXX";
    CHECK(mkdtemp(path_.data()) != nullptr);
  }
  ~TempDirectory() { (void)RemoveTree(path_); }
  TempDirectory(const TempDirectory&) = delete;
  TempDirectory& operator=(const TempDirectory&) = delete;

  const std::string& path() const { return path_; }
  // The path of `name` below it.
  std::string File(std::string_view name) const { return JoinPath(path_, name); }

 private:
  std::string path_;
};

}  // namespace fleetseal::sys
