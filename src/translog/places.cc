#include "translog/places.h"

#include "sys/file.h"

namespace fleetseal::translog {

std::string NewDirectoryOf(const std::string& folder, const std::string& origin) {
  return sys::JoinPath(sys::JoinPath(folder, kOriginsFolder), origin);
}

std::string DirectoryOf(const std::string& folder, const std::string& origin) {
  // An origin comes from a signed package; as a path it must stay below the folder all the same.
  const bool is_plain = !origin.empty() && origin.front() != '.' && origin.find('/') == std::string::npos;
  const std::string own = NewDirectoryOf(folder, origin);
  return is_plain && sys::DirectoryExists(own) ? own : folder;
}

}  // namespace fleetseal::translog
