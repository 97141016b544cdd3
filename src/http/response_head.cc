#include "http/response_head.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdio>
#include <ctime>

namespace fleetseal::http {
namespace {

std::string_view ReasonOf(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 206:
      return "Partial Content";
    case 302:
      return "Found";
    case 303:
      return "See Other";
    case 304:
      return "Not Modified";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 409:
      return "Conflict";
    case 411:
      return "Length Required";
    case 413:
      return "Content Too Large";
    case 415:
      return "Unsupported Media Type";
    case 416:
      return "Range Not Satisfiable";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 507:
      return "Insufficient Storage";
    default:
      return "Other";
  }
}

bool IsFieldValue(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c >= 0x20 && c < 0x7f; });
}

bool IsFieldName(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
  });
}

void AppendNumber(std::string& out, uint64_t number) {
  std::array<char, 20> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
  out.append(digits.data(), end);
}

void AppendField(std::string& out, std::string_view name, std::string_view value) {
  out.append(name).append(": ").append(value).append("\r\n");
}

}  // namespace

bool IsSendable(const Response& response) {
  if (response.status < 200 || response.status > 599 || !IsFieldValue(response.content_type)) return false;
  return std::ranges::all_of(response.headers.fields(),
                             [](const auto& field) { return IsFieldName(field.first) && IsFieldValue(field.second); });
}

void AppendHead(std::string& out, const Response& response, const HeadFacts& facts) {
  out.append("HTTP/1.1 ");
  AppendNumber(out, static_cast<uint64_t>(facts.status));
  out.append(" ").append(ReasonOf(facts.status)).append("\r\n");
  AppendField(out, "Date", facts.date);
  if (!response.content_type.empty()) AppendField(out, "Content-Type", response.content_type);
  if (facts.status != 204 && facts.status != 304) {
    out.append("Content-Length: ");
    AppendNumber(out, facts.content_length);
    out.append("\r\n");
  }
  if (!facts.request_id.empty()) AppendField(out, "X-Request-Id", facts.request_id);
  for (const auto& [name, value] : response.headers.fields()) AppendField(out, name, value);
  if (facts.closes) out.append("Connection: close\r\n");
  out.append("\r\n");
}

std::string HttpDate(UnixSeconds time) {
  static constexpr std::array<const char*, 7> kDays = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
  static constexpr std::array<const char*, 12> kMonths = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                                          "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
  const auto seconds = static_cast<std::time_t>(time.value);
  std::tm parts = {};
  ::gmtime_r(&seconds, &parts);
  std::array<char, 64> text;
  const int size = std::snprintf(text.data(), text.size(), "%s, %02d %s %04d %02d:%02d:%02d GMT",
                                 kDays[static_cast<size_t>(parts.tm_wday)], parts.tm_mday,
                                 kMonths[static_cast<size_t>(parts.tm_mon)], parts.tm_year + 1900, parts.tm_hour,
                                 parts.tm_min, parts.tm_sec);
  return std::string(text.data(), static_cast<size_t>(size));
}

}  // namespace fleetseal::http
