// DER and keys.
#include "crypto/der.h"
#include "crypto/key.h"
#include "crypto/pkcs11/uri.h"
#include "fuzz/target.h"

namespace fleetseal::fuzz {
namespace {

bool TryCanonical(ByteView input) {
  if (!crypto::der::IsCanonicalDer(input)) return false;
  crypto::DerReader reader(input);
  const auto whole = reader.ReadWhole(reader.next_tag());
  CHECK(whole.has_value() && whole->size() == input.size());
  CHECK(reader.Finish().has_value());
  return true;
}

bool WalkDer(ByteView input, int depth) {
  constexpr int kDepthMax = 24;
  crypto::DerReader reader(input);
  while (!reader.is_at_end()) {
    const uint8_t tag = reader.next_tag();
    crypto::DerReader number = reader;
    crypto::DerReader bits = reader;
    (void)number.ReadUnsignedInteger();
    (void)bits.ReadBitString();
    const auto content = reader.Read(tag);
    if (!content) return false;
    CHECK(content->size() <= input.size());
    if ((tag & 0x20) != 0 && depth < kDepthMax && !WalkDer(*content, depth + 1)) return false;
  }
  return reader.Finish().has_value();
}
bool TryReader(ByteView input) { return !input.empty() && WalkDer(input, 0); }

bool TrySpki(ByteView input) {
  const auto key = crypto::PublicKey::FromSpkiDer(input);
  if (!key) return false;
  // One key has one form.
  CHECK(key->spki_der() == ToBytes(input));
  const auto again = crypto::PublicKey::FromSpkiDer(key->spki_der());
  CHECK(again.has_value() && *again == *key);
  CHECK(!key->Verify(key->default_algorithm(), AsBytes("text"), Bytes(64)).has_value());
  return true;
}

bool IsWhole(const Result<crypto::PrivateKey>& key) {
  if (!key) return false;
  const SecretBytes der = key->pkcs8_der();
  const auto again = crypto::PrivateKey::FromPkcs8Der(der.reveal());
  CHECK(again.has_value() && again->public_key() == key->public_key());
  return true;
}
bool TryPkcs8(ByteView input) { return IsWhole(crypto::PrivateKey::FromPkcs8Der(input)); }
bool TryPrivatePem(ByteView input) { return IsWhole(crypto::PrivateKey::FromPem(AsText(input))); }
bool TrySignature(ByteView input) {
  static const auto key = crypto::PrivateKey::Generate(crypto::KeyKind::kP256);
  CHECK(key.has_value());
  CHECK(!key->public_key().Verify(crypto::SignatureAlgorithm::kEs256, AsBytes("text"), input).has_value());
  return false;
}

bool TryPkcs11Uri(ByteView input) {
  const auto uri = crypto::pkcs11::Uri::Parse(AsText(input));
  if (!uri) return false;
  const std::string text = uri->ToText();
  const auto again = crypto::pkcs11::Uri::Parse(text);
  CHECK(again.has_value() && again->ToText() == text);
  return true;
}

constexpr Case kCases[] = {
    {"canonical-der", TryCanonical},
    {"der-reader", TryReader, false},
    {"spki", TrySpki},
    {"pkcs8", TryPkcs8},
    {"private-pem", TryPrivatePem},
    {"signature", TrySignature},
    {"pkcs11-uri", TryPkcs11Uri},
};

}  // namespace

FLEETSEAL_FUZZ_TARGET(crypto, kCases)

}  // namespace fleetseal::fuzz
