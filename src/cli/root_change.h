// The next package's draft, made from the present package: `root rotate`, `disable-root`, `disable-key`, `raise-epoch`,
// and the renewal inside `root package --renew`. Nobody edits JSON by hand.
//
// Source: trust model sections 3 and 5. A draft is a package without signatures; beside it lies its transcript. What
// could never become a good step is refused here, before anybody unlocks a root. Files in, files out. One thread.
#pragma once

#include <string>
#include <vector>

#include "cli/context.h"
#include "manifest/ceremony_transcript.h"
#include "manifest/root_package.h"

namespace fleetseal::cli {

struct RootChangeOptions {
  std::string package;  // the present one, fully signed
  std::string output;   // the draft
  std::string by;       // who does this, for the transcript; empty: the user's name
  // Roots: files <kid>.pub.json, ids, and a roots.json that replaces all.
  std::vector<std::string> add_roots, remove_roots, disable_roots;
  std::string roots_file;
  int64_t threshold = 0;  // 0: as before
  // Listings: files of `fleetseal-signer --create`'s form, or JWKs with `role` and `products`.
  std::vector<std::string> add_keys, remove_keys, disable_keys;
  std::string role;
  std::vector<std::string> products;
  int64_t key_days = 0;  // 0: the most that the role may have
  std::string key_file;  // of an RSA key to disable: its JWK or sjwk
  // Logs: verifier keys as their programs print them.
  std::string log_origin;
  std::vector<std::string> log_keys, witnesses, remove_logs;
  int64_t quorum = 0;
  std::vector<std::string> add_server_cas, add_device_cas;        // PEM files
  std::vector<std::string> remove_server_cas, remove_device_cas;  // SHA-256 as `root show` prints it
  std::vector<std::string> min_counters;                          // vendor/name=n
  bool is_epoch_raised = false;
  // Dates.
  bool is_renewed = false;              // package and listings that have not ended live as long again, from now on
  std::vector<std::string> renew_keys;  // listings that have ended
  int64_t days = 0;                     // of the package; 0: as long as before (renewed), or until the same date
};

struct RootDraft {
  manifest::RootPackageDocument previous;
  manifest::RootPackageDocument document;
  manifest::CeremonyTranscript transcript;
};

// Codes: PackageStepInvalid (could not become a step, or the present package is not signed), InvalidArgument, NotFound
// (what is to be removed), AlreadyExists, KeyPurposeWrong (an artefact key, a CA, or a root among the listings),
// KeyInvalid, AlgorithmNotAllowed.
Result<RootDraft> MakeRootDraft(const Context& context, const RootChangeOptions& options);
// Makes the draft, writes it with its transcript, and says what is trusted before and after.
Status RootChange(Context& context, const RootChangeOptions& options);

// The draft or partly signed package against the one before it, as far as it can be judged without all signatures.
// PackageStepInvalid.
Status CheckDraft(const manifest::RootPackageDocument& previous, const manifest::RootPackage& next);
Result<manifest::RootPackageDocument> ReadPackage(const std::string& file);
// "x.json" -> "x.transcript.json".
std::string TranscriptPath(const std::string& package_file);
// The name given, else that of the user who runs this.
std::string PersonName(const std::string& given);
// Before, after, what changes, what is dangerous; for a person who is about to sign.
std::string DescribeDraft(const manifest::RootPackage& before, const manifest::RootPackage& after, UnixSeconds now);

}  // namespace fleetseal::cli
