// The scrub of a running server (S0.21), on the real store and over TLS.
#include <sys/stat.h>
#include <unistd.h>

#include <chrono>
#include <thread>

#include "crypto/digest.h"
#include "server/imports/scrubber.h"
#include "server/testing/server_fixture.h"

namespace fleetseal::server::testing {
namespace {

class ScrubberTest : public ServerTest {
 protected:
  std::string PathOf(const Sha256& digest) {
    const std::string hex = codec::EncodeHex(digest);
    return sys::JoinPath(lab.config.content, hex.substr(0, 2) + "/" + hex.substr(2, 2) + "/" + hex);
  }
  void Overwrite(const std::string& path, std::string_view bytes) {
    ASSERT_EQ(unlink(path.c_str()), 0);
    ASSERT_TRUE(sys::WriteFileDurably(path, AsBytes(bytes), 0440).has_value());
  }
  int64_t Metric(const std::string& name) {
    const std::string text = ServerLab::Get(*lab.Person("anna"), "/metrics").body;
    const size_t at = text.find("\nfleetseal_" + name + "_total ");
    return at == std::string::npos ? -1 : std::stoll(text.substr(text.find(' ', at + 1)));
  }
  // Moves the clock to the next round and returns when that has ended.
  void NextRound() {
    const int64_t before = Metric("scrub_rounds");
    lab.clock.Advance(lab.config.scrub_seconds);
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
    while (Metric("scrub_rounds") == before) {
      ASSERT_LT(std::chrono::steady_clock::now(), deadline);
      std::this_thread::yield();
    }
  }
  // The file is damaged and found so; returns what it was.
  std::string LoseContent() {
    const std::string bytes = Must(sys::ReadTextFile(PathOf(sealed), 1 << 20));
    Overwrite(PathOf(sealed), "x");
    NextRound();
    EXPECT_EQ(ShowUpdate(release).state, "signed");
    return bytes;
  }
  void PutBack(const std::string& bytes) {
    ASSERT_TRUE(sys::WriteFileDurably(PathOf(sealed), AsBytes(bytes), 0440).has_value());
  }
  bool LacksContent() {
    const auto response = ServerLab::Get(*lab.Person("anna"), "/admin/v1/rollouts/plan-1");
    return Must(api::admin::RolloutRow::Parse(response.body)).devices.at(0).lacks_content;
  }
  std::string EventsOf(const std::string& name) {
    http::ClientRequest request;
    request.path = "/admin/v1/events";
    request.query = {{"event", name}};
    return Must(lab.Person("anna")->Do(request)).body;
  }
};

TEST_F(ScrubberTest, S0_21_AFlippedByteIsQuarantinedNotServedAndImportedAgain) {
  StartRollout();
  NextRound();
  EXPECT_EQ(FetchContent(), "200");
  EXPECT_EQ(Metric("content_damaged"), 0);
  const std::string path = PathOf(sealed);
  std::string bytes = Must(sys::ReadTextFile(path, 1 << 20));
  bytes[bytes.size() / 2] ^= 1;
  Overwrite(path, bytes);
  NextRound();
  EXPECT_EQ(FetchContent(), "NotFound");
  EXPECT_EQ(Metric("content_damaged"), 1);
  EXPECT_EQ(Must(sys::ReadTextFile(lab.config.content + "/quarantine/" + codec::EncodeHex(sealed), 1 << 20)), bytes);
  EXPECT_EQ(ShowUpdate(release).state, "signed");
  EXPECT_NE(EventsOf("content-quarantined").find("\"deviceId\":\"device-1\""), std::string::npos);
  EXPECT_EQ(Plan(release), "UpdateNotDeployable");
  const auto start = ServerLab::Post(*lab.Person("olga"), "/admin/v1/rollouts/plan-1/start", "{}");
  EXPECT_EQ(ServerLab::CodeOf(start), "UpdateNotDeployable");
  // Sealed anew, under another name: what a broken disk may still hold is never taken for it.
  const Sha256 lost = sealed;
  ASSERT_EQ(lab.Upload(*lab.Person("paula"), release, "contents"), "200");
  const auto row = ShowUpdate(release);
  EXPECT_EQ(row.state, "deployable");
  EXPECT_NE(*row.files[0].sealed_sha256, lost);
  NextRound();
  EXPECT_EQ(Metric("content_damaged"), 1);
}

TEST_F(ScrubberTest, S0_21_AnOrderWhoseContentIsLostIsNotOfferedAndGoesOnOnceItsFileIsBack) {
  StartRollout();
  EXPECT_FALSE(LacksContent());
  const std::string bytes = LoseContent();
  EXPECT_FALSE(IsOffered());
  EXPECT_TRUE(LacksContent());
  ASSERT_EQ(lab.Upload(*lab.Person("paula"), release, "contents"), "200");
  ASSERT_EQ(ShowUpdate(release).state, "deployable");
  EXPECT_FALSE(IsOffered()) << "the order names what was lost, not what was sealed anew";
  EXPECT_TRUE(LacksContent());
  EXPECT_EQ(RolloutState(), "running device-1 waiting");
  PutBack(bytes);
  EXPECT_FALSE(LacksContent());
  EXPECT_TRUE(IsOffered());
  EXPECT_EQ(FetchContent(), "200");
}

TEST_F(ScrubberTest, S0_21_WhatWasOfferedBeforeTheLossIsOfferedAgainOnlyAfterTheImport) {
  StartRollout();
  EXPECT_TRUE(IsOffered());
  PutBack(LoseContent());
  EXPECT_FALSE(IsOffered());
  ASSERT_EQ(lab.Upload(*lab.Person("paula"), release, "contents"), "200");
  EXPECT_TRUE(IsOffered());
}

TEST_F(ScrubberTest, S0_21_ASwappedFileIsQuarantined) {
  StartRollout();
  const std::string other = "another file";
  Overwrite(PathOf(sealed), other);
  NextRound();
  EXPECT_EQ(FetchContent(), "NotFound");
  EXPECT_EQ(ShowUpdate(release).state, "signed");
  EXPECT_EQ(Must(sys::ReadTextFile(lab.config.content + "/quarantine/" + codec::EncodeHex(sealed), 1 << 20)), other);
}

TEST_F(ScrubberTest, S0_21_ARoundThatFindsManyDamagedFilesStopsAndTheNextGoesOn) {
  MakeDeployable();
  for (int i = 0; i < 5; ++i) {
    const std::string path = PathOf(crypto::HashSha256("file " + std::to_string(i)));
    ASSERT_TRUE(sys::MakeDirectories(sys::ParentDirectory(path), 0750).has_value());
    ASSERT_TRUE(sys::WriteFileDurably(path, AsBytes("damaged"), 0440).has_value());
  }
  const auto quarantined = [&] { return Must(sys::ListDirectory(lab.config.content + "/quarantine")).size(); };
  const int64_t rounds = Metric("scrub_rounds");
  lab.clock.Advance(lab.config.scrub_seconds);
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (Metric("scrub_stops") == 0 && Metric("scrub_rounds") == rounds) {
    ASSERT_LT(std::chrono::steady_clock::now(), deadline);
    std::this_thread::yield();
  }
  EXPECT_EQ(Metric("scrub_stops"), 1);
  EXPECT_EQ(Metric("scrub_rounds"), rounds);
  EXPECT_EQ(Metric("content_damaged"), 3);
  EXPECT_EQ(quarantined(), 3u);
  NextRound();
  EXPECT_EQ(Metric("scrub_stops"), 1);
  EXPECT_EQ(quarantined(), 5u);
  EXPECT_EQ(ShowUpdate(release).state, "deployable");
}

TEST(ScrubTimes, S0_21_EveryRateIsKeptAndNoneIsMadeUpFor) {
  constexpr ByteCount kPiece{256 * 1024};
  constexpr int64_t kMiB = 1024 * 1024;
  for (const int64_t rate : {64 * 1024L, 32 * kMiB, 200 * kMiB, 1000 * kMiB, 4'294'967'295L}) {
    Pacer pacer(rate);
    int64_t now_ms = 5'000;
    const int64_t pieces = 10 * rate / static_cast<int64_t>(kPiece.value);
    for (int64_t i = 0; i < pieces; ++i) now_ms += pacer.WaitMs(kPiece, now_ms);
    const int64_t least_ms = pieces * static_cast<int64_t>(kPiece.value) * 1000 / rate;
    EXPECT_NEAR(static_cast<double>(now_ms - 5'000), static_cast<double>(least_ms), 2.0) << rate;
    // An hour without reading gives no burst.
    now_ms += 3'600'000;
    EXPECT_GE(pacer.WaitMs(ByteCount{static_cast<uint64_t>(rate)}, now_ms), 1'000) << rate;
  }
}

TEST(ScrubTimes, S0_21_ARoundIsDueAfterItsTimeAndNotBefore) {
  EXPECT_FALSE(IsRoundDue({1'000}, {1'000}, 86'400));
  EXPECT_FALSE(IsRoundDue({1'000}, {87'399}, 86'400));
  EXPECT_TRUE(IsRoundDue({1'000}, {87'400}, 86'400));
  EXPECT_TRUE(IsRoundDue({1'000}, {999}, 86'400));
}

TEST_F(ScrubberTest, S0_21_ARoundGoesOnBehindTheLastFileItHadRead) {
  MakeDeployable();
  const std::string state = sys::JoinPath(lab.config.data, "scrub.json");
  lab.server.reset();
  const auto write = [&](const std::string& last) {
    const std::string text = "{\"started\":" + std::to_string(lab.clock.Now().value) + ",\"last\":\"" + last + "\"}";
    ASSERT_TRUE(sys::WriteFileDurably(state, AsBytes(text), 0600).has_value());
  };
  Overwrite(PathOf(sealed), "x");
  write(codec::EncodeHex(sealed));  // it was read before it broke: this round's rest does not hold it
  lab.Start();
  NextRound();
  EXPECT_EQ(ShowUpdate(release).state, "deployable");
  NextRound();
  EXPECT_EQ(ShowUpdate(release).state, "signed");
}

TEST_F(ScrubberTest, S0_21_WhatWasInterruptedAfterTheQuarantineIsMadeUpFor) {
  MakeDeployable();
  const std::string hex = codec::EncodeHex(sealed);
  ASSERT_EQ(rename(PathOf(sealed).c_str(), (lab.config.content + "/quarantine/" + hex).c_str()), 0);
  NextRound();
  EXPECT_EQ(ShowUpdate(release).state, "signed");
}

TEST_F(ScrubberTest, AStoreThatIsNotThereTakesNothingBackAndItsFilesMayBeImportedAgain) {
  MakeDeployable();
  ASSERT_EQ(rename(PathOf(sealed).c_str(), (lab.config.data + "/elsewhere").c_str()), 0);
  NextRound();
  EXPECT_EQ(ShowUpdate(release).state, "deployable");
  ASSERT_EQ(lab.Upload(*lab.Person("paula"), release, "contents"), "200");
  EXPECT_NE(*ShowUpdate(release).files[0].sealed_sha256, sealed);
}

TEST_F(ScrubberTest, S0_21_WhatIsLostWhileTheSignerComparesIsNotDeployable) {
  ASSERT_EQ(Submit(release, "request-1"), "200");
  lab.signer.On("complete-import", [this](const codec::Json& request) -> Result<codec::Json> {
    // As the scrub does, after the server has looked and before it takes the answer.
    const auto database = Must(storage::Database::Open({.url = lab.config.database_url, .sessions = 1}));
    UpdateStore updates(*database);
    const StoredUpdate seen = Must(updates.Find(release.sha256()));
    EXPECT_EQ(Must(updates.LoseContent(*seen.files.at(0).sealed_sha256)).size(), 1u);
    return lab.CompleteImport(request);
  });
  EXPECT_EQ(lab.Upload(*lab.Person("paula"), release, "contents"), "Conflict");
  EXPECT_EQ(ShowUpdate(release).state, "signed");
  EXPECT_EQ(Plan(release), "UpdateNotDeployable");
}

TEST_F(ScrubberTest, S0_21_WhatIsSealedAnewIsDeployableOnlyAfterItsRecord) {
  MakeDeployable();
  ASSERT_EQ(rename(PathOf(sealed).c_str(), (lab.config.data + "/elsewhere").c_str()), 0);
  lab.signer.Refuse("complete-import", ErrorCode::kLogNotWritable);
  EXPECT_EQ(lab.Upload(*lab.Person("paula"), release, "contents"), "LogNotWritable");
  EXPECT_EQ(ShowUpdate(release).state, "signed");
  EXPECT_EQ(Plan(release), "UpdateNotDeployable");
}

}  // namespace
}  // namespace fleetseal::server::testing
