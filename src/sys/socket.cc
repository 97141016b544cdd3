#include "sys/socket.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <chrono>
#include <cstring>

#include "base/check.h"
#include "sys/errors.h"

namespace fleetseal::sys {
namespace {

int64_t MonotonicNowMs() {
  timespec now{};
  CHECK(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
  return int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
}

// Waits until `fd` is ready for `events` or the deadline (kNoTimeout: none) has passed.
Status WaitReady(int fd, short events, int64_t deadline_ms) {
  for (;;) {
    int wait_ms = -1;
    if (deadline_ms != kNoTimeout) {
      const int64_t left = deadline_ms - MonotonicNowMs();
      if (left <= 0) return Fail(ErrorCode::kTimedOut, "the other process did not answer in time");
      wait_ms = static_cast<int>(std::min<int64_t>(left, 1'000'000));
    }
    pollfd entry{.fd = fd, .events = events, .revents = 0};
    const int count = poll(&entry, 1, wait_ms);
    if (count > 0) return {};
    if (count < 0 && errno != EINTR) return FailErrno("poll", "local socket", errno);
  }
}

// An address for a path of any length: long ones go through a descriptor of their directory, as sun_path has 108 bytes.
struct Address {
  sockaddr_un address{};
  FileDescriptor directory;
};

Result<Address> AddressOf(const std::string& path) {
  Address result;
  result.address.sun_family = AF_UNIX;
  std::string text = path;
  if (text.size() >= sizeof(result.address.sun_path)) {
    TRY_ASSIGN(result.directory, OpenFile(ParentDirectory(path), O_PATH | O_DIRECTORY));
    text = "/proc/self/fd/" + std::to_string(result.directory.get()) + "/" + path.substr(path.rfind('/') + 1);
    if (text.size() >= sizeof(result.address.sun_path)) {
      return Fail(ErrorCode::kInvalidArgument, "the name of the socket " + path + " is too long");
    }
  }
  std::memcpy(result.address.sun_path, text.c_str(), text.size() + 1);
  return result;
}

Result<FileDescriptor> NewSocket() {
  FileDescriptor socket_fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!socket_fd.is_open()) return FailErrno("open", "local socket", errno);
  return socket_fd;
}

int ConnectTo(int fd, const Address& address) {
  return connect(fd, reinterpret_cast<const sockaddr*>(&address.address), sizeof(address.address));
}

// Takes the one descriptor out of the control data. ProtocolError if there were several.
Status TakeDescriptor(msghdr& header, FileDescriptor* fd) {
  bool is_too_many = (header.msg_flags & MSG_CTRUNC) != 0;
  for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr; part = CMSG_NXTHDR(&header, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int received = -1;
      std::memcpy(&received, CMSG_DATA(part) + i * sizeof(int), sizeof(int));
      FileDescriptor owned(received);
      if (fd == nullptr || fd->is_open()) {
        is_too_many = true;
      } else {
        *fd = std::move(owned);
      }
    }
  }
  if (is_too_many) return Fail(ErrorCode::kProtocolError, "a local message carries more than one descriptor");
  return {};
}

}  // namespace

LocalChannel::LocalChannel(FileDescriptor socket, int64_t timeout_ms)
    : socket_(std::move(socket)), timeout_ms_(timeout_ms) {}

Result<LocalChannel> LocalChannel::Connect(const std::string& path, int64_t timeout_ms) {
  TRY_ASSIGN(auto socket_fd, NewSocket());
  TRY_ASSIGN(const auto address, AddressOf(path));
  // A full backlog makes connect() wait; SO_SNDTIMEO bounds that.
  if (timeout_ms != kNoTimeout) {
    const timeval limit{.tv_sec = timeout_ms / 1000, .tv_usec = (timeout_ms % 1000) * 1000};
    (void)setsockopt(socket_fd.get(), SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
  }
  int outcome = 0;
  do {
    outcome = ConnectTo(socket_fd.get(), address);
  } while (outcome != 0 && errno == EINTR);
  if (outcome != 0) {
    if (errno == EAGAIN) return Fail(ErrorCode::kTimedOut, "connect " + path + ": the queue stays full");
    Error error = FailErrno("connect", path, errno).value();
    error.code = ErrorCode::kUnreachable;
    return tl::unexpected(std::move(error));
  }
  return LocalChannel(std::move(socket_fd), timeout_ms);
}

Result<LocalChannel::Pair> LocalChannel::MakePair() {
  std::array<int, 2> ends{};
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
    return FailErrno("open", "socket pair", errno);
  }
  return Pair{LocalChannel(FileDescriptor(ends[0])), LocalChannel(FileDescriptor(ends[1]))};
}

int64_t LocalChannel::Deadline() const {
  return timeout_ms_ == kNoTimeout ? kNoTimeout : MonotonicNowMs() + timeout_ms_;
}

Status LocalChannel::SendBytes(ByteView bytes, int fd, int64_t deadline_ms) {
  while (!bytes.empty()) {
    iovec part{.iov_base = const_cast<uint8_t*>(bytes.data()), .iov_len = bytes.size()};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
    msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    if (fd >= 0) {
      header.msg_control = control.data();
      header.msg_controllen = control.size();
      cmsghdr* rights = CMSG_FIRSTHDR(&header);
      rights->cmsg_level = SOL_SOCKET;
      rights->cmsg_type = SCM_RIGHTS;
      rights->cmsg_len = CMSG_LEN(sizeof(int));
      std::memcpy(CMSG_DATA(rights), &fd, sizeof(int));
    }
    const ssize_t count = sendmsg(socket_.get(), &header, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count >= 0) {
      fd = -1;  // it has gone with the first byte
      bytes = bytes.subspan(static_cast<size_t>(count));
    } else if (errno == EAGAIN) {
      TRY(WaitReady(socket_.get(), POLLOUT, deadline_ms));
    } else if (errno == EPIPE || errno == ECONNRESET) {
      return Fail(ErrorCode::kUnreachable, "the other process closed the connection");
    } else if (errno != EINTR) {
      return FailErrno("write to", "local socket", errno);
    }
  }
  return {};
}

Result<size_t> LocalChannel::ReceiveBytes(std::span<uint8_t> out, FileDescriptor* fd, int64_t deadline_ms) {
  size_t used = 0;
  while (used < out.size()) {
    iovec part{.iov_base = out.data() + used, .iov_len = out.size() - used};
    alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
    msghdr header{};
    header.msg_iov = &part;
    header.msg_iovlen = 1;
    if (fd != nullptr) {  // else the kernel closes what comes
      header.msg_control = control.data();
      header.msg_controllen = control.size();
    }
    const ssize_t count = recvmsg(socket_.get(), &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (count > 0) {
      if (fd != nullptr) TRY(TakeDescriptor(header, fd));
      used += static_cast<size_t>(count);
    } else if (count == 0 || errno == ECONNRESET) {
      break;
    } else if (errno == EAGAIN) {
      TRY(WaitReady(socket_.get(), POLLIN, deadline_ms));
    } else if (errno != EINTR) {
      return FailErrno("read from", "local socket", errno);
    }
  }
  return used;
}

Status LocalChannel::SendMessage(std::string_view text, int fd) {
  if (text.size() > limits::kLocalMessageBytesMax) {
    return Fail(ErrorCode::kDocumentTooLarge, "a local message of " + std::to_string(text.size()) + " bytes");
  }
  const auto size = static_cast<uint32_t>(text.size());
  const std::array<uint8_t, 4> length{static_cast<uint8_t>(size >> 24), static_cast<uint8_t>(size >> 16),
                                      static_cast<uint8_t>(size >> 8), static_cast<uint8_t>(size)};
  const int64_t deadline_ms = Deadline();
  TRY(SendBytes(length, fd, deadline_ms));
  return SendBytes(AsBytes(text), -1, deadline_ms);
}

Result<LocalMessage> LocalChannel::ReceiveMessage(size_t size_max) {
  TRY(WaitReady(socket_.get(), POLLIN, Deadline()));
  const int64_t deadline_ms = MonotonicNowMs() + kMessageTimeoutMs;
  LocalMessage message;
  std::array<uint8_t, 4> length{};
  TRY_ASSIGN(const size_t length_size, ReceiveBytes(length, &message.fd, deadline_ms));
  if (length_size == 0) return Fail(ErrorCode::kUnreachable, "the other process closed the connection");
  if (length_size < length.size()) return Fail(ErrorCode::kTruncated, "a local message ends within its length");
  const size_t size = size_t{length[0]} << 24 | size_t{length[1]} << 16 | size_t{length[2]} << 8 | size_t{length[3]};
  if (size > std::min(size_max, limits::kLocalMessageBytesMax)) {
    return Fail(ErrorCode::kDocumentTooLarge, "a local message of " + std::to_string(size) + " bytes");
  }
  if (turn_ != nullptr && size > kSmallMessageBytes) {
    const std::chrono::milliseconds patience(deadline_ms - MonotonicNowMs());
    message.turn = std::unique_lock(*turn_, patience);
    if (!message.turn.owns_lock()) return Fail(ErrorCode::kTimedOut, "other large messages were in the way");
  }
  TRY(ReceiveText(size, deadline_ms, message.text));
  return message;
}

Status LocalChannel::ReceiveText(size_t size, int64_t deadline_ms, std::string& text) {
  size_t used = 0;
  while (used < size) {
    text.resize(std::min(size, std::max(kSmallMessageBytes, used * 2)));
    const size_t room = text.size() - used;
    TRY_ASSIGN(const size_t count,
               ReceiveBytes({reinterpret_cast<uint8_t*>(text.data()) + used, room}, nullptr, deadline_ms));
    used += count;
    if (count < room)
      return Fail(ErrorCode::kTruncated,
                  "a local message ends after " + std::to_string(used) + " of " + std::to_string(size) + " bytes");
  }
  return {};
}

Result<LocalMessage> LocalChannel::Exchange(std::string_view text, int fd) {
  TRY(SendMessage(text, fd));
  return ReceiveMessage();
}

Status LocalChannel::WriteAll(ByteView bytes) { return SendBytes(bytes, -1, Deadline()); }

Status LocalChannel::ReadExact(std::span<uint8_t> out) {
  TRY_ASSIGN(const size_t count, ReceiveBytes(out, nullptr, Deadline()));
  if (count < out.size()) return Fail(ErrorCode::kTruncated, "the stream ends early");
  return {};
}

Result<size_t> LocalChannel::ReadSome(std::span<uint8_t> out) {
  const int64_t deadline_ms = Deadline();
  for (;;) {
    const ssize_t count = recv(socket_.get(), out.data(), out.size(), MSG_DONTWAIT);
    if (count >= 0) return static_cast<size_t>(count);
    if (errno == ECONNRESET) return size_t{0};
    if (errno == EAGAIN) {
      TRY(WaitReady(socket_.get(), POLLIN, deadline_ms));
    } else if (errno != EINTR) {
      return FailErrno("read from", "local socket", errno);
    }
  }
}

Result<PeerCredentials> LocalChannel::Peer() const {
  ucred peer{};
  socklen_t size = sizeof(peer);
  if (getsockopt(socket_.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
    return FailErrno("peer of", "local socket", errno);
  }
  return PeerCredentials{peer.uid, peer.gid, peer.pid};
}

void LocalChannel::Shutdown() { (void)shutdown(socket_.get(), SHUT_RDWR); }

namespace {

// A program that was killed while it started another leaves a child that holds its sockets until its exec.
Status AwaitNobody(const Address& address, const std::string& path) {
  constexpr int kProbes = 20;
  constexpr int kPauseMs = 50;
  for (int i = 0; i < kProbes; ++i) {
    if (i > 0) (void)poll(nullptr, 0, kPauseMs);
    TRY_ASSIGN(const auto probe, NewSocket());
    if (ConnectTo(probe.get(), address) != 0 && errno == ECONNREFUSED) return {};
  }
  return Fail(ErrorCode::kBusy, "another process listens on " + path);
}

}  // namespace

Result<FileDescriptor> ListenLocal(const ListenOptions& options) {
  TRY_ASSIGN(auto listener, NewSocket());
  TRY_ASSIGN(const auto address, AddressOf(options.path));
  struct stat info {};
  if (lstat(options.path.c_str(), &info) == 0) {
    if (!S_ISSOCK(info.st_mode)) return Fail(ErrorCode::kAlreadyExists, options.path + " is there and is no socket");
    TRY(AwaitNobody(address, options.path));
    TRY(RemoveFile(options.path));
  }
  // Before bind(): the file is made with these bits, so there is no moment in which others may connect.
  if (fchmod(listener.get(), options.mode & 0700) != 0) return FailErrno("chmod", options.path, errno);
  if (bind(listener.get(), reinterpret_cast<const sockaddr*>(&address.address), sizeof(address.address)) != 0) {
    return FailErrno("listen on", options.path, errno);
  }
  if (options.group && lchown(options.path.c_str(), static_cast<uid_t>(-1), *options.group) != 0) {
    return FailErrno("change group of", options.path, errno);
  }
  if (chmod(options.path.c_str(), options.mode) != 0) return FailErrno("chmod", options.path, errno);
  if (listen(listener.get(), SOMAXCONN) != 0) return FailErrno("listen on", options.path, errno);
  return listener;
}

}  // namespace fleetseal::sys
