#include <fleetseal/trust.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <set>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "base/error_code.h"
#include "trust/testing/test_world.h"

namespace fleetseal::trust_api {
namespace {

using trust::testing::Release;
using trust::testing::TestWorld;

template <typename T, void (*Free)(T*) noexcept>
struct Handle {
  T* get = nullptr;
  Handle() = default;
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  ~Handle() { Free(get); }
  T** out() { return &get; }
};
using State = Handle<fleetseal_trust_state, fleetseal_trust_state_free>;
using Device = Handle<fleetseal_trust_device, fleetseal_trust_device_free>;
using OrderHandle = Handle<fleetseal_trust_order, fleetseal_trust_order_free>;
using ManifestHandle = Handle<fleetseal_trust_manifest, fleetseal_trust_manifest_free>;

fleetseal_trust_bytes B(const std::string& text) { return {text.data(), text.size()}; }
std::string Name(fleetseal_trust_code code) { return fleetseal_trust_code_name(code); }

std::string Text(const fleetseal_trust_state* state) {
  size_t size = 0;
  EXPECT_EQ(Name(fleetseal_trust_state_serialize(state, nullptr, 0, &size)), "BufferTooSmall");
  std::string text(size, '\0');
  EXPECT_EQ(fleetseal_trust_state_serialize(state, text.data(), size, &size), FLEETSEAL_TRUST_OK);
  return text;
}

class TrustApi : public ::testing::Test {
 protected:
  TrustApi() {
    device_json_ =
        R"({"organisation":")" + world_.organisation.text() + R"(","deviceId":"device-1","generation":2,"product":")" +
        world_.product.text() +
        R"(","environment":"production","properties":{"manufacturer":"acme","model":"g1"},"delivery":"sealed","buildTime":)" +
        std::to_string(world_.now.value - 40 * limits::kDaySeconds) + "}";
    package_ = world_.SignPackage(world_.package);
    release_ = world_.MakeRelease(7);
    EXPECT_EQ(fleetseal_trust_device_parse(B(device_json_), device_.out(), &why_), FLEETSEAL_TRUST_OK) << why_.text;
    EXPECT_EQ(fleetseal_trust_provision(device_.get, B(package_), state_.out(), &why_), FLEETSEAL_TRUST_OK)
        << why_.text;
    next_ = world_.NextPackage();
    next_package_ = world_.SignPackage(next_);
    packages_[0] = B(next_package_);
  }

  // The documents of one whole decision; `world_.package` is the one that status and order name.
  fleetseal_trust_documents All() {
    world_.package = next_;
    status_ = world_.SignStatus(world_.MakeStatus());
    signed_ = world_.Documents(release_, world_.MakeOrder(release_), world_.Provisioned());
    return {packages_,
            1,
            B(status_),
            B(signed_.order),
            B(signed_.manifest),
            B(signed_.manifest_signature),
            B(signed_.log_proof),
            nullptr,
            0};
  }
  fleetseal_trust_time Now() const { return {world_.now.value, 0, 0, {nullptr, 0}}; }
  fleetseal_trust_code Offer(const fleetseal_trust_documents& documents, const fleetseal_trust_time& time) {
    return fleetseal_trust_offer(state_.get, device_.get, &documents, &time, &outcome_, &why_);
  }
  void TearDown() override {
    fleetseal_trust_state_free(outcome_.state);
    fleetseal_trust_order_free(outcome_.order);
  }

  TestWorld world_;
  std::string device_json_;
  std::string package_;
  manifest::RootPackage next_;
  std::string next_package_;
  std::string status_;
  Release release_;
  trust::OrderDocuments signed_;
  fleetseal_trust_bytes packages_[1];
  Device device_;
  State state_;
  fleetseal_trust_outcome outcome_ = {};
  fleetseal_trust_detail why_;
};

TEST_F(TrustApi, S1_33_AcceptsAllThatADeviceGot) {
  const auto documents = All();
  ASSERT_EQ(Name(Offer(documents, Now())), "Ok") << why_.text;
  EXPECT_EQ(outcome_.packages_accepted, 1u);
  EXPECT_EQ(outcome_.is_status_accepted, 1);
  EXPECT_EQ(outcome_.refused, FLEETSEAL_TRUST_NOTHING);
  fleetseal_trust_state_info state;
  ASSERT_EQ(fleetseal_trust_state_describe(outcome_.state, &state), FLEETSEAL_TRUST_OK);
  EXPECT_EQ(state.package_version, 2);
  EXPECT_EQ(state.has_order, 1);
  fleetseal_trust_order_info order;
  ASSERT_EQ(fleetseal_trust_order_describe(outcome_.order, &order), FLEETSEAL_TRUST_OK);
  EXPECT_STREQ(order.order_id, "order-1000");
  EXPECT_EQ(std::string(static_cast<const char*>(order.content_key.data), order.content_key.size), "a..b.c.d");
  const fleetseal_trust_manifest* manifest = fleetseal_trust_order_manifest(outcome_.order);
  fleetseal_trust_manifest_info info;
  ASSERT_EQ(fleetseal_trust_manifest_describe(manifest, &info), FLEETSEAL_TRUST_OK);
  EXPECT_STREQ(info.version, "1.7");
  fleetseal_trust_file file;
  ASSERT_EQ(fleetseal_trust_manifest_file(manifest, 0, &file), FLEETSEAL_TRUST_OK);
  EXPECT_STREQ(file.file_name, "rootfs.img");
  EXPECT_EQ(file.sealed_size, 8u + 56u);
  EXPECT_EQ(fleetseal_trust_manifest_file(manifest, 1, &file), FLEETSEAL_TRUST_BAD_CALL);
  fleetseal_trust_step step;
  ASSERT_EQ(fleetseal_trust_manifest_step(manifest, 0, &step), FLEETSEAL_TRUST_OK);
  EXPECT_STREQ(step.handler, "fleetseal/slot:1");
}

TEST_F(TrustApi, KeepsWhatWasAcceptedBeforeARefusal) {
  auto documents = All();
  const std::string manifest = signed_.manifest + " ";
  documents.manifest = B(manifest);
  const std::string before = Text(state_.get);
  EXPECT_EQ(Name(Offer(documents, Now())), "ManifestHashMismatch");
  EXPECT_EQ(outcome_.refused, FLEETSEAL_TRUST_ORDER);
  EXPECT_EQ(outcome_.code, static_cast<int>(ErrorCode::kManifestHashMismatch));
  EXPECT_NE(std::string(why_.text), "");
  EXPECT_EQ(outcome_.order, nullptr);
  EXPECT_EQ(Text(state_.get), before);
  // What stays is what package and status alone give.
  State stepped;
  State with_status;
  ASSERT_EQ(fleetseal_trust_accept_package(state_.get, B(next_package_), stepped.out(), &why_), FLEETSEAL_TRUST_OK);
  ASSERT_EQ(fleetseal_trust_accept_status(stepped.get, B(status_), world_.now.value, with_status.out(), &why_),
            FLEETSEAL_TRUST_OK);
  EXPECT_EQ(Text(outcome_.state), Text(with_status.get));
}

TEST_F(TrustApi, RefusesAPackageAndLooksAtNothingAfterIt) {
  const auto documents = All();
  std::string broken = next_package_;
  broken[broken.find("threshold\":2") + 11] = '3';
  packages_[0] = B(broken);
  EXPECT_EQ(Name(Offer(documents, Now())), "PackageStepInvalid");
  EXPECT_EQ(outcome_.refused, FLEETSEAL_TRUST_PACKAGE);
  EXPECT_EQ(outcome_.is_status_accepted, 0);
  EXPECT_EQ(Text(outcome_.state), Text(state_.get));
}

TEST_F(TrustApi, RefusesMorePackagesThanOneCallTakes) {
  auto documents = All();
  const std::vector<fleetseal_trust_bytes> many(FLEETSEAL_TRUST_PACKAGES_MAX + 1, B(next_package_));
  documents.packages = many.data();
  documents.package_count = many.size();
  EXPECT_EQ(Name(Offer(documents, Now())), "LimitExceeded");
  EXPECT_EQ(outcome_.refused, FLEETSEAL_TRUST_PACKAGE);
  EXPECT_EQ(Text(outcome_.state), Text(state_.get));
}

TEST_F(TrustApi, ReportsAnExpiredPackageWhenAStatusComes) {
  auto documents = All();
  fleetseal_trust_time late = Now();
  late.clock += 200 * limits::kDaySeconds;
  documents.order.data = nullptr;
  EXPECT_EQ(Name(Offer(documents, late)), "PackageExpired");
  EXPECT_EQ(outcome_.refused, FLEETSEAL_TRUST_PACKAGE);
  EXPECT_EQ(outcome_.packages_accepted, 1u);
}

TEST_F(TrustApi, JudgesNoOrderWhileTheTimeIsUnknown) {
  auto documents = All();
  fleetseal_trust_time unknown = {0, 0, 0, {nullptr, 0}};
  EXPECT_EQ(Name(Offer(documents, unknown)), "StatusExpired");
  EXPECT_EQ(outcome_.refused, FLEETSEAL_TRUST_ORDER);
  EXPECT_EQ(outcome_.is_status_accepted, 1);
  TearDown();
  // The same with a time that an earlier status gave.
  unknown.has_signed_now = 1;
  unknown.signed_now = world_.now.value;
  EXPECT_EQ(Name(Offer(documents, unknown)), "Ok") << why_.text;
}

TEST_F(TrustApi, TakesTheTimeFromAStatusWithTheNonce) {
  auto documents = All();
  auto status = world_.MakeStatus();
  status.nonce = ToBytes("0123456789abcdef");
  status_ = world_.SignStatus(status);
  documents.status = B(status_);
  const fleetseal_trust_time asking = {0, 0, 0, {"0123456789abcdef", 16}};
  ASSERT_EQ(Name(Offer(documents, asking)), "Ok") << why_.text;
  EXPECT_EQ(outcome_.has_signed_now, 1);
  EXPECT_EQ(outcome_.signed_now, std::max(status.issued, next_.published).value);
  TearDown();
  // An answer to another question is a status like any other.
  const fleetseal_trust_time other = {0, 0, 0, {"another", 7}};
  EXPECT_EQ(Name(Offer(documents, other)), "StatusExpired");
  EXPECT_EQ(outcome_.has_signed_now, 0);
}

TEST_F(TrustApi, ForgetsTheTimeOfAnOldEpoch) {
  next_.director_epoch += 1;
  next_package_ = world_.SignPackage(next_);
  packages_[0] = B(next_package_);
  const auto documents = All();
  // What the old epoch said about the time is void: the device's own clock, which is below the floor, is all there is.
  const fleetseal_trust_time anchored = {0, 1, world_.now.value, {nullptr, 0}};
  EXPECT_EQ(Name(Offer(documents, anchored)), "StatusExpired");
  EXPECT_EQ(outcome_.refused, FLEETSEAL_TRUST_ORDER);
  EXPECT_EQ(outcome_.is_time_forgotten, 1);
}

TEST_F(TrustApi, RechecksAndCommits) {
  const auto documents = All();
  ASSERT_EQ(Name(Offer(documents, Now())), "Ok") << why_.text;
  EXPECT_EQ(fleetseal_trust_recheck_order(outcome_.state, device_.get, outcome_.order, world_.now.value, &why_),
            FLEETSEAL_TRUST_OK);
  State committed;
  ASSERT_EQ(fleetseal_trust_commit_order(outcome_.state, outcome_.order, committed.out()), FLEETSEAL_TRUST_OK);
  // The same order again, by its own function: a repeat of what is installed.
  OrderHandle again;
  State next;
  ASSERT_EQ(fleetseal_trust_accept_order(committed.get, device_.get, &documents, world_.now.value, again.out(),
                                         next.out(), &why_),
            FLEETSEAL_TRUST_OK)
      << why_.text;
  fleetseal_trust_order_info order;
  ASSERT_EQ(fleetseal_trust_order_describe(again.get, &order), FLEETSEAL_TRUST_OK);
  EXPECT_EQ(order.is_repeat, 1);
  EXPECT_EQ(order.is_installed, 1);
  // Withdrawn in between.
  auto status = world_.MakeStatus();
  status.withdrawn = {release_.sha256()};
  State withdrawn;
  ASSERT_EQ(fleetseal_trust_accept_status(outcome_.state, B(world_.SignStatus(status)), world_.now.value,
                                          withdrawn.out(), &why_),
            FLEETSEAL_TRUST_OK);
  EXPECT_EQ(Name(fleetseal_trust_recheck_order(withdrawn.get, device_.get, outcome_.order, world_.now.value, &why_)),
            "Withdrawn");
}

TEST_F(TrustApi, ACancelHasNoManifest) {
  auto documents = All();
  const std::string cancel = world_.SignOrder(world_.MakeCancel());
  documents.order = B(cancel);
  documents.manifest = documents.manifest_signature = documents.log_proof = {nullptr, 0};
  ASSERT_EQ(Name(Offer(documents, Now())), "Ok") << why_.text;
  EXPECT_EQ(fleetseal_trust_order_manifest(outcome_.order), nullptr);
  EXPECT_EQ(fleetseal_trust_recheck_order(outcome_.state, device_.get, outcome_.order, world_.now.value, &why_),
            FLEETSEAL_TRUST_BAD_CALL);
  State next;
  EXPECT_EQ(fleetseal_trust_commit_order(outcome_.state, outcome_.order, next.out()), FLEETSEAL_TRUST_BAD_CALL);
}

TEST_F(TrustApi, VerifiesManifestProofAndFileAlone) {
  const auto documents = All();
  ManifestHandle manifest;
  ASSERT_EQ(fleetseal_trust_verify_manifest(state_.get, device_.get, documents.manifest, documents.manifest_signature,
                                            world_.now.value, manifest.out(), &why_),
            FLEETSEAL_TRUST_OK)
      << why_.text;
  fleetseal_trust_checkpoint checkpoint;
  ASSERT_EQ(fleetseal_trust_verify_log_proof(state_.get, manifest.get, documents.log_proof, &checkpoint, &why_),
            FLEETSEAL_TRUST_OK)
      << why_.text;
  EXPECT_EQ(checkpoint.origin, world_.log_key.kid);
  EXPECT_EQ(checkpoint.size, world_.log.size());
  EXPECT_EQ(Name(fleetseal_trust_verify_log_proof(state_.get, manifest.get, B(""), &checkpoint, &why_)),
            "LogProofMissing");
  fleetseal_trust_file file;
  ASSERT_EQ(fleetseal_trust_manifest_file(manifest.get, 0, &file), FLEETSEAL_TRUST_OK);
  EXPECT_EQ(file.sealed_size, 0u);
  const Sha256 digest = crypto::HashSha256("contents");
  fleetseal_trust_computed computed = {8, digest.bytes.data(), nullptr, nullptr};
  EXPECT_EQ(fleetseal_trust_check_file(manifest.get, file.file_id, &computed, &why_), FLEETSEAL_TRUST_OK);
  EXPECT_EQ(Name(fleetseal_trust_check_file(manifest.get, "f0", &computed, &why_)), "FileNotInManifest");
  computed.size = 9;
  EXPECT_EQ(Name(fleetseal_trust_check_file(manifest.get, file.file_id, &computed, &why_)), "FileTooLarge");
  computed = {8, Sha256{}.bytes.data(), nullptr, nullptr};
  EXPECT_EQ(Name(fleetseal_trust_check_file(manifest.get, file.file_id, &computed, &why_)), "FileHashMismatch");
}

TEST_F(TrustApi, AStateOutlivesTheProgram) {
  ASSERT_EQ(Name(Offer(All(), Now())), "Ok") << why_.text;
  const std::string text = Text(outcome_.state);
  State read;
  ASSERT_EQ(fleetseal_trust_state_parse(B(text), read.out(), &why_), FLEETSEAL_TRUST_OK) << why_.text;
  EXPECT_EQ(Text(read.get), text);
  EXPECT_EQ(fleetseal_trust_check_stored(read.get, packages_, 1, &why_), FLEETSEAL_TRUST_OK) << why_.text;
  std::string small(text.size() - 1, 'x');
  size_t size = 0;
  EXPECT_EQ(fleetseal_trust_state_serialize(read.get, small.data(), small.size(), &size),
            FLEETSEAL_TRUST_BUFFER_TOO_SMALL);
  EXPECT_EQ(size, text.size());
  EXPECT_EQ(small, std::string(small.size(), 'x'));
  EXPECT_EQ(fleetseal_trust_judge_fresh(read.get, world_.now.value, &why_), FLEETSEAL_TRUST_OK);
  EXPECT_EQ(Name(fleetseal_trust_judge_fresh(read.get, world_.now.value + 90'000, &why_)), "StatusExpired");
  EXPECT_EQ(Name(fleetseal_trust_judge_fresh(read.get, world_.now.value + 9'000'000, &why_)), "PackageExpired");
}

TEST_F(TrustApi, TakesBuiltInPackagesAsSteps) {
  State next;
  ASSERT_EQ(fleetseal_trust_accept_built_in(state_.get, device_.get, packages_, 1, next.out(), &why_),
            FLEETSEAL_TRUST_OK);
  fleetseal_trust_state_info info;
  ASSERT_EQ(fleetseal_trust_state_describe(next.get, &info), FLEETSEAL_TRUST_OK);
  EXPECT_EQ(info.package_version, 2);
  const std::string unsigned_package = world_.SignPackage(next_, {0});
  packages_[0] = B(unsigned_package);
  EXPECT_EQ(Name(fleetseal_trust_accept_built_in(state_.get, device_.get, packages_, 1, next.out(), &why_)),
            "PackageStepInvalid");
  const std::string large(FLEETSEAL_TRUST_PACKAGE_BYTES_MAX + 1, ' ');
  packages_[0] = B(large);
  EXPECT_EQ(Name(fleetseal_trust_accept_built_in(state_.get, device_.get, packages_, 1, next.out(), &why_)),
            "DocumentTooLarge");
  EXPECT_EQ(Name(fleetseal_trust_check_stored(state_.get, packages_, 1, &why_)), "DocumentTooLarge");
}

TEST_F(TrustApi, WhoeverReadsTheOutcomeAloneHearsOfACallThatDecidedNothing) {
  fleetseal_trust_documents documents = All();
  const fleetseal_trust_time now = Now();
  documents.consistency = nullptr;
  documents.consistency_count = 1;
  EXPECT_EQ(Offer(documents, now), FLEETSEAL_TRUST_BAD_CALL);
  EXPECT_EQ(outcome_.code, FLEETSEAL_TRUST_BAD_CALL);
  EXPECT_EQ(outcome_.state, nullptr);
  EXPECT_EQ(outcome_.order, nullptr);
}

TEST_F(TrustApi, HandlesCanBeReadByManyThreads) {
  const auto documents = All();
  const fleetseal_trust_time now = Now();
  std::vector<std::thread> threads;
  std::atomic<int> good = 0;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      fleetseal_trust_outcome outcome;
      if (fleetseal_trust_offer(state_.get, device_.get, &documents, &now, &outcome, nullptr) == FLEETSEAL_TRUST_OK)
        ++good;
      fleetseal_trust_state_free(outcome.state);
      fleetseal_trust_order_free(outcome.order);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(good, 4);
}

// Each pointer that may not be null, one call each.
void ExpectBadCalls(std::span<const fleetseal_trust_code> codes) {
  for (size_t i = 0; i < codes.size(); ++i) EXPECT_EQ(codes[i], FLEETSEAL_TRUST_BAD_CALL) << "call " << i;
}
constexpr fleetseal_trust_bytes kNone = {nullptr, 0};
constexpr fleetseal_trust_bytes kSome = {"x", 1};

TEST_F(TrustApi, S1_33_AnswersNullPointersOfStatesWithACode) {
  fleetseal_trust_state* out_state = nullptr;
  fleetseal_trust_device* out_device = nullptr;
  fleetseal_trust_state_info state_info;
  int64_t time = 0;
  size_t size = 0;
  ExpectBadCalls(std::to_array<fleetseal_trust_code>({
      fleetseal_trust_device_parse(kNone, &out_device, nullptr),
      fleetseal_trust_device_parse(kSome, nullptr, nullptr),
      fleetseal_trust_provision(nullptr, kSome, &out_state, nullptr),
      fleetseal_trust_provision(device_.get, kNone, &out_state, nullptr),
      fleetseal_trust_provision(device_.get, kSome, nullptr, nullptr),
      fleetseal_trust_state_parse(kNone, &out_state, nullptr),
      fleetseal_trust_state_parse(kSome, nullptr, nullptr),
      fleetseal_trust_state_serialize(nullptr, nullptr, 0, &size),
      fleetseal_trust_state_serialize(state_.get, nullptr, 1, &size),
      fleetseal_trust_state_serialize(state_.get, nullptr, 0, nullptr),
      fleetseal_trust_state_describe(nullptr, &state_info),
      fleetseal_trust_state_describe(state_.get, nullptr),
      fleetseal_trust_accept_built_in(nullptr, device_.get, packages_, 1, &out_state, nullptr),
      fleetseal_trust_accept_built_in(state_.get, nullptr, packages_, 1, &out_state, nullptr),
      fleetseal_trust_accept_built_in(state_.get, device_.get, nullptr, 1, &out_state, nullptr),
      fleetseal_trust_accept_built_in(state_.get, device_.get, packages_, 1, nullptr, nullptr),
      fleetseal_trust_check_stored(nullptr, packages_, 1, nullptr),
      fleetseal_trust_check_stored(state_.get, nullptr, 1, nullptr),
      fleetseal_trust_accept_package(nullptr, kSome, &out_state, nullptr),
      fleetseal_trust_accept_package(state_.get, kNone, &out_state, nullptr),
      fleetseal_trust_accept_package(state_.get, kSome, nullptr, nullptr),
      fleetseal_trust_accept_status(nullptr, kSome, 0, &out_state, nullptr),
      fleetseal_trust_accept_status(state_.get, kNone, 0, &out_state, nullptr),
      fleetseal_trust_accept_status(state_.get, kSome, 0, nullptr, nullptr),
      fleetseal_trust_accept_nonce_status(nullptr, kSome, kSome, &time, &out_state, nullptr),
      fleetseal_trust_accept_nonce_status(state_.get, kNone, kSome, &time, &out_state, nullptr),
      fleetseal_trust_accept_nonce_status(state_.get, kSome, kNone, &time, &out_state, nullptr),
      fleetseal_trust_accept_nonce_status(state_.get, kSome, kSome, nullptr, &out_state, nullptr),
      fleetseal_trust_accept_nonce_status(state_.get, kSome, kSome, &time, nullptr, nullptr),
      fleetseal_trust_judge_fresh(nullptr, 0, nullptr),
  }));
  EXPECT_EQ(out_state, nullptr);
  fleetseal_trust_state_free(nullptr);
  fleetseal_trust_device_free(nullptr);
}

TEST_F(TrustApi, S1_33_AnswersNullPointersOfOrdersWithACode) {
  const auto documents = All();
  const auto now = Now();
  auto no_hashes = documents;
  no_hashes.consistency_count = 1;
  auto no_packages = documents;
  no_packages.packages = nullptr;
  auto no_order = documents;
  no_order.order = kNone;
  fleetseal_trust_state* out_state = nullptr;
  fleetseal_trust_order* out_order = nullptr;
  fleetseal_trust_order_info order_info;
  ExpectBadCalls(std::to_array<fleetseal_trust_code>({
      fleetseal_trust_offer(nullptr, device_.get, &documents, &now, &outcome_, nullptr),
      fleetseal_trust_offer(state_.get, nullptr, &documents, &now, &outcome_, nullptr),
      fleetseal_trust_offer(state_.get, device_.get, nullptr, &now, &outcome_, nullptr),
      fleetseal_trust_offer(state_.get, device_.get, &no_hashes, &now, &outcome_, nullptr),
      fleetseal_trust_offer(state_.get, device_.get, &no_packages, &now, &outcome_, nullptr),
      fleetseal_trust_offer(state_.get, device_.get, &documents, nullptr, &outcome_, nullptr),
      fleetseal_trust_offer(state_.get, device_.get, &documents, &now, nullptr, nullptr),
      fleetseal_trust_accept_order(nullptr, device_.get, &documents, 0, &out_order, &out_state, nullptr),
      fleetseal_trust_accept_order(state_.get, nullptr, &documents, 0, &out_order, &out_state, nullptr),
      fleetseal_trust_accept_order(state_.get, device_.get, nullptr, 0, &out_order, &out_state, nullptr),
      fleetseal_trust_accept_order(state_.get, device_.get, &no_order, 0, &out_order, &out_state, nullptr),
      fleetseal_trust_accept_order(state_.get, device_.get, &no_hashes, 0, &out_order, &out_state, nullptr),
      fleetseal_trust_accept_order(state_.get, device_.get, &documents, 0, nullptr, &out_state, nullptr),
      fleetseal_trust_accept_order(state_.get, device_.get, &documents, 0, &out_order, nullptr, nullptr),
      fleetseal_trust_recheck_order(state_.get, device_.get, nullptr, 0, nullptr),
      fleetseal_trust_commit_order(state_.get, nullptr, &out_state),
      fleetseal_trust_order_describe(nullptr, &order_info),
  }));
  EXPECT_EQ(out_state, nullptr);
  EXPECT_EQ(out_order, nullptr);
  EXPECT_EQ(outcome_.state, nullptr);
  EXPECT_EQ(fleetseal_trust_order_manifest(nullptr), nullptr);
  fleetseal_trust_order_free(nullptr);
}

TEST_F(TrustApi, S1_33_AnswersNullPointersOfManifestsWithACode) {
  const auto documents = All();
  fleetseal_trust_manifest* out_manifest = nullptr;
  fleetseal_trust_manifest_info manifest_info;
  fleetseal_trust_file file;
  fleetseal_trust_step step;
  fleetseal_trust_checkpoint checkpoint;
  const fleetseal_trust_computed computed = {0, nullptr, nullptr, nullptr};
  ManifestHandle manifest;
  ASSERT_EQ(fleetseal_trust_verify_manifest(state_.get, device_.get, documents.manifest, documents.manifest_signature,
                                            world_.now.value, manifest.out(), nullptr),
            FLEETSEAL_TRUST_OK);
  ExpectBadCalls(std::to_array<fleetseal_trust_code>({
      fleetseal_trust_verify_manifest(nullptr, device_.get, kSome, kSome, 0, &out_manifest, nullptr),
      fleetseal_trust_verify_manifest(state_.get, nullptr, kSome, kSome, 0, &out_manifest, nullptr),
      fleetseal_trust_verify_manifest(state_.get, device_.get, kNone, kSome, 0, &out_manifest, nullptr),
      fleetseal_trust_verify_manifest(state_.get, device_.get, kSome, kNone, 0, &out_manifest, nullptr),
      fleetseal_trust_verify_manifest(state_.get, device_.get, kSome, kSome, 0, nullptr, nullptr),
      fleetseal_trust_manifest_describe(nullptr, &manifest_info),
      fleetseal_trust_manifest_describe(manifest.get, nullptr),
      fleetseal_trust_manifest_file(nullptr, 0, &file),
      fleetseal_trust_manifest_file(manifest.get, 0, nullptr),
      fleetseal_trust_manifest_step(nullptr, 0, &step),
      fleetseal_trust_manifest_step(manifest.get, 0, nullptr),
      fleetseal_trust_manifest_step(manifest.get, 1, &step),
      fleetseal_trust_verify_log_proof(nullptr, manifest.get, kSome, &checkpoint, nullptr),
      fleetseal_trust_verify_log_proof(state_.get, nullptr, kSome, &checkpoint, nullptr),
      fleetseal_trust_verify_log_proof(state_.get, manifest.get, kNone, &checkpoint, nullptr),
      fleetseal_trust_verify_log_proof(state_.get, manifest.get, kSome, nullptr, nullptr),
      fleetseal_trust_check_file(nullptr, "f", &computed, nullptr),
      fleetseal_trust_check_file(manifest.get, nullptr, &computed, nullptr),
      fleetseal_trust_check_file(manifest.get, "f", nullptr, nullptr),
      fleetseal_trust_check_file(manifest.get, "f", &computed, nullptr),
  }));
  EXPECT_EQ(out_manifest, nullptr);
  fleetseal_trust_manifest_free(nullptr);
}

TEST(TrustApiCodes, NameEveryCodeOnce) {
  std::set<std::string> names;
  for (const ErrorCodeInfo& info : AllErrorCodes()) {
    const auto code = static_cast<fleetseal_trust_code>(info.code);
    EXPECT_EQ(fleetseal_trust_code_name(code), info.name);
    EXPECT_EQ(fleetseal_trust_code_title(code), info.title);
    EXPECT_EQ(fleetseal_trust_code_advice(code), info.advice);
    names.insert(fleetseal_trust_code_name(code));
  }
  for (int code = FLEETSEAL_TRUST_BUG; code <= FLEETSEAL_TRUST_OK; ++code)
    names.insert(fleetseal_trust_code_name(code));
  EXPECT_EQ(names.size(), AllErrorCodes().size() + 5);
  EXPECT_STREQ(fleetseal_trust_code_name(99'999), "Unknown");
  EXPECT_EQ(fleetseal_trust_api_version(), FLEETSEAL_TRUST_API_VERSION);
}

}  // namespace
}  // namespace fleetseal::trust_api
