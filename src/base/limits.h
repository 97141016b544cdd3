// Every bound of the system by name, with unit and reason. Past a bound there is a code, never a truncation.
#pragma once

#include <cstddef>
#include <cstdint>

namespace fleetseal::limits {

// JSON text depth: our deepest document (root-key package) has 6 levels.
inline constexpr int kJsonDepthMax = 16;
// Members or elements of one JSON object or array.
inline constexpr size_t kJsonMembersMax = 100'000;
// Integers in JSON: exact in every JSON reader.
inline constexpr int64_t kJsonIntegerMax = (int64_t{1} << 53) - 1;

// What a device reads for a decision, bytes: all of it together, parsed, stays within 256 KiB of memory (ADR 0014).
// One root-key package: 10 roots of RSA-4096 with both kinds of signatures and 64 listings fit.
inline constexpr size_t kPackageBytesMax = 40 * 1024;
// One update manifest: 20 files and 10 steps with their properties fit.
inline constexpr size_t kManifestBytesMax = 16 * 1024;
// One JWS in compact form that a device reads: order, status, manifest signature, permit.
inline constexpr size_t kDeviceJwsBytesMax = 20 * 1024;
// The tlog-proof of a manifest's signature: 63 hashes and 16 witness lines fit.
inline constexpr size_t kDeviceLogProofBytesMax = 8 * 1024;
// The status: withdrawn updates and newest counters. Larger, as nothing else is held beside it.
inline constexpr size_t kStatusBytesMax = 28 * 1024;
// JSON values of one such document.
inline constexpr size_t kDeviceValuesMax = 1'000;

// Any other JWS in compact form (documents of people, receipts), bytes.
inline constexpr size_t kJwsBytesMax = 128 * 1024;
// Any tlog-proof, bytes: 63 hashes, a 64 KiB leaf, 16 witness lines.
inline constexpr size_t kLogProofBytesMax = 128 * 1024;
// One log record (leaf), bytes: the tlog-tiles entry bundle has 16-bit lengths.
inline constexpr size_t kLogLeafBytesMax = 65'535;
// Package steps that one message may carry; a device further behind asks again.
inline constexpr size_t kPackageStepsMax = 64;
// Files of one update (Azure manifest v5 allows 20).
inline constexpr size_t kManifestFilesMax = 20;
inline constexpr size_t kManifestStepsMax = 10;
inline constexpr size_t kCompatibilitySetsMax = 10;
inline constexpr size_t kCompatibilityPropertiesMax = 5;
// One plain file of an update, bytes: 64 GiB, the largest image that a 32-bit segment index of 64 KiB holds
// comfortably.
inline constexpr uint64_t kFileBytesMax = uint64_t{64} * 1024 * 1024 * 1024;

// One message on a local socket, bytes (length-prefixed JSON).
inline constexpr size_t kLocalMessageBytesMax = 4 * 1024 * 1024;
// One HTTP request body that is held in memory, bytes. Content uploads are streamed and bounded by the manifest.
inline constexpr size_t kHttpBodyBytesMax = 1024 * 1024;
inline constexpr size_t kHttpHeaderBytesMax = 16 * 1024;
// A TLS or HTTP peer that sends nothing for so long is dropped, milliseconds.
inline constexpr int64_t kHttpIdleTimeoutMs = 75'000;
inline constexpr int64_t kHttpHeaderTimeoutMs = 20'000;
// EST request body, bytes (reference: others use 64 KiB).
inline constexpr size_t kEstBodyBytesMax = 64 * 1024;

// Greatest lifetimes, seconds: trust model section 3, "Greatest lifetimes".
inline constexpr int64_t kDaySeconds = 86'400;
inline constexpr int64_t kPackageLifetimeMax = 400 * kDaySeconds;
inline constexpr int64_t kPublisherListingLifetimeMax = 400 * kDaySeconds;
inline constexpr int64_t kDirectorListingLifetimeMax = 35 * kDaySeconds;
inline constexpr int64_t kStatusLifetimeMax = kDaySeconds;
inline constexpr int64_t kOrderLifetimeMax = 30 * kDaySeconds;

// Sealed files: plain bytes per AES-GCM segment (trust model section 7).
inline constexpr size_t kSegmentBytes = 64 * 1024;

}  // namespace fleetseal::limits
