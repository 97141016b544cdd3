#include "cli/root_known.h"

#include "base/limits.h"
#include "cli/root_change.h"
#include "cli/table.h"
#include "codec/base64.h"
#include "sys/file.h"
#include "trust/package.h"

namespace fleetseal::cli {
namespace {

std::string KnownPath(const std::string& folder) { return sys::JoinPath(folder, "known-package.json"); }

Status Stranger(const std::string& folder, int64_t known, const std::string& why) {
  return Fail(ErrorCode::kPackageStepInvalid,
              why + "; these roots last built on version " + std::to_string(known) + " (" + KnownPath(folder) +
                  "): compare with the other holders and with what devices have before you sign anything");
}

// The steps from the known package to the previous one, as a device takes them.
Status CheckChain(const std::string& folder, const manifest::RootPackageDocument& known,
                  const manifest::RootPackageDocument& previous, const std::string& previous_file) {
  const auto start = trust::Provision(known.text, {0});
  if (!start) return Fail(start.error());
  trust::TrustState state = *start;
  for (int64_t version = known.package.version + 1; version <= previous.package.version; ++version) {
    std::string text = previous.text;
    if (version < previous.package.version) {
      const std::string file =
          sys::JoinPath(sys::ParentDirectory(previous_file), "root-package-" + std::to_string(version) + ".json");
      if (!sys::FileExists(file))
        return Stranger(
            folder, known.package.version,
            file + " is needed to see that version " + std::to_string(previous.package.version) + " follows");
      TRY_ASSIGN(text, sys::ReadTextFile(file, limits::kPackageBytesMax));
    }
    auto next = trust::AcceptPackageStep(state, text);
    if (!next)
      return Stranger(folder, known.package.version,
                      "version " + std::to_string(version) +
                          " does not follow from the package that these roots know (" + next.error().detail + ")");
    state = *std::move(next);
  }
  return {};
}

}  // namespace

Status CheckKnownPackage(const Context& context, const std::string& folder,
                         const manifest::RootPackageDocument& previous, const std::string& previous_file) {
  if (!sys::FileExists(KnownPath(folder))) {
    Note(context, "these roots have built on no package yet: compare SHA-256 " +
                      codec::EncodeBase64Url(previous.signed_sha256.view()) + " of version " +
                      std::to_string(previous.package.version) + " with the other holders and with what devices have");
    return {};
  }
  TRY_ASSIGN_CONTEXT(const auto known, ReadPackage(KnownPath(folder)), "reading what these roots know");
  const int64_t version = known.package.version;
  if (previous.package.version < version)
    return Stranger(folder, version, "the previous package is version " + std::to_string(previous.package.version));
  if (previous.package.version > version) return CheckChain(folder, known, previous, previous_file);
  if (previous.signed_sha256 != known.signed_sha256)
    return Stranger(folder, version, "the previous package is another version " + std::to_string(version));
  return {};
}

Status RememberPackage(const std::string& folder, const std::string& package_text) {
  return sys::WriteFileDurably(KnownPath(folder), AsBytes(package_text), 0644);
}

}  // namespace fleetseal::cli
