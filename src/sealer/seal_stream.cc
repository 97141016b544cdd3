// One connection of seal.sock: the plain file in, the sealed file out, frame by frame.
#include <array>

#include "codec/base64.h"
#include "log/log.h"
#include "sealer/seal_client.h"
#include "sealer/service.h"
#include "sealer/wire.h"
#include "sealing/sealed_file.h"

namespace fleetseal::sealer {
namespace {

using codec::Json;

struct Attempt {
  Sha256 manifest_sha256;
  ExpectedFile file;
  SecretBytes update_key;
};

Result<Attempt> ReadAttempt(std::string_view text, const UpdateStore& store) {
  TRY_ASSIGN(const Json json, codec::ParseJson(text));
  codec::ObjectReader reader(json, "seal");
  const std::string verb = reader.String("verb");
  const Sha256 manifest_sha256 = reader.Base64UrlSha256("manifestSha256");
  const FileId file_id = reader.Parsed<FileId>("fileId");
  const auto plain_size = static_cast<uint64_t>(reader.Integer("plainSize"));
  if (reader.is_good() && verb != "seal") reader.Stop(ErrorCode::kInvalidArgument, "verb", "not a verb of this socket");
  TRY(reader.Finish());
  TRY_ASSIGN(const UpdateRecord record, store.Read(manifest_sha256));
  const ExpectedFile* file = record.FindExpected(file_id);
  if (file == nullptr) return Fail(ErrorCode::kFileNotInManifest, "the manifest does not name " + file_id.text());
  if (plain_size > file->size.value) return Fail(ErrorCode::kFileTooLarge, "the file is larger than the manifest says");
  if (plain_size < file->size.value)
    return Fail(ErrorCode::kFileHashMismatch, "the file is smaller than the manifest says");
  TRY_ASSIGN(SecretBytes update_key, store.UpdateKey(record));
  return Attempt{manifest_sha256, *file, std::move(update_key)};
}

Result<uint32_t> ReadFrame(sys::LocalChannel& channel, Bytes& plain) {
  std::array<uint8_t, 4> header{};
  TRY(channel.ReadExact(header));
  const uint32_t length = uint32_t{header[0]} << 24 | uint32_t{header[1]} << 16 | uint32_t{header[2]} << 8 | header[3];
  if (length > kPlainFrameBytesMax) return Fail(ErrorCode::kProtocolError, "a frame is too long");
  plain.resize(length);
  if (length > 0) TRY(channel.ReadExact(plain));
  return length;
}

// `sealed` begins with four bytes kept free for the length.
Status SendFrame(sys::LocalChannel& channel, Bytes& sealed) {
  const size_t length = sealed.size() - 4;
  for (size_t i = 0; i < 4; ++i) sealed[i] = static_cast<uint8_t>(length >> (24 - 8 * i));
  return channel.WriteAll(sealed);
}

// Compares and records; only then does the server learn that the sealed bytes are good.
Result<SealedFile> FinishFile(UpdateStore& store, const Attempt& attempt, sealing::Sealer& sealer,
                              const sealing::Sink& sink) {
  const auto sums = sealer.Finish(sink);
  if (!sums && sums.error().code == ErrorCode::kTruncated) {
    return Fail(ErrorCode::kFileHashMismatch, "the file is smaller than the manifest says");
  }
  TRY(sums);
  if (sums->plain_sha256 != attempt.file.sha256) {
    return Fail(ErrorCode::kFileHashMismatch, "the file is not the one that the manifest names");
  }
  const SealedFile sealed{attempt.file.file_id, sums->plain_sha256, sums->sealed_sha256, sums->sealed_size};
  TRY(store.RecordSealed(attempt.manifest_sha256, sealed));
  return sealed;
}

Result<SealedFile> StreamFile(sys::LocalChannel& channel, UpdateStore& store, const Attempt& attempt) {
  TRY_ASSIGN(const auto sealer,
             sealing::Sealer::Start({attempt.update_key, attempt.manifest_sha256, attempt.file.file_id},
                                    {attempt.file.size, sealing::RandomSealId()}));
  Bytes plain;
  Bytes sealed;
  const sealing::Sink sink = [&sealed](ByteView bytes) -> Status {
    sealed.insert(sealed.end(), bytes.begin(), bytes.end());
    return {};
  };
  for (;;) {
    TRY_ASSIGN(const uint32_t length, ReadFrame(channel, plain));
    sealed.assign(4, 0);
    if (length == 0) break;
    TRY(sealer->Push(plain, sink));
    TRY(SendFrame(channel, sealed));
  }
  TRY_ASSIGN(const SealedFile file, FinishFile(store, attempt, *sealer, sink));
  TRY(SendFrame(channel, sealed));
  return file;
}

}  // namespace

void ServeSealConnection(sys::LocalChannel& channel, UpdateStore& store) {
  for (;;) {
    const auto message = channel.ReceiveMessage(64 * 1024);
    if (!message) return;
    const auto attempt = ReadAttempt(message->text, store);
    if (!attempt) {
      log::ErrorEvent(log::Level::kWarning, "seal.refused", attempt.error());
      if (!channel.SendMessage(BuildError(attempt.error()))) return;
      continue;
    }
    if (!channel.SendMessage(BuildOk(Json::MakeObject()))) return;
    const auto sealed = StreamFile(channel, store, *attempt);
    const std::string manifest = codec::EncodeBase64Url(attempt->manifest_sha256.view());
    if (!sealed) {
      log::ErrorEvent(log::Level::kWarning, "seal.refused", sealed.error(),
                      {{"manifest", manifest}, {"file", attempt->file.file_id.text()}});
      // Frames that are still on their way cannot be told from a message: the connection ends here.
      const std::array<uint8_t, 4> announcement = {0xff, 0xff, 0xff, 0xff};
      if (channel.WriteAll(announcement)) (void)channel.SendMessage(BuildError(sealed.error()));
      return;
    }
    Json answer = Json::MakeObject();
    answer.Set("plainSha256", codec::EncodeBase64Url(sealed->plain_sha256.view()));
    answer.Set("sealedSha256", codec::EncodeBase64Url(sealed->sealed_sha256.view()));
    answer.Set("sealedSize", sealed->sealed_size.value);
    log::Event(log::Level::kInfo, "file.sealed", {{"manifest", manifest}, {"file", attempt->file.file_id.text()}});
    if (!channel.SendMessage(BuildOk(std::move(answer)))) return;
  }
}

}  // namespace fleetseal::sealer
