// Makes devices that have not enrolled: for each an EST request with its one-time code, and the enrolment key that the
// register would hold.
//
//   make_devices --directory DIR --count N --prefix TEXT   writes DIR/<id>.request, DIR/devices.tsv
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>

#include "base/check.h"
#include "codec/base64.h"
#include "crypto/random.h"
#include "manifest/enrolment.h"
#include "pki/csr.h"
#include "pki/est.h"
#include "sys/file.h"

namespace fleetseal::bench {
namespace {

constexpr std::string_view kAlphabet = "abcdefghijklmnopqrstuvwxyz234567";
constexpr size_t kCodeSize = 26;

std::string MakeCode() {
  std::string code;
  for (const uint8_t byte : crypto::RandomBytes(kCodeSize)) code += kAlphabet[byte % kAlphabet.size()];
  code.back() = 'a';  // 26 characters hold 130 bits, a code has 128
  return code;
}

std::string MakeRequest(const std::string& id, const std::string& code) {
  auto key = crypto::PrivateKey::Generate(crypto::KeyKind::kP256);
  CHECK(key.has_value());
  const crypto::SoftwareSigner signer(*std::move(key));
  const auto csr = pki::BuildCertificateRequest(signer, id, {});
  CHECK(csr.has_value());
  const std::string body = pki::EncodeEstBody(*csr);
  return "POST /.well-known/est/simpleenroll HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/pkcs10\r\n"
         "Authorization: Basic " +
         codec::EncodeBase64(AsBytes(id + ":" + code)) + "\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + body;
}

}  // namespace
}  // namespace fleetseal::bench

int main(int argc, char** argv) {
  using namespace fleetseal;
  std::map<std::string, std::string> given;
  for (int i = 1; i + 1 < argc; i += 2) given[argv[i]] = argv[i + 1];
  const std::string directory = given["--directory"];
  std::string table;
  for (int i = 0; i < std::atoi(given["--count"].c_str()); ++i) {
    const std::string id = given["--prefix"] + std::to_string(i);
    const std::string code = bench::MakeCode();
    const auto device = DeviceId::Parse(id);
    CHECK(device.has_value());
    const auto key = manifest::DeriveEnrolmentKey(code, *device);
    CHECK(key.has_value());
    table += id + "\t" + codec::EncodeBase64Url(key->public_key().x()) + "\n";
    CHECK(sys::WriteFileDurably(directory + "/" + id + ".request", AsBytes(bench::MakeRequest(id, code)), 0600));
  }
  CHECK(sys::WriteFileDurably(directory + "/devices.tsv", AsBytes(table), 0600));
  return 0;
}
