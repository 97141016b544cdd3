// Asks a signer for manifest signatures from many connections at once, over its socket, as the server does.
//
//   signing_load --socket PATH --identities DIR --products N --clients N --requests N --approvals N --first N
//
// Products are acme/p1 ... acme/pN; client i asks for component "c<i>" of product i modulo N, one version after the
// other from --first on. With approvals each request is approved by approver1, approver2 ... right away. What the
// requester and the approvers sign is made here: requests before the clock starts, approvals while it runs, as they
// name the payload. Prints one JSON object; the latency is from the request to the signature.
#include <algorithm>
#include <atomic>
#include <barrier>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "api/signing/client.h"
#include "base/check.h"
#include "codec/hex.h"
#include "crypto/digest.h"
#include "crypto/random.h"
#include "jose/jws.h"
#include "manifest/person_documents.h"
#include "manifest/typ.h"
#include "manifest/update_manifest.h"
#include "sys/clock.h"
#include "sys/file.h"

namespace fleetseal::bench {
namespace {

using Clock = std::chrono::steady_clock;

template <typename T>
T Must(Result<T> result) {
  if (!result) (void)std::fprintf(stderr, "signing_load: %s\n", result.error().ToString().c_str());
  CHECK(result.has_value());
  return *std::move(result);
}

struct Options {
  std::string socket;
  std::string identities;
  int products = 1;
  int clients = 64;
  int requests = 10;
  int approvals = 0;
  int first = 1;
};

class Identity {
 public:
  Identity(const std::string& folder, const std::string& name)
      : id(Must(PersonId::Parse(name))),
        signer_(Must(crypto::PrivateKey::FromPem(Must(sys::ReadTextFile(folder + "/" + name + "/person.key", 4096))))) {
  }
  std::string Sign(std::string_view typ, const std::string& payload) const {
    const auto& key = signer_.public_key();
    return Must(jose::SignCompact(signer_, {key.default_algorithm(), std::string(typ), key.key_id(), std::nullopt},
                                  AsBytes(payload)));
  }
  const PersonId id;

 private:
  const crypto::SoftwareSigner signer_;
};

struct Prepared {
  std::string manifest;
  std::string request;
};

class Work {
 public:
  explicit Work(const Options& options) : options_(options), publisher_(options.identities, "publisher") {
    for (int i = 1; i <= options.approvals; ++i)
      approvers_.push_back(std::make_unique<Identity>(options.identities, "approver" + std::to_string(i)));
  }

  Prepared Prepare(int client, int number) const {
    manifest::UpdateManifest update;
    update.product = Must(ProductName::Parse("acme/p" + std::to_string(client % options_.products + 1)));
    const std::string version = "1." + std::to_string(options_.first + number) + "." + std::to_string(client);
    update.component = "c" + std::to_string(client);
    update.version = Must(manifest::UpdateVersion::Parse(version));
    update.compatibility = {{{"manufacturer", "acme"}, {"model", "pump-1"}}};
    const Sha256 hash = crypto::HashSha256(version + update.product.text());
    const FileId id = manifest::MakeFileId("pump.img", hash);
    update.files = {{id, "pump.img", {1024}, hash, {}, {}}};
    update.steps = {{std::string(manifest::kHandlerSlot), {id}, {}}};
    update.created = now_;
    Prepared prepared{update.Build(), {}};
    manifest::SignRequest request;
    const Bytes random = crypto::RandomBytes(8);
    request.request_id = Must(RequestId::Parse("bench-" + codec::EncodeHex(random)));
    request.product = update.product;
    request.manifest_sha256 = crypto::HashSha256(prepared.manifest);
    request.audience = manifest::AudienceOf(Must(Organisation::Parse("acme")));
    request.requester = publisher_.id;
    request.nonce = crypto::RandomBytes(manifest::kNonceBytes);
    request.issued = now_;
    request.expires = now_ + 86'400;
    prepared.request = publisher_.Sign(manifest::kTypRequest, request.Build());
    return prepared;
  }

  void Sign(api::signing::SigningClient& client, const Prepared& prepared) const {
    const auto submitted = Must(client.SubmitRequest(prepared.request, AsBytes(prepared.manifest)));
    CHECK(submitted.approvals == options_.approvals);
    bool is_signed = submitted.manifest_signature.has_value();
    for (const auto& approver : approvers_) {
      manifest::Approval approval;
      approval.request_id = submitted.request_id;
      approval.typ = manifest::kTypManifest;
      approval.payload_sha256 = submitted.payload_sha256;
      approval.key_thumbprint = submitted.key_thumbprint;
      approval.policy_sha256 = submitted.policy_sha256;
      approval.approver = approver->id;
      approval.nonce = crypto::RandomBytes(manifest::kNonceBytes);
      approval.issued = now_;
      approval.expires = now_ + 3600;
      is_signed =
          Must(client.Approve(approver->Sign(manifest::kTypApproval, approval.Build()))).manifest_signature.has_value();
    }
    CHECK(is_signed);
  }

 private:
  const Options& options_;
  const Identity publisher_;
  std::vector<std::unique_ptr<Identity>> approvers_;
  const UnixSeconds now_ = sys::SystemClock().Now();
};

Options Read(int argc, char** argv) {
  std::map<std::string, std::string> given;
  for (int i = 1; i + 1 < argc; i += 2) given[argv[i]] = argv[i + 1];
  Options options;
  const auto number = [&given](const char* name, int& place) {
    if (given.contains(name)) place = std::atoi(given[name].c_str());
  };
  options.socket = given["--socket"];
  options.identities = given["--identities"];
  number("--products", options.products);
  number("--clients", options.clients);
  number("--requests", options.requests);
  number("--approvals", options.approvals);
  number("--first", options.first);
  return options;
}

}  // namespace
}  // namespace fleetseal::bench

int main(int argc, char** argv) {
  using namespace fleetseal;
  using namespace fleetseal::bench;
  const Options options = Read(argc, argv);
  const Work work(options);
  std::barrier start(options.clients + 1);
  std::vector<std::vector<double>> milliseconds(static_cast<size_t>(options.clients));
  std::vector<std::thread> threads;
  for (int i = 0; i < options.clients; ++i) {
    threads.emplace_back([&, i] {
      std::vector<Prepared> prepared;
      for (int j = 0; j < options.requests; ++j) prepared.push_back(work.Prepare(i, j));
      api::signing::SigningClient client(options.socket);
      (void)Must(client.Hello());
      start.arrive_and_wait();
      for (const Prepared& one : prepared) {
        const auto begin = Clock::now();
        work.Sign(client, one);
        milliseconds[static_cast<size_t>(i)].push_back(
            std::chrono::duration<double, std::milli>(Clock::now() - begin).count());
      }
    });
  }
  start.arrive_and_wait();
  const auto begin = Clock::now();
  for (auto& thread : threads) thread.join();
  const double seconds = std::chrono::duration<double>(Clock::now() - begin).count();
  std::vector<double> all;
  for (const auto& some : milliseconds) all.insert(all.end(), some.begin(), some.end());
  std::sort(all.begin(), all.end());
  const auto part = [&all](double share) {
    return all[static_cast<size_t>(share * static_cast<double>(all.size() - 1))];
  };
  (void)std::printf("{\"signatures\": %zu, \"seconds\": %.4f, \"p50_ms\": %.3f, \"p99_ms\": %.3f}\n", all.size(),
                    seconds, part(0.5), part(0.99));
  return 0;
}
