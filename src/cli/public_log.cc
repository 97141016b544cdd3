#include "cli/public_log.h"

#include <utility>

namespace fleetseal::cli {

Result<std::string> NewestPackage(AdminClient& client) {
  TRY_ASSIGN(const auto answer, client.Get("/admin/v1/packages", {{"from", "1"}}));
  const auto& packages = ArrayOr(answer, "packages");
  if (packages.empty() || !packages.back().is_string())
    return Fail(ErrorCode::kProtocolError, "the server names no package");
  return packages.back().as_string();
}

translog::LogReader ServedLog(AdminClient& client, std::function<void()> on_file, const std::string& origin) {
  const std::string base = origin.empty() ? "/log/" : "/log/origins/" + origin + "/";
  return translog::LogReader([&client, base, on_file = std::move(on_file)](const std::string& path) -> Result<Bytes> {
    if (on_file) on_file();
    TRY_ASSIGN(const auto body, client.GetText(base + path));
    return ToBytes(body);
  });
}

}  // namespace fleetseal::cli
