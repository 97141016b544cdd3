// Every member of every signed payload, at every depth: missing, of another type, there twice, unknown, not in its
// form.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include "manifest/enrolment.h"
#include "manifest/log_leaf.h"
#include "manifest/manifest_signature.h"
#include "manifest/testing/good_documents.h"

namespace fleetseal::manifest {
namespace {

using namespace testing;  // NOLINT(google-build-using-namespace)
using codec::Json;

struct Kind {
  std::string name;
  std::string good;
  std::function<Result<std::string>(std::string_view)> parse_and_build;
  std::set<std::string> optional;  // members that may be missing, by path: "changes.0.haltId"
  std::set<std::string> maps;      // objects whose names are free
  std::set<std::string> texts;     // members that take any text, or any but an empty one
};

template <typename T>
Kind MakeKind(std::string name, const T& good, std::set<std::string> optional = {}, std::set<std::string> maps = {},
              std::set<std::string> texts = {}) {
  const auto parse_and_build = [](std::string_view text) -> Result<std::string> {
    TRY_ASSIGN(const T parsed, T::Parse(text));
    return parsed.Build();
  };
  return {std::move(name), good.Build(), parse_and_build, std::move(optional), std::move(maps), std::move(texts)};
}

std::vector<Kind> ChangeKinds() {
  return {
      MakeKind("register-change", GoodChange(), {}, {"changes.4.properties"}, {"changes.4.properties.model"}),
      MakeKind("register-change continue", GoodChangeOf(GoodDecision())),
      MakeKind("register-change create-key", GoodChangeOf(CreateKey{KeyRole::kPublisher, {kProduct}})),
      MakeKind("register-change retire-key", GoodChangeOf(RetireKey{Id<KeyId>("k1")})),
      MakeKind("register-change new-log", GoodChangeOf(GoodNewLog()), {"changes.0.haltId"}, {},
               {"changes.0.previousOrigin", "changes.0.reason"}),
      MakeKind("security replacement", GoodReplacement(), {"continueAfterRestore"}),
  };
}

std::vector<Kind> AllKinds() {
  std::vector<Kind> kinds = {
      MakeKind("manifest", ManifestSignature{kHash, kProduct, 5, "urn:fleetseal:acme", Delivery::kSealed, {100}}, {},
               {}, {"audience"}),
      MakeKind("status", GoodStatus(), {"nonce"}, {"newest", "newest.acme/gateway"}),
      MakeKind("order", GoodOrder(), {"contentKey", "window", "deadline", "permit"}, {}, {"contentKey", "permit"}),
      MakeKind("permit", GoodPermit()),
      MakeKind("request", GoodRequest(), {}, {}, {"audience"}),
      MakeKind("resign request", GoodResignRequest(), {}, {}, {"audience"}),
      MakeKind("permit request", GoodPermitRequest(), {}, {}, {"audience"}),
      MakeKind("approval", GoodApproval(), {"reason"}, {}, {"reason", "typ"}),
      MakeKind("plan", GoodPlan(), {"window", "deadline", "bytesMax"}),
      MakeKind("revocation", GoodRevocation(), {}, {}, {"reason", "subject"}),
      MakeKind(
          "receipt", GoodReceipt(),
          {"orderId", "manifestSha256", "product", "releaseCounter", "publisherKey", "directorKey", "code", "document"},
          {"phases"}),
      MakeKind("device-keys", DeviceKeys{Id<DeviceId>("d1"), 1, kHash, NewKey(), NewKey(), {100}}),
      MakeKind("enrolment", Enrolment{Id<DeviceId>("d1"), "a.b.c", {100}}, {}, {}, {"keys"}),
      MakeKind("leaf",
               ManifestSignatureLeaf{{100}, kHash, kHash, kProduct, 5, kHash, Id<RequestId>("r1"), kHash, kHash}),
  };
  for (Kind& kind : ChangeKinds()) kinds.push_back(std::move(kind));
  return kinds;
}

// Every object in `json`, by its path; "" is the whole.
void CollectObjects(Json& json, const std::string& path, std::map<std::string, Json*>& found) {
  const auto below = [&](const std::string& name) { return path.empty() ? name : path + "." + name; };
  if (json.is_object()) {
    found[path] = &json;
    for (auto& [name, value] : json.as_object()) CollectObjects(value, below(name), found);
  } else if (json.is_array()) {
    for (size_t i = 0; i < json.as_array().size(); ++i)
      CollectObjects(json.as_array()[i], below(std::to_string(i)), found);
  }
}

// Changes one copy of the document for each object in it, or for each member of each object, and gives the outcome.
class Changed {
 public:
  explicit Changed(const Kind& kind) : kind_(kind), good_(codec::ParseJson(kind.good).value()) {
    Json copy = good_;
    std::map<std::string, Json*> objects;
    CollectObjects(copy, "", objects);
    for (const auto& [path, object] : objects) {
      paths_.push_back(path);
      for (size_t i = 0; i < object->as_object().size(); ++i) members_.emplace_back(path, i);
    }
  }

  using Outcome = Result<std::string>;
  void EachObject(const std::function<void(Json::Object&)>& change,
                  const std::function<void(const std::string& path, const Outcome&)>& judge) const {
    for (const std::string& path : paths_) judge(path, With(path, change));
  }
  // `change` gets the object and the member's position in it; false if this member is none of its business.
  void EachMember(const std::function<bool(Json::Object&, size_t)>& change,
                  const std::function<void(const std::string& path, const Outcome&)>& judge) const {
    for (const auto& [path, position] : members_) {
      bool is_changed = false;
      std::string name;
      const Outcome outcome = With(path, [&](Json::Object& object) {
        name = object[position].first;
        is_changed = change(object, position);
      });
      if (is_changed) judge(path.empty() ? name : path + "." + name, outcome);
    }
  }
  bool IsInMap(const std::string& path) const {
    return std::ranges::any_of(kind_.maps, [&](const auto& map) {
      return path.starts_with(map + ".") && path.find('.', map.size() + 1) == std::string::npos;
    });
  }

 private:
  Outcome With(const std::string& path, const std::function<void(Json::Object&)>& change) const {
    Json copy = good_;
    std::map<std::string, Json*> objects;
    CollectObjects(copy, "", objects);
    change(objects.at(path)->as_object());
    return kind_.parse_and_build(copy.Serialize());
  }

  const Kind& kind_;
  Json good_;
  std::vector<std::string> paths_;
  std::vector<std::pair<std::string, size_t>> members_;
};

Json OfAnotherType(const Json& value) {
  if (value.is_string()) return 7;
  if (value.is_integer()) return "7";
  if (value.is_object()) return Json::MakeArray();
  if (value.is_array()) return Json::MakeObject();
  return 1;
}

TEST(Documents, ParseAndBuildAreInverse) {
  for (const Kind& kind : AllKinds()) {
    const auto built = kind.parse_and_build(kind.good);
    ASSERT_TRUE(built.has_value()) << kind.name << " " << built.error().ToString();
    EXPECT_EQ(*built, kind.good) << kind.name;
  }
}

TEST(Documents, S1_28_EveryMemberIsNeededExceptTheOptionalOnes) {
  for (const Kind& kind : AllKinds()) {
    const Changed changed(kind);
    const auto remove = [](Json::Object& object, size_t i) {
      object.erase(object.begin() + static_cast<std::ptrdiff_t>(i));
      return true;
    };
    changed.EachMember(remove, [&](const std::string& path, const auto& outcome) {
      const bool may_be_missing = kind.optional.contains(path) || changed.IsInMap(path);
      EXPECT_EQ(outcome.has_value(), may_be_missing) << kind.name << ": " << path;
      if (may_be_missing || outcome) return;
      EXPECT_EQ(outcome.error().code, ErrorCode::kMemberMissing) << kind.name << ": " << path;
    });
  }
}

TEST(Documents, S1_28_EveryMemberHasOneType) {
  for (const Kind& kind : AllKinds()) {
    for (const bool is_null : {true, false}) {
      const auto replace = [&](Json::Object& object, size_t i) {
        object[i].second = is_null ? Json() : OfAnotherType(object[i].second);
        return true;
      };
      Changed(kind).EachMember(replace, [&](const std::string& path, const auto& outcome) {
        ASSERT_FALSE(outcome.has_value()) << kind.name << ": " << path;
        EXPECT_EQ(outcome.error().code, ErrorCode::kMemberTypeWrong) << kind.name << ": " << path;
      });
    }
  }
}

TEST(Documents, S1_28_EveryMemberComesOnce) {
  for (const Kind& kind : AllKinds()) {
    const auto repeat = [](Json::Object& object, size_t i) {
      object.push_back(object[i]);
      return true;
    };
    Changed(kind).EachMember(repeat, [&](const std::string& path, const auto& outcome) {
      ASSERT_FALSE(outcome.has_value()) << kind.name << ": " << path;
      EXPECT_EQ(outcome.error().code, ErrorCode::kJsonDuplicateMember) << kind.name << ": " << path;
    });
  }
}

TEST(Documents, S1_28_NoMemberIsUnknown) {
  for (const Kind& kind : AllKinds()) {
    const auto add = [](Json::Object& object) { object.emplace_back("more", 1); };
    Changed(kind).EachObject(add, [&](const std::string& path, const auto& outcome) {
      if (kind.maps.contains(path)) return;
      ASSERT_FALSE(outcome.has_value()) << kind.name << ": " << path;
      EXPECT_EQ(outcome.error().code, ErrorCode::kMemberUnknown) << kind.name << ": " << path;
    });
    EXPECT_EQ(kind.parse_and_build(kind.good + " 1").error().code, ErrorCode::kJsonInvalid) << kind.name;
    EXPECT_EQ(kind.parse_and_build("[]").error().code, ErrorCode::kMemberTypeWrong) << kind.name;
  }
}

TEST(Documents, EmptyTextsOddIdsAndWrongBase64AreRefused) {
  for (const Kind& kind : AllKinds()) {
    for (const std::string text : {"", "caf\xc3\xa9", "../x y"}) {
      const auto replace = [&](Json::Object& object, size_t i) {
        if (!object[i].second.is_string()) return false;
        object[i].second = text;
        return true;
      };
      Changed(kind).EachMember(replace, [&](const std::string& path, const auto& outcome) {
        if (text == "../x y" && kind.texts.contains(path)) return;
        EXPECT_FALSE(outcome.has_value()) << kind.name << ": " << path << " = " << text;
      });
    }
  }
}

}  // namespace
}  // namespace fleetseal::manifest
