#include "manifest/receipt_proof.h"

#include "codec/base64.h"
#include "crypto/digest.h"
#include "manifest/fields.h"
#include "merkle/hash.h"

namespace fleetseal::manifest {
namespace {

constexpr std::string_view kFormat = "fleetseal-receipt-proof:1";
constexpr size_t kLogProofBytesMax = 128 * 1024;

}  // namespace

Result<ReceiptProof> ReceiptProof::Parse(std::string_view text) {
  TRY_ASSIGN(const codec::Json json, codec::ParseJson(text));
  codec::ObjectReader reader(json, "receipt proof");
  if (reader.String("format", 64) != kFormat && reader.is_good())
    reader.Stop(ErrorCode::kFormatVersionUnknown, "format", "not " + std::string(kFormat));
  ReceiptProof proof;
  proof.salt = Text(reader, "salt", kReceiptSaltBytesMax);
  for (const codec::Json& element : reader.Array("batch", kReceiptBatchMax)) {
    auto hash = element.is_string() ? codec::DecodeBase64UrlSha256(element.as_string())
                                    : Fail(ErrorCode::kMemberTypeWrong, "an element is no text");
    if (reader.Take(hash, "batch")) proof.batch.push_back(*hash);
  }
  proof.place = reader.Integer("place");
  if (reader.is_good() && proof.place >= std::ssize(proof.batch))
    reader.Stop(ErrorCode::kValueOutOfRange, "place", "the batch is shorter");
  proof.log_proof = reader.String("logProof", kLogProofBytesMax);
  TRY(reader.Finish());
  return proof;
}

std::string ReceiptProof::Build() const {
  codec::Json hashes = codec::Json::MakeArray();
  for (const Sha256& hash : batch) hashes.Push(HashJson(hash));
  codec::Json json = codec::Json::MakeObject();
  json.Set("format", kFormat).Set("salt", salt).Set("place", place).Set("batch", std::move(hashes));
  json.Set("logProof", log_proof);
  return json.Serialize();
}

Sha256 ReceiptLeafHash(std::string_view salt, std::string_view receipt) {
  const std::string text = std::string(salt) + codec::EncodeBase64Url(crypto::HashSha256(receipt).view());
  return merkle::LeafHash(AsBytes(text));
}

}  // namespace fleetseal::manifest
