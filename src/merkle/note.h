// Signed notes and the keys that sign them.
//
// Source: C2SP signed-note and tlog-cosignature (reference/tlog.md sections 3 and 4). A note is text ended by a
// newline, a blank line, then lines "— name base64(key id || signature)". Unknown signatures are ignored; one by a
// known name and key id that does not verify sinks the note. Ed25519 (0x01) and timestamped Ed25519 cosignatures (0x04)
// are verified here. Thread rule: plain values and pure functions.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/result.h"
#include "crypto/signer.h"

namespace fleetseal::merkle {

inline constexpr size_t kNoteBytesMax = 64 * 1024;
inline constexpr size_t kNoteSignaturesMax = 64;
inline constexpr size_t kKeyNameBytesMax = 255;

using NoteKeyId = std::array<uint8_t, 4>;
enum class NoteKeyType : uint8_t { kEd25519 = 0x01, kCosignatureV1 = 0x04 };

// A verifier key: "name+hexid+base64(type || key)".
class Vkey {
 public:
  // The id is in the text and computed again. Codes: KeyInvalid (form, id, key), Unsupported (another type).
  static Result<Vkey> Parse(std::string_view text);
  // `point` has 32 bytes. Codes: KeyInvalid TextInvalid.
  static Result<Vkey> FromEd25519(std::string_view name, ByteView point, NoteKeyType type = NoteKeyType::kEd25519);
  std::string ToText() const;

  const std::string& name() const { return name_; }
  NoteKeyType type() const { return type_; }
  const NoteKeyId& id() const { return id_; }
  const crypto::PublicKey& key() const { return key_; }
  bool operator==(const Vkey& other) const { return ToText() == other.ToText(); }

 private:
  Vkey(std::string name, NoteKeyType type, crypto::PublicKey key);
  std::string name_;
  NoteKeyType type_;
  NoteKeyId id_{};
  crypto::PublicKey key_;
};

// True for a key or origin name: not empty, UTF-8, no white space, control characters or '+'.
bool IsKeyName(std::string_view name);

struct NoteSignature {
  std::string name;
  NoteKeyId key_id{};
  Bytes blob;  // what follows the key id
};

struct Note {
  std::string text;  // ends with '\n'; what is signed
  std::vector<NoteSignature> signatures;
};

// Codes: TextInvalid (form), Base64Invalid, DocumentTooLarge, LimitExceeded (signatures).
Result<Note> ParseNote(std::string_view note);
std::string BuildNote(const Note& note);

// Signs `text` with an Ed25519 signer and returns the whole note. `name` is the key's name (for a log its origin).
// REQUIRES: text ends with
// '\n'. Codes: KeyInvalid (not Ed25519), those of the signer.
Result<std::string> SignNote(std::string_view text, std::string_view name, const crypto::Signer& signer);
// A witness's cosignature line for a checkpoint's text. Codes as above.
Result<NoteSignature> Cosign(std::string_view text, std::string_view name, UnixSeconds time,
                             const crypto::Signer& signer);

// Indices into `keys` of those with at least one valid signature, ascending. SignatureInvalid if a signature by a
// listed name and key id does not verify.
Result<std::vector<size_t>> VerifiedKeys(const Note& note, std::span<const Vkey> keys);

}  // namespace fleetseal::merkle
