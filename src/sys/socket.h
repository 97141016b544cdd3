// Unix stream sockets between the processes of one machine: length-prefixed messages, passed descriptors, peer
// identity.
//
// Wire form: u32 big-endian length, then that many bytes (limits::kLocalMessageBytesMax at most); a passed descriptor
// travels with the length. Every operation has a deadline, for the operation as a whole.
// Codes: TimedOut, Unreachable (nobody listens; the peer closed between messages), Truncated (it closed within one),
// DocumentTooLarge (message past the limit), ProtocolError (more than one descriptor), StorageFailed (other errno).
// Thread rule: one thread at a time per LocalChannel, but Shutdown() may come from any; LocalServer's handler runs on
// one thread a connection.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/limits.h"
#include "base/result.h"
#include "sys/file.h"

namespace fleetseal::sys {

inline constexpr int64_t kNoTimeout = -1;
inline constexpr int64_t kLocalTimeoutMs = 30'000;

// Who is at the other end, as the kernel knew it when the connection was made.
struct PeerCredentials {
  uid_t uid = 0;
  gid_t gid = 0;
  pid_t pid = 0;
};

// Messages past this many bytes are large.
inline constexpr size_t kSmallMessageBytes = 64 * 1024;
// A message that has begun must be whole within this time, milliseconds, however long the channel waits for its begin.
inline constexpr int64_t kMessageTimeoutMs = 30'000;
// Shared by channels that together hold at most one large message in memory.
using LargeMessageTurn = std::timed_mutex;

struct LocalMessage {
  std::string text;
  FileDescriptor fd;                        // not open if none came along
  std::unique_lock<LargeMessageTurn> turn;  // held with a large message of a channel that shares a turn
};

class LocalChannel {
 public:
  // Takes over a connected stream socket.
  explicit LocalChannel(FileDescriptor socket, int64_t timeout_ms = kLocalTimeoutMs);
  LocalChannel(LocalChannel&&) noexcept = default;
  LocalChannel& operator=(LocalChannel&&) noexcept = default;

  static Result<LocalChannel> Connect(const std::string& path, int64_t timeout_ms = kLocalTimeoutMs);
  struct Pair;
  // Two connected ends, for tests and for children.
  static Result<Pair> MakePair();

  // `fd` stays the caller's; -1 sends none.
  Status SendMessage(std::string_view text, int fd = -1);
  Result<LocalMessage> ReceiveMessage(size_t size_max = limits::kLocalMessageBytesMax);
  // SendMessage, then ReceiveMessage.
  Result<LocalMessage> Exchange(std::string_view text, int fd = -1);

  // Raw bytes, for streams between messages.
  Status WriteAll(ByteView bytes);
  Status ReadExact(std::span<uint8_t> out);
  // At least one byte; 0 at the end of the stream. REQUIRES: !out.empty().
  Result<size_t> ReadSome(std::span<uint8_t> out);

  Result<PeerCredentials> Peer() const;
  void SetTimeoutMs(int64_t timeout_ms) { timeout_ms_ = timeout_ms; }
  // `turn` outlives the channel and every message that came through it.
  void ShareLargeMessages(LargeMessageTurn* turn) { turn_ = turn; }
  // Ends both directions; a thread that waits in this channel gets Unreachable or Truncated.
  void Shutdown();
  int fd() const { return socket_.get(); }

 private:
  int64_t Deadline() const;
  Status SendBytes(ByteView bytes, int fd, int64_t deadline_ms);
  // Returns how many bytes came before the stream ended.
  Result<size_t> ReceiveBytes(std::span<uint8_t> out, FileDescriptor* fd, int64_t deadline_ms);

  // Reads `size` bytes into text that grows with what came: a length alone allocates nothing.
  Status ReceiveText(size_t size, int64_t deadline_ms, std::string& text);

  FileDescriptor socket_;
  int64_t timeout_ms_;
  LargeMessageTurn* turn_ = nullptr;
};

struct LocalChannel::Pair {
  LocalChannel first;
  LocalChannel second;
};

struct ListenOptions {
  std::string path;
  mode_t mode = 0600;          // who may connect: write permission on the socket file
  std::optional<gid_t> group;  // nullopt leaves the process's own
};

// Listens at `path`, replacing the socket file of a process that is gone. Busy if a process listens there.
Result<FileDescriptor> ListenLocal(const ListenOptions& options);

// Accepts on a thread of its own; each connection has a thread that runs `handler` and then closes the connection.
class LocalServer {
 public:
  struct Options {
    ListenOptions listen;
    int connections_max = 128;  // past it, new ones wait in the kernel's queue
    int64_t timeout_ms = kLocalTimeoutMs;
  };
  using Handler = std::function<void(LocalChannel& channel, const PeerCredentials& peer)>;

  // The socket exists when this returns.
  static Result<std::unique_ptr<LocalServer>> Start(Options options, Handler handler);
  // Calls Stop().
  ~LocalServer();
  LocalServer(const LocalServer&) = delete;
  LocalServer& operator=(const LocalServer&) = delete;

  // Accepts no more, shuts every connection, waits until all handlers have returned, removes the socket file.
  // May be called twice; not from a handler.
  void Stop();

 private:
  class Impl;
  explicit LocalServer(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace fleetseal::sys
