// Small parts of the test world: keys, a log in memory, a release, and EXPECT_REFUSED.
//
// Header only, so it is compiled into tests and nothing else. Thread rule: one thread.
#pragma once

#include <gtest/gtest.h>

#include <cstdio>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/check.h"
#include "crypto/digest.h"
#include "crypto/signer.h"
#include "merkle/hash.h"
#include "merkle/tree.h"

// The verdict (or result) is a refusal with ErrorCode::<expected_code>.
#define EXPECT_REFUSED(expression, expected_code)                                            \
  do {                                                                                       \
    const auto outcome_ = (expression);                                                      \
    ASSERT_FALSE(outcome_.has_value()) << "was accepted";                                    \
    EXPECT_EQ(ErrorCodeName(outcome_.error().code), ErrorCodeName(ErrorCode::expected_code)) \
        << outcome_.error().ToString();                                                      \
  } while (false)

namespace fleetseal::trust::testing {

template <typename T>
T Must(Result<T> result) {
  if (!result) fprintf(stderr, "test world: %s\n", result.error().ToString().c_str());
  CHECK(result.has_value());
  return *std::move(result);
}
template <typename T>
T Must(Verdict<T> verdict) {
  if (!verdict) fprintf(stderr, "test world: %s\n", verdict.error().ToString().c_str());
  CHECK(verdict.has_value());
  return *std::move(verdict);
}

struct WorldKey {
  std::string kid;
  std::shared_ptr<const crypto::SoftwareSigner> signer;

  static WorldKey Make(std::string kid, crypto::KeyKind kind = crypto::KeyKind::kP256) {
    return {std::move(kid), std::make_shared<const crypto::SoftwareSigner>(Must(crypto::PrivateKey::Generate(kind)))};
  }
  const crypto::PublicKey& key() const { return signer->public_key(); }
  crypto::SignatureAlgorithm alg() const { return key().default_algorithm(); }
};

// A log in memory; hashes are computed anew each time.
class WorldLog final : public merkle::HashReader {
 public:
  uint64_t Append(std::string_view leaf) {
    leaves_.push_back(ToBytes(leaf));
    hashes_.push_back(merkle::LeafHash(leaves_.back()));
    return leaves_.size() - 1;
  }
  uint64_t size() const { return leaves_.size(); }
  const Bytes& leaf(uint64_t index) const { return leaves_[index]; }
  Sha256 Root(uint64_t size) const { return merkle::RootOf(std::span(hashes_).first(size)); }
  Result<Sha256> Node(int level, uint64_t index) const override {
    return merkle::RootOf(std::span(hashes_).subspan(index << level, uint64_t{1} << level));
  }
  std::vector<Sha256> Inclusion(uint64_t index, uint64_t size) const {
    return Must(merkle::InclusionProof(index, size, *this));
  }
  std::vector<Sha256> Consistency(uint64_t old_size, uint64_t new_size) const {
    if (old_size == 0 || old_size == new_size) return {};
    return Must(merkle::ConsistencyProof(old_size, new_size, *this));
  }

 private:
  std::vector<Bytes> leaves_;
  std::vector<Sha256> hashes_;
};

// One signed and logged update.
struct Release {
  std::string manifest;   // exact bytes
  std::string signature;  // compact JWS
  int64_t counter = 0;
  uint64_t log_index = 0;
  Sha256 sha256() const { return crypto::HashSha256(manifest); }
};

}  // namespace fleetseal::trust::testing
