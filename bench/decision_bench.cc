// A full device decision (package step, status, order, manifest, log proof) beside the OpenSSL key imports and
// verifications that it contains; the same at the largest documents; a chain of 50 package steps beside 50
// times one. All take turns on one thread; CPU microseconds of that thread.
//
//   decision_bench [--rounds N] [--repeats N]      prints one JSON object

#define OPENSSL_SUPPRESS_DEPRECATED  // bare_keys.h says why
#include <openssl/evp.h>

#include <cstdio>
#include <cstdlib>
#include <ctime>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bench/bare_keys.h"
#include "bench/largest_decision.h"

namespace fleetseal::bench {
namespace {

using trust::testing::TestWorld;

// What the decision holds, counted along trust model section 8: package 3 root keys and 3 signatures (they are the
// same roots before and after the step); status, order and manifest a signing key each, vouched for by a root, and a
// signature; the checkpoint the log's and one witness's.
constexpr int kP256Imports = 3 + 3;
constexpr int kP256Verifications = 3 + 3 * 2;
constexpr int kEd25519Verifications = 2;

double CpuMicroseconds() {
  timespec now{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) / 1e3;
}

class Decision {
 public:
  Decision() {
    for (int i = 0; i < 1000; ++i) world_.log.Append("leaf " + std::to_string(i));
    state_ = world_.Provisioned();
    world_.package = world_.NextPackage();
    package_ = world_.SignPackage(world_.package);
    status_ = world_.SignStatus(world_.MakeStatus());
    const auto release = world_.MakeRelease(7);
    documents_ = world_.Documents(release, world_.MakeOrder(release), *state_);
  }
  void Run() const {
    const auto stepped = trust::AcceptPackageStep(*state_, package_);
    CHECK(stepped.has_value());
    const auto with_status = trust::AcceptStatus(*stepped, status_, world_.now);
    CHECK(with_status.has_value());
    CHECK(trust::AcceptOrder(*with_status, world_.device, documents_, world_.now).has_value());
  }

 private:
  TestWorld world_;
  std::optional<trust::TrustState> state_;
  std::string package_;
  std::string status_;
  trust::OrderDocuments documents_;
};

// Steps of one package to the next: all by one call, or each by a call of its own. The same steps either way, so that
// neither has its keys and texts nearer at hand.
class Chain {
 public:
  static constexpr size_t kSteps = 50;
  Chain() {
    states_.push_back(world_.Provisioned());
    for (size_t i = 0; i < kSteps; ++i) {
      world_.package = world_.NextPackage();
      texts_.push_back(world_.SignPackage(world_.package));
    }
    views_.assign(texts_.begin(), texts_.end());
    for (size_t i = 0; i < kSteps; ++i) states_.push_back(Take(i, 1));
  }
  void RunAll() const { (void)Take(0, kSteps); }
  void RunEach() const {
    for (size_t i = 0; i < kSteps; ++i) (void)Take(i, 1);
  }

 private:
  trust::TrustState Take(size_t first, size_t count) const {
    trust::OfferedDocuments offered;
    offered.packages = std::span(views_).subspan(first, count);
    auto verdict = trust::Offer(states_[first], world_.device, offered, {world_.now, std::nullopt, {}});
    CHECK(verdict.packages_accepted == count);
    return std::move(verdict.state);
  }

  TestWorld world_;
  std::vector<trust::TrustState> states_;  // before each step, and after the last
  std::vector<std::string> texts_;
  std::vector<std::string_view> views_;
};

int Number(int argc, char** argv, const std::string& name, int otherwise) {
  for (int i = 1; i + 1 < argc; i += 2) {
    if (argv[i] == name) return std::atoi(argv[i + 1]);
  }
  return otherwise;
}

template <typename Call>
double Measure(int repeats, Call call) {
  const double begin = CpuMicroseconds();
  for (int i = 0; i < repeats; ++i) call();
  return (CpuMicroseconds() - begin) / repeats;
}

// "name": [figures]
class Figures {
 public:
  explicit Figures(const char* name) : text_("\"" + std::string(name) + "\": [") {}
  void Add(double value) {
    char text[32];
    (void)std::snprintf(text, sizeof text, "%s%.2f", is_first_ ? "" : ", ", value);
    is_first_ = false;
    text_ += text;
  }
  std::string text() const { return text_ + "]"; }

 private:
  std::string text_;
  bool is_first_ = true;
};

// By turns, as close to each other as can be: the two differ by less than the machine does from second to second.
void MeasureChain(const Chain& chain, int repeats, Figures& steps, Figures& one) {
  double all_us = 0;
  double each_us = 0;
  for (int i = 0; i < repeats; ++i) {
    if (i % 2 == 0) all_us += Measure(1, [&] { chain.RunAll(); });
    each_us += Measure(1, [&] { chain.RunEach(); });
    if (i % 2 != 0) all_us += Measure(1, [&] { chain.RunAll(); });
  }
  steps.Add(all_us / repeats);
  one.Add(each_us / repeats / static_cast<double>(Chain::kSteps));
}

}  // namespace
}  // namespace fleetseal::bench

int main(int argc, char** argv) {
  using namespace fleetseal::bench;
  const int rounds = Number(argc, argv, "--rounds", 7);
  const int repeats = Number(argc, argv, "--repeats", 200);
  const int few = repeats / 10 + 1;
  const Decision decision;
  const BareP256 p256;
  const BareEd25519 ed25519;
  const auto bare = [&] {
    for (int i = 0; i < kP256Imports; ++i) CHECK(p256.Import() != nullptr);
    for (int i = 0; i < kP256Verifications; ++i) CHECK(p256.Verify());
    for (int i = 0; i < kEd25519Verifications; ++i) CHECK(ed25519.ImportAndVerify());
  };
  decision.Run();
  bare();
  Figures ours("decision_us");
  Figures peer("bare_us");
  Figures large("largest_us");
  Figures steps("chain_us");
  Figures one("step_us");
  for (int round = 0; round < rounds; ++round) {
    ours.Add(Measure(repeats, [&] { decision.Run(); }));
    peer.Add(Measure(repeats, bare));
  }
  // Made after that: what they leave in the heap would slow the others.
  const LargestDecision largest;
  const Chain chain;
  for (int round = 0; round < rounds; ++round) {
    large.Add(Measure(few, [&] { largest.Run(); }));
    MeasureChain(chain, few, steps, one);
  }
  std::string text;
  for (const Figures* figures : {&ours, &peer, &large, &steps, &one})
    text += (text.empty() ? "{" : ", ") + figures->text();
  (void)std::printf("%s}\n", text.c_str());
  return 0;
}
