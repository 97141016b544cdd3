#include "crypto/pkcs11/uri.h"

#include <algorithm>
#include <charconv>
#include <set>

namespace fleetseal::crypto::pkcs11 {
namespace {

constexpr std::string_view kScheme = "pkcs11:";
constexpr size_t kTextMax = 4096;

tl::unexpected<Error> Bad(const std::string& why) { return Fail(ErrorCode::kInvalidArgument, "PKCS#11 URI: " + why); }

int HexDigit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

Result<std::string> Decoded(std::string_view text) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      // RFC 7512 section 2.3: everything else is percent-encoded.
      if (text[i] <= ' ' || text[i] > '~') return Bad("a character must be percent-encoded");
      decoded += text[i];
      continue;
    }
    const int high = i + 1 < text.size() ? HexDigit(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? HexDigit(text[i + 2]) : -1;
    if (high < 0 || low < 0) return Bad("% stands before two hexadecimal digits");
    decoded += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return decoded;
}

std::string Encoded(std::string_view text) {
  constexpr std::string_view kPlain = "-._~:[]@!$'()*+,=/";
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string encoded;
  for (const char c : text) {
    const bool is_plain = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                          kPlain.find(c) != std::string_view::npos;
    if (is_plain) {
      encoded += c;
      continue;
    }
    const auto byte = static_cast<uint8_t>(c);
    encoded.append(1, '%').append(1, kDigits[byte >> 4]).append(1, kDigits[byte & 15]);
  }
  return encoded;
}

Status SetAttribute(Uri& uri, const std::string& name, const std::string& value, bool is_query) {
  if (name == "pin-value") return Bad("pin-value would show the PIN to others: put it into a file and name pin-source");
  if (name == "slot-id" && !is_query) {
    uint64_t slot = 0;
    const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), slot);
    if (error != std::errc() || end != value.data() + value.size()) return Bad("slot-id is not a number");
    uri.slot_id = slot;
    return {};
  }
  if (name == "type" && !is_query) {
    // The key pair is one thing here; a URI of its private half names it as well.
    if (value != "private" && value != "public") return Bad("type is private or public");
    return {};
  }
  if (name == "id" && !is_query) {
    uri.id = ToBytes(value);
    return {};
  }
  const std::pair<std::string_view, std::string*> path[] = {{"token", &uri.token},
                                                            {"manufacturer", &uri.manufacturer},
                                                            {"model", &uri.model},
                                                            {"serial", &uri.serial},
                                                            {"object", &uri.object}};
  const std::pair<std::string_view, std::string*> query[] = {{"module-path", &uri.module_path},
                                                             {"pin-source", &uri.pin_source}};
  const auto set = [&](const auto& known) {
    for (const auto& [known_name, field] : known) {
      if (known_name != name) continue;
      *field = value;
      return true;
    }
    return false;
  };
  if (is_query ? set(query) : set(path)) return {};
  return Bad("there is no attribute " + name + " here");
}

Status ReadAttributes(Uri& uri, std::string_view text, char separator, bool is_query) {
  std::set<std::string> seen;
  while (!text.empty()) {
    const size_t end = std::min(text.find(separator), text.size());
    const std::string_view attribute = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const size_t equals = attribute.find('=');
    if (equals == std::string_view::npos) return Bad("an attribute has no value");
    const std::string name(attribute.substr(0, equals));
    TRY_ASSIGN(const std::string value, Decoded(attribute.substr(equals + 1)));
    if (value.empty()) return Bad(name + " is empty");
    if (!seen.insert(name).second) return Bad(name + " is there twice");
    TRY(SetAttribute(uri, name, value, is_query));
  }
  return {};
}

}  // namespace

Result<Uri> Uri::Parse(std::string_view text) {
  if (text.size() > kTextMax) return Bad("it is too long");
  if (!text.starts_with(kScheme)) return Bad("it does not begin with pkcs11:");
  text.remove_prefix(kScheme.size());
  const size_t question = std::min(text.find('?'), text.size());
  Uri uri;
  TRY(ReadAttributes(uri, text.substr(0, question), ';', false));
  if (question < text.size()) TRY(ReadAttributes(uri, text.substr(question + 1), '&', true));
  constexpr std::string_view kFile = "file:";
  if (uri.pin_source.starts_with(kFile)) uri.pin_source.erase(0, kFile.size());
  if (uri.pin_source.starts_with("|")) return Bad("a pin-source that is a program is not run");
  return uri;
}

std::string Uri::ToText() const {
  std::string path;
  const auto add = [](std::string& to, char separator, std::string_view name, std::string_view value) {
    if (value.empty()) return;
    if (!to.empty()) to += separator;
    to.append(name).append(1, '=').append(Encoded(value));
  };
  add(path, ';', "token", token);
  add(path, ';', "manufacturer", manufacturer);
  add(path, ';', "model", model);
  add(path, ';', "serial", serial);
  if (slot_id) add(path, ';', "slot-id", std::to_string(*slot_id));
  add(path, ';', "object", object);
  add(path, ';', "id", AsText(id));
  std::string query;
  add(query, '&', "module-path", module_path);
  // A path that begins like that is told from the prefix by the prefix.
  add(query, '&', "pin-source", pin_source.starts_with("file:") ? "file:" + pin_source : pin_source);
  return std::string(kScheme) + path + (query.empty() ? "" : "?" + query);
}

}  // namespace fleetseal::crypto::pkcs11
