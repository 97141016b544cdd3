// Check 11: what comes through the pipe.
#include <gtest/gtest.h>

#include "installer/core/machine.h"
#include "installer/testing/lab.h"

namespace fleetseal::installer {
namespace {

using testing::Contents;
using testing::Lab;
using testing::Must;
using testing::Release;

constexpr size_t kImageBytes = 150'000;

// --- content (check 11)

struct ContentCase {
  const char* name;
  ErrorCode code;
  void (*change)(Bytes&);
};

class BadContent : public ::testing::TestWithParam<ContentCase> {};

TEST_P(BadContent, S1_13_IsRefusedAndNeverSwitchedTo) {
  Lab lab;
  lab.Ready();
  lab.Install(3, Contents(5000, 'r'));
  const std::string running = lab.SlotText('b');
  const std::string contents = Contents(kImageBytes);
  const Release release = lab.SlotRelease(4, contents);
  const auto outcome = Must(lab.machine->OfferDocuments(lab.Offer(release, lab.MakeOrder(release, {contents}))));
  ASSERT_EQ(outcome.wanted.size(), 1u);
  Bytes bytes = lab.sealed.at(outcome.wanted[0].file_id);
  GetParam().change(bytes);
  const auto sent = lab.SendBytes(outcome.wanted[0], bytes);
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().code, GetParam().code) << sent.error().ToString();
  ASSERT_TRUE(lab.Advance());
  EXPECT_EQ(lab.phase(), Phase::kIdle);
  EXPECT_EQ(lab.BootText("active"), "b\n");
  EXPECT_EQ(lab.BootText("next"), "b\n");
  EXPECT_EQ(lab.BootText("state-a"), "bad\n");
  EXPECT_EQ(lab.SlotText('b'), running);
  EXPECT_EQ(lab.Receipts().back().outcome, manifest::Outcome::kRefused);
  EXPECT_EQ(lab.Receipts().back().code, ErrorCodeName(GetParam().code));
  EXPECT_EQ(Must(lab.machine->State({})).installed->release_counter, 3);
}

INSTANTIATE_TEST_SUITE_P(
    Cases, BadContent,
    ::testing::Values(
        ContentCase{"BitInASegment", ErrorCode::kDecryptFailed, [](Bytes& bytes) { bytes[70'000] ^= 1; }},
        ContentCase{"BitInTheLastTag", ErrorCode::kDecryptFailed, [](Bytes& bytes) { bytes.back() ^= 1; }},
        ContentCase{"BitInTheHeader", ErrorCode::kFormatVersionUnknown, [](Bytes& bytes) { bytes[0] ^= 1; }},
        ContentCase{"LargerSizeInTheHeader", ErrorCode::kFileTooLarge, [](Bytes& bytes) { bytes[21] ^= 0x04; }},
        ContentCase{"OneByteMore", ErrorCode::kFileTooLarge, [](Bytes& bytes) { bytes.push_back(0); }},
        ContentCase{"SegmentsSwapped", ErrorCode::kDecryptFailed,
                    [](Bytes& bytes) {
                      constexpr size_t kSegment = 65'536 + 16;
                      std::swap_ranges(bytes.begin() + 40, bytes.begin() + 40 + kSegment,
                                       bytes.begin() + 40 + kSegment);
                    }}),
    [](const auto& param) { return param.param.name; });

TEST(Machine, S1_13_RefusesTheWholeAndWellSealedBytesOfAnotherFile) {
  Lab lab;
  lab.Ready();
  const std::string contents = Contents(1000);
  const Release release = lab.SlotRelease(3, contents);
  const auto outcome = Must(lab.machine->OfferDocuments(lab.Offer(release, lab.MakeOrder(release, {contents}))));
  const auto other = lab.Seal(release, outcome.wanted[0].file_id, Contents(1000, 'z'));
  EXPECT_EQ(lab.SendBytes(outcome.wanted[0], other.bytes).error().code, ErrorCode::kFileHashMismatch);
  EXPECT_EQ(lab.BootText("active"), "a\n");
}

TEST(Machine, S1_13_RefusesWhenASecondListedHashIsWrong) {
  Lab lab;
  lab.Ready();
  const std::string contents = Contents(1000);
  auto model = lab.world.MakeManifest("1.3", contents);
  model.files[0].sha512 = Bytes(64, 7);
  const Release release = lab.SignRelease(model, 3);
  const auto outcome = Must(lab.machine->OfferDocuments(lab.Offer(release, lab.MakeOrder(release, {contents}))));
  ASSERT_EQ(outcome.wanted.size(), 1u);
  EXPECT_EQ(lab.Send(outcome.wanted[0]).error().code, ErrorCode::kFileHashMismatch);
}

TEST(Machine, ShortStreamIsNoOutcomeAndTheFileIsWantedAgain) {
  Lab lab;
  lab.Ready();
  const std::string contents = Contents(kImageBytes);
  const Release release = lab.SlotRelease(3, contents);
  const auto outcome = Must(lab.machine->OfferDocuments(lab.Offer(release, lab.MakeOrder(release, {contents}))));
  const Bytes& whole = lab.sealed.at(outcome.wanted[0].file_id);
  EXPECT_EQ(lab.SendBytes(outcome.wanted[0], ByteView(whole).first(100'000)).error().code, ErrorCode::kTruncated);
  EXPECT_EQ(lab.phase(), Phase::kAccepted);
  EXPECT_TRUE(lab.Receipts().empty());
  ASSERT_TRUE(lab.Finish());
  EXPECT_EQ(lab.SlotText('b'), contents);
}

TEST(Machine, SilentStreamEndsAfterTheIdleTime) {
  Lab lab;
  lab.Ready();
  const Release release = lab.SlotRelease(3, "x");
  const auto outcome = Must(lab.machine->OfferDocuments(lab.Offer(release, lab.MakeOrder(release, {"x"}))));
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  const sys::FileDescriptor read_end(ends[0]);
  const sys::FileDescriptor write_end(ends[1]);
  std::thread mover([&lab] {
    // Returns as soon as the phase is `receiving`; then time passes.
    (void)lab.machine->State({.wait_ms = 20'000, .phase = Phase::kAccepted, .acknowledged = {}});
    for (int i = 0; i < 100 && lab.phase() == Phase::kReceiving; ++i) {
      lab.clock.AdvanceMs(31'000);
      (void)lab.machine->State({.wait_ms = 200, .phase = Phase::kReceiving, .acknowledged = {}});
    }
  });
  const auto sent = lab.machine->OfferContent({outcome.wanted[0].file_id, outcome.wanted[0].sealed_sha256}, read_end);
  mover.join();
  ASSERT_FALSE(sent);
  EXPECT_EQ(sent.error().code, ErrorCode::kTimedOut);
  EXPECT_EQ(lab.phase(), Phase::kAccepted);
}

TEST(Machine, TakesContentOnlyFromAPipe) {
  Lab lab;
  lab.Ready();
  const Release release = lab.SlotRelease(3, "x");
  const auto outcome = Must(lab.machine->OfferDocuments(lab.Offer(release, lab.MakeOrder(release, {"x"}))));
  const sys::FileDescriptor file = Must(sys::OpenFile("/dev/zero", O_RDONLY));
  EXPECT_EQ(lab.machine->OfferContent({outcome.wanted[0].file_id, outcome.wanted[0].sealed_sha256}, file).error().code,
            ErrorCode::kInvalidArgument);
}

TEST(Machine, S1_15_TakesNoContentWithoutAVerifiedOrder) {
  Lab lab;
  lab.Ready();
  EXPECT_EQ(lab.SendBytes({Must(FileId::Parse("f0123456789abcdef")), {}, {1}}, AsBytes("x")).error().code,
            ErrorCode::kConflict);
  const Release release = lab.SlotRelease(3, "x");
  const auto outcome = Must(lab.machine->OfferDocuments(lab.Offer(release, lab.MakeOrder(release, {"x"}))));
  wire::WantedContent other = outcome.wanted[0];
  other.sealed_sha256.bytes[0] ^= 1;
  EXPECT_EQ(lab.SendBytes(other, AsBytes("x")).error().code, ErrorCode::kFileNotInManifest);
}

TEST(Machine, ClearDeliveryInstallsTheSamePlainBytes) {
  Lab lab(manifest::Delivery::kClear);
  lab.Ready();
  lab.Install(3, Contents(kImageBytes));
  EXPECT_EQ(lab.SlotText('b'), Contents(kImageBytes));
  const std::string contents = Contents(100);
  const Release release = lab.SlotRelease(4, contents);
  const auto outcome = Must(lab.machine->OfferDocuments(lab.Offer(release, lab.MakeOrder(release, {contents}))));
  EXPECT_EQ(lab.SendBytes(outcome.wanted[0], AsBytes(Contents(100, 'q'))).error().code, ErrorCode::kFileHashMismatch);
}

}  // namespace
}  // namespace fleetseal::installer
