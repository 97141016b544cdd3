// The least that an installation of sealed content can cost: one thread receives over mutual TLS and hashes, another
// decrypts, hashes and writes, and the file is durable at the end. Nothing is checked but lengths.
//
//   bare_install --port N --ca FILE --certificate FILE --key FILE --request FILE --output FILE    prints one JSON
//   object
#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <openssl/evp.h>
#include <openssl/ssl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/check.h"

namespace fleetseal::bench {
namespace {

constexpr size_t kBlock = 64 * 1024;
constexpr size_t kBlocks = 16;

// A ring of blocks between the two threads; a block of size 0 is the end.
class Ring {
 public:
  std::vector<char>& Free() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return filled_ - taken_ < kBlocks; });
    return blocks_[filled_ % kBlocks];
  }
  void Fill() {
    const std::lock_guard lock(mutex_);
    filled_ += 1;
    changed_.notify_one();
  }
  std::vector<char>& Filled() {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return filled_ > taken_; });
    return blocks_[taken_ % kBlocks];
  }
  void Take() {
    const std::lock_guard lock(mutex_);
    taken_ += 1;
    changed_.notify_one();
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::vector<char>> blocks_ = std::vector<std::vector<char>>(kBlocks);
  size_t filled_ = 0;
  size_t taken_ = 0;
};

SSL* Connect(std::map<std::string, std::string>& given) {
  SSL_CTX* context = SSL_CTX_new(TLS_client_method());
  CHECK(SSL_CTX_set_min_proto_version(context, TLS1_3_VERSION) == 1);
  CHECK(SSL_CTX_set_ciphersuites(context, "TLS_AES_128_GCM_SHA256") == 1);
  CHECK(SSL_CTX_load_verify_locations(context, given["--ca"].c_str(), nullptr) == 1);
  CHECK(SSL_CTX_use_certificate_chain_file(context, given["--certificate"].c_str()) == 1);
  CHECK(SSL_CTX_use_PrivateKey_file(context, given["--key"].c_str(), SSL_FILETYPE_PEM) == 1);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, nullptr);
  SSL_CTX_set_read_ahead(context, 1);
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(std::atoi(given["--port"].c_str())));
  CHECK(::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0);
  SSL* ssl = SSL_new(context);
  SSL_set_fd(ssl, fd);
  CHECK(SSL_connect(ssl) == 1);
  std::ifstream file(given["--request"], std::ios::binary);
  const std::string request{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  CHECK(SSL_write(ssl, request.data(), static_cast<int>(request.size())) == static_cast<int>(request.size()));
  return ssl;
}

// Returns how much of the body came with the head, and the length of the whole body.
uint64_t ReadHead(SSL* ssl, std::vector<char>& rest) {
  std::string head;
  std::vector<char> buffer(kBlock);
  while (head.find("\r\n\r\n") == std::string::npos) {
    const int count = SSL_read(ssl, buffer.data(), static_cast<int>(buffer.size()));
    CHECK(count > 0);
    head.append(buffer.data(), static_cast<size_t>(count));
  }
  CHECK(head.starts_with("HTTP/1.1 200"));
  const size_t at = head.find("Content-Length: ");
  CHECK(at != std::string::npos);
  const size_t end = head.find("\r\n\r\n") + 4;
  rest.assign(head.begin() + static_cast<std::ptrdiff_t>(end), head.end());
  return std::strtoull(head.c_str() + at + 16, nullptr, 10);
}

void Receive(SSL* ssl, Ring& ring) {
  std::vector<char> rest;
  uint64_t left = ReadHead(ssl, rest);
  EVP_MD_CTX* digest = EVP_MD_CTX_new();
  CHECK(EVP_DigestInit_ex2(digest, EVP_sha256(), nullptr) == 1);
  const auto hand_over = [&](std::vector<char>& block) {
    CHECK(EVP_DigestUpdate(digest, block.data(), block.size()) == 1);
    left -= block.size();
    ring.Fill();
  };
  if (!rest.empty()) {
    ring.Free() = rest;
    hand_over(rest);
  }
  while (left > 0) {
    auto& block = ring.Free();
    block.resize(kBlock);
    size_t have = 0;
    while (have < kBlock && have < left) {
      const int count = SSL_read(ssl, block.data() + have, static_cast<int>(kBlock - have));
      CHECK(count > 0);
      have += static_cast<size_t>(count);
    }
    block.resize(have);
    hand_over(block);
  }
  ring.Free().clear();
  ring.Fill();
  EVP_MD_CTX_free(digest);
}

void Write(Ring& ring, int fd) {
  EVP_MD_CTX* digest = EVP_MD_CTX_new();
  EVP_CIPHER_CTX* cipher = EVP_CIPHER_CTX_new();
  const uint8_t key[32] = {1};
  const uint8_t nonce[12] = {};
  CHECK(EVP_DigestInit_ex2(digest, EVP_sha256(), nullptr) == 1);
  CHECK(EVP_DecryptInit_ex2(cipher, EVP_aes_256_gcm(), key, nonce, nullptr) == 1);
  std::vector<uint8_t> plain(2 * kBlock);
  for (;;) {
    auto& block = ring.Filled();
    if (block.empty()) break;
    int size = 0;
    CHECK(EVP_DecryptInit_ex2(cipher, nullptr, nullptr, nonce, nullptr) == 1);
    CHECK(EVP_DecryptUpdate(cipher, plain.data(), &size, reinterpret_cast<const uint8_t*>(block.data()),
                            static_cast<int>(block.size())) == 1);
    ring.Take();
    CHECK(EVP_DigestUpdate(digest, plain.data(), static_cast<size_t>(size)) == 1);
    CHECK(::write(fd, plain.data(), static_cast<size_t>(size)) == size);
  }
  CHECK(::fsync(fd) == 0);
  EVP_CIPHER_CTX_free(cipher);
  EVP_MD_CTX_free(digest);
}

}  // namespace
}  // namespace fleetseal::bench

int main(int argc, char** argv) {
  using namespace fleetseal::bench;
  std::map<std::string, std::string> given;
  for (int i = 1; i + 1 < argc; i += 2) given[argv[i]] = argv[i + 1];
  const int fd = ::open(given["--output"].c_str(), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
  CHECK(fd >= 0);
  const auto begin = std::chrono::steady_clock::now();
  Ring ring;
  std::thread writer([&] { Write(ring, fd); });
  Receive(Connect(given), ring);
  writer.join();
  const double took = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const double cpu = static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
                     static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
  (void)std::printf("{\"seconds\": %.4f, \"cpu\": %.4f}\n", took, cpu);
  ::close(fd);
  return 0;
}
