#include "device/content_feed.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

#include "jose/jws.h"
#include "manifest/receipt.h"
#include "sys/errors.h"

namespace fleetseal::device {
namespace {

constexpr size_t kBufferBytes = 64 * 1024;

// Ends early without an error when the installer closed its end: its answer says why.
Status Pour(int from, int to) {
  const auto buffer = std::make_unique<uint8_t[]>(kBufferBytes);
  while (true) {
    TRY_ASSIGN(const size_t count, sys::ReadUpTo(from, {buffer.get(), kBufferBytes}));
    if (count == 0) return {};
    if (!sys::WriteAll(to, ByteView(buffer.get(), count))) return {};
  }
}

}  // namespace

Result<api::installer::InstallerPhase> FeedContent(api::installer::InstallerClient& installer,
                                                   const api::installer::WantedContent& wanted,
                                                   const std::string& path) {
  TRY_ASSIGN(const sys::FileDescriptor file, sys::OpenFile(path, O_RDONLY | O_NOFOLLOW));
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return sys::FailErrno("make", "content pipe", errno);
  sys::FileDescriptor read_end(ends[0]);
  sys::FileDescriptor write_end(ends[1]);
  TRY(installer.StartContent({.file_id = wanted.file_id, .sealed_sha256 = wanted.sealed_sha256}, read_end.get()));
  // From here on only the installer reads: when it closes, writing fails instead of waiting for ever.
  read_end.Reset();
  const Status poured = Pour(file.get(), write_end.get());
  write_end.Reset();
  auto phase = installer.FinishContent();
  TRY(poured);
  return phase;
}

Result<int64_t> ReceiptNumber(const std::string& compact) {
  const auto jws = jose::UnverifiedJws::Parse(compact);
  if (!jws) return Fail(ErrorCode::kProtocolError, "receipt: " + jws.error().detail);
  const auto receipt = manifest::Receipt::Parse(AsText(jws->unverified_payload()));
  if (!receipt) return Fail(ErrorCode::kProtocolError, "receipt: " + receipt.error().detail);
  return receipt->number;
}

}  // namespace fleetseal::device
