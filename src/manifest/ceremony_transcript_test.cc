#include "manifest/ceremony_transcript.h"

#include <gtest/gtest.h>

#include "crypto/digest.h"
#include "crypto/key.h"
#include "manifest/log_leaf.h"

namespace fleetseal::manifest {
namespace {

KeyId Kid(std::string_view text) { return KeyId::Parse(text).value(); }

CeremonyTranscript Example() {
  CeremonyTranscript transcript;
  transcript.version = 2;
  transcript.signed_sha256 = crypto::HashSha256("text");
  transcript.previous_version = 1;
  transcript.previous_signed_sha256 = crypto::HashSha256("text before");
  transcript.draft = {"ada", {1000}, {"root root-1 is disabled"}};
  transcript.signatures = {{"bob", {1001}, Kid("root-2"), crypto::HashSha256("key"), crypto::HashSha256("signature")}};
  return transcript;
}

RootPackageDocument Document() {
  RootPackageDocument document;
  document.package.version = 2;
  document.signed_sha256 = crypto::HashSha256("text");
  document.signatures = {{Kid("root-2"), crypto::SignatureAlgorithm::kEs256, ToBytes("signature")}};
  return document;
}

TEST(CeremonyTranscript, RoundTripsThroughItsText) {
  const std::string text = Example().Build();
  const auto read = CeremonyTranscript::Parse(text);
  ASSERT_TRUE(read) << read.error().ToString();
  EXPECT_EQ(read->Build(), text);
  EXPECT_EQ(read->signatures.front().by, "bob");
}

TEST(CeremonyTranscript, FitsThePackageThatItTellsOfOnly) {
  EXPECT_TRUE(Example().CheckFits(Document()));
  const auto code = [](const CeremonyTranscript& transcript, const RootPackageDocument& document) {
    return transcript.CheckFits(document).error().code;
  };
  auto document = Document();
  document.package.version = 3;
  EXPECT_EQ(code(Example(), document), ErrorCode::kConflict);
  document = Document();
  document.signed_sha256 = crypto::HashSha256("another text");
  EXPECT_EQ(code(Example(), document), ErrorCode::kConflict);
  // A signature of which it does not tell, by another root or other bytes.
  document = Document();
  document.signatures.push_back({Kid("root-3"), crypto::SignatureAlgorithm::kEs256, ToBytes("signature")});
  EXPECT_EQ(code(Example(), document), ErrorCode::kConflict);
  document = Document();
  document.signatures.front().signature = ToBytes("another signature");
  EXPECT_EQ(code(Example(), document), ErrorCode::kConflict);
}

TEST(CeremonyTranscript, NamesNobodyWhoHasNotSigned) {
  const auto code = [](const CeremonyTranscript& transcript, const RootPackageDocument& document) {
    return transcript.CheckFits(document).error().code;
  };
  auto transcript = Example();
  transcript.signatures.push_back({"eve", {1002}, Kid("root-3"), crypto::HashSha256("key"), crypto::HashSha256("x")});
  EXPECT_EQ(code(transcript, Document()), ErrorCode::kConflict);
  // A second story about the same signature, and one about other bytes beside the true one.
  transcript = Example();
  transcript.signatures.push_back(transcript.signatures.front());
  transcript.signatures.back().by = "eve";
  EXPECT_EQ(code(transcript, Document()), ErrorCode::kConflict);
  transcript.signatures.back().signature_sha256 = crypto::HashSha256("x");
  EXPECT_EQ(code(transcript, Document()), ErrorCode::kConflict);
  // Another key than the root's.
  auto document = Document();
  const auto key = crypto::PrivateKey::Generate(crypto::KeyKind::kP256).value().public_key();
  document.package.root_keys_ext = {{Kid("root-2"), key}};
  EXPECT_EQ(code(Example(), document), ErrorCode::kConflict);
  transcript = Example();
  transcript.signatures.front().thumbprint = key.thumbprint();
  EXPECT_TRUE(transcript.CheckFits(document));
}

TEST(CeremonyTranscript, IsReadStrictly) {
  const std::string text = Example().Build();
  const auto with = [&](std::string_view from, std::string_view to) {
    std::string changed = text;
    const size_t at = changed.find(from);
    EXPECT_NE(at, std::string::npos) << from;
    changed.replace(at, from.size(), to);
    const auto read = CeremonyTranscript::Parse(changed);
    return read ? ErrorCode::kInternal : read.error().code;
  };
  EXPECT_EQ(with("\"format\":1", "\"format\":2"), ErrorCode::kFormatVersionUnknown);
  EXPECT_EQ(with("{\"format\"", "{\"more\":1,\"format\""), ErrorCode::kMemberUnknown);
  EXPECT_EQ(with("\"by\":\"ada\"", "\"by\":\"\""), ErrorCode::kValueOutOfRange);
  EXPECT_EQ(with("root root-1", "root\\u001b[2J"), ErrorCode::kTextInvalid);
  EXPECT_EQ(with("\"root\":\"root-2\"", "\"root\":\"root/2\""), ErrorCode::kIdInvalid);
  EXPECT_EQ(with("\"time\":1001,", ""), ErrorCode::kMemberMissing);
  EXPECT_EQ(CeremonyTranscript::Parse(std::string(kTranscriptBytesMax + 1, ' ')).error().code,
            ErrorCode::kDocumentTooLarge);
}

TEST(PackageLeaf, NamesTheTranscriptIfOneCame) {
  const Sha256 hash = crypto::HashSha256("x");
  EXPECT_EQ(PackageLeaf({{1}, 2, hash}).Build().find("transcriptSha256"), std::string::npos);
  EXPECT_NE(PackageLeaf({{1}, 2, hash, hash}).Build().find("\"transcriptSha256\":\""), std::string::npos);
}

}  // namespace
}  // namespace fleetseal::manifest
