#include "translog/leaf.h"

#include "base/limits.h"

namespace fleetseal::translog {
namespace {

constexpr size_t kTypeBytesMax = 32;

bool IsLeafType(std::string_view type) {
  return !type.empty() && type.size() <= kTypeBytesMax && type[0] >= 'a' && type[0] <= 'z' &&
         type.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-") == std::string_view::npos;
}

}  // namespace

Result<Bytes> BuildLeaf(std::string_view type, UnixSeconds time, const codec::Json& members) {
  if (!IsLeafType(type)) return Fail(ErrorCode::kInvalidArgument, "leaf type");
  if (time.value < 0 || time.value > limits::kJsonIntegerMax) return Fail(ErrorCode::kInvalidArgument, "leaf time");
  if (!members.is_object() || members.Find("type") != nullptr || members.Find("time") != nullptr) {
    return Fail(ErrorCode::kInvalidArgument, "leaf members");
  }
  codec::Json json = codec::Json::MakeObject();
  json.Set("type", type).Set("time", time.value);
  for (const auto& [name, value] : members.as_object()) json.Set(name, value);
  Bytes bytes = ToBytes(json.Serialize());
  if (bytes.size() > limits::kLogLeafBytesMax) return Fail(ErrorCode::kDocumentTooLarge, "leaf");
  return bytes;
}

Result<Leaf> ParseLeaf(ByteView bytes) {
  codec::JsonLimits json_limits;
  json_limits.bytes_max = limits::kLogLeafBytesMax;
  TRY_ASSIGN(const codec::Json json, codec::ParseJson(AsText(bytes), json_limits));
  if (!json.is_object()) return Fail(ErrorCode::kMemberTypeWrong, "leaf is not an object");
  const auto& members = json.as_object();
  if (members.size() < 2 || members[0].first != "type" || members[1].first != "time") {
    return Fail(ErrorCode::kMemberMissing, "leaf does not begin with type and time");
  }
  const codec::Json& type = members[0].second;
  const codec::Json& time = members[1].second;
  if (!type.is_string() || !time.is_integer()) return Fail(ErrorCode::kMemberTypeWrong, "leaf type or time");
  if (!IsLeafType(type.as_string())) return Fail(ErrorCode::kTextInvalid, "leaf type");
  if (time.as_integer() < 0) return Fail(ErrorCode::kValueOutOfRange, "leaf time");
  if (json.Serialize() != AsText(bytes)) return Fail(ErrorCode::kJsonInvalid, "leaf is not in canonical form");
  Leaf leaf{type.as_string(), {time.as_integer()}, codec::Json::MakeObject()};
  for (size_t i = 2; i < members.size(); ++i) leaf.members.Set(members[i].first, members[i].second);
  return leaf;
}

}  // namespace fleetseal::translog
