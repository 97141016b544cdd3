// Ids as own types, so that a device id never stands where an order id belongs.
//
// Id form (trust model section 3, kids; X10): 1 to 64 of A-Z a-z 0-9 . _ -, and neither "." nor "..".
// ProductName form: "<provider>/<name>", each side an id as above without '_' (Azure import schema: [a-zA-Z0-9.-]).
// Thread rule: plain values. Source of all ids that come from outside: Parse(), which refuses.
#pragma once

#include <compare>
#include <string>
#include <string_view>

#include "base/result.h"

namespace fleetseal {

// True if `text` is 1 to 64 of A-Z a-z 0-9 . _ - and not "." or "..".
bool IsIdText(std::string_view text);

template <typename Tag>
class Id {
 public:
  Id() = default;
  // IdInvalid unless IsIdText(text).
  static Result<Id> Parse(std::string_view text) {
    if (!IsIdText(text))
      return Fail(ErrorCode::kIdInvalid, std::string(Tag::kName) + " is not 1 to 64 of A-Z a-z 0-9 . _ -");
    return Id(std::string(text));
  }
  const std::string& text() const { return text_; }
  bool is_empty() const { return text_.empty(); }
  auto operator<=>(const Id&) const = default;

 private:
  explicit Id(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

struct DeviceIdTag {
  static constexpr std::string_view kName = "device id";
};
struct PersonIdTag {
  static constexpr std::string_view kName = "person id";
};
struct KeyIdTag {
  static constexpr std::string_view kName = "key id";
};
struct OrderIdTag {
  static constexpr std::string_view kName = "order id";
};
struct PlanIdTag {
  static constexpr std::string_view kName = "plan id";
};
struct PermitIdTag {
  static constexpr std::string_view kName = "permit id";
};
struct RequestIdTag {
  static constexpr std::string_view kName = "request id";
};
struct ChangeIdTag {
  static constexpr std::string_view kName = "change id";
};
struct FileIdTag {
  static constexpr std::string_view kName = "file id";
};
struct EnvironmentTag {
  static constexpr std::string_view kName = "environment";
};
struct OrganisationTag {
  static constexpr std::string_view kName = "organisation";
};
struct GroupNameTag {
  static constexpr std::string_view kName = "group name";
};
struct RolloutIdTag {
  static constexpr std::string_view kName = "rollout id";
};

using DeviceId = Id<DeviceIdTag>;
using PersonId = Id<PersonIdTag>;
using KeyId = Id<KeyIdTag>;
using OrderId = Id<OrderIdTag>;
using PlanId = Id<PlanIdTag>;
using PermitId = Id<PermitIdTag>;
using RequestId = Id<RequestIdTag>;
using ChangeId = Id<ChangeIdTag>;
using FileId = Id<FileIdTag>;
using Environment = Id<EnvironmentTag>;
using Organisation = Id<OrganisationTag>;
using GroupName = Id<GroupNameTag>;
using RolloutId = Id<RolloutIdTag>;

// "vendor/name".
class ProductName {
 public:
  ProductName() = default;
  static Result<ProductName> Parse(std::string_view text);
  const std::string& text() const { return text_; }
  std::string_view provider() const { return std::string_view(text_).substr(0, text_.find('/')); }
  std::string_view name() const { return std::string_view(text_).substr(text_.find('/') + 1); }
  bool is_empty() const { return text_.empty(); }
  auto operator<=>(const ProductName&) const = default;

 private:
  explicit ProductName(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

}  // namespace fleetseal
