// fuzz_make_seeds FOLDER: writes the seeds and the world of the fuzzers anew. New keys, so commit all of them together.
#include <cstdio>

#include "fuzz/seeds.h"
#include "fuzz/target.h"
#include "sys/file.h"

namespace fleetseal::fuzz {

#define FLEETSEAL_FUZZ(name) Target name##_target();
#include "fuzz/targets.inc"
#undef FLEETSEAL_FUZZ

namespace {

constexpr Target (*kTargets[])() = {
#define FLEETSEAL_FUZZ(name) name##_target,
#include "fuzz/targets.inc"
#undef FLEETSEAL_FUZZ
};

char LetterOf(std::string_view target_name, std::string_view parser) {
  for (const auto make : kTargets) {
    const Target target = make();
    if (target.name != target_name) continue;
    for (size_t i = 0; i < target.cases.size(); ++i) {
      if (target.cases[i].name == parser) return static_cast<char>(kFirstCase + i);
    }
  }
  fprintf(stderr, "no parser %.*s\n", static_cast<int>(parser.size()), parser.data());
  CHECK(false);
}

}  // namespace

void SeedWriter::Write(const std::string& path, std::string_view bytes) const {
  CHECK(sys::MakeDirectories(sys::ParentDirectory(path), 0755).has_value());
  CHECK(sys::WriteFileDurably(path, AsBytes(bytes), 0644).has_value());
}
void SeedWriter::Seed(std::string_view target, std::string_view parser, std::string_view input,
                      std::string_view more) const {
  std::string path = folder_ + "/corpus/" + std::string(target) + "/ok-" + std::string(parser);
  if (!more.empty()) path += "-" + std::string(more);
  Write(path, LetterOf(target, parser) + std::string(input));
}
void SeedWriter::BadSeed(std::string_view target, std::string_view parser, std::string_view input,
                         std::string_view more) const {
  Write(folder_ + "/corpus/" + std::string(target) + "/bad-" + std::string(parser) + "-" + std::string(more),
        LetterOf(target, parser) + std::string(input));
}
void SeedWriter::World(const std::string& name, std::string_view bytes) const {
  Write(folder_ + "/world/" + name, bytes);
}

}  // namespace fleetseal::fuzz

int main(int argc, char** argv) {
  if (argc != 2) {
    fprintf(stderr, "usage: fuzz_make_seeds FOLDER\n");
    return 2;
  }
  const fleetseal::fuzz::SeedWriter out(argv[1]);
  fleetseal::fuzz::WriteTextSeeds(out);
  fleetseal::fuzz::WriteMessageSeeds(out);
  fleetseal::fuzz::WriteDocumentSeeds(out);
  fleetseal::fuzz::WriteWorld(out);
  fleetseal::fuzz::WriteAduWorld(out);
  fleetseal::fuzz::WriteWorldSeeds(out);
  return 0;
}
