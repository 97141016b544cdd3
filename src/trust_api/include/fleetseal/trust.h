// libfleetseal-trust: may this device install this, and is it what was signed?
//
// Source: docs/how-to/trust-library.md; each function names the section of the trust model that it carries out. It is
// the code of Fleetseal's own installer: bytes and a trust state in, a verdict out.
// No I/O: no file, no socket, no clock, no environment. No global state: the same arguments give the same answer; a few
// immutable objects of OpenSSL (curves, a digest) are made once, at first use, on any thread.
// Threads: a handle does not change once made, so any number of threads may read it; free it when none does any more.
// Ownership: a function with a parameter `T **out` gives a new handle there, which the caller frees, and sets it to
// NULL if it fails. Arguments are read during the call only. The free functions take NULL. Memory: bounded by the
// limits of trust_types.h. A call holds at most FLEETSEAL_TRUST_HEAP_BYTES_MAX of heap beyond the handles that it was
// given, whatever bytes it gets (device_parse, state_parse: see there), and keeps none but what the handles that it
// gives hold. Codes: FLEETSEAL_TRUST_OK, or why not. Bytes may be anything. BAD_CALL for a null pointer, except where
// it is allowed; `detail` may be NULL everywhere. No C++ exception leaves.
#ifndef FLEETSEAL_TRUST_H
#define FLEETSEAL_TRUST_H

#include <fleetseal/trust_types.h>

#if defined(__GNUC__)
#define FLEETSEAL_TRUST_API __attribute__((visibility("default")))
#else
#define FLEETSEAL_TRUST_API
#endif
#ifdef __cplusplus
#define FLEETSEAL_TRUST_NOEXCEPT noexcept
extern "C" {
#else
#define FLEETSEAL_TRUST_NOEXCEPT
#endif

// FLEETSEAL_TRUST_API_VERSION of the library in use: at least that of the header, or functions are missing.
FLEETSEAL_TRUST_API uint32_t fleetseal_trust_api_version(void) FLEETSEAL_TRUST_NOEXCEPT;
// Stable name ("OrderReplayed"), what happened, what a person can do. Never NULL ("Unknown" for other numbers); static.
FLEETSEAL_TRUST_API const char* fleetseal_trust_code_name(fleetseal_trust_code code) FLEETSEAL_TRUST_NOEXCEPT;
FLEETSEAL_TRUST_API const char* fleetseal_trust_code_title(fleetseal_trust_code code) FLEETSEAL_TRUST_NOEXCEPT;
FLEETSEAL_TRUST_API const char* fleetseal_trust_code_advice(fleetseal_trust_code code) FLEETSEAL_TRUST_NOEXCEPT;

// --- who the device is, what it knows

// The text of a device.json (docs/reference/configuration.md): organisation, deviceId, generation, product,
// environment, properties, delivery, profile, buildTime. Strict. Codes of reading (100 to 119), LimitExceeded. Trusted
// input: up to 64 times its size of heap while it is read.
FLEETSEAL_TRUST_API fleetseal_trust_code fleetseal_trust_device_parse(
    fleetseal_trust_bytes json, fleetseal_trust_device** out, fleetseal_trust_detail* detail) FLEETSEAL_TRUST_NOEXCEPT;
FLEETSEAL_TRUST_API void fleetseal_trust_device_free(fleetseal_trust_device* device) FLEETSEAL_TRUST_NOEXCEPT;

// First trust (section 3), from the package that was built in; build time and profile are the device's.
// PackageStepInvalid, and codes of reading a package.
FLEETSEAL_TRUST_API fleetseal_trust_code
fleetseal_trust_provision(const fleetseal_trust_device* device, fleetseal_trust_bytes package,
                          fleetseal_trust_state** out, fleetseal_trust_detail* detail) FLEETSEAL_TRUST_NOEXCEPT;
// The text that state_serialize gave. The caller guards it: who can write it is trusted. Codes of reading,
// FormatVersionUnknown, TrustStateMissing. Trusted input: up to 64 times its size of heap while it is read.
FLEETSEAL_TRUST_API fleetseal_trust_code fleetseal_trust_state_parse(
    fleetseal_trust_bytes text, fleetseal_trust_state** out, fleetseal_trust_detail* detail) FLEETSEAL_TRUST_NOEXCEPT;
// Text without a NUL into buffer[0 .. *size). BUFFER_TOO_SMALL if capacity is less, with *size what it takes; buffer
// may be NULL with capacity 0. Equal states give equal bytes. Takes its size of heap beside the bound.
FLEETSEAL_TRUST_API fleetseal_trust_code fleetseal_trust_state_serialize(const fleetseal_trust_state* state,
                                                                         char* buffer, size_t capacity,
                                                                         size_t* size) FLEETSEAL_TRUST_NOEXCEPT;
FLEETSEAL_TRUST_API fleetseal_trust_code fleetseal_trust_state_describe(
    const fleetseal_trust_state* state, fleetseal_trust_state_info* info) FLEETSEAL_TRUST_NOEXCEPT;
FLEETSEAL_TRUST_API void fleetseal_trust_state_free(fleetseal_trust_state* state) FLEETSEAL_TRUST_NOEXCEPT;
// At each start (section 3, "First trust"): packages that an update of the program brought, ascending, as steps above
// the stored one. PackageStepInvalid, codes of reading a package.
FLEETSEAL_TRUST_API fleetseal_trust_code fleetseal_trust_accept_built_in(
    const fleetseal_trust_state* state, const fleetseal_trust_device* device, const fleetseal_trust_bytes* packages,
    size_t package_count, fleetseal_trust_state** out, fleetseal_trust_detail* detail) FLEETSEAL_TRUST_NOEXCEPT;
// Whether a state that was stored can be one that the library made here. PackageStepInvalid.
FLEETSEAL_TRUST_API fleetseal_trust_code
fleetseal_trust_check_stored(const fleetseal_trust_state* state, const fleetseal_trust_bytes* packages,
                             size_t package_count, fleetseal_trust_detail* detail) FLEETSEAL_TRUST_NOEXCEPT;

// --- all at once

// Section 8, checks 3 to 9 and what of 10 time decides, in that order: package steps, status, order. The first refusal
// stops; what was accepted before it stays in outcome->state, which is there after every code >= 0. Gives
// outcome->code. REQUIRES: outcome != NULL; it is overwritten. A package equal to the known one is passed over. An
// order whose SHA-256 is the stored one's is a repeat: judged again, never to be run again.
FLEETSEAL_TRUST_API fleetseal_trust_code fleetseal_trust_offer(const fleetseal_trust_state* state,
                                                               const fleetseal_trust_device* device,
                                                               const fleetseal_trust_documents* documents,
                                                               const fleetseal_trust_time* time,
                                                               fleetseal_trust_outcome* outcome,
                                                               fleetseal_trust_detail* detail) FLEETSEAL_TRUST_NOEXCEPT;

// --- one at a time: each verdict's state is to be stored before it is acted on. `now` is the device's clock, or what a
// nonce status gave; below the time floor, the floor holds.

// One step N -> N+1 (sections 3 and 8.3). PackageStepInvalid, codes of reading a package.
FLEETSEAL_TRUST_API fleetseal_trust_code
fleetseal_trust_accept_package(const fleetseal_trust_state* state, fleetseal_trust_bytes package,
                               fleetseal_trust_state** out, fleetseal_trust_detail* detail) FLEETSEAL_TRUST_NOEXCEPT;
// Section 8.4. PackageExpired, StatusReplayed, StatusExpired, PackageVersionTooLow, PackageStepInvalid, codes of a
// listed signature (DisallowedRootKid UnknownRootKid DisallowedSigningKey SigningKeyNotListed RoleNotAllowed
// SigningKeyExpired PqSignatureMissing TypMismatch AlgorithmNotAllowed SignatureInvalid HeaderNotAllowed) and reading.
FLEETSEAL_TRUST_API fleetseal_trust_code
fleetseal_trust_accept_status(const fleetseal_trust_state* state, fleetseal_trust_bytes status, int64_t now,
                              fleetseal_trust_state** out, fleetseal_trust_detail* detail) FLEETSEAL_TRUST_NOEXCEPT;
// Section 5: a status that holds the nonce of this boot gives the time. *now is set with the state. As accept_status.
FLEETSEAL_TRUST_API fleetseal_trust_code fleetseal_trust_accept_nonce_status(
    const fleetseal_trust_state* state, fleetseal_trust_bytes status, fleetseal_trust_bytes nonce, int64_t* now,
    fleetseal_trust_state** out, fleetseal_trust_detail* detail) FLEETSEAL_TRUST_NOEXCEPT;
// PackageExpired or StatusExpired unless both are in their dates.
FLEETSEAL_TRUST_API fleetseal_trust_code fleetseal_trust_judge_fresh(
    const fleetseal_trust_state* state, int64_t now, fleetseal_trust_detail* detail) FLEETSEAL_TRUST_NOEXCEPT;
// Section 8.5 to 8.10; documents->packages and status are not read. *next is the state to store. Codes: those of
// judge_fresh, verify_manifest and verify_log_proof, OrderNotForThisDevice OrderReplayed OrderCancelled OrderExpired
// PackageVersionTooLow RollbackRefused PermitInvalid NotCompatible DeliveryNotAllowed FileHashMismatch OutsideWindow.
FLEETSEAL_TRUST_API fleetseal_trust_code
fleetseal_trust_accept_order(const fleetseal_trust_state* state, const fleetseal_trust_device* device,
                             const fleetseal_trust_documents* documents, int64_t now, fleetseal_trust_order** out,
                             fleetseal_trust_state** next, fleetseal_trust_detail* detail) FLEETSEAL_TRUST_NOEXCEPT;
// Section 8.12, just before the switch, with the state of that moment. Codes as accept_order, OrderCancelled,
// OutsideWindow. BAD_CALL for a cancel.
FLEETSEAL_TRUST_API fleetseal_trust_code fleetseal_trust_recheck_order(
    const fleetseal_trust_state* state, const fleetseal_trust_device* device, const fleetseal_trust_order* order,
    int64_t now, fleetseal_trust_detail* detail) FLEETSEAL_TRUST_NOEXCEPT;
// Section 8.13: the update runs and is healthy. Counters and the used permit go into *out. BAD_CALL for a cancel.
FLEETSEAL_TRUST_API fleetseal_trust_code
fleetseal_trust_commit_order(const fleetseal_trust_state* state, const fleetseal_trust_order* order,
                             fleetseal_trust_state** out) FLEETSEAL_TRUST_NOEXCEPT;

FLEETSEAL_TRUST_API fleetseal_trust_code fleetseal_trust_order_describe(
    const fleetseal_trust_order* order, fleetseal_trust_order_info* info) FLEETSEAL_TRUST_NOEXCEPT;
// What the order installs; part of the order. NULL for a cancel.
FLEETSEAL_TRUST_API const fleetseal_trust_manifest* fleetseal_trust_order_manifest(const fleetseal_trust_order* order)
    FLEETSEAL_TRUST_NOEXCEPT;
FLEETSEAL_TRUST_API void fleetseal_trust_order_free(fleetseal_trust_order* order) FLEETSEAL_TRUST_NOEXCEPT;

// --- parts, for those who import, mirror or show updates

// Section 8.6 alone: no order, no freshness. ProductNotAllowed ManifestHashMismatch AudienceMismatch RoleNotAllowed
// Withdrawn, codes of a listed signature and of reading.
FLEETSEAL_TRUST_API fleetseal_trust_code fleetseal_trust_verify_manifest(
    const fleetseal_trust_state* state, const fleetseal_trust_device* device, fleetseal_trust_bytes manifest,
    fleetseal_trust_bytes signature, int64_t now, fleetseal_trust_manifest** out,
    fleetseal_trust_detail* detail) FLEETSEAL_TRUST_NOEXCEPT;
FLEETSEAL_TRUST_API fleetseal_trust_code fleetseal_trust_manifest_describe(
    const fleetseal_trust_manifest* manifest, fleetseal_trust_manifest_info* info) FLEETSEAL_TRUST_NOEXCEPT;
// BAD_CALL past the last one.
FLEETSEAL_TRUST_API fleetseal_trust_code fleetseal_trust_manifest_file(
    const fleetseal_trust_manifest* manifest, size_t index, fleetseal_trust_file* file) FLEETSEAL_TRUST_NOEXCEPT;
FLEETSEAL_TRUST_API fleetseal_trust_code fleetseal_trust_manifest_step(
    const fleetseal_trust_manifest* manifest, size_t index, fleetseal_trust_step* step) FLEETSEAL_TRUST_NOEXCEPT;
FLEETSEAL_TRUST_API void fleetseal_trust_manifest_free(fleetseal_trust_manifest* manifest) FLEETSEAL_TRUST_NOEXCEPT;
// Sections 6 and 8.9 without consistency: the manifest's signature is on a log of the package. LogProofMissing
// QuorumMissing SignatureInvalid, codes of reading.
FLEETSEAL_TRUST_API fleetseal_trust_code fleetseal_trust_verify_log_proof(
    const fleetseal_trust_state* state, const fleetseal_trust_manifest* manifest, fleetseal_trust_bytes proof,
    fleetseal_trust_checkpoint* checkpoint, fleetseal_trust_detail* detail) FLEETSEAL_TRUST_NOEXCEPT;
// Section 8.11: exact size and every hash that the manifest lists (sha256 always). FileNotInManifest FileTooLarge
// FileHashMismatch.
FLEETSEAL_TRUST_API fleetseal_trust_code fleetseal_trust_check_file(
    const fleetseal_trust_manifest* manifest, const char* file_id, const fleetseal_trust_computed* computed,
    fleetseal_trust_detail* detail) FLEETSEAL_TRUST_NOEXCEPT;

#ifdef __cplusplus
}
#endif
#endif
