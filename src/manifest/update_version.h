// The version of an update: 2 to 4 dotted integers, each up to 2147483647 (Azure import schema, reference ADU section
// 6).
//
// Compared number by number; a version that ends first is the smaller one, so two versions are equal only if their
// texts are. Thread rule: plain value.
#pragma once

#include <compare>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace fleetseal::manifest {

class UpdateVersion {
 public:
  UpdateVersion() = default;
  // ValueOutOfRange unless 2 to 4 integers without leading zeros.
  static Result<UpdateVersion> Parse(std::string_view text);
  const std::string& text() const { return text_; }
  std::strong_ordering operator<=>(const UpdateVersion& other) const { return numbers_ <=> other.numbers_; }
  bool operator==(const UpdateVersion& other) const { return numbers_ == other.numbers_; }

 private:
  std::string text_;
  std::vector<uint32_t> numbers_;
};

}  // namespace fleetseal::manifest
