#include "pki/openssl/x509_read.h"

#include <arpa/inet.h>

#include <algorithm>

#include "base/check.h"
#include "codec/json.h"
#include "crypto/der.h"

namespace fleetseal::pki {
namespace {

ByteView ViewOf(const ASN1_STRING* text) {
  return {ASN1_STRING_get0_data(text), static_cast<size_t>(ASN1_STRING_length(text))};
}

Result<std::string> AddressText(ByteView address) {
  char text[INET6_ADDRSTRLEN] = {};
  if (address.size() != 4 && address.size() != 16)
    return Fail(ErrorCode::kDerInvalid, "SAN: an address of another length");
  const int family = address.size() == 4 ? AF_INET : AF_INET6;
  CHECK(inet_ntop(family, address.data(), text, sizeof text) != nullptr);
  return std::string(text);
}

}  // namespace

Status CheckExtensions(const STACK_OF(X509_EXTENSION) * extensions) {
  const int count = extensions == nullptr ? 0 : sk_X509_EXTENSION_num(extensions);
  for (int i = 0; i < count; ++i) {
    X509_EXTENSION* extension = sk_X509_EXTENSION_value(extensions, i);
    if (!crypto::der::IsCanonicalDer(ViewOf(X509_EXTENSION_get_data(extension)))) {
      return Fail(ErrorCode::kDerInvalid, "an extension is not canonical DER");
    }
    // RFC 5280 section 4.2: one instance of each.
    for (int k = i + 1; k < count; ++k) {
      X509_EXTENSION* other = sk_X509_EXTENSION_value(extensions, k);
      if (OBJ_cmp(X509_EXTENSION_get_object(extension), X509_EXTENSION_get_object(other)) == 0) {
        return Fail(ErrorCode::kDerInvalid, "an extension is there twice");
      }
    }
  }
  return {};
}

Result<AlternativeNames> ReadAlternativeNames(const STACK_OF(X509_EXTENSION) * extensions) {
  int critical = -1;
  const GeneralNamesHandle names(
      static_cast<GENERAL_NAMES*>(X509V3_get_d2i(extensions, NID_subject_alt_name, &critical, nullptr)));
  AlternativeNames out;
  if (!names) {
    ERR_clear_error();
    if (critical != -1) return Fail(ErrorCode::kDerInvalid, "SAN: cannot be read");
    return out;
  }
  for (int i = 0; i < sk_GENERAL_NAME_num(names.get()); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names.get(), i);
    if (name->type == GEN_URI || name->type == GEN_DNS) {
      const std::string_view text = AsText(ViewOf(name->d.ia5));
      if (text.empty() || !codec::IsPrintableAscii(text)) {
        return Fail(ErrorCode::kDerInvalid, "SAN: a name is empty or not printable ASCII");
      }
      (name->type == GEN_URI ? out.uris : out.dns).emplace_back(text);
    } else if (name->type == GEN_IPADD) {
      TRY_ASSIGN(std::string address, AddressText(ViewOf(name->d.ip)));
      out.ips.push_back(std::move(address));
    }
  }
  return out;
}

Result<std::string> ReadCommonName(const X509_NAME* name) {
  int last = -1;
  for (int at = X509_NAME_get_index_by_NID(name, NID_commonName, -1); at >= 0;
       at = X509_NAME_get_index_by_NID(name, NID_commonName, at)) {
    last = at;
  }
  if (last < 0) return std::string();
  uint8_t* text = nullptr;
  const int size = ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, last)));
  if (size < 0) return Fail(ErrorCode::kDerInvalid, "CN: " + crypto::TakeOpensslError());
  std::string common_name(reinterpret_cast<const char*>(text), static_cast<size_t>(size));
  OPENSSL_free(text);
  const bool has_control = std::any_of(common_name.begin(), common_name.end(),
                                       [](char c) { return static_cast<uint8_t>(c) < 0x20 || c == 0x7f; });
  if (has_control) return Fail(ErrorCode::kDerInvalid, "CN: holds control characters");
  return common_name;
}

Result<crypto::PublicKey> ReadPublicKey(X509_PUBKEY* key) {
  uint8_t* der = nullptr;
  const int size = i2d_X509_PUBKEY(key, &der);
  if (size <= 0) return Fail(ErrorCode::kKeyInvalid, crypto::TakeOpensslError());
  auto public_key = crypto::PublicKey::FromSpkiDer({der, static_cast<size_t>(size)});
  OPENSSL_free(der);
  return public_key;
}

Status CheckSignatureDigest(int digest_nid, int key_nid) {
  if (digest_nid == NID_sha256 || digest_nid == NID_sha384 || digest_nid == NID_sha512 || key_nid == NID_ED25519)
    return {};
  return Fail(ErrorCode::kKeyWeak, "signed with less than SHA-256 or an unknown algorithm");
}

crypto::PkeyHandle ToPkey(const crypto::PublicKey& key) {
  const uint8_t* at = key.spki_der().data();
  crypto::PkeyHandle pkey(d2i_PUBKEY(nullptr, &at, static_cast<long>(key.spki_der().size())));
  CHECK(pkey);  // a PublicKey is always usable
  return pkey;
}

}  // namespace fleetseal::pki
