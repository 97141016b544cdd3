#include "codec/base64.h"
#include "codec/hex.h"
#include "codec/json.h"

namespace fleetseal::codec {
namespace {

const Json kEmptyObject = Json::MakeObject();
const Json kEmptyArray = Json::MakeArray();
const Json kNull;

// How many members are marked without memory of their own.
constexpr size_t kFirstCount = 64;

}  // namespace

void ObjectReader::MarkAsked(size_t position) {
  if (position < kFirstCount)
    asked_first_ |= uint64_t{1} << position;
  else
    asked_more_[position - kFirstCount] = true;
}

bool ObjectReader::IsAsked(size_t position) const {
  if (position < kFirstCount) return (asked_first_ >> position & 1) != 0;
  return asked_more_[position - kFirstCount];
}

ObjectReader::ObjectReader(const Json& json, std::string_view what) : json_(json), what_(what) {
  if (json.is_object()) {
    if (const size_t count = json.as_object().size(); count > kFirstCount) asked_more_.resize(count - kFirstCount);
  } else {
    status_ = Fail(ErrorCode::kMemberTypeWrong, what_ + " is not an object");
  }
}

void ObjectReader::Stop(ErrorCode code, std::string_view name, std::string_view detail) {
  if (!status_) return;
  std::string text = what_ + "." + std::string(name);
  if (!detail.empty()) text += ": " + std::string(detail);
  status_ = Fail(code, std::move(text));
}

const Json* ObjectReader::Get(std::string_view name, bool is_required) {
  if (!status_) return nullptr;
  const auto& members = json_.as_object();
  for (size_t i = 0; i < members.size(); ++i) {
    if (members[i].first == name) {
      MarkAsked(i);
      return &members[i].second;
    }
  }
  if (is_required) Stop(ErrorCode::kMemberMissing, name, {});
  return nullptr;
}

bool ObjectReader::Has(std::string_view name) const { return json_.Find(name) != nullptr; }

std::string ObjectReader::String(std::string_view name, size_t size_max) {
  const Json* value = Get(name, true);
  if (value == nullptr) return {};
  if (!value->is_string()) {
    Stop(ErrorCode::kMemberTypeWrong, name, "not a string");
    return {};
  }
  if (value->as_string().size() > size_max) {
    Stop(ErrorCode::kValueOutOfRange, name, "too long");
    return {};
  }
  return value->as_string();
}

std::optional<std::string> ObjectReader::OptionalString(std::string_view name, size_t size_max) {
  if (!Has(name)) return std::nullopt;
  return String(name, size_max);
}

int64_t ObjectReader::Integer(std::string_view name, int64_t least, int64_t greatest) {
  const Json* value = Get(name, true);
  if (value == nullptr) return 0;
  if (!value->is_integer()) {
    Stop(ErrorCode::kMemberTypeWrong, name, "not an integer");
    return 0;
  }
  if (value->as_integer() < least || value->as_integer() > greatest) {
    Stop(ErrorCode::kValueOutOfRange, name, "not within " + std::to_string(least) + " to " + std::to_string(greatest));
    return 0;
  }
  return value->as_integer();
}

std::optional<int64_t> ObjectReader::OptionalInteger(std::string_view name, int64_t least, int64_t greatest) {
  if (!Has(name)) return std::nullopt;
  return Integer(name, least, greatest);
}

std::optional<UnixSeconds> ObjectReader::OptionalTime(std::string_view name) {
  if (!Has(name)) return std::nullopt;
  return Time(name);
}

bool ObjectReader::Bool(std::string_view name) {
  const Json* value = Get(name, true);
  if (value == nullptr) return false;
  if (!value->is_bool()) {
    Stop(ErrorCode::kMemberTypeWrong, name, "not a boolean");
    return false;
  }
  return value->as_bool();
}

bool ObjectReader::OptionalBool(std::string_view name, bool fallback) { return Has(name) ? Bool(name) : fallback; }

Bytes ObjectReader::Base64Url(std::string_view name, size_t size_max) {
  const std::string text = String(name, size_max * 4 / 3 + 4);
  if (!status_) return {};
  auto bytes = DecodeBase64Url(text);
  if (!Take(bytes, name)) return {};
  if (bytes->size() > size_max) {
    Stop(ErrorCode::kValueOutOfRange, name, "too long");
    return {};
  }
  return *std::move(bytes);
}

Sha256 ObjectReader::Base64UrlSha256(std::string_view name) {
  const std::string text = String(name);
  if (!status_) return {};
  const auto digest = DecodeBase64UrlSha256(text);
  return Take(digest, name) ? *digest : Sha256{};
}

std::optional<Sha256> ObjectReader::OptionalBase64UrlSha256(std::string_view name) {
  if (!Has(name)) return std::nullopt;
  return Base64UrlSha256(name);
}

Sha256 ObjectReader::Base64Sha256(std::string_view name) {
  const std::string text = String(name);
  if (!status_) return {};
  const auto bytes = DecodeBase64(text);
  if (!Take(bytes, name)) return {};
  const auto digest = Sha256::FromBytes(*bytes);
  if (!digest) Stop(ErrorCode::kBase64Invalid, name, "not 32 bytes");
  return digest.value_or(Sha256{});
}

Sha256 ObjectReader::HexSha256(std::string_view name) {
  const std::string text = String(name);
  if (!status_) return {};
  const auto digest = DecodeHexSha256(text);
  return Take(digest, name) ? *digest : Sha256{};
}

const Json& ObjectReader::Object(std::string_view name) {
  const Json* value = Get(name, true);
  if (value == nullptr) return kEmptyObject;
  if (!value->is_object()) {
    Stop(ErrorCode::kMemberTypeWrong, name, "not an object");
    return kEmptyObject;
  }
  return *value;
}

const Json* ObjectReader::OptionalObject(std::string_view name) { return Has(name) ? &Object(name) : nullptr; }

const Json::Array& ObjectReader::Array(std::string_view name, size_t count_max) {
  const Json* value = Get(name, true);
  if (value == nullptr) return kEmptyArray.as_array();
  if (!value->is_array()) {
    Stop(ErrorCode::kMemberTypeWrong, name, "not an array");
    return kEmptyArray.as_array();
  }
  if (value->as_array().size() > count_max) {
    Stop(ErrorCode::kValueOutOfRange, name, "more than " + std::to_string(count_max) + " elements");
    return kEmptyArray.as_array();
  }
  return value->as_array();
}

const Json::Array* ObjectReader::OptionalArray(std::string_view name, size_t count_max) {
  return Has(name) ? &Array(name, count_max) : nullptr;
}

const Json& ObjectReader::Any(std::string_view name) {
  const Json* value = Get(name, true);
  return value == nullptr ? kNull : *value;
}

std::vector<std::string> ObjectReader::Strings(std::string_view name, size_t count_max) {
  std::vector<std::string> texts;
  for (const Json& element : Array(name, count_max)) {
    if (!element.is_string()) {
      Stop(ErrorCode::kMemberTypeWrong, name, "an element is not a string");
      return {};
    }
    texts.push_back(element.as_string());
  }
  return texts;
}

Status ObjectReader::Finish() {
  TRY(status_);
  for (size_t i = 0; i < json_.as_object().size(); ++i) {
    if (!IsAsked(i)) return Fail(ErrorCode::kMemberUnknown, what_ + "." + json_.as_object()[i].first);
  }
  return {};
}

}  // namespace fleetseal::codec
