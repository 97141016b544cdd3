#include "jose/jws.h"

#include <algorithm>
#include <array>

#include "base/ids.h"
#include "codec/base64.h"
#include "codec/json.h"
#include "crypto/low_s.h"
#include "jose/segments.h"

namespace fleetseal::jose {
namespace {

using codec::Json;

// A header has four members; some more, so that one with members of others is refused for what it holds.
constexpr size_t kHeaderValuesMax = 64;
// Longest header member other than sjwk.
constexpr size_t kHeaderTextMax = 256;

bool IsHeaderText(std::string_view text) {
  return !text.empty() && text.size() <= kHeaderTextMax && codec::IsPrintableAscii(text);
}

Status CheckHeader(const JwsHeader& header, HeaderPolicy policy) {
  if (policy == HeaderPolicy::kFleetseal && header.typ.empty()) {
    return Fail(ErrorCode::kMemberMissing, "JWS header member typ is missing");
  }
  if (!header.typ.empty() && !IsHeaderText(header.typ)) {
    return Fail(ErrorCode::kTextInvalid, "JWS header member typ is not printable ASCII");
  }
  if (!header.kid) return {};
  if (policy == HeaderPolicy::kFleetseal && !IsIdText(*header.kid)) {
    return Fail(ErrorCode::kIdInvalid, "JWS header member kid is no id");
  }
  if (!IsHeaderText(*header.kid)) return Fail(ErrorCode::kTextInvalid, "JWS header member kid is not printable ASCII");
  return {};
}

Result<JwsHeader> ParseHeader(std::string_view text, HeaderPolicy policy) {
  static constexpr std::array<std::string_view, 4> kAllowed = {"alg", "typ", "kid", "sjwk"};
  codec::JsonLimits json_limits;
  json_limits.members_max = kHeaderValuesMax;
  TRY_ASSIGN_CONTEXT(const Json json, codec::ParseJson(text, json_limits), "JWS header");
  if (!json.is_object()) return Fail(ErrorCode::kJwsMalformed, "the JWS header is no object");
  for (const auto& [name, value] : json.as_object()) {
    // RFC 7515 section 4.1: whatever picks a key or changes the reading (jwk, jku, x5u, x5c, crit, b64, zip) is not
    // ours.
    if (std::find(kAllowed.begin(), kAllowed.end(), name) == kAllowed.end()) {
      return Fail(ErrorCode::kHeaderNotAllowed, "a JWS header member is not one of alg, typ, kid, sjwk");
    }
  }
  codec::ObjectReader reader(json, "JWS header");
  const std::string alg = reader.String("alg", kHeaderTextMax);
  JwsHeader header;
  const bool has_typ = reader.Has("typ");
  header.typ = reader.OptionalString("typ", kHeaderTextMax).value_or("");
  header.kid = reader.OptionalString("kid", kHeaderTextMax);
  header.sjwk = reader.OptionalString("sjwk", limits::kJwsBytesMax);
  TRY(reader.Finish());
  TRY_ASSIGN_CONTEXT(header.alg, crypto::SignatureAlgorithmFromName(alg), "JWS header");
  if (has_typ && header.typ.empty()) return Fail(ErrorCode::kTextInvalid, "JWS header member typ is empty");
  TRY(CheckHeader(header, policy));
  return header;
}

}  // namespace

Result<UnverifiedJws> UnverifiedJws::Parse(std::string_view compact, size_t bytes_max, HeaderPolicy policy) {
  if (compact.size() > bytes_max) return Fail(ErrorCode::kDocumentTooLarge, "a JWS is larger than allowed");
  const auto segments = SplitCompact<3>(compact);
  if (!segments) return Fail(ErrorCode::kJwsMalformed, "not three segments");
  for (const auto segment : *segments) {
    if (segment.empty()) return Fail(ErrorCode::kJwsMalformed, "a segment is empty");
  }
  UnverifiedJws jws;
  TRY_ASSIGN_CONTEXT(const Bytes header, codec::DecodeBase64Url((*segments)[0]), "JWS header");
  TRY_ASSIGN(jws.header_, ParseHeader(AsText(header), policy));
  TRY_ASSIGN_CONTEXT(jws.payload_, codec::DecodeBase64Url((*segments)[1]), "JWS payload");
  TRY_ASSIGN_CONTEXT(jws.signature_, codec::DecodeBase64Url((*segments)[2]), "JWS signature");
  jws.compact_ = std::string(compact);
  jws.signing_input_size_ = (*segments)[0].size() + 1 + (*segments)[1].size();
  return jws;
}

Status UnverifiedJws::Verify(const crypto::PublicKey& key, crypto::SignatureAlgorithm expected) const {
  // Trust model section 4: header alg = JWK alg = listed alg, exactly; the header never chooses.
  if (header_.alg != expected) {
    return Fail(ErrorCode::kAlgorithmNotAllowed, "JWS alg is " + std::string(SignatureAlgorithmName(header_.alg)) +
                                                     ", not " + std::string(SignatureAlgorithmName(expected)));
  }
  return key.Verify(expected, AsBytes(signing_input()), signature_);
}

Result<std::string> BuildSigningInput(const JwsHeader& header, ByteView payload) {
  TRY(CheckHeader(header, HeaderPolicy::kFleetseal));
  if (payload.empty()) return Fail(ErrorCode::kJwsMalformed, "the payload is empty");
  Json json = Json::MakeObject();
  json.Set("alg", crypto::SignatureAlgorithmName(header.alg)).Set("typ", header.typ);
  json.SetOptional("kid", header.kid).SetOptional("sjwk", header.sjwk);
  return codec::EncodeBase64Url(AsBytes(json.Serialize())) + "." + codec::EncodeBase64Url(payload);
}

Result<std::string> SignCompact(const crypto::Signer& signer, const JwsHeader& header, ByteView payload) {
  TRY_ASSIGN(std::string compact, BuildSigningInput(header, payload));
  TRY_ASSIGN_CONTEXT(Bytes signature, signer.Sign(header.alg, AsBytes(compact)), "signing " + header.typ);
  if (header.alg == crypto::SignatureAlgorithm::kEs256) crypto::MakeLowS(signature);
  compact += '.';
  compact += codec::EncodeBase64Url(signature);
  return compact;
}

}  // namespace fleetseal::jose
