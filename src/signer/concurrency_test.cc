// Many connections at once: counters stay unique, versions go up, records and signatures agree, and what fails leaves
// nothing behind.
#include <gtest/gtest.h>

#include <atomic>
#include <deque>
#include <set>
#include <thread>

#include "manifest/log_leaf.h"
#include "signer/testing/signer_world.h"
#include "translog/log_reader.h"

namespace fleetseal::signer::testing {
namespace {

constexpr size_t kMany = 64;

struct Document {
  std::string manifest;
  std::string request;
};

Document MakeDocument(SignerWorld& world, const std::string& version) {
  Document made{world.MakeManifest(version), {}};
  made.request = world.SignAs("alice", manifest::kTypRequest, world.MakeRequest(made.manifest).Build());
  return made;
}

Result<api::signing::SubmitAnswer> Submit(SignerWorld& world, const Document& document) {
  return SubmitRequest(world.core(), document.request, AsBytes(document.manifest));
}

ErrorCode CodeOf(const Result<api::signing::SubmitAnswer>& answer) {
  return answer ? ErrorCode{} : answer.error().code;
}

int64_t CounterOf(const api::signing::SubmitAnswer& answer) {
  return Must(manifest::ManifestSignature::Parse(answer.payload)).release_counter;
}

merkle::LogPolicy PolicyOf(SignerWorld& world) {
  return {"log.acme", {Must(merkle::Vkey::Parse(world.core().log_place().vkey))}, {}, 0};
}

// Whether the published log has the record of exactly this signature at the place that the answer names.
bool IsOnTheLog(SignerWorld& world, const merkle::LogPolicy& policy, const std::string& signature, int64_t index) {
  const auto reader = translog::LogReader::OfDirectory(world.config.log);
  const auto head = Must(reader.ReadCheckpoint(policy));
  const auto proof = reader.BuildProof(static_cast<uint64_t>(index), head);
  if (!proof) return false;
  const auto leaf = manifest::ManifestSignatureLeaf::Parse(AsText(proof->leaf));
  return leaf && leaf->jws_sha256 == crypto::HashSha256(signature);
}

// Runs `work` for 0 to count - 1, each on a thread of its own.
template <typename Work>
void OnThreads(size_t count, Work work) {
  std::vector<std::thread> threads;
  for (size_t i = 0; i < count; ++i) threads.emplace_back([&work, i] { work(i); });
  for (auto& thread : threads) thread.join();
}

// Holds entries back until the test says what becomes of them.
class HeldLog final : public translog::LogWriter {
 public:
  HeldLog(std::unique_ptr<translog::LogWriter> inner, HeldLog** place) : inner_(std::move(inner)) { *place = this; }
  void Append(translog::LogEntry entry, Done done) override {
    const std::lock_guard lock(mutex_);
    if (!is_holding_) return inner_->Append(std::move(entry), std::move(done));
    held_.emplace_back(std::move(entry), std::move(done));
  }
  merkle::Checkpoint checkpoint() const override { return inner_->checkpoint(); }
  std::string checkpoint_note() const override { return inner_->checkpoint_note(); }
  bool is_writable() const override { return inner_->is_writable(); }

  void Hold() { Set(true); }
  size_t held() const {
    const std::lock_guard lock(mutex_);
    return held_.size();
  }
  void LetGo() {
    Set(false);
    for (auto& [entry, done] : Take()) inner_->Append(std::move(entry), std::move(done));
  }
  void FailAll() {
    Set(false);
    for (auto& [entry, done] : Take()) done(Fail(ErrorCode::kLogNotWritable, "told to"));
  }

 private:
  using Held = std::deque<std::pair<translog::LogEntry, Done>>;
  void Set(bool is_holding) {
    const std::lock_guard lock(mutex_);
    is_holding_ = is_holding;
  }
  Held Take() {
    const std::lock_guard lock(mutex_);
    return std::exchange(held_, {});
  }
  const std::unique_ptr<translog::LogWriter> inner_;
  mutable std::mutex mutex_;
  bool is_holding_ = false;  // guarded by mutex_
  Held held_;                // guarded by mutex_
};

class HeldWorld : public SignerWorld {
 public:
  explicit HeldWorld(int64_t approvals) {
    Change(manifest::SetPolicy{MakePolicy(approvals)});
    service.reset();
    service = Must(SignerService::Open(config, clock, [this](std::unique_ptr<translog::LogWriter> writer) {
      return std::make_unique<HeldLog>(std::move(writer), &log);
    }));
    log->Hold();
  }
  HeldLog* log = nullptr;
};

void AwaitHeld(const HeldLog& log, size_t count) {
  while (log.held() < count) std::this_thread::yield();
}

TEST(Concurrency, CountersStayUniqueAndReceiptsOfManyDevicesAreTaken) {
  SignerWorld world;
  constexpr int kThreads = 8;
  std::vector<WorldDevice> devices;
  std::vector<std::string> requests;
  std::vector<std::string> manifests;
  for (int i = 0; i < kThreads; ++i) {
    devices.push_back(world.Enrolled("gw-" + std::to_string(i)));
    manifests.push_back(world.MakeManifest("1." + std::to_string(i)));
    requests.push_back(world.SignAs("alice", manifest::kTypRequest, world.MakeRequest(manifests.back()).Build()));
  }
  std::vector<std::string> receipts;
  for (auto& device : devices) receipts.push_back(world.MakeReceipt(device));
  std::vector<std::thread> threads;
  std::vector<int> good(kThreads, 0);
  for (size_t i = 0; i < kThreads; ++i) {
    threads.emplace_back([&, i] {
      const bool is_submitted = SubmitRequest(world.core(), requests[i], AsBytes(manifests[i])).has_value();
      const auto taken = TakeReceipts(world.core(), {receipts[i]});
      good[i] = is_submitted && taken && taken->results[0].is_accepted ? 1 : 0;
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(good, std::vector<int>(kThreads, 1));
  std::set<int64_t> counters;
  for (const auto& row : Must(ListRequests(world.core(), {}))) {
    const auto detail = Must(ShowRequest(world.core(), row.request_id));
    counters.insert(Must(manifest::ManifestSignature::Parse(detail.payload)).release_counter);
  }
  EXPECT_EQ(counters.size(), size_t{kThreads});
  EXPECT_EQ(*counters.rbegin(), kThreads);
}

TEST(Concurrency, S0_3_ManySigningsOfOneComponentGoUpOnTheLogAndAreOnItWhenAnswered) {
  SignerWorld world;
  world.Change(manifest::SetPolicy{world.MakePolicy(0)});
  const auto policy = PolicyOf(world);
  std::vector<Document> documents;
  for (size_t i = 0; i < kMany; ++i) documents.push_back(MakeDocument(world, "1." + std::to_string(i)));
  std::atomic<int> signed_count = 0;
  std::atomic<int> on_log = 0;
  OnThreads(kMany, [&](size_t i) {
    const auto answer = Submit(world, documents[i]);
    if (!answer) {
      // A higher version came first.
      EXPECT_EQ(answer.error().code, ErrorCode::kVersionTooLow) << answer.error().ToString();
      return;
    }
    ++signed_count;
    if (IsOnTheLog(world, policy, *answer->manifest_signature, *answer->log_index)) ++on_log;
  });
  EXPECT_GE(signed_count, 1);
  EXPECT_EQ(on_log, signed_count) << "an answer came before its record was published";
  const auto reader = translog::LogReader::OfDirectory(world.config.log);
  const auto head = Must(reader.ReadCheckpoint(policy));
  ASSERT_TRUE(reader.Fsck(policy).has_value());
  std::map<std::string, manifest::UpdateVersion> versions;
  for (const auto& row : Must(ListRequests(world.core(), {})))
    versions.emplace(row.request_id.text(), Must(manifest::UpdateVersion::Parse(row.version)));
  std::vector<manifest::ManifestSignatureLeaf> leaves;
  for (const auto& entry : Must(reader.ReadEntries(0, head.checkpoint.size, head.checkpoint))) {
    if (auto leaf = manifest::ManifestSignatureLeaf::Parse(AsText(entry)); leaf) leaves.push_back(*std::move(leaf));
  }
  EXPECT_EQ(static_cast<int>(leaves.size()), signed_count) << "a signature that was refused is on the log";
  EXPECT_EQ(versions.size(), leaves.size()) << "a row without a record, or a record without a row";
  for (size_t i = 1; i < leaves.size(); ++i) {
    EXPECT_LT(leaves[i - 1].release_counter, leaves[i].release_counter);
    EXPECT_LT(versions.at(leaves[i - 1].request_id.text()), versions.at(leaves[i].request_id.text()));
  }
}

TEST(Concurrency, ManyRequestsThatWaitForApprovalsAllGetACounterOfTheirOwn) {
  SignerWorld world;
  std::vector<Document> documents;
  for (size_t i = 0; i < kMany; ++i) documents.push_back(MakeDocument(world, "1." + std::to_string(i)));
  std::vector<int64_t> counters(kMany);
  OnThreads(kMany, [&](size_t i) { counters[i] = CounterOf(Must(Submit(world, documents[i]))); });
  const std::set<int64_t> distinct(counters.begin(), counters.end());
  EXPECT_EQ(distinct.size(), kMany);
  EXPECT_EQ(*distinct.rbegin(), static_cast<int64_t>(kMany)) << "none was skipped either";
}

TEST(Concurrency, OneRequestFromManyConnectionsIsOneRequest) {
  SignerWorld world;
  world.Change(manifest::SetPolicy{world.MakePolicy(0)});
  const Document document = MakeDocument(world, "1.0.0");
  const int64_t before = world.core().LogSize();
  std::vector<std::string> answers(kMany);
  OnThreads(kMany, [&](size_t i) { answers[i] = *Must(Submit(world, document)).manifest_signature; });
  EXPECT_EQ(std::set<std::string>(answers.begin(), answers.end()).size(), 1u);
  EXPECT_EQ(world.core().LogSize(), before + 2);
}

TEST(Concurrency, OneNonceIsTakenOnceHoweverManyCome) {
  SignerWorld world;
  std::vector<Document> documents;
  const Bytes nonce = world.Nonce();
  for (size_t i = 0; i < kMany; ++i) {
    Document made{world.MakeManifest("1." + std::to_string(i)), {}};
    auto request = world.MakeRequest(made.manifest);
    request.nonce = nonce;
    made.request = world.SignAs("alice", manifest::kTypRequest, request.Build());
    documents.push_back(std::move(made));
  }
  const int64_t before = world.core().LogSize();
  std::atomic<int> taken = 0;
  OnThreads(kMany, [&](size_t i) {
    const auto answer = Submit(world, documents[i]);
    if (answer) {
      ++taken;
      return;
    }
    EXPECT_EQ(answer.error().code, ErrorCode::kNonceReplayed) << answer.error().ToString();
  });
  EXPECT_EQ(taken, 1);
  EXPECT_EQ(world.core().LogSize(), before + 1) << "what was refused has no record";
}

TEST(Concurrency, RequestsOfOneComponentWaitForTheLogTogether) {
  HeldWorld world(0);
  const Document first = MakeDocument(world, "1.0.0");
  const Document second = MakeDocument(world, "1.1.0");
  std::thread one([&] { EXPECT_EQ(CounterOf(Must(Submit(world, first))), 1); });
  AwaitHeld(*world.log, 1);
  std::thread two([&] { EXPECT_EQ(CounterOf(Must(Submit(world, second))), 2); });
  AwaitHeld(*world.log, 2);
  world.log->LetGo();
  one.join();
  two.join();
  EXPECT_TRUE(world.core().reservations.Of("acme/gateway#main").empty());
}

// A request that meets one which is on its way to the log; `end` says what becomes of that one.
template <typename End>
ErrorCode MeetsOneOnItsWay(const std::string& version, End end) {
  HeldWorld world(0);
  const Document first = MakeDocument(world, "1.1.0");
  world.content += " other";
  const Document second = MakeDocument(world, version);
  std::thread one([&] { (void)Submit(world, first); });
  AwaitHeld(*world.log, 1);
  std::atomic<bool> is_done = false;
  ErrorCode code{};
  std::thread two([&] {
    code = CodeOf(Submit(world, second));
    is_done = true;
  });
  while (world.core().reservations.waiting() == 0 && !is_done) std::this_thread::yield();
  EXPECT_FALSE(is_done) << "it was judged by what may still fail";
  end(*world.log);
  one.join();
  two.join();
  return code;
}

TEST(Concurrency, NobodyIsRefusedForASignatureThatThenFailed) {
  EXPECT_EQ(MeetsOneOnItsWay("1.0.0", [](HeldLog& log) { log.FailAll(); }), ErrorCode{});
  EXPECT_EQ(MeetsOneOnItsWay("1.1.0", [](HeldLog& log) { log.FailAll(); }), ErrorCode{});
}

TEST(Concurrency, ASignatureOnItsWayCountsAsSoonAsItIsOnTheLog) {
  EXPECT_EQ(MeetsOneOnItsWay("1.0.0", [](HeldLog& log) { log.LetGo(); }), ErrorCode::kVersionTooLow);
  EXPECT_EQ(MeetsOneOnItsWay("1.1.0", [](HeldLog& log) { log.LetGo(); }), ErrorCode::kVersionExists);
}

TEST(Concurrency, AnApprovedVersionIsNotSignedBehindAHigherOneOnItsWay) {
  HeldWorld world(1);
  world.log->LetGo();
  const auto lower = world.Submitted("1.0.0");
  const auto higher = world.Submitted("1.1.0");
  const std::string of_lower = world.Signed(world.MakeApproval(lower, "bob"));
  const std::string of_higher = world.Signed(world.MakeApproval(higher, "bob"));
  world.log->Hold();
  std::thread one(
      [&] { EXPECT_EQ(Must(Approve(world.core(), of_higher)).state, api::signing::RequestState::kSigned); });
  AwaitHeld(*world.log, 1);
  std::atomic<bool> is_done = false;
  std::thread two([&] {
    const auto answer = Approve(world.core(), of_lower);
    is_done = true;
    ASSERT_FALSE(answer.has_value());
    EXPECT_EQ(answer.error().code, ErrorCode::kVersionTooLow) << answer.error().ToString();
  });
  while (world.core().reservations.waiting() == 0 && !is_done) std::this_thread::yield();
  world.log->LetGo();
  one.join();
  two.join();
}

TEST(Concurrency, S0_3_AnAppendThatFailsLeavesNoReservationNorAnythingElse) {
  SignerWorld world;
  world.Change(manifest::SetPolicy{world.MakePolicy(0)});
  std::vector<Document> documents;
  for (size_t i = 0; i < kMany; ++i) documents.push_back(MakeDocument(world, "1." + std::to_string(i)));
  const std::string before = world.Dump();
  world.is_log_failing = true;
  OnThreads(kMany, [&](size_t i) { EXPECT_EQ(CodeOf(Submit(world, documents[i])), ErrorCode::kLogNotWritable); });
  EXPECT_EQ(world.Dump(), before);
  EXPECT_TRUE(world.core().reservations.Of("acme/gateway#main").empty());
  world.is_log_failing = false;
  // Neither version nor counter is taken: other bytes may have them.
  world.content += " other";
  const auto answer = Must(Submit(world, MakeDocument(world, "1.0")));
  EXPECT_EQ(answer.state, api::signing::RequestState::kSigned);
  EXPECT_EQ(CounterOf(answer), 1);
}

TEST(Concurrency, ACounterThatDoesNotRiseIsNotStored) {
  SignerWorld world;
  const auto put = [&](int64_t last) {
    return world.service->database().WithTransaction(
        [&](storage::Session& session) { return store::PutCounter(session, "acme/gateway#main", last); });
  };
  ASSERT_TRUE(put(5));
  for (const int64_t last : {5, 4}) {
    const Status refused = put(last);
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::kConflict);
  }
  EXPECT_TRUE(put(6));
}

}  // namespace
}  // namespace fleetseal::signer::testing
