// The sealer over its real sockets: streams, refusals, wrapping, restart.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <thread>

#include "crypto/digest.h"
#include "crypto/random.h"
#include "sealer/seal_client.h"
#include "sealer/service.h"
#include "sealing/content_key.h"
#include "sealing/sealed_file.h"
#include "sys/testing/temp_directory.h"

namespace fleetseal::sealer {
namespace {

class SealerTest : public testing::Test {
 protected:
  SealerTest() {
    config_.data = folder_.File("sealer");
    config_.seal_socket = folder_.File("seal.sock");
    config_.wrap_socket = folder_.File("wrap.sock");
    config_.server_uid = geteuid();
    config_.signer_uid = geteuid();
    EXPECT_TRUE(UpdateStore::Create(config_.data).has_value());
    Restart();
  }
  void Restart() {
    service_.reset();
    store_.reset();
    store_ = *UpdateStore::Open(config_.data);
    service_ = *SealerService::Start(config_, *store_);
  }
  ExpectedFile FileOf(ByteView content) const {
    return {*FileId::Parse("f0123456789abcdef"), crypto::HashSha256(content), {content.size()}};
  }
  Result<SealOutcome> Seal(ByteView content, const ExpectedFile& file, Bytes& sealed) {
    auto client = SealClient::Start(config_.seal_socket, {manifest_, file.file_id, file.size});
    if (!client) return tl::unexpected(client.error());
    TRY((*client)->Update(content, sealed));
    return (*client)->Finish(sealed);
  }
  template <typename T>
  void ExpectCode(const Result<T>& outcome, ErrorCode code) {
    ASSERT_FALSE(outcome.has_value());
    EXPECT_EQ(ErrorCodeName(outcome.error().code), ErrorCodeName(code)) << outcome.error().ToString();
  }

  sys::TempDirectory folder_;
  Config config_;
  Sha256 manifest_ = crypto::HashSha256("manifest");
  std::unique_ptr<UpdateStore> store_;
  std::unique_ptr<SealerService> service_;
};

TEST_F(SealerTest, SealsAStreamThatTheWrappedKeyOpens) {
  const Bytes content = crypto::RandomBytes(3 * 1024 * 1024 + 17);
  WrapClient wrap(config_.wrap_socket);
  ASSERT_TRUE(wrap.Expect(manifest_, {FileOf(content)}).has_value());
  Bytes sealed;
  const auto outcome = Seal(content, FileOf(content), sealed);
  ASSERT_TRUE(outcome.has_value()) << outcome.error().ToString();
  EXPECT_EQ(outcome->sealed_sha256, crypto::HashSha256(sealed));
  EXPECT_EQ(outcome->sealed_size.value, sealed.size());
  EXPECT_EQ(outcome->sealed_size, sealing::SealedSize({content.size()}));
  Restart();
  const auto device_key = *crypto::PrivateKey::Generate(crypto::KeyKind::kP256);
  const DeviceId device = *DeviceId::Parse("gw-1");
  const auto keys = wrap.Wrap(manifest_, {{device, 3, device_key.public_key()}});
  ASSERT_TRUE(keys.has_value()) << keys.error().ToString();
  const auto update_key = sealing::UnwrapUpdateKey(keys->front(), device_key, {device, 3, manifest_});
  ASSERT_TRUE(update_key.has_value());
  const FileId file_id = FileOf(content).file_id;
  const auto opener = sealing::Opener::Start({*update_key, manifest_, file_id}, {content.size()});
  Bytes plain;
  const auto sink = [&plain](ByteView bytes) -> Status {
    plain.insert(plain.end(), bytes.begin(), bytes.end());
    return {};
  };
  ASSERT_TRUE(opener->Push(sealed, sink).has_value());
  ASSERT_TRUE(opener->Finish().has_value());
  EXPECT_EQ(plain, content);
  EXPECT_EQ(wrap.Contents(manifest_)->front().sealed_sha256, outcome->sealed_sha256);
}

TEST_F(SealerTest, ANewAttemptHasOtherSealedBytes) {
  const Bytes content = crypto::RandomBytes(100);
  ASSERT_TRUE(store_->Expect(manifest_, {FileOf(content)}).has_value());
  Bytes first;
  Bytes second;
  ASSERT_TRUE(Seal(content, FileOf(content), first).has_value());
  ASSERT_TRUE(Seal(content, FileOf(content), second).has_value());
  EXPECT_NE(first, second);
  EXPECT_EQ(store_->Read(manifest_)->sealed.size(), 1U);
}

TEST_F(SealerTest, SealsNothingThatNoManifestNames) {
  const Bytes content = crypto::RandomBytes(100);
  Bytes sealed;
  ExpectCode(Seal(content, FileOf(content), sealed), ErrorCode::kFileNotInManifest);
  ASSERT_TRUE(store_->Expect(manifest_, {FileOf(content)}).has_value());
  ExpectedFile other = FileOf(content);
  other.file_id = *FileId::Parse("ffffffffffffffff0");
  ExpectCode(Seal(content, other, sealed), ErrorCode::kFileNotInManifest);
  EXPECT_TRUE(sealed.empty());
}

TEST_F(SealerTest, RefusesOtherBytesAndOtherSizes) {
  Bytes content = crypto::RandomBytes(200'000);
  const ExpectedFile file = FileOf(content);
  ASSERT_TRUE(store_->Expect(manifest_, {file}).has_value());
  Bytes sealed;
  Bytes longer = content;
  longer.push_back(0);
  ExpectCode(Seal(longer, file, sealed), ErrorCode::kFileTooLarge);
  ExpectCode(Seal(ByteView(content).first(199'999), file, sealed), ErrorCode::kFileHashMismatch);
  ExpectedFile announced = file;
  announced.size.value += 1;
  ExpectCode(Seal(content, announced, sealed), ErrorCode::kFileTooLarge);
  announced.size.value -= 2;
  ExpectCode(Seal(content, announced, sealed), ErrorCode::kFileHashMismatch);
  content[100'000] ^= 1;
  ExpectCode(Seal(content, file, sealed), ErrorCode::kFileHashMismatch);
  EXPECT_TRUE(store_->Read(manifest_)->sealed.empty()) << "nothing is recorded";
}

TEST_F(SealerTest, ExpectIsIdempotentAndNeverChangesItsMind) {
  const Bytes content = crypto::RandomBytes(10);
  WrapClient wrap(config_.wrap_socket);
  ASSERT_TRUE(wrap.Expect(manifest_, {FileOf(content)}).has_value());
  const Bytes wrapped = store_->Read(manifest_)->wrapped_key;
  ASSERT_TRUE(wrap.Expect(manifest_, {FileOf(content)}).has_value());
  EXPECT_EQ(store_->Read(manifest_)->wrapped_key, wrapped);
  ExpectCode(wrap.Expect(manifest_, {FileOf(crypto::RandomBytes(10))}), ErrorCode::kConflict);
  ExpectCode(wrap.Contents(crypto::HashSha256("other")), ErrorCode::kFileNotInManifest);
  ExpectCode(wrap.Wrap(crypto::HashSha256("other"), {}), ErrorCode::kFileNotInManifest);
}

TEST_F(SealerTest, UpdateKeyIsBoundToItsManifest) {
  const Bytes content = crypto::RandomBytes(10);
  ASSERT_TRUE(store_->Expect(manifest_, {FileOf(content)}).has_value());
  auto record = *store_->Read(manifest_);
  record.manifest_sha256 = crypto::HashSha256("other");
  ExpectCode(store_->UpdateKey(record), ErrorCode::kCorrupt);
}

TEST_F(SealerTest, SealsSideBySide) {
  std::vector<Bytes> contents;
  std::vector<ExpectedFile> files;
  for (int i = 0; i < 4; ++i) {
    contents.push_back(crypto::RandomBytes(500'000));
    files.push_back(FileOf(contents.back()));
    files.back().file_id = *FileId::Parse("f000000000000000" + std::to_string(i));
  }
  ASSERT_TRUE(store_->Expect(manifest_, files).has_value());
  std::vector<std::thread> threads;
  std::vector<int> good(4, 0);
  for (size_t i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      Bytes sealed;
      good[i] = Seal(contents[i], files[i], sealed).has_value() ? 1 : 0;
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(good, std::vector<int>(4, 1));
  EXPECT_EQ(store_->Read(manifest_)->sealed.size(), 4U);
}

TEST_F(SealerTest, DirectoryHasOneSealerAndOneKey) {
  ExpectCode(UpdateStore::Open(config_.data), ErrorCode::kBusy);
  service_.reset();
  store_.reset();
  ExpectCode(UpdateStore::Create(config_.data), ErrorCode::kAlreadyExists);
  struct stat info {};
  ASSERT_EQ(stat((config_.data + "/sealing-key.json").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0400U);
  ASSERT_EQ(stat(config_.data.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777U, 0700U);
}

TEST_F(SealerTest, EachSocketTakesOneUser) {
  service_.reset();
  config_.server_uid = geteuid() + 1;
  service_ = *SealerService::Start(config_, *store_);
  Bytes sealed;
  ExpectCode(Seal({}, FileOf({}), sealed), ErrorCode::kPermissionDenied);
  EXPECT_TRUE(WrapClient(config_.wrap_socket).Expect(manifest_, {FileOf({})}).has_value());
}

}  // namespace
}  // namespace fleetseal::sealer
