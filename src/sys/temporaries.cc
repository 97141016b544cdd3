#include "sys/temporaries.h"

#include "sys/file.h"

namespace fleetseal::sys {

Status RemoveTemporaries(const std::string& directory) {
  TRY_ASSIGN(const auto names, ListDirectory(directory));
  for (const std::string& name : names) {
    if (name.find(kTemporaryMark) != std::string::npos) TRY(RemoveFile(JoinPath(directory, name)));
  }
  return {};
}

}  // namespace fleetseal::sys
