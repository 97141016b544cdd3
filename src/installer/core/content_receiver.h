// Takes one file out of the agent's pipe: opens, hashes and writes it as it comes.
//
// Source: trust model section 8, check 11; documents.md section 6. Exact sealed size and hash, exact plain size, every
// listed hash. At most one buffer of 64 KiB and one segment are in memory. What was written by a failed run is void;
// nothing is switched here. Thread rule: one thread; `is_cancelled` may be set from another.
#pragma once

#include <atomic>
#include <cstdint>

#include "api/installer/messages.h"
#include "base/secret_bytes.h"
#include "installer/handlers/handler.h"
#include "sys/clock.h"
#include "trust/trust.h"

namespace fleetseal::installer {

struct ReceiveOptions {
  const manifest::UpdateFile& file;
  const Sha256& manifest_sha256;
  const manifest::OrderContent& content;
  const SecretBytes* update_key = nullptr;  // null: delivery is clear
  const sys::Clock& clock;
  int64_t idle_ms = 30'000;
  const std::atomic<bool>& is_cancelled;
};

// Whether the content itself is wrong, or only this attempt to bring it.
struct ReceiveFailure {
  Error error;
  bool is_content_bad = false;
};

// On success the target holds the whole verified file, durably.
// Attempt failed: Truncated (the pipe ended early), TimedOut, Cancelled, InvalidArgument (no pipe), StorageFailed,
// NoSpace. Content bad: FileTooLarge FileHashMismatch DecryptFailed, and codes of sealing::Opener.
tl::expected<void, ReceiveFailure> ReceiveFile(Handler& handler, const StepPlan& plan, const sys::FileDescriptor& pipe,
                                               const ReceiveOptions& options);

}  // namespace fleetseal::installer
