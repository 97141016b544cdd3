#include "http/range.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string>

namespace fleetseal::http {
namespace {

std::optional<uint64_t> ParseNumber(std::string_view text) {
  uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || text.empty()) return std::nullopt;
  return value;
}

bool IsQuoted(std::string_view field, std::string_view etag) {
  return field.size() == etag.size() + 2 && field.front() == '"' && field.back() == '"' &&
         field.substr(1, etag.size()) == etag;
}

// RFC 9110 13.1.2 compares weakly: W/"x" matches "x" here.
bool ListHolds(std::string_view list, std::string_view etag) {
  if (list == "*") return true;
  while (!list.empty()) {
    const size_t end = std::min(list.find(','), list.size());
    std::string_view item = list.substr(0, end);
    list.remove_prefix(end == list.size() ? end : end + 1);
    while (!item.empty() && item.front() == ' ') item.remove_prefix(1);
    while (!item.empty() && item.back() == ' ') item.remove_suffix(1);
    if (item.starts_with("W/")) item.remove_prefix(2);
    if (IsQuoted(item, etag)) return true;
  }
  return false;
}

}  // namespace

RangeDecision DecideRange(const RangeFields& fields, std::string_view etag, uint64_t size) {
  using Kind = RangeDecision::Kind;
  if (!fields.if_none_match.empty() && !etag.empty() && ListHolds(fields.if_none_match, etag))
    return {Kind::kNotModified, 0, 0};
  constexpr std::string_view kUnit = "bytes=";
  if (!fields.range.starts_with(kUnit)) return {};
  // A strong comparison: a weak tag or a date never lets a part through.
  if (!fields.if_range.empty() && (etag.empty() || !IsQuoted(fields.if_range, etag))) return {};

  const std::string_view spec = fields.range.substr(kUnit.size());
  const size_t dash = spec.find('-');
  if (dash == std::string_view::npos) return {};
  const std::string_view first_text = spec.substr(0, dash);
  const std::string_view last_text = spec.substr(dash + 1);
  if (first_text.empty()) {
    const auto suffix = ParseNumber(last_text);
    if (!suffix) return {};
    if (*suffix == 0 || size == 0) return {Kind::kNotSatisfiable, 0, 0};
    const uint64_t count = std::min(*suffix, size);
    return {Kind::kPart, size - count, count};
  }
  const auto first = ParseNumber(first_text);
  if (!first) return {};
  uint64_t last = UINT64_MAX;
  if (!last_text.empty()) {
    const auto parsed = ParseNumber(last_text);
    if (!parsed || *parsed < *first) return {};
    last = *parsed;
  }
  if (*first >= size) return {Kind::kNotSatisfiable, 0, 0};
  return {Kind::kPart, *first, std::min(last, size - 1) - *first + 1};
}

}  // namespace fleetseal::http
