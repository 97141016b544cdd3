#include "manifest/update_manifest.h"

#include <gtest/gtest.h>

#include "codec/base64.h"
#include "codec/json.h"
#include "crypto/digest.h"

namespace fleetseal::manifest {
namespace {

UpdateManifest Good() {
  UpdateManifest manifest;
  manifest.product = ProductName::Parse("acme/gateway").value();
  manifest.version = UpdateVersion::Parse("1.2.3").value();
  manifest.compatibility = {{{"manufacturer", "acme"}, {"model", "g1"}}};
  const Sha256 digest{};
  manifest.files = {
      {FileId::Parse("f0123456789abcdef").value(), "rootfs.img", {1000}, digest, std::nullopt, std::nullopt},
      {FileId::Parse("ffedcba9876543210").value(), "app.tar", {0}, digest, Bytes(48), Bytes(64)}};
  manifest.steps = {{"fleetseal/slot:1", {manifest.files[0].id}, {}},
                    {"fleetseal/file:1", {manifest.files[1].id}, {{"target", "app.tar"}}}};
  manifest.created = {1795255200};
  return manifest;
}
ErrorCode CodeOf(const std::string& text) {
  const auto parsed = UpdateManifest::Parse(text);
  return parsed ? ErrorCode::kInternal : parsed.error().code;
}
std::string Replaced(std::string text, std::string_view from, std::string_view to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(UpdateManifest, HasThisText) {
  UpdateManifest manifest = Good();
  manifest.files.pop_back();
  manifest.steps.pop_back();
  EXPECT_EQ(
      manifest.Build(),
      R"({"manifestVersion":"5","updateId":{"provider":"acme","name":"gateway","version":"1.2.3"},)"
      R"("compatibility":[{"manufacturer":"acme","model":"g1"}],)"
      R"("instructions":{"steps":[{"handler":"fleetseal/slot:1","files":["f0123456789abcdef"]}]},)"
      R"("files":{"f0123456789abcdef":{"fileName":"rootfs.img","sizeInBytes":1000,"hashes":{"sha256":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}}},)"
      R"("createdDateTime":"2026-11-21T10:00:00Z"})");
}

TEST(UpdateManifest, ParseAndBuildAreInverse) {
  UpdateManifest manifest = Good();
  manifest.component = "modem";
  manifest.description = "second try";
  const std::string text = manifest.Build();
  const auto parsed = UpdateManifest::Parse(text);
  ASSERT_TRUE(parsed.has_value()) << parsed.error().ToString();
  EXPECT_EQ(parsed->Build(), text);
  EXPECT_EQ(parsed->CounterName(), "acme/gateway#modem");
  EXPECT_EQ(Good().CounterName(), "acme/gateway#main");
  EXPECT_NE(parsed->FindFile("ffedcba9876543210"), nullptr);
  EXPECT_EQ(parsed->FindFile("f0"), nullptr);
}

TEST(UpdateManifest, TakesVersionsFourAndFiveAsTexts) {
  const std::string text = Good().Build();
  EXPECT_EQ(CodeOf(Replaced(text, "\"manifestVersion\":\"5\"", "\"manifestVersion\":\"4\"")), ErrorCode::kInternal);
  EXPECT_EQ(CodeOf(Replaced(text, "\"manifestVersion\":\"5\"", "\"manifestVersion\":\"6\"")),
            ErrorCode::kFormatVersionUnknown);
  EXPECT_EQ(CodeOf(Replaced(text, "\"manifestVersion\":\"5\"", "\"manifestVersion\":5")), ErrorCode::kMemberTypeWrong);
}

TEST(UpdateManifest, S1_13_NeedsSha256AndRefusesWeakerHashesAndOtherLengths) {
  const std::string text = Good().Build();
  const std::string sha256 = "\"sha256\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"";
  EXPECT_EQ(CodeOf(Replaced(text, sha256, "\"sha1\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAA=\"")), ErrorCode::kKeyWeak);
  EXPECT_EQ(CodeOf(Replaced(text, sha256, sha256 + ",\"sha1\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAA=\"")), ErrorCode::kKeyWeak);
  EXPECT_EQ(CodeOf(Replaced(text, sha256, sha256 + ",\"md5\":\"AAAA\"")), ErrorCode::kKeyWeak);
  EXPECT_EQ(CodeOf(Replaced(text, sha256, "\"sha384\":\"" + codec::EncodeBase64(Bytes(48)) + "\"")),
            ErrorCode::kMemberMissing);
  EXPECT_EQ(CodeOf(Replaced(text, sha256, "\"sha256\":\"AAAAAAAAAAAAAAAAAAAAAAAAAAA=\"")), ErrorCode::kBase64Invalid);
  EXPECT_EQ(CodeOf(Replaced(text, sha256, sha256 + ",\"sha512\":\"" + codec::EncodeBase64(Bytes(48)) + "\"")),
            ErrorCode::kBase64Invalid);
}

TEST(UpdateManifest, EveryMemberIsNeededAndNoneIsUnknown) {
  const codec::Json json = codec::ParseJson(Good().Build()).value();
  for (const auto& member : json.as_object()) {
    codec::Json without = codec::Json::MakeObject();
    for (const auto& [name, value] : json.as_object()) {
      if (name != member.first) without.Set(name, value);
    }
    EXPECT_NE(CodeOf(without.Serialize()), ErrorCode::kInternal) << member.first;
    codec::Json retyped = json;
    for (auto& [name, value] : retyped.as_object()) {
      if (name == member.first) value = 7;
    }
    EXPECT_EQ(CodeOf(retyped.Serialize()), ErrorCode::kMemberTypeWrong) << member.first;
  }
  codec::Json more = json;
  more.Set("isBundle", false);
  EXPECT_EQ(CodeOf(more.Serialize()), ErrorCode::kMemberUnknown);
  EXPECT_EQ(CodeOf(std::string(limits::kManifestBytesMax + 1, ' ')), ErrorCode::kDocumentTooLarge);
}

TEST(UpdateManifest, FilesHaveSafeNamesIdsAndSizes) {
  const std::string text = Good().Build();
  for (const char* name : {"../rootfs", "a/b", ".", "..", "", "a\\\\b", "a b"}) {
    EXPECT_EQ(CodeOf(Replaced(text, "\"fileName\":\"rootfs.img\"", std::string("\"fileName\":\"") + name + "\"")),
              ErrorCode::kIdInvalid)
        << name;
  }
  EXPECT_EQ(CodeOf(Replaced(text, "\"fileName\":\"rootfs.img\"", "\"fileName\":\"app.tar\"")),
            ErrorCode::kValueOutOfRange);
  EXPECT_EQ(CodeOf(Replaced(text, "\"f0123456789abcdef\":", "\"f0123456789ABCDEF\":")), ErrorCode::kIdInvalid);
  EXPECT_EQ(CodeOf(Replaced(text, "\"sizeInBytes\":1000", "\"sizeInBytes\":-1")), ErrorCode::kValueOutOfRange);
  EXPECT_EQ(CodeOf(Replaced(text, "\"sizeInBytes\":1000", "\"sizeInBytes\":68719476737")), ErrorCode::kValueOutOfRange);
}

TEST(UpdateManifest, StepsNameFilesOfTheManifestAndWhatTheirHandlerTakes) {
  const std::string text = Good().Build();
  EXPECT_EQ(CodeOf(Replaced(text, "\"files\":[\"f0123456789abcdef\"]", "\"files\":[\"f0000000000000000\"]")),
            ErrorCode::kValueOutOfRange);
  EXPECT_EQ(CodeOf(Replaced(text, "\"files\":[\"f0123456789abcdef\"]", "\"files\":[]")), ErrorCode::kValueOutOfRange);
  EXPECT_EQ(CodeOf(Replaced(text, "\"files\":[\"f0123456789abcdef\"]",
                            "\"files\":[\"f0123456789abcdef\",\"ffedcba9876543210\"]")),
            ErrorCode::kValueOutOfRange);
  EXPECT_EQ(CodeOf(Replaced(text, ",\"handlerProperties\":{\"target\":\"app.tar\"}", "")), ErrorCode::kMemberMissing);
  EXPECT_EQ(CodeOf(Replaced(text, "\"target\":\"app.tar\"", "\"target\":\"../app.tar\"")), ErrorCode::kIdInvalid);
  EXPECT_EQ(CodeOf(Replaced(text, "\"target\":\"app.tar\"", "\"target\":7")), ErrorCode::kMemberTypeWrong);
  UpdateManifest many = Good();
  many.steps.resize(11, many.steps[0]);
  EXPECT_EQ(CodeOf(many.Build()), ErrorCode::kValueOutOfRange);
  many.steps.clear();
  EXPECT_EQ(CodeOf(many.Build()), ErrorCode::kValueOutOfRange);
}

TEST(UpdateManifest, CompatibilityHasOneToTenSetsOfOneToFive) {
  UpdateManifest manifest = Good();
  manifest.compatibility.clear();
  EXPECT_EQ(CodeOf(manifest.Build()), ErrorCode::kValueOutOfRange);
  manifest.compatibility = {{}};
  EXPECT_EQ(CodeOf(manifest.Build()), ErrorCode::kValueOutOfRange);
  manifest.compatibility = {{{"a", "1"}, {"b", "1"}, {"c", "1"}, {"d", "1"}, {"e", "1"}, {"f", "1"}}};
  EXPECT_EQ(CodeOf(manifest.Build()), ErrorCode::kValueOutOfRange);
  manifest.compatibility = std::vector<CompatibilitySet>(11, {{"a", "1"}});
  EXPECT_EQ(CodeOf(manifest.Build()), ErrorCode::kValueOutOfRange);
  manifest.compatibility = {{{"a", std::string(65, 'x')}}};
  EXPECT_EQ(CodeOf(manifest.Build()), ErrorCode::kValueOutOfRange);
}

TEST(UpdateManifest, KnowsStepsForTheAgentItself) {
  UpdateManifest manifest = Good();
  EXPECT_FALSE(manifest.has_self_step());
  manifest.steps[0].handler = std::string(kHandlerSelf);
  EXPECT_TRUE(manifest.has_self_step());
  EXPECT_FALSE(manifest.is_self_only());
  manifest.steps.pop_back();
  EXPECT_TRUE(manifest.is_self_only());
}

constexpr std::string_view kImport = R"({
  "$schema": "https://json.schemastore.org/azure-deviceupdate-import-manifest-5.0.json",
  "manifestVersion": "5.0",
  "updateId": {"provider": "acme", "name": "gateway", "version": "1.2"},
  "description": "first",
  "isDeployable": true,
  "compatibility": [{"manufacturer": "acme", "model": "g1"}],
  "instructions": {"steps": [{"type": "inline", "description": "write it", "handler": "fleetseal/slot:1", "files": ["rootfs.img"]}]},
  "files": [{"filename": "rootfs.img", "sizeInBytes": 8, "hashes": {"sha256": "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="}}],
  "createdDateTime": "2026-11-21T10:00:00Z"
})";

ErrorCode ImportCode(const std::string& text) {
  const auto parsed = ImportManifest::Parse(text);
  return parsed ? ErrorCode::kInternal : parsed.error().code;
}

TEST(ImportManifest, BecomesAnUpdateManifestThatParses) {
  const auto import = ImportManifest::Parse(kImport);
  ASSERT_TRUE(import.has_value()) << import.error().ToString();
  const UpdateManifest manifest = import->ToUpdateManifest();
  const std::string text = manifest.Build();
  const auto parsed = UpdateManifest::Parse(text);
  ASSERT_TRUE(parsed.has_value()) << parsed.error().ToString();
  EXPECT_EQ(parsed->Build(), text);
  EXPECT_EQ(import->ToUpdateManifest().Build(), text);
  EXPECT_EQ(parsed->steps[0].files[0], parsed->files[0].id);
  EXPECT_EQ(parsed->files[0].id, MakeFileId("rootfs.img", Sha256{}));
  EXPECT_NE(MakeFileId("a", Sha256{}), MakeFileId("b", Sha256{}));
}

TEST(ImportManifest, RefusesWhatItDoesNotKnowOrCannotDo) {
  const std::string text(kImport);
  EXPECT_EQ(ImportCode(Replaced(text, "\"description\": \"first\",", "\"more\": 1,")), ErrorCode::kMemberUnknown);
  EXPECT_EQ(ImportCode(Replaced(text, "\"manifestVersion\": \"5.0\"", "\"manifestVersion\": \"3.0\"")),
            ErrorCode::kFormatVersionUnknown);
  EXPECT_EQ(ImportCode(Replaced(text, "\"manifestVersion\": \"5.0\"", "\"manifestVersion\": \"4.0\"")),
            ErrorCode::kInternal);
  EXPECT_EQ(ImportCode(Replaced(text, "\"isDeployable\": true", "\"isDeployable\": false")), ErrorCode::kUnsupported);
  EXPECT_EQ(ImportCode(Replaced(text, "\"type\": \"inline\"", "\"type\": \"reference\"")), ErrorCode::kUnsupported);
  EXPECT_EQ(ImportCode(Replaced(text, "\"sizeInBytes\": 8", "\"relatedFiles\": [], \"sizeInBytes\": 8")),
            ErrorCode::kUnsupported);
  EXPECT_EQ(ImportCode(Replaced(text, "\"files\": [\"rootfs.img\"]", "\"files\": [\"other.img\"]")),
            ErrorCode::kValueOutOfRange);
  EXPECT_EQ(ImportCode(Replaced(text, "\"sha256\": \"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=\"",
                                "\"sha1\": \"AAAAAAAAAAAAAAAAAAAAAAAAAAA=\"")),
            ErrorCode::kKeyWeak);
  EXPECT_EQ(ImportCode(Replaced(text, "\"sizeInBytes\": 8", "\"sizeInBytes\": 0")), ErrorCode::kValueOutOfRange);
  EXPECT_EQ(ImportCode(Replaced(text, "\"filename\": \"rootfs.img\"", "\"filename\": \"../x\"")),
            ErrorCode::kIdInvalid);
}

TEST(ImportManifest, RefusesAStepThatNoDeviceWouldTake) {
  const std::string text(kImport);
  EXPECT_EQ(ImportCode(Replaced(text, "fleetseal/slot:1", "fleetseal/file:1")), ErrorCode::kMemberMissing);
  EXPECT_EQ(ImportCode(Replaced(text, "[\"rootfs.img\"]}]", "[\"rootfs.img\", \"rootfs.img\"]}]")),
            ErrorCode::kValueOutOfRange);
}

}  // namespace
}  // namespace fleetseal::manifest
