#include "cli/root_words.h"

#include <algorithm>
#include <set>

#include "base/limits.h"
#include "cli/table.h"
#include "codec/base64.h"
#include "crypto/digest.h"
#include "pki/certificate.h"

namespace fleetseal::cli {

using manifest::KeyRole;
using manifest::RootKey;
using manifest::RootPackage;
using manifest::SigningKeyListing;

namespace {

constexpr int64_t kPackageWarningDays = 60;
constexpr int64_t kPublisherWarningDays = 60;
constexpr int64_t kDirectorWarningDays = 14;

std::string Hash(const Sha256& digest) { return codec::EncodeBase64Url(digest.view()); }
std::string Days(int64_t seconds) {
  const int64_t days = seconds / limits::kDaySeconds;
  return std::to_string(days) + (days == 1 ? " day" : " days");
}
// "12 days left", "ended 3 days ago".
std::string Left(UnixSeconds end, UnixSeconds now) {
  const int64_t left = end.value - now.value;
  return left > 0 ? Days(left) + " left" : "ended " + Days(-left) + " ago";
}
std::string Dates(UnixSeconds from, UnixSeconds until, UnixSeconds now) {
  return FormatTime(from) + " to " + FormatTime(until) + ", " + Left(until, now);
}

std::string Products(const SigningKeyListing& listing) {
  std::string text;
  for (const auto& product : listing.products) text += (text.empty() ? "" : ", ") + product.text();
  return text.empty() ? "no product" : text;
}
std::string RoleOf(const SigningKeyListing& listing) {
  const std::string role(manifest::KeyRoleName(listing.role));
  return listing.role == KeyRole::kDirector ? role : role + " for " + Products(listing);
}
bool IsDisabled(const RootPackage& package, const SigningKeyListing& listing) {
  // Of an RSA key the package knows no hash that could be compared: the device does it with the key itself.
  return std::find(package.disabled_signing_keys.begin(), package.disabled_signing_keys.end(), listing.thumbprint) !=
         package.disabled_signing_keys.end();
}

std::string CertificateWords(const Bytes& der, UnixSeconds now) {
  const std::string fingerprint = Hash(crypto::HashSha256(der));
  const auto certificate = pki::Certificate::FromDer(der);
  if (!certificate) return fingerprint;
  return certificate->subject_common_name() + " " + fingerprint + ", " + Left(certificate->not_after(), now);
}
std::string Joined(const std::vector<std::string>& texts) {
  std::string joined;
  for (const auto& text : texts) joined += (joined.empty() ? "" : ", ") + text;
  return joined;
}

// Every key in full: a holder sees one that was swapped.
std::string LogWords(const manifest::PackageLog& log) {
  const std::string witnesses = log.witnesses.empty() ? "" : ": " + Joined(log.witnesses);
  return log.origin + " with " + (log.vkeys.size() == 1 ? "key " : "keys ") + Joined(log.vkeys) + ", " +
         (log.quorum == 0 ? std::string("no witness needed")
                          : std::to_string(log.quorum) + " of " + std::to_string(log.witnesses.size()) + " witnesses") +
         witnesses;
}

void DescribeRootChanges(const RootPackage& before, const RootPackage& after, std::vector<std::string>& lines) {
  for (const RootKey* root : RootsOf(before)) {
    const RootKey* kept = after.FindRoot(root->kid.text());
    if (kept == nullptr) lines.push_back("root " + root->kid.text() + " is removed");
    if (kept != nullptr && !(kept->key == root->key))
      lines.push_back("root " + root->kid.text() + " becomes another key, thumbprint " + kept->key.key_id());
  }
  for (const RootKey* root : RootsOf(after)) {
    if (before.FindRoot(root->kid.text()) == nullptr)
      lines.push_back("root " + root->kid.text() + " is added, thumbprint " + root->key.key_id());
  }
  for (const KeyId& kid : after.disabled_root_keys) {
    if (!before.IsRootDisabled(kid.text())) lines.push_back("root " + kid.text() + " is disabled");
  }
  for (const KeyId& kid : before.disabled_root_keys) {
    if (!after.IsRootDisabled(kid.text())) lines.push_back("root " + kid.text() + " is no longer disabled");
  }
  if (before.threshold != after.threshold)
    lines.push_back("roots that must sign: " + std::to_string(before.threshold) + " becomes " +
                    std::to_string(after.threshold));
}

void DescribeListingChanges(const RootPackage& before, const RootPackage& after, std::vector<std::string>& lines) {
  for (const auto& old : before.signing_keys) {
    if (after.FindListing(old.kid.text()) == nullptr)
      lines.push_back("signing key " + old.kid.text() + " (" + RoleOf(old) + ") is no longer listed");
  }
  for (const auto& listing : after.signing_keys) {
    const std::string name = "signing key " + listing.kid.text();
    const SigningKeyListing* old = before.FindListing(listing.kid.text());
    if (old == nullptr) {
      lines.push_back(name + " is listed as " + RoleOf(listing) + " until " + FormatTime(listing.not_after) +
                      ", thumbprint " + Hash(listing.thumbprint));
      continue;
    }
    if (old->thumbprint != listing.thumbprint)
      lines.push_back(name + " becomes another key, thumbprint " + Hash(listing.thumbprint));
    if (RoleOf(*old) != RoleOf(listing))
      lines.push_back(name + " was " + RoleOf(*old) + ", becomes " + RoleOf(listing));
    if (old->not_before != listing.not_before || old->not_after != listing.not_after)
      lines.push_back(name + " is good until " + FormatTime(listing.not_after) + " instead of " +
                      FormatTime(old->not_after));
  }
  const auto& known = before.disabled_signing_keys;
  for (const Sha256& hash : after.disabled_signing_keys) {
    if (std::find(known.begin(), known.end(), hash) == known.end())
      lines.push_back("the signing key with the hash " + Hash(hash) + " is disabled");
  }
  for (const Sha256& hash : known) {
    const auto& still = after.disabled_signing_keys;
    if (std::find(still.begin(), still.end(), hash) == still.end())
      lines.push_back("the signing key with the hash " + Hash(hash) + " is no longer disabled");
  }
}

void DescribeLogChanges(const RootPackage& before, const RootPackage& after, std::vector<std::string>& lines) {
  const auto find = [](const RootPackage& package, const std::string& origin) -> const manifest::PackageLog* {
    for (const auto& log : package.logs)
      if (log.origin == origin) return &log;
    return nullptr;
  };
  for (const auto& log : before.logs) {
    if (find(after, log.origin) == nullptr) lines.push_back("log " + log.origin + " is no longer trusted");
  }
  for (const auto& log : after.logs) {
    const auto* old = find(before, log.origin);
    if (old == nullptr) lines.push_back("log " + LogWords(log) + " is trusted");
    if (old != nullptr && (old->vkeys != log.vkeys || old->witnesses != log.witnesses || old->quorum != log.quorum))
      lines.push_back("log " + log.origin + " changes: " + LogWords(log));
  }
}

void DescribeOtherChanges(const RootPackage& before, const RootPackage& after, std::vector<std::string>& lines) {
  for (const auto& [product, counter] : after.min_counter) {
    const auto old = before.min_counter.find(product);
    if (old == before.min_counter.end() || old->second != counter)
      lines.push_back("lowest release counter of " + product.text() + " becomes " + std::to_string(counter));
  }
  for (const auto& [product, counter] : before.min_counter) {
    if (!after.min_counter.contains(product)) lines.push_back("no lowest release counter of " + product.text());
  }
  const auto compare = [&](const std::vector<Bytes>& old, const std::vector<Bytes>& now, const std::string& name) {
    for (const Bytes& der : old) {
      if (std::find(now.begin(), now.end(), der) == now.end())
        lines.push_back(name + " " + Hash(crypto::HashSha256(der)) + " is no longer trusted");
    }
    for (const Bytes& der : now) {
      if (std::find(old.begin(), old.end(), der) == old.end())
        lines.push_back(name + " " + Hash(crypto::HashSha256(der)) + " is trusted");
    }
  };
  compare(before.server_cas, after.server_cas, "server CA");
  compare(before.device_cas, after.device_cas, "device CA");
  if (before.director_epoch != after.director_epoch)
    lines.push_back("director epoch " + std::to_string(before.director_epoch) + " becomes " +
                    std::to_string(after.director_epoch) + ": numbers of status and orders start anew");
  if (before.expires != after.expires)
    lines.push_back("the package is good until " + FormatTime(after.expires) + " instead of " +
                    FormatTime(before.expires));
}

void WarnOfRoots(const RootPackage* before, const RootPackage& after, std::vector<std::string>& dangers) {
  const int64_t enabled = CountEnabledRoots(after);
  if (enabled == after.threshold)
    dangers.push_back("only " + std::to_string(enabled) + " roots are enabled and all of them must sign: when one is " +
                      "lost, every device must be provisioned anew; add a root");
  if (before == nullptr) return;
  for (const RootKey* root : RootsOf(*before)) {
    const std::string kid = root->kid.text();
    const RootKey* kept = after.FindRoot(kid);
    const bool is_gone = kept == nullptr || !(kept->key == root->key);
    if (is_gone || (after.IsRootDisabled(kid) && !before->IsRootDisabled(kid)))
      dangers.push_back("devices refuse signing keys that root " + kid +
                        " vouches for: let another root sign them (`fleetseal root sign-key`) and publish with --sjwk");
  }
}

void WarnOfListings(const RootPackage& after, UnixSeconds now, std::vector<std::string>& dangers) {
  bool has_director = false;
  for (const auto& listing : after.signing_keys) {
    const bool is_director = listing.role == KeyRole::kDirector;
    const int64_t days = is_director ? kDirectorWarningDays : kPublisherWarningDays;
    if (IsDisabled(after, listing)) {
      dangers.push_back("signing key " + listing.kid.text() + " is listed and disabled: devices refuse it");
    } else if (listing.not_after.value - now.value < days * limits::kDaySeconds) {
      dangers.push_back("the listing of " + listing.kid.text() + ": " + Left(listing.not_after, now));
    }
    if (is_director && listing.not_after > now && !IsDisabled(after, listing)) has_director = true;
  }
  if (!has_director) dangers.push_back("no director is listed: devices take neither status nor orders");
}

}  // namespace

std::vector<const RootKey*> RootsOf(const RootPackage& package) {
  std::vector<const RootKey*> roots;
  for (const auto* list : {&package.root_keys, &package.root_keys_ext}) {
    for (const RootKey& root : *list) roots.push_back(&root);
  }
  return roots;
}

int64_t CountEnabledRoots(const RootPackage& package) {
  std::set<Sha256> keys;
  for (const RootKey* root : RootsOf(package)) {
    if (!package.IsRootDisabled(root->kid.text())) keys.insert(root->key.thumbprint());
  }
  return static_cast<int64_t>(keys.size());
}

std::string DescribePackage(const RootPackage& package, UnixSeconds now) {
  std::string text = "root-key package version " + std::to_string(package.version) + ", director epoch " +
                     std::to_string(package.director_epoch) + "\n";
  text += "valid " + Dates(package.published, package.expires, now) + "\n";
  const auto roots = RootsOf(package);
  text += std::to_string(package.threshold) + " of " + std::to_string(CountEnabledRoots(package)) +
          " enabled roots must sign:\n";
  for (const RootKey* root : roots) {
    text += "  " + root->kid.text() + "  " + root->key.key_id() +
            (package.IsRootDisabled(root->kid.text()) ? "  (disabled)" : "") + "\n";
  }
  text += "signing keys:\n";
  for (const auto& listing : package.signing_keys) {
    text += "  " + listing.kid.text() + " (" + RoleOf(listing) + ")" +
            (IsDisabled(package, listing) ? " (disabled)" : "") + ", " +
            Dates(listing.not_before, listing.not_after, now) + "\n    thumbprint " + Hash(listing.thumbprint) + "\n";
  }
  text += "disabled signing keys: " + std::to_string(package.disabled_signing_keys.size()) + "\n";
  for (const Sha256& hash : package.disabled_signing_keys) text += "  " + Hash(hash) + "\n";
  for (const auto& log : package.logs) text += "log " + LogWords(log) + "\n";
  for (const auto& [product, counter] : package.min_counter)
    text += "lowest release counter of " + product.text() + ": " + std::to_string(counter) + "\n";
  for (const Bytes& der : package.server_cas) text += "server CA " + CertificateWords(der, now) + "\n";
  for (const Bytes& der : package.device_cas) text += "device CA " + CertificateWords(der, now) + "\n";
  return text;
}

std::vector<std::string> DescribeChanges(const RootPackage& before, const RootPackage& after) {
  std::vector<std::string> lines;
  DescribeRootChanges(before, after, lines);
  DescribeListingChanges(before, after, lines);
  DescribeLogChanges(before, after, lines);
  DescribeOtherChanges(before, after, lines);
  return lines;
}

std::vector<std::string> DescribeDangers(const RootPackage* before, const RootPackage& after, UnixSeconds now) {
  std::vector<std::string> dangers;
  if (after.expires.value - now.value < kPackageWarningDays * limits::kDaySeconds)
    dangers.push_back("the package: " + Left(after.expires, now));
  WarnOfRoots(before, after, dangers);
  WarnOfListings(after, now, dangers);
  if (after.logs.empty()) dangers.push_back("no log is trusted: devices install nothing");
  for (const manifest::PackageLog& log : after.logs) {
    if (log.quorum > 0)
      dangers.push_back("witnesses of the log " + log.origin +
                        " are asked for and none cosigns its checkpoints: devices "
                        "would install nothing, so the signer refuses to publish this");
  }
  if (after.server_cas.empty()) dangers.push_back("no server CA is trusted: devices cannot ask any server");
  if (before != nullptr) {
    for (const auto& [product, counter] : before->min_counter) {
      const auto now_counter = after.min_counter.find(product);
      if (now_counter == after.min_counter.end() || now_counter->second < counter)
        dangers.push_back("the lowest release counter of " + product.text() + " falls: old releases may come back");
    }
    for (const Bytes& der : before->server_cas) {
      if (std::find(after.server_cas.begin(), after.server_cas.end(), der) == after.server_cas.end())
        dangers.push_back("devices refuse servers of the removed server CA " + Hash(crypto::HashSha256(der)));
    }
  }
  return dangers;
}

SignatureCount CountSignatures(const RootPackage& roots, const manifest::RootPackageDocument& document) {
  SignatureCount count;
  count.version = roots.version;
  count.needed = roots.threshold;
  std::set<Sha256> seen;
  for (const RootKey* root : RootsOf(roots)) {
    const std::string kid = root->kid.text();
    if (roots.IsRootDisabled(kid) || !seen.insert(root->key.thumbprint()).second) continue;
    const bool has_signed = std::any_of(
        document.signatures.begin(), document.signatures.end(), [&](const manifest::PackageSignature& signature) {
          return signature.kid == root->kid && signature.alg == root->key.default_algorithm() &&
                 root->key.Verify(signature.alg, AsBytes(document.SignedBytes()), signature.signature).has_value();
        });
    (has_signed ? count.signed_by : count.missing).push_back(kid);
  }
  return count;
}

std::string DescribeSignatures(const SignatureCount& count) {
  const auto join = [](const std::vector<std::string>& names) {
    std::string text;
    for (const auto& name : names) text += (text.empty() ? "" : ", ") + name;
    return text.empty() ? std::string("nobody") : text;
  };
  std::string text = "roots of version " + std::to_string(count.version) + ": " +
                     std::to_string(count.signed_by.size()) + " of " + std::to_string(count.needed) + " needed (" +
                     join(count.signed_by) + ")";
  if (!count.is_enough()) {
    const auto still = static_cast<size_t>(count.needed) - count.signed_by.size();
    text += "; " + std::to_string(still) + " more of: " + join(count.missing);
  }
  return text;
}

codec::Json SignaturesJson(const SignatureCount& count) {
  codec::Json signed_by = codec::Json::MakeArray();
  for (const auto& kid : count.signed_by) signed_by.Push(kid);
  codec::Json missing = codec::Json::MakeArray();
  for (const auto& kid : count.missing) missing.Push(kid);
  codec::Json json = codec::Json::MakeObject();
  json.Set("version", count.version)
      .Set("needed", count.needed)
      .Set("signedBy", std::move(signed_by))
      .Set("notSignedBy", std::move(missing));
  return json;
}

}  // namespace fleetseal::cli
