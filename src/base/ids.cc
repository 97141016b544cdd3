#include "base/ids.h"

#include <algorithm>

namespace fleetseal {
namespace {

bool IsAlphanumeric(char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }

bool IsProductPart(std::string_view text) { return IsIdText(text) && text.find('_') == std::string_view::npos; }

}  // namespace

bool IsIdText(std::string_view text) {
  if (text.empty() || text.size() > 64 || text == "." || text == "..") return false;
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return IsAlphanumeric(c) || c == '.' || c == '_' || c == '-'; });
}

Result<ProductName> ProductName::Parse(std::string_view text) {
  const size_t slash = text.find('/');
  if (slash == std::string_view::npos || !IsProductPart(text.substr(0, slash)) ||
      !IsProductPart(text.substr(slash + 1))) {
    return Fail(ErrorCode::kIdInvalid, "product is not <provider>/<name>, each 1 to 64 of A-Z a-z 0-9 . -");
  }
  return ProductName(std::string(text));
}

}  // namespace fleetseal
