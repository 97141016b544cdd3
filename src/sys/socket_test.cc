#include "sys/socket.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include <array>
#include <atomic>
#include <cstring>
#include <future>
#include <thread>

#include "sys/testing/temp_directory.h"

namespace fleetseal::sys {
namespace {

LocalServer::Options At(const std::string& path) { return {.listen = {.path = path, .mode = 0660, .group = {}}}; }

void Echo(LocalChannel& channel, const PeerCredentials&) {
  for (;;) {
    const auto message = channel.ReceiveMessage();
    if (!message || !channel.SendMessage(message->text)) return;
  }
}

TEST(LocalChannel, CarriesMessagesOfEverySizeUpToTheLimit) {
  const TempDirectory directory;
  const auto server = *LocalServer::Start(At(directory.File("s")), Echo);
  auto channel = *LocalChannel::Connect(directory.File("s"));
  for (const size_t size : {size_t{0}, size_t{1}, size_t{300'000}, limits::kLocalMessageBytesMax}) {
    const std::string text(size, 'x');
    const auto answer = channel.Exchange(text);
    ASSERT_TRUE(answer.has_value()) << answer.error().ToString();
    EXPECT_TRUE(answer->text == text) << size;
    EXPECT_FALSE(answer->fd.is_open());
  }
}

TEST(LocalChannel, RefusesMessagesPastTheLimitOnBothSides) {
  auto pair = *LocalChannel::MakePair();
  const std::string text(limits::kLocalMessageBytesMax + 1, 'x');
  EXPECT_EQ(pair.first.SendMessage(text).error().code, ErrorCode::kDocumentTooLarge);
  const std::array<uint8_t, 4> length{0x7f, 0xff, 0xff, 0xff};
  ASSERT_TRUE(pair.first.WriteAll(length).has_value());
  EXPECT_EQ(pair.second.ReceiveMessage().error().code, ErrorCode::kDocumentTooLarge);
  ASSERT_TRUE(pair.second.SendMessage("12345").has_value());
  EXPECT_EQ(pair.first.ReceiveMessage(4).error().code, ErrorCode::kDocumentTooLarge);
}

TEST(LocalChannel, X6_ChannelsThatShareATurnHoldOneLargeMessageTogether) {
  auto first = *LocalChannel::MakePair();
  auto second = *LocalChannel::MakePair();
  LargeMessageTurn turn;
  first.second.ShareLargeMessages(&turn);
  second.second.ShareLargeMessages(&turn);
  const std::string large(kSmallMessageBytes + 1, 'x');
  auto sender = std::async(std::launch::async, [&] { return first.first.SendMessage(large).has_value(); });
  auto held = first.second.ReceiveMessage();
  ASSERT_TRUE(held.has_value() && sender.get());
  EXPECT_TRUE(held->turn.owns_lock());
  ASSERT_TRUE(second.first.SendMessage("small").has_value());
  EXPECT_FALSE(second.second.ReceiveMessage()->turn.owns_lock());
  auto later = std::async(std::launch::async, [&] { return second.first.SendMessage(large).has_value(); });
  auto waiting = std::async(std::launch::async, [&] { return second.second.ReceiveMessage(); });
  EXPECT_FALSE(turn.try_lock());
  held->turn.unlock();
  const auto next = waiting.get();
  ASSERT_TRUE(next.has_value() && later.get());
  EXPECT_TRUE(next->turn.owns_lock());
  EXPECT_TRUE(next->text == large);
}

TEST(LocalChannel, TellsAnOrderlyEndFromAHalfMessage) {
  auto orderly = *LocalChannel::MakePair();
  orderly.first.Shutdown();
  EXPECT_EQ(orderly.second.ReceiveMessage().error().code, ErrorCode::kUnreachable);
  for (const auto& part : {Bytes{0, 0}, Bytes{0, 0, 0, 5, 'a', 'b'}}) {
    auto half = *LocalChannel::MakePair();
    ASSERT_TRUE(half.first.WriteAll(part).has_value());
    half.first.Shutdown();
    EXPECT_EQ(half.second.ReceiveMessage().error().code, ErrorCode::kTruncated);
  }
}

TEST(LocalChannel, GivesUpAtItsDeadline) {
  auto pair = *LocalChannel::MakePair();
  pair.second.SetTimeoutMs(1);
  EXPECT_EQ(pair.second.ReceiveMessage().error().code, ErrorCode::kTimedOut);
  // A peer that does not read: the buffers fill up.
  pair.first.SetTimeoutMs(1);
  const Bytes much(8 * 1024 * 1024);
  EXPECT_EQ(pair.first.WriteAll(much).error().code, ErrorCode::kTimedOut);
}

TEST(LocalChannel, PassesADescriptor) {
  const TempDirectory directory;
  ASSERT_TRUE(WriteFileDurably(directory.File("a"), AsBytes("inside"), 0600).has_value());
  const auto file = *OpenFile(directory.File("a"), O_RDONLY);
  auto pair = *LocalChannel::MakePair();
  ASSERT_TRUE(pair.first.SendMessage("take", file.get()).has_value());
  ASSERT_TRUE(pair.first.SendMessage("none").has_value());
  const auto with = *pair.second.ReceiveMessage();
  EXPECT_EQ(with.text, "take");
  ASSERT_TRUE(with.fd.is_open());
  EXPECT_EQ(fcntl(with.fd.get(), F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
  Bytes buffer(6);
  EXPECT_EQ(*ReadUpToAt(with.fd.get(), buffer, 0), 6u);
  EXPECT_EQ(AsText(buffer), "inside");
  EXPECT_FALSE(pair.second.ReceiveMessage()->fd.is_open());
}

TEST(LocalChannel, RefusesTwoDescriptorsInOneMessage) {
  auto pair = *LocalChannel::MakePair();
  std::array<uint8_t, 4> length{};
  iovec part{length.data(), length.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(2 * sizeof(int))> control{};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control.data();
  header.msg_controllen = control.size();
  cmsghdr* rights = CMSG_FIRSTHDR(&header);
  rights->cmsg_level = SOL_SOCKET;
  rights->cmsg_type = SCM_RIGHTS;
  rights->cmsg_len = CMSG_LEN(2 * sizeof(int));
  const std::array<int, 2> fds{0, 1};
  std::memcpy(CMSG_DATA(rights), fds.data(), sizeof(fds));
  ASSERT_EQ(sendmsg(pair.first.fd(), &header, 0), 4);
  EXPECT_EQ(pair.second.ReceiveMessage().error().code, ErrorCode::kProtocolError);
}

TEST(LocalChannel, StreamsRawBytesBetweenMessages) {
  auto pair = *LocalChannel::MakePair();
  ASSERT_TRUE(pair.first.SendMessage("3 bytes").has_value());
  ASSERT_TRUE(pair.first.WriteAll(AsBytes("abc")).has_value());
  EXPECT_EQ(pair.second.ReceiveMessage()->text, "3 bytes");
  Bytes two(2);
  ASSERT_TRUE(pair.second.ReadExact(two).has_value());
  EXPECT_EQ(AsText(two), "ab");
  EXPECT_EQ(*pair.second.ReadSome(two), 1u);
  pair.first.Shutdown();
  EXPECT_EQ(*pair.second.ReadSome(two), 0u);
  EXPECT_EQ(pair.second.ReadExact(two).error().code, ErrorCode::kTruncated);
  EXPECT_EQ(pair.second.SendMessage("x").error().code, ErrorCode::kUnreachable);
}

TEST(LocalServer, KnowsItsPeer) {
  const TempDirectory directory;
  std::promise<PeerCredentials> seen;
  const auto server = *LocalServer::Start(
      At(directory.File("s")), [&seen](LocalChannel&, const PeerCredentials& peer) { seen.set_value(peer); });
  const auto channel = *LocalChannel::Connect(directory.File("s"));
  const PeerCredentials peer = seen.get_future().get();
  EXPECT_EQ(peer.uid, geteuid());
  EXPECT_EQ(peer.gid, getegid());
  EXPECT_EQ(peer.pid, getpid());
}

TEST(LocalServer, SetsTheModeAndRemovesTheSocketAtItsEnd) {
  const TempDirectory directory;
  const std::string path = directory.File("s");
  auto server = *LocalServer::Start(At(path), Echo);
  struct stat info {};
  ASSERT_EQ(stat(path.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0660u);
  server->Stop();
  server->Stop();
  EXPECT_FALSE(FileExists(path));
  EXPECT_EQ(LocalChannel::Connect(path).error().code, ErrorCode::kUnreachable);
}

TEST(LocalServer, WaitsForAChildThatStillHoldsTheSocketOfAKilledOne) {
  const TempDirectory directory;
  const std::string path = directory.File("s");
  auto held = ListenLocal(At(path).listen);
  ASSERT_TRUE(held.has_value());
  std::thread holder([socket = std::move(*held)]() mutable {
    (void)poll(nullptr, 0, 120);
    socket = FileDescriptor();
  });
  EXPECT_TRUE(ListenLocal(At(path).listen).has_value());
  holder.join();
}

TEST(LocalServer, ListensBelowLongPaths) {
  const TempDirectory directory;
  const std::string deep = directory.File(std::string(100, 'd') + "/" + std::string(100, 'e'));
  ASSERT_TRUE(MakeDirectories(deep, 0700).has_value());
  const auto server = *LocalServer::Start(At(deep + "/s"), Echo);
  auto channel = *LocalChannel::Connect(deep + "/s");
  EXPECT_EQ(channel.Exchange("x")->text, "x");
}

TEST(LocalServer, TakesOverADeadSocketButNotALiveOneNorAFile) {
  const TempDirectory directory;
  const std::string path = directory.File("s");
  { const auto dead = *ListenLocal({.path = path, .mode = 0600, .group = {}}); }
  ASSERT_TRUE(FileExists(path));
  const auto server = *LocalServer::Start(At(path), Echo);
  EXPECT_EQ(LocalServer::Start(At(path), Echo).error().code, ErrorCode::kBusy);
  ASSERT_TRUE(WriteFileDurably(directory.File("file"), {}, 0600).has_value());
  EXPECT_EQ(LocalServer::Start(At(directory.File("file")), Echo).error().code, ErrorCode::kAlreadyExists);
}

TEST(LocalServer, ServesManyAtATimeAndQueuesThoseBeyondTheBound) {
  const TempDirectory directory;
  auto options = At(directory.File("s"));
  options.connections_max = 2;
  std::atomic<int> now = 0;
  std::atomic<int> most = 0;
  const auto server = *LocalServer::Start(options, [&](LocalChannel& channel, const PeerCredentials&) {
    const int running = ++now;
    int before = most;
    while (before < running && !most.compare_exchange_weak(before, running)) {
    }
    if (const auto message = channel.ReceiveMessage()) (void)channel.SendMessage(message->text);
    --now;
  });
  std::vector<std::thread> clients;
  std::atomic<int> answered = 0;
  for (int i = 0; i < 8; ++i) {
    clients.emplace_back([&] {
      auto channel = LocalChannel::Connect(directory.File("s"));
      if (channel && channel->Exchange("x")) ++answered;
    });
  }
  for (std::thread& client : clients) client.join();
  EXPECT_EQ(answered, 8);
  EXPECT_LE(most, 2);
}

TEST(LocalServer, StopEndsHandlersThatWait) {
  const TempDirectory directory;
  std::promise<void> is_in;
  const auto server = *LocalServer::Start(At(directory.File("s")), [&](LocalChannel& channel, const PeerCredentials&) {
    is_in.set_value();
    EXPECT_EQ(channel.ReceiveMessage().error().code, ErrorCode::kUnreachable);
  });
  const auto channel = *LocalChannel::Connect(directory.File("s"));
  is_in.get_future().wait();
  server->Stop();
}

}  // namespace
}  // namespace fleetseal::sys
