// Where make_seeds puts its seeds: fuzz/corpus/<target>/ok-<parser>[-<more>] and fuzz/world/<name>.
//
// A file whose name begins with "ok-" must be accepted by its parser; fuzz_replay holds it to that. Thread rule: one
// thread.
#pragma once

#include <string>
#include <string_view>

#include "base/bytes.h"

namespace fleetseal::fuzz {

class SeedWriter {
 public:
  // `folder` is fuzz/ itself.
  explicit SeedWriter(std::string folder) : folder_(std::move(folder)) {}
  void Seed(std::string_view target, std::string_view parser, std::string_view input, std::string_view more = {}) const;
  // One that is there to be refused.
  void BadSeed(std::string_view target, std::string_view parser, std::string_view input, std::string_view more) const;
  void World(const std::string& name, std::string_view bytes) const;

 private:
  void Write(const std::string& path, std::string_view bytes) const;
  std::string folder_;
};

void WriteDocumentSeeds(const SeedWriter& out);
void WriteMessageSeeds(const SeedWriter& out);
void WriteTextSeeds(const SeedWriter& out);
// REQUIRES: the world has been written.
void WriteWorldSeeds(const SeedWriter& out);
void WriteAduWorld(const SeedWriter& out);
void WriteWorld(const SeedWriter& out);

}  // namespace fleetseal::fuzz
