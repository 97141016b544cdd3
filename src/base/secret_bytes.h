// SecretBytes: bytes that are wiped when they go. No ==, no print, no implicit copy (house rule "Types").
//
// Thread rule: one owner at a time.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/bytes.h"

namespace fleetseal {

class SecretBytes {
 public:
  SecretBytes() = default;
  // Zero-filled.
  explicit SecretBytes(size_t size);
  // Copies and leaves the caller's copy as it is: the caller wipes it (WipeMemory).
  static SecretBytes CopyOf(ByteView bytes);

  SecretBytes(SecretBytes&& other) noexcept;
  SecretBytes& operator=(SecretBytes&& other) noexcept;
  SecretBytes(const SecretBytes&) = delete;
  SecretBytes& operator=(const SecretBytes&) = delete;
  ~SecretBytes();

  SecretBytes Clone() const { return CopyOf(reveal()); }
  size_t size() const { return size_; }
  bool is_empty() const { return size_ == 0; }
  // The bytes themselves. Every call is a place where key material is touched: grep for reveal.
  ByteView reveal() const { return {data_.get(), size_}; }
  std::span<uint8_t> reveal_mutable() { return {data_.get(), size_}; }

 private:
  std::unique_ptr<uint8_t[]> data_;
  size_t size_ = 0;
};

// Overwrites memory in a way that the compiler keeps.
void WipeMemory(void* data, size_t size) noexcept;
// Compares in time that depends on the sizes only.
bool IsEqualConstantTime(ByteView left, ByteView right);

}  // namespace fleetseal
