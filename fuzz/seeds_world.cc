// The world of the fuzzers, and the seeds that are made from it.
#include "base/secret_bytes.h"
#include "codec/base64.h"
#include "codec/pem.h"
#include "crypto/digest.h"
#include "fuzz/seeds.h"
#include "fuzz/world.h"
#include "installer/receipts/receipt_chain.h"
#include "installer/state/state_file.h"
#include "jose/jwk.h"
#include "manifest/ceremony_transcript.h"
#include "manifest/receipt.h"
#include "merkle/tiles.h"
#include "pki/csr.h"
#include "pki/est.h"
#include "pki/issue.h"
#include "provisioning/bundle.h"
#include "sealing/content_key.h"
#include "sealing/sealed_file.h"
#include "signer/testing/signer_world.h"
#include "trust/testing/test_world.h"

namespace fleetseal::fuzz {
namespace {

using trust::testing::Must;
using trust::testing::TestWorld;

void WriteTrustWorld(const SeedWriter& out) {
  TestWorld world;
  CHECK(world.now == kNow);
  out.World("package-1.json", world.SignPackage(world.package));
  out.World("package-2.json", world.SignPackage(world.NextPackage()));
  out.World("status.jws", world.SignStatus(world.MakeStatus()));
  out.World("status-2.jws", world.SignStatus(world.MakeStatus()));
  (void)world.MakeRelease(3);
  const auto release = world.MakeRelease(4);
  (void)world.MakeRelease(5);
  const auto order = world.MakeOrder(release);
  out.World("order.jws", world.SignOrder(order));
  out.World("order.json", order.Build());
  out.World("status.json", world.MakeStatus().Build());
  out.World("manifest.json", release.manifest);
  out.World("manifest.jws", release.signature);
  out.World("proof.txt", world.Proof(release.log_index, 2));
  out.World("checkpoint.note", world.CheckpointNote(world.log.size(), 2));
  out.World("director.pem", world.director.signer->private_key().ToPem());
  out.World("director.sjwk", world.Sjwk(world.roots[0], world.director));
  out.World("root-1.spki", AsText(world.roots[0].key().spki_der()));
}

void WriteSealedWorld(const SeedWriter& out) {
  const SecretBytes key = SecretBytes::CopyOf(Bytes(sealing::kUpdateKeyBytes, 0x42));
  const Sha256 manifest = crypto::HashSha256("manifest");
  const FileId file = *FileId::Parse("f0123456789abcdef");
  const std::string plain(700, 'p');
  std::string sealed;
  const sealing::Sink sink = [&](ByteView part) -> Status {
    sealed += AsText(part);
    return {};
  };
  auto sealer = Must(sealing::Sealer::Start({key, manifest, file}, {{plain.size()}, sealing::RandomSealId()}));
  CHECK(sealer->Push(AsBytes(plain), sink).has_value());
  (void)Must(sealer->Finish(sink));
  out.World("plain.bin", plain);
  out.World("sealed.bin", sealed);
  const auto device = Must(crypto::PrivateKey::Generate(crypto::KeyKind::kP256));
  const DeviceId id = *DeviceId::Parse("device-1");
  out.World("device-encryption.pem", device.ToPem());
  out.World("content-key.jwe", Must(sealing::WrapUpdateKey(key, device.public_key(), {id, 2, manifest})));
}

void WriteCertificates(const SeedWriter& out) {
  const crypto::SoftwareSigner ca_key(Must(crypto::PrivateKey::Generate(crypto::KeyKind::kP256)));
  const crypto::SoftwareSigner key(Must(crypto::PrivateKey::Generate(crypto::KeyKind::kP256)));
  const auto ca = Must(pki::CreateCa(ca_key, {.common_name = "Fuzz CA",
                                              .not_before = kNow - limits::kDaySeconds,
                                              .not_after = kNow + 1000 * limits::kDaySeconds}));
  const auto leaf = Must(pki::Issue(ca, ca_key,
                                    {.public_key = key.public_key(),
                                     .common_name = "device one",
                                     .san_uris = {"urn:fleetseal:acme:device:device-1"},
                                     .san_dns = {"device.example"},
                                     .san_ips = {"192.0.2.1", "2001:db8::1"},
                                     .purpose = pki::Purpose::kClient,
                                     .not_before = kNow,
                                     .not_after = kNow + 90 * limits::kDaySeconds}));
  out.World("ca.pem", ca.ToPem());
  out.World("device.pem", leaf.ToPem());
  out.Seed("pki", "certificate", AsText(leaf.der()));
  out.Seed("pki", "certificate", AsText(ca.der()), "ca");
  out.Seed("pki", "certificate-pem", leaf.ToPem() + ca.ToPem());
  const Bytes request = Must(pki::BuildCertificateRequest(key, "device one", {"urn:fleetseal:acme:device:device-1"}));
  out.Seed("pki", "request", AsText(request));
  out.Seed("pki", "request-pem", codec::EncodePem("CERTIFICATE REQUEST", request));
  const pki::Certificate chain[] = {leaf, ca};
  out.Seed("pki", "certs-only", AsText(pki::EncodeCertsOnly(chain)));
  out.Seed("pki", "est-certificates", pki::EncodeEstBody(pki::EncodeCertsOnly(chain)));
  out.Seed("pki", "est-request", pki::EncodeEstBody(request));
  out.Seed("pki", "est-request", codec::EncodePem("CERTIFICATE REQUEST", request), "pem");
  out.Seed("crypto", "canonical-der", AsText(leaf.der()));
  out.Seed("crypto", "der-reader", AsText(request));
  out.Seed("crypto", "spki", AsText(key.public_key().spki_der()));
  const auto rsa = Must(crypto::PrivateKey::Generate(crypto::KeyKind::kRsa2048));
  out.Seed("crypto", "spki", AsText(rsa.public_key().spki_der()), "rsa");
  out.Seed("crypto", "pkcs8", AsText(key.private_key().pkcs8_der().reveal()));
  out.Seed("crypto", "private-pem", key.private_key().ToPem());
  out.BadSeed("crypto", "signature", AsText(Must(key.Sign(crypto::SignatureAlgorithm::kEs256, AsBytes("text")))),
              "of-another");
  const jose::Jwk ec{key.public_key(), "kid-1", crypto::SignatureAlgorithm::kEs256};
  const jose::Jwk rsa_jwk{rsa.public_key(), "kid-2", crypto::SignatureAlgorithm::kRs256};
  out.Seed("jose", "jwk", jose::BuildJwk(ec).Serialize());
  out.Seed("jose", "jwk", jose::BuildJwk(rsa_jwk).Serialize(), "rsa");
  out.Seed("jose", "jwk-azure", jose::BuildJwk(rsa_jwk, jose::ModulusForm::kStandardBase64).Serialize());
}

void JoseSeeds(const SeedWriter& out) {
  out.Seed("jose", "jws", WorldFile("status.jws"));
  out.Seed("jose", "jws-loose", WorldFile("status.jws"));
  out.Seed("jose", "jwe", WorldFile("content-key.jwe"));
  out.Seed("jose", "sjwk", WorldFile("director.sjwk"));
  out.Seed("sealing", "sealed-file", WorldFile("sealed.bin"));
  out.Seed("sealing", "sealed-header", WorldFile("sealed.bin").substr(0, sealing::kHeaderBytes));
  out.Seed("sealing", "content-key", WorldFile("content-key.jwe"));
}

void TrustSeeds(const SeedWriter& out) {
  out.Seed("trust", "package-step", WorldFile("package-2.json"));
  out.Seed("trust", "provision", WorldFile("package-1.json"));
  out.Seed("trust", "status", WorldFile("status-2.jws"));
  out.Seed("trust", "order", WorldFile("order.jws"));
  out.Seed("trust", "manifest", WorldFile("manifest.json"));
  out.Seed("trust", "manifest-signature", WorldFile("manifest.jws"));
  out.Seed("trust", "log-proof", WorldFile("proof.txt"));
  out.Seed("trust", "signed-status", WorldFile("status.json"));
  out.Seed("trust", "signed-order", WorldFile("order.json"));
  const auto provisioned = Must(trust::Provision(WorldFile("package-1.json"), kNow - 40 * limits::kDaySeconds));
  const auto state = Must(trust::AcceptStatus(provisioned, WorldFile("status.jws"), kNow));
  out.Seed("trust", "state", state.Serialize());
  installer::PersistedState stored;
  stored.trust = state;
  stored.finished = installer::FinishedOrder{Sha256{}, "Withdrawn"};
  stored.serial = 5;
  installer::Journal journal;
  journal.documents = {WorldFile("order.jws"), WorldFile("manifest.json"), WorldFile("manifest.jws"),
                       WorldFile("proof.txt"), std::vector<Sha256>(1)};
  journal.phases = {{"accepted", kNow}};
  journal.boot_id = "boot";
  journal.steps.push_back({});
  journal.steps.back().handler = "fleetseal/slot:1";
  journal.steps.back().file_id = *FileId::Parse("f1");
  stored.journal = journal;
  manifest::Receipt receipt;
  receipt.device_id = *DeviceId::Parse("device-1");
  receipt.outcome = manifest::Outcome::kRefused;
  receipt.code = "Withdrawn";
  receipt.document = Sha256{};
  receipt.issued = kNow;
  stored.receipts.AddRefusal(receipt);
  out.Seed("state", "installer-state", stored.Serialize());
  out.Seed("state", "receipt-chain", stored.receipts.ToJson().Serialize());
  const crypto::SoftwareSigner key(Must(crypto::PrivateKey::Generate(crypto::KeyKind::kP256)));
  CHECK(stored.receipts.Freeze(key).has_value());
  out.Seed("state", "receipt-chain", stored.receipts.ToJson().Serialize(), "frozen");
  out.Seed("api", "receipt-number", stored.receipts.Frozen(1).at(0));
}

void ManifestSeeds(const SeedWriter& out) {
  out.Seed("manifest", "package", WorldFile("package-1.json"));
  out.Seed("manifest", "update-manifest", WorldFile("manifest.json"));
  out.Seed(
      "manifest", "import-manifest",
      R"({"manifestVersion":"5.0","updateId":{"provider":"acme","name":"gateway","version":"1.2"},"description":"d",)"
      R"("compatibility":[{"manufacturer":"acme","model":"g1"}],"instructions":{"steps":[{"type":"inline",)"
      R"("handler":"fleetseal/file:1","files":["a.conf"],"handlerProperties":{"target":"a.conf"}}]},)"
      R"("files":[{"filename":"a.conf","sizeInBytes":3,"hashes":{"sha256":"47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="}}],)"
      R"("createdDateTime":"2026-11-21T10:00:00Z"})");
  const auto package = Must(manifest::RootPackageDocument::Parse(WorldFile("package-1.json")));
  const auto& log = package.package.logs.at(0);
  out.Seed("manifest", "package-vkey", log.vkeys.at(0));
  out.Seed("manifest", "package-product", "acme:gateway");
  out.Seed("merkle", "vkey", Must(manifest::VkeyFromPackage(log.vkeys.at(0))));
  out.Seed("merkle", "note", WorldFile("checkpoint.note"));
  const std::string note = WorldFile("checkpoint.note");
  out.Seed("merkle", "checkpoint", note.substr(0, note.find("\n\n") + 1));
  out.Seed("merkle", "log-proof", WorldFile("proof.txt"));
  out.Seed("merkle", "tile-path", "tile/0/x001/x234/067");
  out.Seed("merkle", "tile-path", "tile/entries/000.p/17", "entries");
  out.Seed("merkle", "tile", std::string(1, '\x02') + std::string(64, 'h'));
  const Bytes leaves[] = {ToBytes("one"), ToBytes("two")};
  out.Seed("merkle", "entries", std::string(1, '\x02') + std::string(AsText(merkle::EncodeEntries(leaves))));
  out.Seed("merkle", "tree-proof", std::string("\0\x05", 2));
  out.BadSeed("merkle", "tree-proof", std::string("\x03\x07", 2) + std::string(96, 'h'), "of-three");
  out.Seed("merkle", "log-leaf", R"({"type":"order","time":5,"jwsSha256":"x","n":1})");
}

std::string Frame(std::string_view text) {
  const auto size = static_cast<uint32_t>(text.size());
  std::string frame;
  for (const int shift : {24, 16, 8, 0}) frame += static_cast<char>(size >> shift);
  return frame + std::string(text);
}

void CeremonySeeds(const SeedWriter& out) {
  manifest::CeremonyTranscript transcript;
  transcript.version = 2;
  transcript.previous_version = 1;
  transcript.draft = {"ann", kNow, {"adds root root-4"}};
  transcript.signatures = {{"bob", kNow, *KeyId::Parse("root-1"), Sha256{}, Sha256{}}};
  out.Seed("manifest", "ceremony-transcript", transcript.Build());
}

void BundleSeeds(const SeedWriter& out) {
  provisioning::Bundle bundle;
  bundle.device.organisation = *Organisation::Parse("acme");
  bundle.device.device_id = *DeviceId::Parse("device-1");
  bundle.device.generation = 2;
  bundle.device.product = *ProductName::Parse("acme/gateway");
  bundle.device.environment = *Environment::Parse("production");
  bundle.device.properties = {{"manufacturer", "acme"}};
  bundle.build_time = kNow;
  bundle.package = WorldFile("package-1.json");
  bundle.server = "https://fleet.example:8443";
  bundle.server_ca_pem = WorldFile("ca.pem");
  bundle.code = "abcdefghijklmnopqrstuvwxyz";
  bundle.agent = {60, 1000, "http://proxy:3128"};
  out.Seed("config", "device-bundle", bundle.Serialize());
}

void SealerSeeds(const SeedWriter& out) {
  const std::string hash = codec::EncodeBase64Url(crypto::HashSha256("manifest").view());
  const std::string plain = codec::EncodeBase64Url(crypto::HashSha256("plain").view());
  const std::string expect = Frame(R"({"verb":"expect","manifestSha256":")" + hash +
                                   R"(","files":[{"fileId":"f1","sha256":")" + plain + R"(","size":5}]})");
  const auto key = Must(crypto::PrivateKey::Generate(crypto::KeyKind::kP256)).public_key();
  const std::string jwk = jose::BuildJwk({.key = key, .kid = {}, .alg = {}}).Serialize();
  // Sorted by name, the corpus has "wrap" after "expect": the seal seed needs a manifest that is expected.
  out.Seed("sealer", "wrap", expect);
  out.Seed("sealer", "wrap",
           expect + Frame(R"({"verb":"contents","manifestSha256":")" + hash + "\"}") +
               Frame(R"({"verb":"wrap","manifestSha256":")" + hash +
                     R"(","devices":[{"deviceId":"d1","generation":1,"encryptionKey":)" + jwk + "}]}"),
           "all");
  out.BadSeed("sealer", "seal",
              Frame(R"({"verb":"seal","manifestSha256":")" + hash + R"(","fileId":"f1","plainSize":5})") +
                  Frame("plain") + Frame(""),
              "stream");
}

void SignerSeeds(const SeedWriter& out) {
  signer::testing::SignerWorld world;
  world.next_number = 1000;  // ids that the fuzzer's own world does not have
  const auto request = [&](std::string_view text, std::string_view more) { out.Seed("signer", "request", text, more); };
  request(R"({"verb":"hello"})", "hello");
  request(R"({"verb":"people"})", "people");
  request(R"({"verb":"devices","limit":5,"cursor":"a"})", "devices");
  request(R"({"verb":"list-requests","state":"waiting"})", "requests");
  request(R"({"verb":"packages","from":0})", "packages");
  request(R"({"verb":"status","nonce":"AAAA"})", "status");
  request(R"({"verb":"plans"})", "plans");
  request(R"({"verb":"receipts","receipts":["a.b.c"]})", "receipts");
  const std::string manifest = world.MakeManifest("2.0.0");
  out.Seed("signer", "signed-request", world.MakeRequest(manifest).Build());
  const auto change = world.MakeChange({manifest::RevokePerson{*PersonId::Parse("bob")}});
  out.BadSeed("signer", "signed-change", change.Build(), "by-one");
  const auto bad = [&](std::string_view text, std::string_view more) { out.BadSeed("signer", "request", text, more); };
  bad(R"({"verb":"submit-request","request":"a.b.c","manifest":"e30"})", "submit");
  bad(R"({"verb":"approve","approval":")" + world.SignAs("bob", manifest::kTypApproval, "{}") + "\"}", "approve");
  bad(R"({"verb":"show-request","requestId":"r1"})", "show");
  bad(R"({"verb":"register-change","jws":["a.b.c"]})", "change");
  bad(R"({"verb":"person-certificate","csr":"MAA"})", "certificate");
  bad(R"({"verb":"enrol","deviceId":"d","csr":"MAA","proof":"a.b.c","remote":"192.0.2.1"})", "enrol");
  bad(R"({"verb":"reenrol","deviceId":"d","csr":"MAA","current":"MAA"})", "reenrol");
  bad(R"({"verb":"orders","planId":"p","devices":["d"]})", "orders");
  bad(R"({"verb":"cancel-orders","planId":"p","devices":["d"]})", "cancel");
  bad(R"({"verb":"revoke","revocation":"a.b.c"})", "revoke");
  bad(R"({"verb":"publish-package","package":"{}"})", "publish");
  bad(R"({"verb":"plan","plan":"a.b.c"})", "plan");
  const std::string hash = codec::EncodeBase64Url(crypto::HashSha256(manifest).view());
  for (const std::string_view verb : {"prepare-import", "complete-import", "log-index"}) {
    bad(R"({"verb":")" + std::string(verb) + R"(","manifestSha256":")" + hash + "\"}", verb);
  }
}

}  // namespace

void WriteWorld(const SeedWriter& out) {
  WriteTrustWorld(out);
  WriteSealedWorld(out);
}

void WriteWorldSeeds(const SeedWriter& out) {
  WriteCertificates(out);
  JoseSeeds(out);
  TrustSeeds(out);
  ManifestSeeds(out);
  CeremonySeeds(out);
  BundleSeeds(out);
  SealerSeeds(out);
  SignerSeeds(out);
}

}  // namespace fleetseal::fuzz
