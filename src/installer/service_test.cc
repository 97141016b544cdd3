#include "installer/service.h"

#include <dirent.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <sstream>

#include "api/installer/installer_client.h"
#include "installer/testing/lab.h"
#include "sys/process.h"

namespace fleetseal::installer {
namespace {

using testing::Contents;
using testing::Lab;
using testing::Must;
using testing::Release;

struct Served {
  Lab lab;
  std::unique_ptr<Service> service;
  void Start() {
    if (!lab.machine) lab.Ready();
    service = Must(Service::Start(lab.config, *lab.machine, lab.log));
  }
  ~Served() { service.reset(); }
  wire::InstallerClient Connect() { return Must(wire::InstallerClient::Connect(lab.config.socket)); }
};

TEST(Service, CarriesAWholeUpdateOverTheSocketAndAnswersStateBesideTheStream) {
  Served served;
  served.Start();
  Lab& lab = served.lab;
  const std::string contents = Contents(300'000);
  const Release release = lab.SlotRelease(3, contents);
  auto client = served.Connect();
  const auto outcome = Must(client.OfferDocuments(lab.Offer(release, lab.MakeOrder(release, {contents}))));
  ASSERT_FALSE(outcome.refusal);
  ASSERT_EQ(outcome.wanted.size(), 1u);
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  sys::FileDescriptor read_end(ends[0]);
  sys::FileDescriptor write_end(ends[1]);
  ASSERT_TRUE(client.StartContent({outcome.wanted[0].file_id, outcome.wanted[0].sealed_sha256}, read_end.get()));
  read_end.Reset();
  auto second = served.Connect();
  const auto during = Must(second.State({.wait_ms = 20'000, .phase = Phase::kAccepted, .acknowledged = {}}));
  EXPECT_EQ(during.phase, Phase::kReceiving);
  EXPECT_EQ(second.OfferDocuments({}).value().phase, Phase::kReceiving);
  ASSERT_TRUE(sys::WriteAll(write_end.get(), lab.sealed.at(outcome.wanted[0].file_id)));
  write_end.Reset();
  EXPECT_TRUE(client.FinishContent());
  wire::InstallerState state = Must(client.State({}));
  for (int i = 0; i < 50 && state.phase != Phase::kIdle; ++i)
    state = Must(client.State({.wait_ms = 5'000, .phase = state.phase, .acknowledged = {}}));
  EXPECT_EQ(state.phase, Phase::kIdle);
  EXPECT_EQ(state.installed->release_counter, 3);
  EXPECT_EQ(state.receipts.size(), 1u);
  EXPECT_EQ(lab.SlotText('b'), contents);
}

TEST(Service, AnswersOnlyTheAgentsUser) {
  Served served;
  served.lab.config.agent_uid = geteuid() + 1;
  served.Start();
  auto client = served.Connect();
  const auto state = client.State({});
  ASSERT_FALSE(state);
  EXPECT_TRUE(state.error().code == ErrorCode::kPermissionDenied || state.error().code == ErrorCode::kUnreachable);
  EXPECT_FALSE(client.State({}));
}

TEST(Service, ClosesAfterAMessagePastTheBound) {
  Served served;
  served.Start();
  auto channel = Must(sys::LocalChannel::Connect(served.lab.config.socket));
  const uint8_t length[4] = {0x00, 0x50, 0x00, 0x00};  // 5 MiB
  ASSERT_TRUE(channel.WriteAll(length));
  const auto answer = channel.ReceiveMessage();
  if (answer) {
    EXPECT_NE(answer->text.find("DocumentTooLarge"), std::string::npos);
  }
  EXPECT_FALSE(channel.ReceiveMessage());
  auto next = served.Connect();
  EXPECT_TRUE(next.State({}));
}

TEST(Service, AnswersWhatItDoesNotUnderstandWithACode) {
  Served served;
  served.Start();
  auto channel = Must(sys::LocalChannel::Connect(served.lab.config.socket));
  const std::pair<const char*, const char*> cases[] = {
      {"{}", "MemberMissing"},
      {"nonsense", "JsonInvalid"},
      {R"({"verb":"install","path":"/tmp/x"})", "Unsupported"},
      {R"({"verb":"state","path":"/tmp/x"})", "MemberUnknown"},
      {R"({"verb":"offer-content","fileId":"../x","sealedSha256":"x"})", "IdInvalid"},
      {R"({"verb":"state","waitMs":99999999})", "ValueOutOfRange"},
  };
  for (const auto& [request, code] : cases) {
    const auto answer = Must(channel.Exchange(request));
    EXPECT_NE(answer.text.find(code), std::string::npos) << request << " " << answer.text;
  }
}

TEST(Service, S1_15_ContentWithoutAPipeIsRefused) {
  Served served;
  served.Start();
  auto channel = Must(sys::LocalChannel::Connect(served.lab.config.socket));
  const auto answer = Must(channel.Exchange(wire::BuildInstallerRequest(
      wire::OfferContentRequest{.file_id = Must(FileId::Parse("f0123456789abcdef")), .sealed_sha256 = {}})));
  EXPECT_NE(answer.text.find("InvalidArgument"), std::string::npos);
}

TEST(Service, AbortEndsARunningStream) {
  Served served;
  served.Start();
  Lab& lab = served.lab;
  const Release release = lab.SlotRelease(3, "x");
  auto client = served.Connect();
  const auto outcome = Must(client.OfferDocuments(lab.Offer(release, lab.MakeOrder(release, {"x"}))));
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  sys::FileDescriptor read_end(ends[0]);
  const sys::FileDescriptor write_end(ends[1]);
  ASSERT_TRUE(client.StartContent({outcome.wanted[0].file_id, outcome.wanted[0].sealed_sha256}, read_end.get()));
  read_end.Reset();
  auto second = served.Connect();
  (void)second.State({.wait_ms = 20'000, .phase = Phase::kAccepted, .acknowledged = {}});
  EXPECT_EQ(Must(second.Abort()), Phase::kIdle);
  EXPECT_FALSE(client.FinishContent());
}

// --- the program

const std::string kProgram = std::string(FLEETSEAL_BIN) + "/fleetseal-installer";

std::string OutputOf(const std::vector<std::string>& command) {
  sys::SpawnOptions spawn;
  spawn.program = command.front();
  spawn.arguments.assign(command.begin() + 1, command.end());
  spawn.environment = sys::CurrentEnvironment();
  return Must(sys::RunProgram(std::move(spawn), 60'000, 4 << 20)).output;
}

TEST(InstallerProgram, S1_15_LinksNothingThatSpeaksWithANetwork) {
  if (!sys::FileExists(kProgram)) GTEST_SKIP() << "fleetseal-installer is not built";
  const std::string libraries = OutputOf({"/usr/bin/ldd", kProgram});
  EXPECT_NE(libraries.find("libcrypto"), std::string::npos);
  for (const char* name : {"libssl", "libcurl", "libsqlite", "libpq", "libresolv"})
    EXPECT_EQ(libraries.find(name), std::string::npos) << name;
  const std::string symbols = OutputOf({"/usr/bin/nm", "--dynamic", "--undefined-only", kProgram});
  EXPECT_NE(symbols.find(" socket"), std::string::npos);  // the Unix socket; below: nothing that names a host
  for (const char* name : {"getaddrinfo", "gethostbyname", "inet_pton", "inet_addr", "inet_aton", " SSL_", "curl_",
                           "BIO_new_connect", "BIO_new_accept", "res_query", "dlopen"})
    EXPECT_EQ(symbols.find(name), std::string::npos) << name;
}

// What nobody else can share: all but the unchanged pages of libraries, which are everybody's on a machine and seem
// private only where nothing else runs.
int64_t PrivateKib(const std::string& smaps) {
  std::istringstream lines(smaps);
  int64_t kib = 0;
  bool is_library = false;
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with("Private_Dirty:") || (line.starts_with("Private_Clean:") && !is_library))
      kib += strtoll(line.c_str() + line.find(':') + 1, nullptr, 10);
    if (line.find('-') < line.find(' ')) is_library = line.find(".so") != std::string::npos;
  }
  return kib;
}

TEST(InstallerProgram, S1_15_RunsWithUnixSocketsOnlyAndWithinItsMemory) {
  if (!sys::FileExists(kProgram)) GTEST_SKIP() << "fleetseal-installer is not built";
  Lab lab;
  codec::Json json = codec::Json::MakeObject();
  json.Set("socket", "run/installer.sock").Set("provisioningDirectory", "provisioning").Set("stateDirectory", "state");
  json.Set("slots", codec::Json::MakeObject().Set("a", "slot-a").Set("b", "slot-b").Set("bytesMax", 1 << 20));
  json.Set("bootControl", codec::Json::MakeObject().Set("kind", "files").Set("directory", "boot"));
  codec::Json command = codec::Json::MakeArray();
  command.Push("/bin/true");
  json.Set("health", codec::Json::MakeObject().Set("command", std::move(command)));
  ASSERT_TRUE(sys::WriteFileDurably(lab.config.path, AsBytes(json.SerializePretty()), 0600));
  auto ready = Must(sys::ReadyPipe::Create());
  sys::SpawnOptions spawn;
  spawn.program = kProgram;
  spawn.arguments = {"--config", lab.config.path, "--ready-fd", "3"};
  spawn.environment = sys::CurrentEnvironment();
  spawn.descriptors = {{ready.write_fd(), 3}};
  const auto process = Must(sys::Process::Spawn(spawn));
  ASSERT_TRUE(ready.Wait(20'000));
  auto client = Must(wire::InstallerClient::Connect(lab.config.socket));
  EXPECT_EQ(Must(client.State({})).device_id, lab.world.device.device_id);
  const std::string proc = "/proc/" + std::to_string(process->pid());
  const std::string sockets = Must(sys::ReadTextFile(proc + "/net/unix", 8 << 20));
  int count = 0;
  for (const std::string& name : Must(sys::ListDirectory(proc + "/fd"))) {
    char target[256] = {};
    if (readlink((proc + "/fd/" + name).c_str(), target, sizeof(target) - 1) <= 0) continue;
    const std::string_view text = target;
    if (!text.starts_with("socket:[")) continue;
    const std::string inode(text.substr(8, text.size() - 9));
    EXPECT_NE(sockets.find(" " + inode), std::string::npos) << text;
    ++count;
  }
  EXPECT_GE(count, 2);
  // Design section 9: private at most 4 MiB.
  const int64_t private_kib = PrivateKib(Must(sys::ReadTextFile(proc + "/smaps", 1 << 20)));
  EXPECT_GT(private_kib, 500);
  EXPECT_LE(private_kib, 4096);
  RecordProperty("private_kib", std::to_string(private_kib));
  EXPECT_TRUE(Must(process->Stop(10'000)).is_success());
}

TEST(InstallerConfig, RefusesUnknownMembersAndAFolderThatOthersMayWriteTo) {
  Lab lab;
  ASSERT_TRUE(sys::WriteFileDurably(lab.config.path, AsBytes(R"({"socket":"s","insecure":true})"), 0600));
  EXPECT_EQ(LoadConfig(lab.config.path).error().code, ErrorCode::kConfigInvalid);
  ASSERT_EQ(chmod(lab.config.provisioning_directory.c_str(), 0777), 0);
  EXPECT_EQ(lab.TryOpen().error().code, ErrorCode::kConfigInvalid);
}

}  // namespace
}  // namespace fleetseal::installer
