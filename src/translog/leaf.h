// Log records (leaves): compact JSON objects that begin with "type" and "time".
//
// Source: docs/protocol/documents.md section 7, trust model section 6. A leaf is its exact bytes; ParseLeaf takes the
// canonical form only: no white space, "type" first, "time" second, then the type's own members. Nothing secret or
// personal is in a leaf in the clear. The typed leaves are in manifest/log_leaf.h; this is the envelope that all share,
// for readers and auditors that take any type. Thread rule: plain values and pure functions.
#pragma once

#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "codec/json.h"

namespace fleetseal::translog {

inline constexpr std::string_view kLeafManifestSignature = "manifest-signature";
inline constexpr std::string_view kLeafOrder = "order";
inline constexpr std::string_view kLeafPlan = "plan";
inline constexpr std::string_view kLeafRequest = "request";
inline constexpr std::string_view kLeafApproval = "approval";
inline constexpr std::string_view kLeafRegisterChange = "register-change";
inline constexpr std::string_view kLeafRevocation = "revocation";
inline constexpr std::string_view kLeafCertificate = "certificate";
inline constexpr std::string_view kLeafPackage = "package";
inline constexpr std::string_view kLeafSealed = "sealed";
inline constexpr std::string_view kLeafReceiptBatch = "receipt-batch";
inline constexpr std::string_view kLeafRefusal = "refusal";
inline constexpr std::string_view kLeafState = "state";

struct Leaf {
  std::string type;  // [a-z][a-z0-9-]{0,31}
  UnixSeconds time;
  codec::Json members = codec::Json::MakeObject();  // without type and time, in their order
};

// InvalidArgument (type, members not an object, or a member named type or time), DocumentTooLarge (above 65,535 bytes).
Result<Bytes> BuildLeaf(std::string_view type, UnixSeconds time, const codec::Json& members);
// Codes: those of codec::ParseJson, MemberMissing, MemberTypeWrong, TextInvalid (type), ValueOutOfRange (time),
// JsonInvalid (not canonical).
Result<Leaf> ParseLeaf(ByteView bytes);

}  // namespace fleetseal::translog
