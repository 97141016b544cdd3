// Against SoftHSM2, a module that is not ours; skipped where it is not installed.
#include <gtest/gtest.h>

#include <sys/stat.h>

#include <cstdlib>

#include "crypto/pkcs11/token.h"
#include "crypto/pkcs11/uri.h"
#include "sys/file.h"
#include "sys/testing/temp_directory.h"

namespace fleetseal::crypto::pkcs11 {
namespace {

ErrorCode CodeOf(std::string_view text) {
  const auto uri = Uri::Parse(text);
  return uri ? ErrorCode::kInternal : uri.error().code;
}

TEST(Uri, ReadsWhatRfc7512Writes) {
  const auto uri = Uri::Parse(
      "pkcs11:token=The%20roots;object=root-1;id=%01%fF;slot-id=7;type=private"
      "?module-path=/usr/lib/module.so&pin-source=file:/etc/pin");
  ASSERT_TRUE(uri) << uri.error().ToString();
  EXPECT_EQ(uri->token, "The roots");
  EXPECT_EQ(uri->object, "root-1");
  EXPECT_EQ(uri->id, (Bytes{1, 255}));
  EXPECT_EQ(uri->slot_id, 7u);
  EXPECT_EQ(uri->pin_source, "/etc/pin");
  const std::string text =
      "pkcs11:token=The%20roots;slot-id=7;object=root-1;id=%01%FF?module-path=/usr/lib/module.so&pin-source=/etc/pin";
  EXPECT_EQ(uri->ToText(), text);
  EXPECT_EQ(Uri::Parse(text)->ToText(), text);
}

TEST(Uri, NeverTakesAPinNorAProgramForOne) {
  EXPECT_EQ(CodeOf("pkcs11:token=a?pin-value=1234"), ErrorCode::kInvalidArgument);
  EXPECT_EQ(CodeOf("pkcs11:token=a;pin-value=1234"), ErrorCode::kInvalidArgument);
  EXPECT_EQ(CodeOf("pkcs11:token=a?pin-source=%7cecho%201234"), ErrorCode::kInvalidArgument);
}

TEST(Uri, RefusesWhatWouldMatchMoreThanItsAuthorMeant) {
  for (const char* text : {"token=a", "pkcs11:tokne=a", "pkcs11:token=a;token=b", "pkcs11:token=", "pkcs11:token",
                           "pkcs11:token=a b", "pkcs11:token=%4", "pkcs11:token=%zz", "pkcs11:slot-id=x",
                           "pkcs11:type=cert", "pkcs11:token=a?object=b", "pkcs11:module-path=/a", "PKCS11:token=a"}) {
    EXPECT_EQ(CodeOf(text), ErrorCode::kInvalidArgument) << text;
  }
}

class SoftToken : public ::testing::Test {
 protected:
  static constexpr const char* kModule = "/usr/lib/softhsm/libsofthsm2.so";

  void SetUp() override {
    if (!sys::FileExists(kModule)) GTEST_SKIP() << "softhsm2 is not installed";
    ASSERT_TRUE(sys::MakeDirectories(folder_.path() + "/tokens", 0700));
    Write("softhsm2.conf", "directories.tokendir = " + folder_.path() + "/tokens\nlog.level = ERROR\n");
    Write("pin", "1234\n");
    setenv("SOFTHSM2_CONF", (folder_.path() + "/softhsm2.conf").c_str(), 1);  // NOLINT(concurrency-mt-unsafe)
    // Another process: this one must not have loaded the module with another configuration.
    ASSERT_EQ(system("softhsm2-util --init-token --free --label roots --so-pin 12345678 --pin 1234 >/dev/null"),
              0);  // NOLINT(concurrency-mt-unsafe,cert-env33-c)
  }
  void Write(const std::string& name, const std::string& text) {
    ASSERT_TRUE(sys::WriteFileDurably(folder_.path() + "/" + name, AsBytes(text), 0600));
  }
  Uri KeyNamed(const std::string& object) const {
    Uri uri;
    uri.token = "roots";
    uri.object = object;
    uri.module_path = kModule;
    uri.pin_source = folder_.path() + "/pin";
    return uri;
  }
  static ErrorCode CodeOf(const Result<PublicKey>& key) { return key ? ErrorCode::kInternal : key.error().code; }

  sys::TempDirectory folder_;
};

// One test, as a module reads its configuration once a process.
TEST_F(SoftToken, MakesKeysReadsThemAndSigns) {
  for (const KeyKind kind : {KeyKind::kP256, KeyKind::kRsa2048}) {
    const Uri uri = KeyNamed(kind == KeyKind::kP256 ? "ec" : "rsa");
    const auto made = CreateKeyPair(uri, kind);
    ASSERT_TRUE(made) << made.error().ToString();
    EXPECT_EQ(CodeOf(CreateKeyPair(uri, kind)), ErrorCode::kAlreadyExists);
    const auto read = ReadPublicKey(uri);
    ASSERT_TRUE(read) << read.error().ToString();
    EXPECT_TRUE(*read == *made);
    const auto signer = OpenSigner(uri);
    ASSERT_TRUE(signer) << signer.error().ToString();
    const auto algorithm = made->default_algorithm();
    const auto signature = (*signer)->Sign(algorithm, AsBytes("message"));
    ASSERT_TRUE(signature) << signature.error().ToString();
    EXPECT_TRUE(made->Verify(algorithm, AsBytes("message"), *signature));
    EXPECT_FALSE(made->Verify(algorithm, AsBytes("another"), *signature));
    const auto other = kind == KeyKind::kP256 ? SignatureAlgorithm::kRs256 : SignatureAlgorithm::kEs256;
    EXPECT_EQ((*signer)->Sign(other, AsBytes("message")).error().code, ErrorCode::kAlgorithmNotAllowed);
  }
  EXPECT_EQ(CodeOf(ReadPublicKey(KeyNamed("nobody"))), ErrorCode::kNotFound);
  EXPECT_EQ(CodeOf(ReadPublicKey(KeyNamed(""))), ErrorCode::kConflict);
  EXPECT_EQ(CodeOf(CreateKeyPair(KeyNamed("p384"), KeyKind::kP384)), ErrorCode::kAlgorithmNotAllowed);
  Uri other = KeyNamed("ec");
  other.token = "another";
  EXPECT_EQ(CodeOf(ReadPublicKey(other)), ErrorCode::kInvalidArgument);
  other = KeyNamed("ec");
  other.module_path.clear();
  EXPECT_EQ(CodeOf(ReadPublicKey(other)), ErrorCode::kInvalidArgument);
  other.module_path = "/usr/lib/no-such-module.so";
  EXPECT_EQ(CodeOf(ReadPublicKey(other)), ErrorCode::kInvalidArgument);
  other = KeyNamed("ec");
  other.pin_source.clear();
  EXPECT_EQ(CodeOf(ReadPublicKey(other)), ErrorCode::kInvalidArgument);
  Write("pin", "4321\n");
  EXPECT_EQ(CodeOf(ReadPublicKey(KeyNamed("ec"))), ErrorCode::kPassphraseWrong);
  ASSERT_EQ(chmod((folder_.path() + "/pin").c_str(), 0644), 0);
  EXPECT_EQ(CodeOf(ReadPublicKey(KeyNamed("ec"))), ErrorCode::kConfigInvalid);
}

}  // namespace
}  // namespace fleetseal::crypto::pkcs11
