// Payloads of signed documents, and leaves of the log.
#include "fuzz/round_trip.h"
#include "fuzz/target.h"
#include "manifest/enrolment.h"
#include "manifest/log_leaf.h"
#include "manifest/manifest_signature.h"
#include "manifest/order.h"
#include "manifest/permit.h"
#include "manifest/person_documents.h"
#include "manifest/policy.h"
#include "manifest/receipt.h"
#include "manifest/receipt_proof.h"
#include "manifest/register_change.h"
#include "manifest/security_replacement.h"
#include "manifest/status.h"

namespace fleetseal::fuzz {
namespace {

bool TryLeafType(ByteView input) { return manifest::LeafType(AsText(input)).has_value(); }

constexpr Case kCases[] = {
    {"manifest-signature", Document<manifest::ManifestSignature>},
    {"order", Document<manifest::Order>},
    {"status", Document<manifest::StatusDocument>},
    {"permit", Document<manifest::Permit>},
    {"receipt", Document<manifest::Receipt>},
    {"request", Document<manifest::SignRequest>},
    {"approval", Document<manifest::Approval>},
    {"plan", Document<manifest::Plan>},
    {"revocation", Document<manifest::Revocation>},
    {"register-change", Document<manifest::RegisterChange>},
    {"device-keys", Document<manifest::DeviceKeys>},
    {"enrolment", Document<manifest::Enrolment>},
    {"policy", Value<manifest::Policy>},
    {"leaf", Document<manifest::ManifestSignatureLeaf>},
    {"leaf-type", TryLeafType},
    {"permit-request", Document<manifest::PermitRequest>},
    {"resign-request", Document<manifest::ResignRequest>},
    {"security-replacement", Document<manifest::SecurityReplacement>},
    {"receipt-proof", Document<manifest::ReceiptProof>},
    {"receipt-batch", Document<manifest::ReceiptBatchLeaf>},
};

}  // namespace

FLEETSEAL_FUZZ_TARGET(documents, kCases)

}  // namespace fleetseal::fuzz
