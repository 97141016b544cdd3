#include "manifest/update_version.h"

namespace fleetseal::manifest {

Result<UpdateVersion> UpdateVersion::Parse(std::string_view text) {
  const auto refused = [] {
    return Fail(ErrorCode::kValueOutOfRange, "a version is 2 to 4 dotted integers, each up to 2147483647");
  };
  UpdateVersion version;
  version.text_ = std::string(text);
  if (text.size() > 43) return refused();
  while (true) {
    const size_t dot = text.find('.');
    const std::string_view part = text.substr(0, dot);
    if (part.empty() || part.size() > 10 || (part.size() > 1 && part[0] == '0')) return refused();
    uint64_t number = 0;
    for (const char c : part) {
      if (c < '0' || c > '9') return refused();
      number = number * 10 + static_cast<uint64_t>(c - '0');
    }
    if (number > 2'147'483'647) return refused();
    version.numbers_.push_back(static_cast<uint32_t>(number));
    if (dot == std::string_view::npos) break;
    text.remove_prefix(dot + 1);
  }
  if (version.numbers_.size() < 2 || version.numbers_.size() > 4) return refused();
  return version;
}

}  // namespace fleetseal::manifest
