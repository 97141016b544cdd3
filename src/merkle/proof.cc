#include "merkle/proof.h"

#include <charconv>

#include "base/limits.h"
#include "codec/base64.h"
#include "merkle/hash.h"
#include "merkle/tree.h"

namespace fleetseal::merkle {
namespace {

constexpr std::string_view kFirstLine = "c2sp.org/tlog-proof@v1";
constexpr std::string_view kExtra = "extra ";
constexpr std::string_view kIndex = "index ";

// Takes one line off the front; nullopt if no newline is left.
std::optional<std::string_view> CutLine(std::string_view& rest) {
  const size_t end = rest.find('\n');
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view line = rest.substr(0, end);
  rest.remove_prefix(end + 1);
  return line;
}

Result<uint64_t> ParseIndex(std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || std::to_string(value) != text ||
      value >= kTreeSizeMax) {
    return Fail(ErrorCode::kValueOutOfRange, "log proof: bad index");
  }
  return value;
}

}  // namespace

std::string BuildLogProof(const LogProof& proof) {
  std::string text(kFirstLine);
  text += "\n" + std::string(kExtra) + codec::EncodeBase64(proof.leaf);
  text += "\n" + std::string(kIndex) + std::to_string(proof.index) + "\n";
  for (const Sha256& hash : proof.hashes) text += codec::EncodeBase64(hash.view()) + "\n";
  return text + "\n" + proof.checkpoint_note;
}

Result<LogProof> ParseLogProof(std::string_view text) {
  if (text.size() > limits::kLogProofBytesMax) return Fail(ErrorCode::kDocumentTooLarge, "log proof");
  const auto truncated = [] { return Fail(ErrorCode::kTruncated, "log proof"); };
  std::string_view rest = text;
  auto line = CutLine(rest);
  if (!line) return truncated();
  if (*line != kFirstLine) return Fail(ErrorCode::kFormatVersionUnknown, "not a log proof of version 1");
  LogProof proof;
  line = CutLine(rest);
  if (!line) return truncated();
  if (!line->starts_with(kExtra)) return Fail(ErrorCode::kTextInvalid, "log proof: no leaf in the extra line");
  TRY_ASSIGN(proof.leaf, codec::DecodeBase64(line->substr(kExtra.size())));
  if (proof.leaf.size() > limits::kLogLeafBytesMax) return Fail(ErrorCode::kDocumentTooLarge, "log proof: leaf");
  line = CutLine(rest);
  if (!line) return truncated();
  if (!line->starts_with(kIndex)) return Fail(ErrorCode::kTextInvalid, "log proof: no index line");
  TRY_ASSIGN(proof.index, ParseIndex(line->substr(kIndex.size())));
  for (line = CutLine(rest); line && !line->empty(); line = CutLine(rest)) {
    if (proof.hashes.size() == kProofHashesMax)
      return Fail(ErrorCode::kLimitExceeded, "log proof: more than 63 hashes");
    TRY_ASSIGN(const Bytes bytes, codec::DecodeBase64(*line));
    const auto hash = Sha256::FromBytes(bytes);
    if (!hash) return Fail(ErrorCode::kTextInvalid, "log proof: a hash has not 32 bytes");
    proof.hashes.push_back(*hash);
  }
  if (!line || rest.empty()) return truncated();
  proof.checkpoint_note = std::string(rest);
  // Malformed notes are refused here already, so that a parsed proof can always be written again.
  TRY(ParseNote(proof.checkpoint_note));
  return proof;
}

Result<Checkpoint> VerifyLogProof(const LogProof& proof, const LogPolicy& policy) {
  TRY_ASSIGN(Checkpoint checkpoint, VerifyCheckpoint(proof.checkpoint_note, policy));
  TRY(VerifyInclusion(proof.index, checkpoint.size, LeafHash(proof.leaf), proof.hashes, checkpoint.root));
  return checkpoint;
}

}  // namespace fleetseal::merkle
