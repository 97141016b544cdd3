#include "manifest/security_replacement.h"

#include <algorithm>

#include "manifest/fields.h"

namespace fleetseal::manifest {
namespace {

constexpr size_t kPeopleMax = 32;

std::optional<SecurityPerson> ReadPerson(codec::ObjectReader& reader, const codec::Json& element) {
  codec::ObjectReader inner(element, "people");
  const PersonId id = inner.Parsed<PersonId>("id");
  const auto key = Key(inner, "key");
  if (!reader.Take(inner.Finish(), "people")) return std::nullopt;
  return SecurityPerson{id, *key};
}

}  // namespace

Result<SecurityReplacement> SecurityReplacement::Parse(std::string_view payload) {
  TRY_ASSIGN(const codec::Json json, ParsePayload(payload));
  codec::ObjectReader reader(json, "security replacement");
  SecurityReplacement made;
  made.change_id = reader.Parsed<ChangeId>("changeId");
  made.organisation = reader.Parsed<Organisation>("organisation");
  made.package_version = reader.Integer("packageVersion", 1);
  made.package_sha256 = reader.Base64UrlSha256("packageSha256");
  made.sequence = reader.Integer("sequence", 1);
  for (const codec::Json& element : reader.Array("people", kPeopleMax)) {
    const auto person = ReadPerson(reader, element);
    if (!person) break;
    const bool is_there = std::ranges::any_of(
        made.people, [&](const auto& other) { return other.id == person->id || other.key == person->key; });
    if (is_there) reader.Stop(ErrorCode::kValueOutOfRange, "people", "a person or a key is there twice");
    made.people.push_back(*person);
  }
  made.quorum = reader.Integer("quorum", 1, static_cast<int64_t>(made.people.size()));
  if (const codec::Json* halt = reader.OptionalObject("continueAfterRestore")) {
    auto decision = ParseContinueAfterRestore(*halt);
    if (reader.Take(decision, "continueAfterRestore")) made.decision = *std::move(decision);
  }
  Dates(reader, made.issued, made.expires);
  if (reader.is_good() && made.expires.value - made.issued.value > kReplacementLifetimeMax)
    reader.Stop(ErrorCode::kValueOutOfRange, "expires", "more than 30 days");
  TRY(reader.Finish());
  return made;
}

std::string SecurityReplacement::Build() const {
  codec::Json list = codec::Json::MakeArray();
  for (const auto& person : people)
    list.Push(codec::Json::MakeObject().Set("id", person.id.text()).Set("key", KeyJson(person.key)));
  codec::Json json = codec::Json::MakeObject();
  json.Set("changeId", change_id.text())
      .Set("organisation", organisation.text())
      .Set("packageVersion", package_version)
      .Set("packageSha256", HashJson(package_sha256))
      .Set("sequence", sequence)
      .Set("people", std::move(list))
      .Set("quorum", quorum);
  if (decision) json.Set("continueAfterRestore", ContinueAfterRestoreJson(*decision));
  json.Set("issued", TimeJson(issued)).Set("expires", TimeJson(expires));
  return json.Serialize();
}

}  // namespace fleetseal::manifest
