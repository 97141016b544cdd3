#include "merkle/note.h"

#include <algorithm>
#include <map>

#include "base/check.h"
#include "codec/base64.h"
#include "codec/hex.h"
#include "crypto/digest.h"

namespace fleetseal::merkle {
namespace {

constexpr std::string_view kSignaturePrefix = "\xe2\x80\x94 ";  // em dash, space
constexpr size_t kTimeBytes = 8;
constexpr size_t kEd25519PointBytes = 32;

// Well-formed UTF-8 without control characters other than newline.
bool IsNoteText(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    const auto lead = static_cast<uint8_t>(text[i]);
    if (lead < 0x80) {
      if ((lead < 0x20 && lead != '\n') || lead == 0x7f) return false;
      ++i;
      continue;
    }
    const size_t length = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : 2;
    if (lead < 0xc2 || lead > 0xf4 || i + length > text.size()) return false;
    uint32_t point = lead & (0xffu >> (length + 1));
    for (size_t k = 1; k < length; ++k) {
      const auto byte = static_cast<uint8_t>(text[i + k]);
      if ((byte & 0xc0) != 0x80) return false;
      point = point << 6 | (byte & 0x3fu);
    }
    const bool is_overlong = (length == 3 && point < 0x800) || (length == 4 && point < 0x10000);
    if (is_overlong || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) return false;
    i += length;
  }
  return true;
}

NoteKeyId KeyIdOf(std::string_view name, NoteKeyType type, ByteView point) {
  crypto::Sha256Hasher hasher;
  hasher.Update(name);
  const uint8_t separator[] = {0x0a, static_cast<uint8_t>(type)};
  hasher.Update(ByteView(separator));
  hasher.Update(point);
  const Sha256 digest = hasher.Finish();
  NoteKeyId id;
  std::copy_n(digest.bytes.begin(), id.size(), id.begin());
  return id;
}

std::string CosignedText(std::string_view text, uint64_t time) {
  return "cosignature/v1\ntime " + std::to_string(time) + "\n" + std::string(text);
}

Result<NoteKeyId> KeyIdFor(std::string_view name, NoteKeyType type, const crypto::Signer& signer) {
  if (signer.public_key().type() != crypto::KeyType::kEd25519) {
    return Fail(ErrorCode::kKeyInvalid, "notes are signed by Ed25519 keys only");
  }
  if (!IsKeyName(name)) return Fail(ErrorCode::kTextInvalid, "not a key name");
  return KeyIdOf(name, type, signer.public_key().x());
}

Result<NoteSignature> ParseSignatureLine(std::string_view line) {
  const auto refuse = [] { return Fail(ErrorCode::kTextInvalid, "a note's signature line is malformed"); };
  if (!line.starts_with(kSignaturePrefix)) return refuse();
  line.remove_prefix(kSignaturePrefix.size());
  const size_t space = line.find(' ');
  if (space == std::string_view::npos || !IsKeyName(line.substr(0, space))) return refuse();
  TRY_ASSIGN(const Bytes bytes, codec::DecodeBase64(line.substr(space + 1)));
  NoteSignature signature;
  if (bytes.size() <= signature.key_id.size()) return refuse();
  signature.name = std::string(line.substr(0, space));
  std::copy_n(bytes.begin(), signature.key_id.size(), signature.key_id.begin());
  signature.blob.assign(bytes.begin() + static_cast<ptrdiff_t>(signature.key_id.size()), bytes.end());
  return signature;
}

Status VerifyOne(const Note& note, const NoteSignature& signature, const Vkey& key) {
  ByteView blob = signature.blob;
  std::string signed_text = note.text;
  if (key.type() == NoteKeyType::kCosignatureV1) {
    if (blob.size() < kTimeBytes) return Fail(ErrorCode::kSignatureInvalid, "a cosignature is too short");
    uint64_t time = 0;
    for (const uint8_t byte : blob.first(kTimeBytes)) time = time << 8 | byte;
    blob = blob.subspan(kTimeBytes);
    signed_text = CosignedText(note.text, time);
  }
  return key.key().Verify(crypto::SignatureAlgorithm::kEdDsa, AsBytes(signed_text), blob);
}

}  // namespace

bool IsKeyName(std::string_view name) {
  if (name.empty() || name.size() > kKeyNameBytesMax || !IsNoteText(name)) return false;
  if (name.find_first_of(" +\n") != std::string_view::npos) return false;
  // White space outside ASCII: U+0085, U+00A0, U+1680, U+2000 to U+200A, U+2028, U+2029, U+202F, U+205F, U+3000.
  for (const std::string_view space :
       {"\xc2\x85", "\xc2\xa0", "\xe1\x9a\x80", "\xe2\x80\x80", "\xe2\x80\x81", "\xe2\x80\x82", "\xe2\x80\x83",
        "\xe2\x80\x84", "\xe2\x80\x85", "\xe2\x80\x86", "\xe2\x80\x87", "\xe2\x80\x88", "\xe2\x80\x89", "\xe2\x80\x8a",
        "\xe2\x80\xa8", "\xe2\x80\xa9", "\xe2\x80\xaf", "\xe2\x81\x9f", "\xe3\x80\x80"}) {
    if (name.find(space) != std::string_view::npos) return false;
  }
  return true;
}

Vkey::Vkey(std::string name, NoteKeyType type, crypto::PublicKey key)
    : name_(std::move(name)), type_(type), id_(KeyIdOf(name_, type, key.x())), key_(std::move(key)) {}

Result<Vkey> Vkey::FromEd25519(std::string_view name, ByteView point, NoteKeyType type) {
  if (!IsKeyName(name)) return Fail(ErrorCode::kTextInvalid, "not a key name");
  TRY_ASSIGN(auto key, crypto::PublicKey::FromEd25519(point));
  return Vkey(std::string(name), type, std::move(key));
}

Result<Vkey> Vkey::Parse(std::string_view text) {
  const auto refuse = [](const char* why) { return Fail(ErrorCode::kKeyInvalid, std::string("verifier key: ") + why); };
  const size_t name_end = text.find('+');
  const size_t id_end = name_end == std::string_view::npos ? name_end : text.find('+', name_end + 1);
  if (id_end == std::string_view::npos) return refuse("not name+id+key");
  const std::string_view name = text.substr(0, name_end);
  if (!IsKeyName(name)) return refuse("bad name");
  const auto id = codec::DecodeHex(text.substr(name_end + 1, id_end - name_end - 1));
  const auto body = codec::DecodeBase64(text.substr(id_end + 1));
  if (!id || !body || body->empty()) return refuse("bad encoding");
  const auto type = static_cast<NoteKeyType>(body->front());
  if (type != NoteKeyType::kEd25519 && type != NoteKeyType::kCosignatureV1) {
    return Fail(ErrorCode::kUnsupported, "verifier key of a type other than Ed25519");
  }
  if (body->size() != 1 + kEd25519PointBytes) return refuse("wrong length");
  TRY_ASSIGN(Vkey key, FromEd25519(name, ByteView(*body).subspan(1), type));
  if (!std::ranges::equal(*id, key.id_)) return refuse("the id does not belong to the key");
  return key;
}

std::string Vkey::ToText() const {
  Bytes body{static_cast<uint8_t>(type_)};
  body.insert(body.end(), key_.x().begin(), key_.x().end());
  return name_ + "+" + codec::EncodeHex(ByteView(id_)) + "+" + codec::EncodeBase64(body);
}

Result<Note> ParseNote(std::string_view note) {
  const auto refuse = [](const char* why) { return Fail(ErrorCode::kTextInvalid, std::string("signed note: ") + why); };
  if (note.size() > kNoteBytesMax) return Fail(ErrorCode::kDocumentTooLarge, "signed note");
  if (!IsNoteText(note)) return refuse("not UTF-8, or a control character");
  if (!note.ends_with('\n')) return refuse("no newline at the end");
  // The last blank line divides, since a signature line is never empty.
  const size_t blank = note.rfind("\n\n");
  if (blank == std::string_view::npos) return refuse("no blank line");
  Note parsed;
  parsed.text = std::string(note.substr(0, blank + 1));
  std::string_view lines = note.substr(blank + 2);
  if (lines.empty()) return refuse("no signature");
  while (!lines.empty()) {
    if (parsed.signatures.size() == kNoteSignaturesMax)
      return Fail(ErrorCode::kLimitExceeded, "more than 64 signatures");
    const size_t end = lines.find('\n');
    TRY_ASSIGN(auto signature, ParseSignatureLine(lines.substr(0, end)));
    parsed.signatures.push_back(std::move(signature));
    lines.remove_prefix(end + 1);
  }
  return parsed;
}

std::string BuildNote(const Note& note) {
  std::string text = note.text + "\n";
  for (const NoteSignature& signature : note.signatures) {
    Bytes bytes(signature.key_id.begin(), signature.key_id.end());
    bytes.insert(bytes.end(), signature.blob.begin(), signature.blob.end());
    text += std::string(kSignaturePrefix) + signature.name + " " + codec::EncodeBase64(bytes) + "\n";
  }
  return text;
}

Result<std::string> SignNote(std::string_view text, std::string_view name, const crypto::Signer& signer) {
  CHECK(text.ends_with('\n'));
  TRY_ASSIGN(const NoteKeyId id, KeyIdFor(name, NoteKeyType::kEd25519, signer));
  TRY_ASSIGN(Bytes blob, signer.Sign(crypto::SignatureAlgorithm::kEdDsa, AsBytes(text)));
  return BuildNote({std::string(text), {{std::string(name), id, std::move(blob)}}});
}

Result<NoteSignature> Cosign(std::string_view text, std::string_view name, UnixSeconds time,
                             const crypto::Signer& signer) {
  CHECK(text.ends_with('\n') && time.value >= 0);
  TRY_ASSIGN(const NoteKeyId id, KeyIdFor(name, NoteKeyType::kCosignatureV1, signer));
  const auto seconds = static_cast<uint64_t>(time.value);
  TRY_ASSIGN(const Bytes raw, signer.Sign(crypto::SignatureAlgorithm::kEdDsa, AsBytes(CosignedText(text, seconds))));
  Bytes blob;
  for (int shift = 56; shift >= 0; shift -= 8) blob.push_back(static_cast<uint8_t>(seconds >> shift & 0xff));
  blob.insert(blob.end(), raw.begin(), raw.end());
  return NoteSignature{std::string(name), id, std::move(blob)};
}

Result<std::vector<size_t>> VerifiedKeys(const Note& note, std::span<const Vkey> keys) {
  std::vector<size_t> verified;
  for (size_t i = 0; i < keys.size(); ++i) {
    bool is_signed = false;
    for (const NoteSignature& signature : note.signatures) {
      if (signature.name != keys[i].name() || signature.key_id != keys[i].id()) continue;
      TRY_CONTEXT(VerifyOne(note, signature, keys[i]), "note signature by " + signature.name);
      is_signed = true;
    }
    if (is_signed) verified.push_back(i);
  }
  return verified;
}

}  // namespace fleetseal::merkle
