#include "base/secret_bytes.h"

#include <cstring>
#include <utility>

namespace fleetseal {

void WipeMemory(void* data, size_t size) noexcept {
  if (size == 0) return;
  std::memset(data, 0, size);
  asm volatile("" : : "r"(data) : "memory");  // keeps the stores: the bytes are not read again
}

bool IsEqualConstantTime(ByteView left, ByteView right) {
  if (left.size() != right.size()) return false;
  uint8_t difference = 0;
  for (size_t i = 0; i < left.size(); ++i) difference = static_cast<uint8_t>(difference | (left[i] ^ right[i]));
  return difference == 0;
}

SecretBytes::SecretBytes(size_t size) : data_(size == 0 ? nullptr : new uint8_t[size]()), size_(size) {}

SecretBytes SecretBytes::CopyOf(ByteView bytes) {
  SecretBytes secret(bytes.size());
  if (!bytes.empty()) std::memcpy(secret.data_.get(), bytes.data(), bytes.size());
  return secret;
}

SecretBytes::SecretBytes(SecretBytes&& other) noexcept
    : data_(std::move(other.data_)), size_(std::exchange(other.size_, 0)) {}

SecretBytes& SecretBytes::operator=(SecretBytes&& other) noexcept {
  if (this != &other) {
    WipeMemory(data_.get(), size_);
    data_ = std::move(other.data_);
    size_ = std::exchange(other.size_, 0);
  }
  return *this;
}

SecretBytes::~SecretBytes() { WipeMemory(data_.get(), size_); }

}  // namespace fleetseal
