#include "storage/location.h"

#include "sys/file.h"

namespace fleetseal::storage {

Location LocationOf(const std::string& url) {
  constexpr std::string_view kSqlite = "sqlite:";
  if (url.starts_with(kSqlite))
    return {sys::ParentDirectory(url.substr(kSqlite.size())), url.substr(kSqlite.size()), false};
  if (!url.starts_with("postgresql:")) return {};
  const auto holds = [&url](const char* text) { return url.find(text) != std::string::npos; };
  if (holds("host=/") || holds("host=%2F")) return {};
  if (holds("host=") || holds("hostaddr=")) return {{}, {}, true};
  if (url.starts_with("postgresql:///") || url.starts_with("postgresql://%2F")) return {};
  return {{}, {}, url.starts_with("postgresql://")};
}

}  // namespace fleetseal::storage
