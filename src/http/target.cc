#include "http/target.h"

#include <algorithm>
#include <utility>

namespace fleetseal::http {
namespace {

int HexValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool IsPlain(char c) { return c > 0x20 && c < 0x7f && c != '%' && c != '\\' && c != '#'; }

// Appends the decoded text. `is_path`: an encoded slash would make two readings of one path.
Status Decode(std::string_view text, bool is_path, std::string& out) {
  for (size_t i = 0; i < text.size(); ++i) {
    if (IsPlain(text[i])) {
      out += text[i];
      continue;
    }
    if (text[i] != '%')
      return Fail(ErrorCode::kInvalidArgument, "the request target holds a character that is not allowed");
    if (i + 2 >= text.size())
      return Fail(ErrorCode::kInvalidArgument, "the request target ends inside a percent escape");
    const int high = HexValue(text[i + 1]);
    const int low = HexValue(text[i + 2]);
    if (high < 0 || low < 0) return Fail(ErrorCode::kInvalidArgument, "the request target holds a bad percent escape");
    const auto c = static_cast<char>(high * 16 + low);
    const bool is_allowed = c >= 0x20 && c < 0x7f && c != '\\' && !(is_path && c == '/');
    if (!is_allowed)
      return Fail(ErrorCode::kInvalidArgument, "the request target encodes a character that is not allowed");
    out += c;
    i += 2;
  }
  return {};
}

Status CheckSegments(std::string_view path) {
  size_t start = 1;
  while (true) {
    const size_t end = std::min(path.find('/', start), path.size());
    const std::string_view segment = path.substr(start, end - start);
    if (segment == "." || segment == "..") {
      return Fail(ErrorCode::kInvalidArgument, "the path holds a dot segment");
    }
    if (segment.empty() && path.size() > 1) return Fail(ErrorCode::kInvalidArgument, "the path holds an empty segment");
    if (end == path.size()) return {};
    start = end + 1;
  }
}

Status ParseQuery(std::string_view text, QueryMap& query) {
  bool is_more = !text.empty();
  while (is_more) {
    const size_t end = std::min(text.find('&'), text.size());
    const std::string_view member = text.substr(0, end);
    is_more = end < text.size();
    text.remove_prefix(is_more ? end + 1 : end);
    const size_t equals = std::min(member.find('='), member.size());
    std::string name;
    std::string value;
    TRY(Decode(member.substr(0, equals), false, name));
    if (equals < member.size()) TRY(Decode(member.substr(equals + 1), false, value));
    if (name.empty()) return Fail(ErrorCode::kInvalidArgument, "the query holds a member without a name");
    if (query.size() >= kQueryMembersMax) return Fail(ErrorCode::kInvalidArgument, "the query holds too many members");
    if (!query.emplace(std::move(name), std::move(value)).second) {
      return Fail(ErrorCode::kInvalidArgument, "the query holds a name twice");
    }
  }
  return {};
}

}  // namespace

Status ParseTarget(std::string_view target, std::string& path, QueryMap& query) {
  path.clear();
  query.clear();
  if (target.size() > kTargetBytesMax) return Fail(ErrorCode::kInvalidArgument, "the request target is too long");
  if (target.empty() || target[0] != '/') return Fail(ErrorCode::kInvalidArgument, "the request target is not a path");
  const size_t question = std::min(target.find('?'), target.size());
  TRY(Decode(target.substr(0, question), true, path));
  TRY(CheckSegments(path));
  if (question < target.size()) TRY(ParseQuery(target.substr(question + 1), query));
  return {};
}

std::string PercentEncode(std::string_view text, bool keeps_slash) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    const bool is_unreserved = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                               c == '.' || c == '_' || c == '~' || (c == '/' && keeps_slash);
    if (is_unreserved) {
      out += c;
      continue;
    }
    const auto byte = static_cast<unsigned char>(c);
    out += '%';
    out += kDigits[byte >> 4];
    out += kDigits[byte & 15];
  }
  return out;
}

}  // namespace fleetseal::http
