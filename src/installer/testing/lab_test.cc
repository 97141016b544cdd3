// The bodies of lab.h; only test programs link them.
#include "installer/testing/lab.h"

namespace fleetseal::installer::testing {

void Lab::WriteProvisioning() {
  const trust::DeviceProfile& device = world.device;
  codec::Json properties = codec::Json::MakeObject();
  for (const auto& [name, value] : device.properties) properties.Set(name, value);
  codec::Json json = codec::Json::MakeObject();
  json.Set("organisation", device.organisation.text()).Set("deviceId", device.device_id.text());
  json.Set("generation", device.generation).Set("product", device.product.text());
  json.Set("environment", device.environment.text()).Set("properties", std::move(properties));
  json.Set("delivery", manifest::DeliveryName(device.delivery));
  codec::Json components = codec::Json::MakeArray();
  for (const auto& name : device.components) components.Push(name);
  json.Set("components", std::move(components));
  json.Set("buildTime", (world.now - 40 * limits::kDaySeconds).value);
  Provide("device.json", json.Serialize());
  Provide("package.json", world.SignPackage(world.package));
  Provide("enrolment-code", "abcdefghijklmnopqrstuvwxyz\n");
}

void Lab::Ready() {
  Open();
  wire::OfferDocumentsRequest offer;
  offer.status = world.SignStatus(world.MakeStatus());
  CHECK(!Must(machine->OfferDocuments(offer)).refusal);
}

Release Lab::FileRelease(int64_t counter, const std::map<std::string, std::string>& files) {
  manifest::UpdateManifest model = world.MakeManifest("2." + std::to_string(counter));
  model.files.clear();
  model.steps.clear();
  for (const auto& [target, contents] : files) {
    const Sha256 digest = crypto::HashSha256(contents);
    const FileId id = manifest::MakeFileId(target, digest);
    model.files.push_back({id, "part-" + std::to_string(model.files.size()), {contents.size()}, digest, {}, {}});
    model.steps.push_back({std::string(manifest::kHandlerFile), {id}, {{"target", target}}});
  }
  return SignRelease(model, counter);
}

Sealed Lab::Seal(const Release& release, const FileId& file_id, std::string_view contents) {
  if (world.device.delivery == manifest::Delivery::kClear) return {ToBytes(contents), crypto::HashSha256(contents)};
  const Sha256 manifest_sha256 = release.sha256();
  const sealing::SealedHeader header{.plain_size = {contents.size()}, .seal_id = sealing::RandomSealId()};
  auto sealer = Must(sealing::Sealer::Start({update_key, manifest_sha256, file_id}, header));
  Sealed made;
  const sealing::Sink sink = [&made](ByteView bytes) -> Status {
    made.bytes.insert(made.bytes.end(), bytes.begin(), bytes.end());
    return {};
  };
  CHECK(sealer->Push(AsBytes(contents), sink));
  made.sha256 = Must(sealer->Finish(sink)).sealed_sha256;
  return made;
}

manifest::Order Lab::MakeOrder(const Release& release, const std::vector<std::string>& contents) {
  manifest::Order order = world.MakeOrder(release);
  order.contents.clear();
  const auto model = Must(manifest::UpdateManifest::Parse(release.manifest));
  CHECK(model.files.size() == contents.size());
  for (size_t i = 0; i < contents.size(); ++i) {
    Sealed made = Seal(release, model.files[i].id, contents[i]);
    order.contents.push_back({model.files[i].id, made.sha256, {made.bytes.size()}});
    sealed[model.files[i].id] = std::move(made.bytes);
  }
  order.content_key.reset();
  if (world.device.delivery == manifest::Delivery::kClear) return order;
  CHECK(sys::MakeDirectories(config.state_directory, 0700));
  const auto keys = Must(DeviceKeyring::Open(config.state_directory));
  const Sha256 manifest_sha256 = release.sha256();
  order.content_key = Must(sealing::WrapUpdateKey(update_key, keys->encryption().public_key(),
                                                  {world.device.device_id, world.device.generation, manifest_sha256}));
  return order;
}

wire::OfferDocumentsRequest Lab::Offer(const Release& release, const manifest::Order& order) {
  const trust::TrustState state = Must(trust::TrustState::Parse(machine->TrustText()));
  const trust::OrderDocuments documents = world.Documents(release, order, state);
  wire::OfferDocumentsRequest offer;
  offer.order = documents.order;
  offer.manifest = ToBytes(documents.manifest);
  offer.manifest_signature = documents.manifest_signature;
  offer.log_proof = documents.log_proof;
  offer.consistency = documents.consistency;
  return offer;
}

Result<Phase> Lab::SendBytes(const wire::WantedContent& wanted, ByteView bytes) {
  int ends[2];
  CHECK(pipe2(ends, O_CLOEXEC) == 0);
  sys::FileDescriptor read_end(ends[0]);
  std::thread writer([fd = ends[1], bytes] {
    (void)sys::WriteAll(fd, bytes);
    close(fd);
  });
  auto phase = machine->OfferContent({.file_id = wanted.file_id, .sealed_sha256 = wanted.sealed_sha256}, read_end);
  read_end.Reset();
  writer.join();
  return phase;
}

void Lab::Install(int64_t counter, const std::string& contents) {
  const Release release = SlotRelease(counter, contents);
  const auto outcome = Must(machine->OfferDocuments(Offer(release, MakeOrder(release, {contents}))));
  if (outcome.refusal) fprintf(stderr, "lab: %s\n", outcome.refusal->detail.c_str());
  CHECK(!outcome.refusal);
  const Status finished = Finish();
  if (!finished) fprintf(stderr, "lab: %s\n", finished.error().ToString().c_str());
  CHECK(finished.has_value());
}

std::vector<manifest::Receipt> Lab::Receipts() {
  std::vector<manifest::Receipt> receipts;
  for (const std::string& compact : Must(machine->State({})).receipts) {
    const auto jws = Must(jose::UnverifiedJws::Parse(compact));
    receipts.push_back(Must(manifest::Receipt::Parse(AsText(jws.unverified_payload()))));
  }
  return receipts;
}

}  // namespace fleetseal::installer::testing
