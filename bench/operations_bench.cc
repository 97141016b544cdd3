// Bare operations on this machine, for sums and ratios: OpenSSL's signatures, digests and AEAD, and the disk's fsync.
//
//   operations_bench [--directory DIR] [--repeats N]      prints one JSON object; CPU time, but fsync in wall time
#define OPENSSL_SUPPRESS_DEPRECATED  // bare_keys.h says why
#include <fcntl.h>
#include <openssl/evp.h>

#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <map>
#include <string>
#include <vector>

#include "bench/bare_keys.h"

namespace fleetseal::bench {
namespace {

constexpr size_t kBlock = 1024 * 1024;
constexpr int kBlocks = 256;

double CpuSeconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) / 1e9;
}

template <typename Call>
double Microseconds(int repeats, Call call) {
  call();
  const double begin = CpuSeconds();
  for (int i = 0; i < repeats; ++i) call();
  return (CpuSeconds() - begin) * 1e6 / repeats;
}

double Sha256GigabytesPerSecond(const std::vector<uint8_t>& block) {
  uint8_t digest[32];
  const double one = Microseconds(kBlocks, [&] { SHA256(block.data(), block.size(), digest); });
  return static_cast<double>(kBlock) / one / 1e3;
}

double GcmGigabytesPerSecond(const std::vector<uint8_t>& block) {
  std::vector<uint8_t> out(kBlock + 16);
  const uint8_t key[32] = {1};
  uint8_t nonce[12] = {};
  EVP_CIPHER_CTX* context = EVP_CIPHER_CTX_new();
  CHECK(EVP_DecryptInit_ex2(context, EVP_aes_256_gcm(), key, nonce, nullptr) == 1);
  const double one = Microseconds(kBlocks, [&] {
    int size = 0;
    CHECK(EVP_DecryptInit_ex2(context, nullptr, nullptr, nonce, nullptr) == 1);
    CHECK(EVP_DecryptUpdate(context, out.data(), &size, block.data(), static_cast<int>(block.size())) == 1);
  });
  EVP_CIPHER_CTX_free(context);
  return static_cast<double>(kBlock) / one / 1e3;
}

// Wall microseconds of an append of 4 KiB that is durable: nothing of it is CPU.
double FsyncMicroseconds(const std::string& directory, int repeats) {
  const std::string path = directory + "/fsync-bench";
  const int fd = ::open(path.c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
  CHECK(fd >= 0);
  const std::vector<char> bytes(4096, 'x');
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 0; i < repeats; ++i) {
    CHECK(::write(fd, bytes.data(), bytes.size()) == static_cast<ssize_t>(bytes.size()));
    CHECK(::fdatasync(fd) == 0);
  }
  const double took = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  ::close(fd);
  ::unlink(path.c_str());
  return took * 1e6 / repeats;
}

}  // namespace
}  // namespace fleetseal::bench

int main(int argc, char** argv) {
  using namespace fleetseal::bench;
  std::map<std::string, std::string> given;
  for (int i = 1; i + 1 < argc; i += 2) given[argv[i]] = argv[i + 1];
  const std::string directory = given.contains("--directory") ? given["--directory"] : ".";
  const int repeats = given.contains("--repeats") ? std::atoi(given["--repeats"].c_str()) : 500;
  const BareP256 p256;
  const BareEd25519 ed25519;
  const std::vector<uint8_t> block(kBlock, 'b');
  (void)std::printf(
      "{\"p256_sign_us\": %.2f, \"p256_verify_us\": %.2f, \"p256_import_us\": %.2f, \"ed25519_verify_us\": %.2f, "
      "\"sha256_gb_s\": %.3f, \"gcm_gb_s\": %.3f, \"fsync_us\": %.1f}\n",
      Microseconds(repeats, [&] { (void)p256.Sign(); }), Microseconds(repeats, [&] { CHECK(p256.Verify()); }),
      Microseconds(repeats, [&] { CHECK(p256.Import() != nullptr); }),
      Microseconds(repeats, [&] { CHECK(ed25519.ImportAndVerify()); }), Sha256GigabytesPerSecond(block),
      GcmGigabytesPerSecond(block), FsyncMicroseconds(directory, repeats));
  return 0;
}
