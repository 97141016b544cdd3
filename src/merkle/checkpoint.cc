#include "merkle/checkpoint.h"

#include <charconv>
#include <set>

#include "base/check.h"
#include "codec/base64.h"
#include "merkle/tree.h"

namespace fleetseal::merkle {
namespace {

// Keys that differ only in name are one witness: the quorum counts keys.
int CountDistinct(const std::vector<Vkey>& keys, const std::vector<size_t>& indices) {
  std::set<Sha256> thumbprints;
  for (const size_t index : indices) thumbprints.insert(keys[index].key().thumbprint());
  return static_cast<int>(thumbprints.size());
}

}  // namespace

std::string BuildCheckpoint(const Checkpoint& checkpoint) {
  CHECK(IsKeyName(checkpoint.origin));
  return checkpoint.origin + "\n" + std::to_string(checkpoint.size) + "\n" +
         codec::EncodeBase64(checkpoint.root.view()) + "\n";
}

Result<Checkpoint> ParseCheckpoint(std::string_view text) {
  const auto refuse = [](const char* why) { return Fail(ErrorCode::kTextInvalid, std::string("checkpoint: ") + why); };
  const size_t origin_end = text.find('\n');
  const size_t size_end = origin_end == std::string_view::npos ? origin_end : text.find('\n', origin_end + 1);
  const size_t root_end = size_end == std::string_view::npos ? size_end : text.find('\n', size_end + 1);
  if (root_end == std::string_view::npos || root_end + 1 != text.size()) return refuse("not three lines");
  Checkpoint checkpoint;
  checkpoint.origin = std::string(text.substr(0, origin_end));
  if (!IsKeyName(checkpoint.origin)) return refuse("bad origin");
  const std::string_view size = text.substr(origin_end + 1, size_end - origin_end - 1);
  const auto [end, error] = std::from_chars(size.data(), size.data() + size.size(), checkpoint.size);
  if (error != std::errc() || end != size.data() + size.size() || std::to_string(checkpoint.size) != size ||
      checkpoint.size > kTreeSizeMax) {
    return Fail(ErrorCode::kValueOutOfRange, "checkpoint: bad size");
  }
  TRY_ASSIGN(const Bytes root, codec::DecodeBase64(text.substr(size_end + 1, root_end - size_end - 1)));
  const auto digest = Sha256::FromBytes(root);
  if (!digest) return refuse("the root has not 32 bytes");
  checkpoint.root = *digest;
  return checkpoint;
}

Result<Checkpoint> VerifyCheckpoint(std::string_view note, const LogPolicy& policy) {
  TRY_ASSIGN(const Note parsed, ParseNote(note));
  TRY_ASSIGN(Checkpoint checkpoint, ParseCheckpoint(parsed.text));
  if (checkpoint.origin != policy.origin) return Fail(ErrorCode::kLogProofMissing, "the checkpoint is of another log");
  TRY_ASSIGN(const auto log_keys, VerifiedKeys(parsed, policy.keys));
  if (log_keys.empty()) return Fail(ErrorCode::kLogProofMissing, "the checkpoint is not signed by a key of the log");
  TRY_ASSIGN(const auto witnesses, VerifiedKeys(parsed, policy.witnesses));
  if (CountDistinct(policy.witnesses, witnesses) < policy.quorum) {
    return Fail(ErrorCode::kQuorumMissing, "fewer than " + std::to_string(policy.quorum) + " witnesses");
  }
  return checkpoint;
}

}  // namespace fleetseal::merkle
