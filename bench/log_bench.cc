// Durable appends to a log on SQLite from many threads, beside one fsync alone on the same disk.
//
//   log_bench --directory DIR [--threads N] [--batch N] [--seconds S]     prints one JSON object
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <thread>
#include <vector>

#include "base/check.h"
#include "crypto/signer.h"
#include "storage/database.h"
#include "storage/migrate.h"
#include "sys/file.h"
#include "translog/log_writer.h"

namespace fleetseal::bench {
namespace {

using Clock = std::chrono::steady_clock;

Bytes MakeLeaf(uint64_t number) {
  std::string text = R"({"type":"request","time":1800000000,"requestId":"bench-)" + std::to_string(number) + '"';
  text.append(200, ' ');
  return ToBytes(text + "}");
}

double Seconds(Clock::time_point since) { return std::chrono::duration<double>(Clock::now() - since).count(); }

}  // namespace
}  // namespace fleetseal::bench

int main(int argc, char** argv) {
  using namespace fleetseal;
  using namespace fleetseal::bench;
  std::map<std::string, std::string> given;
  for (int i = 1; i + 1 < argc; i += 2) given[argv[i]] = argv[i + 1];
  const auto number = [&given](const char* name, int otherwise) {
    return given.contains(name) ? std::atoi(given[name].c_str()) : otherwise;
  };
  const std::string directory = given["--directory"];
  const int threads = number("--threads", 64);
  const auto batch = static_cast<size_t>(number("--batch", 16));
  const double seconds = number("--seconds", 2);
  const auto database = storage::Database::Open({.url = "sqlite:" + directory + "/log.db", .sessions = 4});
  CHECK(database.has_value() && storage::Migrate(**database, translog::kMigrationModule, translog::Migrations()));
  auto key = crypto::PrivateKey::Generate(crypto::KeyKind::kEd25519);
  CHECK(key.has_value());
  const crypto::SoftwareSigner signer(*std::move(key));
  const translog::LogWriter::Options options{directory + "/log", "log.bench", **database, signer};
  CHECK(translog::LogWriter::Create(options).has_value());
  const auto writer = translog::LogWriter::Open(options);
  CHECK(writer.has_value());
  // One record alone, again and again: what a single caller waits for.
  const auto alone = Clock::now();
  uint64_t lonely = 0;
  while (Seconds(alone) < seconds / 4) CHECK((*writer)->AppendDurable(MakeLeaf(lonely++)).has_value());
  const double alone_us = Seconds(alone) * 1e6 / static_cast<double>(lonely);
  std::atomic<uint64_t> records = 0;
  std::vector<std::thread> callers;
  const auto begin = Clock::now();
  for (int i = 0; i < threads; ++i) {
    callers.emplace_back([&] {
      while (Seconds(begin) < seconds) {
        std::vector<Bytes> leaves;
        for (size_t j = 0; j < batch; ++j) leaves.push_back(MakeLeaf(records + j));
        CHECK((*writer)->AppendDurable(std::move(leaves)).has_value());
        records += batch;
      }
    });
  }
  for (auto& caller : callers) caller.join();
  (void)std::printf("{\"records_s\": %.0f, \"alone_us\": %.1f}\n", static_cast<double>(records.load()) / Seconds(begin),
                    alone_us);
  return 0;
}
