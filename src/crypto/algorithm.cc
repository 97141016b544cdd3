#include "crypto/algorithm.h"

#include <string>

#include "base/check.h"

namespace fleetseal::crypto {
namespace {

struct NamedAlgorithm {
  SignatureAlgorithm algorithm;
  std::string_view name;
};
constexpr NamedAlgorithm kAlgorithms[] = {{SignatureAlgorithm::kEs256, "ES256"},
                                          {SignatureAlgorithm::kRs256, "RS256"},
                                          {SignatureAlgorithm::kPs256, "PS256"},
                                          {SignatureAlgorithm::kEs384, "ES384"},
                                          {SignatureAlgorithm::kEdDsa, "EdDSA"}};

}  // namespace

std::string_view SignatureAlgorithmName(SignatureAlgorithm algorithm) {
  for (const auto& entry : kAlgorithms) {
    if (entry.algorithm == algorithm) return entry.name;
  }
  CHECK(false);
}

Result<SignatureAlgorithm> SignatureAlgorithmFromName(std::string_view name) {
  for (const auto& entry : kAlgorithms) {
    if (entry.name == name) return entry.algorithm;
  }
  return Fail(ErrorCode::kAlgorithmNotAllowed, "not one of ES256 RS256 PS256 ES384 EdDSA");
}

}  // namespace fleetseal::crypto
