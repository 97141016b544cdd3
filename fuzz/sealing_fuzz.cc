// Sealed files and content keys.
#include <algorithm>

#include "base/secret_bytes.h"
#include "crypto/digest.h"
#include "fuzz/target.h"
#include "fuzz/world.h"
#include "sealing/content_key.h"
#include "sealing/sealed_file.h"

namespace fleetseal::fuzz {
namespace {

struct Opened {
  bool is_whole = false;
  Bytes plain;
};

const SecretBytes& UpdateKey() {
  static const SecretBytes key = SecretBytes::CopyOf(Bytes(sealing::kUpdateKeyBytes, 0x42));
  return key;
}
const Sha256& Manifest() {
  static const Sha256 digest = crypto::HashSha256("manifest");
  return digest;
}

Opened Open(ByteView sealed, ByteCount expected, size_t piece) {
  static const FileId file = *FileId::Parse("f0123456789abcdef");
  auto opener = sealing::Opener::Start({UpdateKey(), Manifest(), file}, expected);
  Opened opened;
  const sealing::Sink sink = [&](ByteView part) -> Status {
    opened.plain.insert(opened.plain.end(), part.begin(), part.end());
    return {};
  };
  bool is_good = true;
  for (size_t at = 0; at < sealed.size() && is_good; at += piece)
    is_good = opener->Push(sealed.subspan(at, std::min(piece, sealed.size() - at)), sink).has_value();
  opened.is_whole = opener->Finish().has_value();
  CHECK(is_good || !opened.is_whole);
  return opened;
}

// Nothing opens but what was sealed, however it is cut; no byte leaves that was not sealed.
bool TryOpen(ByteView input) {
  static const std::string plain = WorldFile("plain.bin");
  static const std::string genuine = WorldFile("sealed.bin");
  const Opened whole = Open(input, {plain.size()}, std::max<size_t>(input.size(), 1));
  const Opened bytes = Open(input, {plain.size()}, 1 + input.size() / 7);
  CHECK(whole.is_whole == bytes.is_whole && whole.plain == bytes.plain);
  CHECK(!whole.is_whole || AsText(input) == genuine);
  CHECK(whole.plain.empty() || AsText(whole.plain) == plain);
  return whole.is_whole;
}
bool TryHeader(ByteView input) {
  const auto header = sealing::SealedHeader::Parse(input);
  if (!header) return false;
  const auto encoded = header->Encode();
  CHECK(std::equal(encoded.begin(), encoded.end(), input.begin(), input.end()));
  CHECK(header->plain_size.value <= limits::kFileBytesMax);
  CHECK(sealing::SealedSize(header->plain_size).value > header->plain_size.value);
  return true;
}
bool TryContentKey(ByteView input) {
  static const auto key = crypto::PrivateKey::FromPem(WorldFile("device-encryption.pem"));
  static const std::string genuine = WorldFile("content-key.jwe");
  static const DeviceId device = *DeviceId::Parse("device-1");
  CHECK(key.has_value());
  const auto update_key = sealing::UnwrapUpdateKey(AsText(input), *key, {device, 2, Manifest()});
  CHECK(!update_key.has_value() || AsText(input) == genuine);
  return update_key.has_value();
}

constexpr Case kCases[] = {{"sealed-file", TryOpen}, {"sealed-header", TryHeader}, {"content-key", TryContentKey}};

}  // namespace

FLEETSEAL_FUZZ_TARGET(sealing, kCases)

}  // namespace fleetseal::fuzz
