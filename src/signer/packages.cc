// publish-package and packages: root-key packages are checked as a device would, recorded, then served.
#include "log/log.h"
#include "manifest/log_leaf.h"
#include "signer/store/plan_store.h"
#include "signer/verbs.h"

namespace fleetseal::signer {
namespace {

// Of one answer: well below a message with its JSON escapes.
constexpr size_t kAnswerBytesMax = 2 * 1024 * 1024;

Result<std::optional<std::string>> FindPackage(const Core& core, int64_t version) {
  TRY_ASSIGN(const auto rows, core.database().WithSnapshot(
                                  [&](storage::Session& session) { return store::ListPackages(session, version, 1); }));
  std::optional<std::string> text;
  if (!rows.empty() && rows.front().version == version) text = rows.front().text;
  return text;
}

}  // namespace

Result<int64_t> PublishPackage(Core& core, std::string_view package) {
  const std::unique_lock register_lock(core.register_mutex);
  TRY_ASSIGN(const auto document, manifest::RootPackageDocument::Parse(package));
  const int64_t version = document.package.version;
  TRY_ASSIGN(const auto known, FindPackage(core, version));
  if (known && *known == package) return version;
  TRY_ASSIGN(const auto trust, core.Trust());
  auto next = trust::AcceptPackageStep(*trust, package);
  if (!next) return Fail(next.error());
  TRY_ASSIGN(const int64_t index,
             core.Record(manifest::PackageLeaf{core.Now(), version, document.signed_sha256}.Build()));
  const bool is_new_epoch = next->root_package().director_epoch > trust->root_package().director_epoch;
  const Status stored = core.database().WithTransaction([&](storage::Session& session) -> Status {
    // Whoever ran the numbers of the old epoch to their end is undone by this step (trust model section 5).
    if (is_new_epoch) TRY(store::RestartSequences(session));
    return store::InsertPackage(session, {version, std::string(package)});
  });
  TRY(stored);
  core.SetTrust(*std::move(next));
  core.SetCachedStatus(std::nullopt);
  log::Event(log::Level::kInfo, "package.published", {{"version", version}, {"logIndex", index}});
  return version;
}

Result<std::vector<std::string>> Packages(Core& core, int64_t from) {
  TRY_ASSIGN(const auto rows, core.database().WithSnapshot([&](storage::Session& session) {
    return store::ListPackages(session, from, static_cast<int64_t>(limits::kPackageStepsMax));
  }));
  std::vector<std::string> texts;
  size_t bytes = 0;
  for (const auto& row : rows) {
    bytes += row.text.size();
    if (bytes > kAnswerBytesMax && !texts.empty()) break;
    texts.push_back(row.text);
  }
  return texts;
}

}  // namespace fleetseal::signer
