// The program itself: makes its key, says ready, serves, ends in order.
#include <gtest/gtest.h>
#include <signal.h>

#include "sealer/wrap_client.h"
#include "sys/process.h"
#include "sys/testing/temp_directory.h"

namespace fleetseal::sealer {
namespace {

TEST(SealerProgram, CreatesOnceServesAndStops) {
  sys::TempDirectory folder;
  ASSERT_TRUE(
      sys::WriteFileDurably(
          folder.File("sealer.toml"),
          AsBytes("data = \"sealer\"\nseal_socket = \"seal.sock\"\nwrap_socket = \"wrap.sock\"\nlog_file = \"log\"\n"),
          0600)
          .has_value());
  sys::SpawnOptions options;
  options.program = std::string(FLEETSEAL_BIN) + "/fleetseal-sealer";
  options.arguments = {"--config", folder.File("sealer.toml"), "--create"};
  EXPECT_TRUE(sys::RunProgram(options, 30'000)->exit.is_success());
  EXPECT_EQ(sys::RunProgram(options, 30'000)->exit.exit_code, 3) << "there is a key already";
  auto ready = *sys::ReadyPipe::Create();
  options.arguments = {"--config", folder.File("sealer.toml"), "--ready-fd", "3"};
  options.descriptors = {{ready.write_fd(), 3}};
  const auto sealer = *sys::Process::Spawn(options);
  EXPECT_EQ(*ready.Wait(30'000), "ready");
  WrapClient client(folder.File("wrap.sock"));
  EXPECT_EQ(client.Contents(Sha256{}).error().code, ErrorCode::kFileNotInManifest);
  EXPECT_TRUE(sealer->Stop(30'000)->is_success());
}

TEST(SealerProgram, RefusesUnknownKeysAndArguments) {
  sys::TempDirectory folder;
  ASSERT_TRUE(sys::WriteFileDurably(folder.File("sealer.toml"), AsBytes("dta = \"x\"\n"), 0600).has_value());
  sys::SpawnOptions options;
  options.program = std::string(FLEETSEAL_BIN) + "/fleetseal-sealer";
  options.arguments = {"--config", folder.File("sealer.toml")};
  EXPECT_EQ(sys::RunProgram(options, 30'000)->exit.exit_code, 2);
  options.arguments = {"--force"};
  EXPECT_EQ(sys::RunProgram(options, 30'000)->exit.exit_code, 2);
}

}  // namespace
}  // namespace fleetseal::sealer
