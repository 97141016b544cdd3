#include "codec/json.h"

#include <algorithm>
#include <boost/json/basic_parser_impl.hpp>
#include <boost/json/src.hpp>

#include "base/check.h"
#include "codec/base64.h"
#include "codec/hex.h"

namespace fleetseal::codec {
namespace {

namespace bj = boost::json;

// Builds a Json from the events of boost::json::basic_parser. Every handler returns false to stop; failure_ says why.
class StrictHandler {
 public:
  explicit StrictHandler(size_t values_max) : values_left_(values_max) {}

  static constexpr std::size_t max_object_size = limits::kJsonMembersMax;
  static constexpr std::size_t max_array_size = limits::kJsonMembersMax;
  static constexpr std::size_t max_key_size = limits::kHttpBodyBytesMax;
  static constexpr std::size_t max_string_size = static_cast<std::size_t>(-1) >> 1;

  bool on_document_begin(bj::error_code&) { return true; }
  bool on_document_end(bj::error_code&) { return true; }
  bool on_object_begin(bj::error_code&) {
    stack_.push_back({Json::MakeObject(), {}});
    return true;
  }
  bool on_object_end(std::size_t, bj::error_code& ec) {
    if (HasDuplicate(stack_.back().value.as_object())) {
      return Stop(ec, ErrorCode::kJsonDuplicateMember, "a member occurs twice");
    }
    return Close(ec);
  }
  bool on_array_begin(bj::error_code&) {
    stack_.push_back({Json::MakeArray(), {}});
    return true;
  }
  bool on_array_end(std::size_t, bj::error_code& ec) { return Close(ec); }
  bool on_key_part(bj::string_view part, std::size_t, bj::error_code&) {
    text_.append(part.data(), part.size());
    return true;
  }
  bool on_key(bj::string_view part, std::size_t, bj::error_code&) {
    text_.append(part.data(), part.size());
    stack_.back().key = std::move(text_);
    text_.clear();
    return true;
  }
  bool on_string_part(bj::string_view part, std::size_t, bj::error_code&) {
    text_.append(part.data(), part.size());
    return true;
  }
  bool on_string(bj::string_view part, std::size_t, bj::error_code& ec) {
    text_.append(part.data(), part.size());
    Json value(std::move(text_));
    text_.clear();
    return Add(std::move(value), ec);
  }
  bool on_number_part(bj::string_view part, bj::error_code&) {
    text_.append(part.data(), part.size());
    return true;
  }
  // The number's own text decides: Boost.JSON turns "-0" into 0 and long integers into doubles.
  bool on_int64(int64_t value, bj::string_view part, bj::error_code& ec) {
    text_.append(part.data(), part.size());
    const bool is_minus_zero = value == 0 && text_.starts_with('-');
    text_.clear();
    if (is_minus_zero || value > limits::kJsonIntegerMax || value < -limits::kJsonIntegerMax) {
      return Stop(ec, ErrorCode::kJsonNumberInvalid, "integer out of range");
    }
    return Add(Json(value), ec);
  }
  bool on_uint64(uint64_t, bj::string_view, bj::error_code& ec) {
    return Stop(ec, ErrorCode::kJsonNumberInvalid, "integer out of range");
  }
  bool on_double(double, bj::string_view, bj::error_code& ec) {
    return Stop(ec, ErrorCode::kJsonNumberInvalid, "number with fraction or exponent, or too large");
  }
  bool on_bool(bool value, bj::error_code& ec) { return Add(Json(value), ec); }
  bool on_null(bj::error_code& ec) { return Add(Json(nullptr), ec); }
  bool on_comment_part(bj::string_view, bj::error_code&) { return true; }
  bool on_comment(bj::string_view, bj::error_code&) { return true; }

  Json TakeRoot() { return std::move(root_); }
  const std::optional<Error>& failure() const { return failure_; }

 private:
  struct Frame {
    Json value;
    std::string key;
  };

  static bool HasDuplicate(const Json::Object& members) {
    // Most objects are so small that comparing each pair takes less than sorting, and no memory.
    constexpr size_t kPairsMax = 16;
    if (members.size() <= kPairsMax) {
      for (size_t i = 1; i < members.size(); ++i) {
        for (size_t k = 0; k < i; ++k) {
          if (members[i].first == members[k].first) return true;
        }
      }
      return false;
    }
    std::vector<std::string_view> names;
    names.reserve(members.size());
    for (const auto& member : members) names.emplace_back(member.first);
    std::sort(names.begin(), names.end());
    return std::adjacent_find(names.begin(), names.end()) != names.end();
  }
  bool Stop(bj::error_code& ec, ErrorCode code, const char* detail) {
    failure_ = Error{code, detail, {}};
    ec = bj::error::exception;
    return false;
  }
  bool Close(bj::error_code& ec) {
    Json value = std::move(stack_.back().value);
    stack_.pop_back();
    return Add(std::move(value), ec);
  }
  bool Add(Json value, bj::error_code& ec) {
    // A value of two bytes of text takes forty in memory: the text's own bound is not enough.
    if (values_left_ == 0) return Stop(ec, ErrorCode::kLimitExceeded, "more values than this document can have");
    values_left_ -= 1;
    if (stack_.empty()) {
      root_ = std::move(value);
    } else if (Frame& top = stack_.back(); top.value.is_object()) {
      Json::Object& members = top.value.as_object();
      if (members.empty()) members.reserve(kFirstMembers);
      members.emplace_back(std::move(top.key), std::move(value));
      top.key.clear();
    } else {
      top.value.as_array().push_back(std::move(value));
    }
    return true;
  }

  // An object that has members at all mostly has some; more would be what a hostile text of small objects costs.
  static constexpr size_t kFirstMembers = 2;

  size_t values_left_;
  std::vector<Frame> stack_;
  std::string text_;
  Json root_;
  std::optional<Error> failure_;
};

void AppendEscaped(std::string& out, std::string_view text) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  out += '"';
  for (const char c : text) {
    const auto byte = static_cast<uint8_t>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (c == '\n') {
      out += "\\n";
    } else if (byte < 0x20) {
      out += "\\u00";
      out += kDigits[byte >> 4];
      out += kDigits[byte & 15];
    } else {
      out += c;
    }
  }
  out += '"';
}

void AppendIndent(std::string& out, int indent) {
  if (indent < 0) return;
  out += '\n';
  out.append(static_cast<size_t>(indent) * 2, ' ');
}

// indent < 0: compact.
void Append(std::string& out, const Json& json, int indent) {
  const int inner = indent < 0 ? -1 : indent + 1;
  if (json.is_object() || json.is_array()) {
    const bool is_object = json.is_object();
    out += is_object ? '{' : '[';
    bool is_first = true;
    if (is_object) {
      for (const auto& [name, value] : json.as_object()) {
        if (!is_first) out += ',';
        is_first = false;
        AppendIndent(out, inner);
        AppendEscaped(out, name);
        out += indent < 0 ? ":" : ": ";
        Append(out, value, inner);
      }
    } else {
      for (const auto& value : json.as_array()) {
        if (!is_first) out += ',';
        is_first = false;
        AppendIndent(out, inner);
        Append(out, value, inner);
      }
    }
    if (!is_first) AppendIndent(out, indent);
    out += is_object ? '}' : ']';
  } else if (json.is_string()) {
    AppendEscaped(out, json.as_string());
  } else if (json.is_integer()) {
    out += std::to_string(json.as_integer());
  } else if (json.is_bool()) {
    out += json.as_bool() ? "true" : "false";
  } else {
    out += "null";
  }
}

}  // namespace

Json::Json() = default;
Json::Json(const Json&) = default;
Json::Json(Json&&) noexcept = default;
Json& Json::operator=(const Json&) = default;
Json& Json::operator=(Json&&) noexcept = default;
Json::~Json() = default;

const Json* Json::Find(std::string_view name) const {
  if (!is_object()) return nullptr;
  for (const auto& member : as_object()) {
    if (member.first == name) return &member.second;
  }
  return nullptr;
}

Json& Json::Set(std::string_view name, Json value) {
  CHECK(is_object() && Find(name) == nullptr);
  as_object().emplace_back(std::string(name), std::move(value));
  return *this;
}

void Json::Push(Json value) {
  CHECK(is_array());
  as_array().push_back(std::move(value));
}

std::string Json::Serialize() const {
  std::string out;
  Append(out, *this, -1);
  return out;
}

std::string Json::SerializePretty() const {
  std::string out;
  Append(out, *this, 0);
  return out;
}

Result<Json> ParseJson(std::string_view text, const JsonLimits& limits) {
  if (text.size() > limits.bytes_max) {
    return Fail(ErrorCode::kDocumentTooLarge, "more than " + std::to_string(limits.bytes_max) + " bytes");
  }
  bj::parse_options options;
  options.max_depth = static_cast<std::size_t>(limits.depth_max);
  bj::basic_parser<StrictHandler> parser(options, limits.members_max);
  bj::error_code ec;
  const size_t used = parser.write_some(false, text.data(), text.size(), ec);
  if (parser.handler().failure()) return tl::unexpected(*parser.handler().failure());
  if (ec == bj::error::too_deep) return Fail(ErrorCode::kJsonTooDeep, "nested too deeply");
  if (ec == bj::error::object_too_large || ec == bj::error::array_too_large || ec == bj::error::key_too_large) {
    return Fail(ErrorCode::kLimitExceeded, ec.message());
  }
  if (ec) return Fail(ErrorCode::kJsonInvalid, ec.message());
  if (used != text.size()) return Fail(ErrorCode::kJsonInvalid, "text after the value");
  return parser.handler().TakeRoot();
}

Status VisitMinifiedMember(std::string_view text, std::string_view name,
                           const std::function<void(std::string_view part)>& visit) {
  // The text is valid JSON, so depth and strings are all there is to track.
  const std::string quoted = std::string(name) + '"';
  std::string key;
  int depth = 0;
  bool is_in_string = false;
  bool is_copying = false;
  bool is_key_position = false;
  size_t part = 0;  // where the part that is copied begins
  const auto end_part = [&](size_t end) {
    if (is_copying && part < end) visit(text.substr(part, end - part));
    part = end + 1;
  };
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (is_in_string) {
      const bool is_key = !is_copying && depth == 1;
      if (is_key) key += c;
      if (c == '\\') {
        ++i;
        if (is_key) key += text[i];
      } else if (c == '"') {
        is_in_string = false;
      }
      continue;
    }
    if (c == ' ' || c == '\t' || c == '\n' || c == '\r') {
      end_part(i);
      continue;
    }
    if (is_copying && depth == 1 && (c == ',' || c == '}')) {
      end_part(i);
      return {};
    }
    if (c == '"') {
      is_in_string = true;
      if (!is_copying && depth == 1 && is_key_position) key.clear();
    } else if (c == '{' || c == '[') {
      ++depth;
      is_key_position = depth == 1;
    } else if (c == '}' || c == ']') {
      --depth;
    } else if (c == ',' && depth == 1) {
      is_key_position = true;
    } else if (c == ':' && depth == 1 && is_key_position) {
      is_key_position = false;
      is_copying = key == quoted;
      part = i + 1;
    }
  }
  return Fail(ErrorCode::kMemberMissing, std::string(name));
}

Result<std::string> MinifiedMember(std::string_view text, std::string_view name) {
  std::string minified;
  TRY(VisitMinifiedMember(text, name, [&](std::string_view part) { minified += part; }));
  return minified;
}

bool IsPrintableAscii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= 0x20 && c <= 0x7e; });
}

bool IsPackageText(std::string_view text) {
  return IsPrintableAscii(text) && text.find_first_of("\\/") == std::string_view::npos;
}

}  // namespace fleetseal::codec
