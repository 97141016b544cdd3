// Documents as large as they may be, each good: for what a decision may cost at most.
//
// Header only, so it is compiled into tests and benches and nothing else. Thread rule: one thread.
#pragma once

#include <algorithm>
#include <string>
#include <vector>

#include "codec/base64.h"
#include "trust/testing/test_world.h"

namespace fleetseal::trust::testing {

// One decision of a device that knows `state`.
struct LargestDocuments {
  std::string package;
  std::string status;
  OrderDocuments order;
};

class LargestWorld : public TestWorld {
 public:
  LargestWorld() {
    for (int i = 0; i < 1000; ++i) log.Append("leaf " + std::to_string(i));
    state = Provisioned();
    package = NextPackage();
    FillPackage();
    documents.package = SignPackage(package);
    FillStatus();
    FillOrder();
  }
  TrustState state;
  LargestDocuments documents;

 private:
  static std::string Padded(std::string text, size_t size) {
    text.resize(size, 'x');
    return text;
  }
  static ProductName Product(size_t i) {
    return Must(ProductName::Parse(Padded("vendor", 64) + "/" + Padded("product-" + std::to_string(i), 64)));
  }
  // Listings of many products, as many as the text holds.
  void FillPackage() {
    const size_t room = limits::kPackageBytesMax - 1024;
    for (size_t i = 0; SignPackage(package).size() < room && i < 60; ++i) {
      manifest::SigningKeyListing listing = package.signing_keys[0];
      listing.kid = Must(KeyId::Parse("key-" + std::to_string(i)));
      listing.thumbprint = crypto::HashSha256(listing.kid.text());
      while (listing.products.size() < 64) listing.products.push_back(Product(listing.products.size()));
      package.signing_keys.push_back(listing);
      const size_t size = SignPackage(package).size();
      if (size <= limits::kPackageBytesMax) continue;
      auto& products = package.signing_keys.back().products;
      const size_t excess = (size - limits::kPackageBytesMax) / 130 + 1;
      products.resize(products.size() - std::min(products.size(), excess));
    }
  }
  void FillStatus() {
    manifest::StatusDocument status = MakeStatus();
    for (size_t i = 0; i < manifest::kStatusWithdrawnMax; ++i)
      status.withdrawn.push_back(crypto::HashSha256("withdrawn " + std::to_string(i)));
    documents.status = SignStatus(status);
    for (size_t i = 0; i < manifest::kStatusNewestMax / 2; ++i) {
      manifest::StatusDocument longer = status;
      for (const char* name : {"production", "test"}) longer.newest[Product(i)][Must(Environment::Parse(name))] = 1;
      std::string text = SignStatus(longer);
      if (text.size() > limits::kStatusBytesMax) break;
      documents.status = std::move(text);
      status = std::move(longer);
    }
  }
  manifest::UpdateManifest LargestManifest() const {
    manifest::UpdateManifest made = MakeManifest("1.7");
    made.files.clear();
    made.steps.clear();
    for (size_t i = 0; i < limits::kManifestFilesMax; ++i) {
      const std::string name = Padded("file-" + std::to_string(i) + "-", 64);
      const Sha256 digest = crypto::HashSha256(name);
      made.files.push_back({manifest::MakeFileId(name, digest), name, {1000}, digest, Bytes(48, 1), Bytes(64, 2)});
    }
    for (size_t i = 0; i < limits::kManifestStepsMax; ++i) {
      manifest::UpdateStep step{std::string(manifest::kHandlerSlot), {made.files[i].id}, {}};
      made.steps.push_back(step);
    }
    for (size_t i = 0;; ++i) {
      manifest::UpdateManifest longer = made;
      longer.steps[i % longer.steps.size()].properties["property-" + std::to_string(i)] =
          std::string(kPropertyBytes, 'v');
      const std::string text = longer.Build();
      if (text.size() > limits::kManifestBytesMax || !manifest::UpdateManifest::Parse(text)) return made;
      made = std::move(longer);
    }
  }
  // Signature lines of nobody that the package knows, as many as a note may have.
  std::string PaddedProof(std::string proof) const {
    const std::string line = "\xe2\x80\x94 " + std::string(200, 'n') + " " + codec::EncodeBase64(Bytes(68, 3)) + "\n";
    for (size_t i = 0; i < 62 && proof.size() + line.size() <= limits::kDeviceLogProofBytesMax; ++i) proof += line;
    return proof;
  }
  void FillOrder() {
    const std::string bytes = LargestManifest().Build();
    const Release release =
        Log({bytes, Sign(publisher, manifest::kTypManifest, MakeSignature(bytes, 7).Build()), 7, 0});
    manifest::Order order = MakeOrder(release);
    manifest::Permit permit = MakePermit(release, release);
    permit.device_ids->clear();
    for (size_t i = 0; i < manifest::kPermitRequestDevicesMax; ++i)
      permit.device_ids->push_back(Must(DeviceId::Parse(Padded("device-" + std::to_string(i) + "-", 48))));
    order.permit = SignPermit(permit);
    order.content_key = "k..b.c.d";
    const size_t room = limits::kDeviceJwsBytesMax - Documents(release, order, state).order.size();
    order.content_key = std::string(room * 3 / 4 - 8, 'k') + "..b.c.d";
    documents.order = Documents(release, order, state);
    documents.order.log_proof = PaddedProof(documents.order.log_proof);
  }
  static constexpr size_t kPropertyBytes = 512;
};

}  // namespace fleetseal::trust::testing
