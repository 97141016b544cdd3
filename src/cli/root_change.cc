#include "cli/root_change.h"

#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "base/limits.h"
#include "cli/arguments.h"
#include "cli/root_edit.h"
#include "cli/root_words.h"
#include "codec/base64.h"
#include "sys/file.h"
#include "trust/package.h"

namespace fleetseal::cli {
namespace {

using manifest::KeyRole;
using manifest::RootPackage;
using manifest::RootPackageDocument;

tl::unexpected<Error> Refused(std::string why) { return Fail(ErrorCode::kPackageStepInvalid, std::move(why)); }

// Listings that have not ended live as long again; those that have, only if they are named.
Status RenewListings(RootPackage& package, const RootChangeOptions& options, UnixSeconds now) {
  std::vector<std::string> named = options.renew_keys;
  for (auto& listing : package.signing_keys) {
    const auto it = std::find(named.begin(), named.end(), listing.kid.text());
    const bool is_named = it != named.end();
    if (is_named) named.erase(it);
    const bool is_current = listing.not_before <= now && now < listing.not_after;
    if (!is_named && !(options.is_renewed && is_current)) continue;
    const int64_t life = listing.not_after.value - listing.not_before.value;
    listing.not_before = now;
    listing.not_after = now + life;
  }
  if (!named.empty()) return Fail(ErrorCode::kNotFound, "no signing key " + named.front() + " is listed");
  return {};
}

// Now, in a later second than that one, if it is not further away: a package is published later than the one before it.
UnixSeconds NowAfter(const sys::Clock& clock, UnixSeconds published) {
  for (int waited_ms = 0; clock.Now() == published && waited_ms < 1500; waited_ms += 10)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  return clock.Now();
}

Status SetDates(RootPackage& package, const RootPackage& before, const RootChangeOptions& options, UnixSeconds now) {
  if (now <= before.published) {
    return Refused("this machine's clock is not after the publication of version " + std::to_string(before.version) +
                   ": set the clock");
  }
  if (options.days < 0) return BadArgument("--days", "is a number of days");
  package.published = now;
  if (options.days > 0) {
    package.expires = now + options.days * limits::kDaySeconds;
  } else if (options.is_renewed) {
    package.expires = now + (before.expires.value - before.published.value);
  }
  if (package.expires.value - now.value < limits::kDaySeconds)
    return Refused("the package ends within a day: add --renew, or --days N");
  return RenewListings(package, options, now);
}

Status WriteDraft(const RootDraft& draft, const std::string& output) {
  TRY(sys::WriteFileDurably(output, AsBytes(draft.document.text), 0644));
  return sys::WriteFileDurably(TranscriptPath(output), AsBytes(draft.transcript.Build()), 0644);
}

}  // namespace

std::string TranscriptPath(const std::string& package_file) {
  constexpr std::string_view kSuffix = ".json";
  const std::string stem =
      package_file.ends_with(kSuffix) ? package_file.substr(0, package_file.size() - kSuffix.size()) : package_file;
  return stem + ".transcript.json";
}

std::string PersonName(const std::string& given) {
  if (!given.empty()) return given;
  const passwd* entry = getpwuid(getuid());  // NOLINT(concurrency-mt-unsafe): one thread
  return entry == nullptr ? "uid " + std::to_string(getuid()) : entry->pw_name;
}

Result<RootPackageDocument> ReadPackage(const std::string& file) {
  TRY_ASSIGN(const auto text, sys::ReadTextFile(file, limits::kPackageBytesMax));
  TRY_ASSIGN_CONTEXT(auto document, RootPackageDocument::Parse(text), "reading the root-key package " + file);
  return document;
}

Status CheckDraft(const RootPackageDocument& previous, const RootPackage& next) {
  const RootPackage& before = previous.package;
  if (next.version != before.version + 1)
    return Refused("version " + std::to_string(next.version) + " does not follow " + std::to_string(before.version));
  if (next.director_epoch < before.director_epoch) return Refused("the director epoch falls");
  if (next.published < before.published) return Refused("it was published before the package that it follows");
  // A package holds one signature for a name, and a whole change of roots needs those of old and new ones.
  for (const auto* roots : {&before.root_keys, &before.root_keys_ext}) {
    for (const manifest::RootKey& root : *roots) {
      const manifest::RootKey* kept = next.FindRoot(root.kid.text());
      if (kept != nullptr && !(kept->key == root.key))
        return Refused(root.kid.text() +
                       " is the name of another root already: make new ones with `fleetseal root "
                       "create --prefix NAME`");
    }
  }
  if (CountEnabledRoots(next) < next.threshold) {
    return Refused("only " + std::to_string(CountEnabledRoots(next)) + " roots stay enabled and " +
                   std::to_string(next.threshold) +
                   " must sign: no package could ever follow. Add a root in the same step: `fleetseal root rotate "
                   "--add-root FILE`");
  }
  if (const auto good = trust::CheckContents(next); !good) return Fail(good.error());
  // With n >= k enabled roots before and after, signatures can only be missing because too few are in both or sign.
  return CheckPurposes(next);
}

Result<RootDraft> MakeRootDraft(const Context& context, const RootChangeOptions& options) {
  RootDraft draft;
  TRY_ASSIGN(draft.previous, ReadPackage(options.package));
  const RootPackage& before = draft.previous.package;
  const UnixSeconds now = NowAfter(context.clock, before.published);
  if (trust::CountRootSignatures(before, draft.previous) < before.threshold)
    return Refused(options.package + " is not signed by enough of its roots: finish or drop it first");
  RootPackage next = before;
  next.version += 1;
  if (options.is_epoch_raised) next.director_epoch += 1;
  TRY(EditRoots(next, options));
  TRY(EditListings(next, options, now));
  TRY(EditLogs(next, options));
  TRY(EditAuthorities(next, options));
  TRY(EditCounters(next, options));
  TRY(SetDates(next, before, options, now));
  TRY(CheckDraft(draft.previous, next));
  std::vector<std::string> changes = DescribeChanges(before, next);
  if (changes.empty()) return Fail(ErrorCode::kInvalidArgument, "nothing changes: say what to change");
  TRY_ASSIGN(draft.document,
             RootPackageDocument::Parse(manifest::AssemblePackage(manifest::BuildProtected(next), {}, {})));
  draft.transcript.version = next.version;
  draft.transcript.signed_sha256 = draft.document.signed_sha256;
  draft.transcript.previous_version = before.version;
  draft.transcript.previous_signed_sha256 = draft.previous.signed_sha256;
  draft.transcript.draft = {PersonName(options.by), now, std::move(changes)};
  TRY_CONTEXT(manifest::CeremonyTranscript::Parse(draft.transcript.Build()), "writing the transcript");
  return draft;
}

std::string DescribeDraft(const RootPackage& before, const RootPackage& after, UnixSeconds now) {
  std::string text =
      "BEFORE\n" + DescribePackage(before, now) + "\nAFTER\n" + DescribePackage(after, now) + "\nCHANGES\n";
  const auto changes = DescribeChanges(before, after);
  for (const auto& line : changes) text += "  " + line + "\n";
  if (changes.empty()) text += "  none\n";
  const auto dangers = DescribeDangers(&before, after, now);
  if (!dangers.empty()) text += "\nTHINK ABOUT\n";
  for (const auto& line : dangers) text += "  ! " + line + "\n";
  return text;
}

Status RootChange(Context& context, const RootChangeOptions& options) {
  TRY_ASSIGN(const auto draft, MakeRootDraft(context, options));
  const UnixSeconds now = context.clock.Now();
  const RootPackage& before = draft.previous.package;
  const RootPackage& after = draft.document.package;
  TRY(WriteDraft(draft, options.output));
  const auto old_roots = CountSignatures(before, draft.document);
  const auto new_roots = CountSignatures(after, draft.document);
  codec::Json changes = codec::Json::MakeArray();
  for (const auto& line : draft.transcript.draft.changes) changes.Push(line);
  codec::Json dangers = codec::Json::MakeArray();
  for (const auto& line : DescribeDangers(&before, after, now)) dangers.Push(line);
  codec::Json json = codec::Json::MakeObject();
  json.Set("version", after.version)
      .Set("signedSha256", codec::EncodeBase64Url(draft.document.signed_sha256.view()))
      .Set("changes", std::move(changes))
      .Set("dangers", std::move(dangers))
      .Set("signatures", codec::Json::Array{SignaturesJson(old_roots), SignaturesJson(new_roots)})
      .Set("output", options.output);
  Answer(context, json,
         DescribeDraft(before, after, now) + "\nSIGNATURES\n  " + DescribeSignatures(old_roots) + "\n  " +
             DescribeSignatures(new_roots) + "\n\nThe draft is " + options.output + ", its transcript " +
             TranscriptPath(options.output) +
             ".\nEach holder of a root signs it in turn: fleetseal root package --draft " + options.output +
             " --previous " + options.package + " --folder FOLDER -o " + options.output);
  return {};
}

}  // namespace fleetseal::cli
