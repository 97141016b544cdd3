// The program itself: makes an organisation's keys, says ready, serves, ends in order.
#include <gtest/gtest.h>

#include "api/signing/client.h"
#include "sys/process.h"
#include "sys/testing/temp_directory.h"

namespace fleetseal::signer {
namespace {

TEST(SignerProgram, CreatesOnceServesAndStops) {
  sys::TempDirectory folder;
  const std::string toml =
      "organisation = \"acme\"\ndata = \"signer\"\npassphrase = \"passphrase\"\nlog = \"log\"\nsocket = "
      "\"signer.sock\"\n"
      "wrap_socket = \"wrap.sock\"\nlog_file = \"events\"\n";
  ASSERT_TRUE(sys::WriteFileDurably(folder.File("signer.toml"), AsBytes(toml), 0600).has_value());
  ASSERT_TRUE(sys::WriteFileDurably(folder.File("passphrase"), AsBytes("correct horse\n"), 0400).has_value());
  sys::SpawnOptions options;
  options.program = std::string(FLEETSEAL_BIN) + "/fleetseal-signer";
  options.arguments = {"--config",   folder.File("signer.toml"), "--create", "--product", "acme/gateway", "--product",
                       "acme/sensor"};
  const auto created = *sys::RunProgram(options, 60'000);
  ASSERT_TRUE(created.exit.is_success()) << created.output;
  const auto json = codec::ParseJson(std::string_view(created.output).substr(0, created.output.size() - 1));
  ASSERT_TRUE(json.has_value()) << created.output;
  EXPECT_EQ(json->Find("keys")->as_array().size(), 3U);
  EXPECT_EQ(json->Find("log")->Find("origin")->as_string(), "log.acme");
  EXPECT_EQ(created.output.find("PRIVATE"), std::string::npos);
  EXPECT_EQ(sys::RunProgram(options, 60'000)->exit.exit_code, 3) << "there is a signer already";
  auto ready = *sys::ReadyPipe::Create();
  options.arguments = {"--config", folder.File("signer.toml"), "--ready-fd", "3"};
  options.descriptors = {{ready.write_fd(), 3}};
  const auto signer = *sys::Process::Spawn(options);
  EXPECT_EQ(*ready.Wait(60'000), "ready");
  api::signing::SigningClient client(folder.File("signer.sock"));
  EXPECT_EQ(client.Hello()->package_version, 0);
  EXPECT_EQ(client.Status().error().code, ErrorCode::kTrustStateMissing);
  EXPECT_TRUE(signer->Stop(30'000)->is_success());
}

}  // namespace
}  // namespace fleetseal::signer
