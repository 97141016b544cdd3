#include "codec/pem.h"

#include "codec/base64.h"

namespace fleetseal::codec {

std::string EncodePem(std::string_view label, ByteView der) {
  const std::string name(label);
  return "-----BEGIN " + name + "-----\n" + EncodeBase64Lines(der) + "-----END " + name + "-----\n";
}

Result<std::vector<Bytes>> DecodePemAll(std::string_view label, std::string_view text) {
  const std::string begin = "-----BEGIN " + std::string(label) + "-----";
  const std::string end = "-----END " + std::string(label) + "-----";
  std::vector<Bytes> blocks;
  while (!text.empty()) {
    if (!text.starts_with(begin)) return Fail(ErrorCode::kPemInvalid, "no " + begin);
    text.remove_prefix(begin.size());
    const size_t stop = text.find(end);
    if (stop == std::string_view::npos) return Fail(ErrorCode::kPemInvalid, "no " + end);
    auto block = DecodeBase64Lines(text.substr(0, stop));
    if (!block || block->empty()) return Fail(ErrorCode::kPemInvalid, "block is not base64");
    blocks.push_back(*std::move(block));
    text.remove_prefix(stop + end.size());
    while (!text.empty() && (text.front() == '\n' || text.front() == '\r')) text.remove_prefix(1);
  }
  if (blocks.empty()) return Fail(ErrorCode::kPemInvalid, "no block");
  return blocks;
}

Result<Bytes> DecodePem(std::string_view label, std::string_view text) {
  TRY_ASSIGN(auto blocks, DecodePemAll(label, text));
  if (blocks.size() != 1) return Fail(ErrorCode::kPemInvalid, "more than one block");
  return std::move(blocks.front());
}

}  // namespace fleetseal::codec
