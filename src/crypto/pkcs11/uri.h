// PKCS#11 URIs: which module, which token, which key.
//
// Source: RFC 7512. Stricter: an unknown, repeated or empty attribute is refused, as a mistyped one would otherwise
// match more keys than its author meant; so is pin-value, because command lines and files of settings are read by
// others: the PIN stands in a file of its own (pin-source). Thread rule: plain value.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"

namespace fleetseal::crypto::pkcs11 {

struct Uri {
  // Of the token; empty: any.
  std::string token;
  std::string manufacturer;
  std::string model;
  std::string serial;
  std::optional<uint64_t> slot_id;
  // Of the key; empty: any.
  std::string object;
  Bytes id;
  // Files.
  std::string module_path;
  std::string pin_source;  // a path; "file:" is taken off

  // "pkcs11:token=roots;object=root-1?module-path=/usr/lib/...&pin-source=/path". InvalidArgument says what is wrong.
  static Result<Uri> Parse(std::string_view text);
  // Attributes in a fixed order, percent-encoded where RFC 7512 needs it.
  std::string ToText() const;
};

}  // namespace fleetseal::crypto::pkcs11
