// Bodies of the device API: what agent and server say to each other over HTTPS.
//
// Source: docs/protocol/processes.md section 5. Strict both ways: unknown, missing or mistyped members are refused with
// the codes of ParseJson and ObjectReader. Signed documents travel as their exact text; nothing here judges them.
// Thread rule: plain values. Parse checks form only; ids are checked against the certificate by the server.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "codec/json.h"

namespace fleetseal::api::device {

inline constexpr std::string_view kPackagesPath = "/device/v1/packages";
inline constexpr std::string_view kStatusPath = "/device/v1/status";
inline constexpr std::string_view kCheckInPath = "/device/v1/check-in";
inline constexpr std::string_view kReceiptsPath = "/device/v1/receipts";
inline constexpr std::string_view kContentPrefix = "/content/v1/";  // + hex of sealedSha256
inline constexpr std::string_view kEstPrefix = "/.well-known/est/";

// Receipts of one call: what the signer takes in one message.
inline constexpr size_t kReceiptsMax = 256;
// Greatest answer, bytes: what an agent must be ready to take (and fits one message to the installer).
inline constexpr size_t kAnswerBytesMax = 3 * 1024 * 1024;
// Packages of one answer are cut after so many bytes (but one is always sent); the device asks again.
inline constexpr size_t kPackagesBytesMax = 1024 * 1024;

struct PackagesAnswer {
  std::vector<std::string> packages;  // texts, oldest first, at most limits::kPackageStepsMax
  static Result<PackagesAnswer> Parse(std::string_view text);
  std::string Build() const;
};

struct StatusAnswer {
  std::string status;  // compact JWS
  static Result<StatusAnswer> Parse(std::string_view text);
  std::string Build() const;
};

// A pair of director numbers that a device has accepted.
struct Numbered {
  int64_t epoch = 0;
  int64_t number = 0;
  auto operator<=>(const Numbered&) const = default;
};
struct KnownCheckpoint {
  std::string origin;
  int64_t size = 0;
};
struct Installed {
  ProductName product;
  int64_t release_counter = 0;
  Sha256 manifest_sha256;
};

struct CheckInRequest {
  DeviceId device_id;
  int64_t generation = 1;
  int64_t package_version = 0;
  std::optional<Numbered> status;  // member "status": {"epoch","version"}
  std::optional<Numbered> order;   // member "order": {"epoch","sequence"}
  std::optional<KnownCheckpoint> checkpoint;
  std::optional<Installed> installed;
  std::string phase;          // id form
  std::string agent_version;  // printable, at most 64 bytes
  static Result<CheckInRequest> Parse(std::string_view text);
  std::string Build() const;
};

struct CheckInAnswer {
  std::vector<std::string> packages;  // those above packageVersion, oldest first
  std::optional<std::string> status;  // unless the device has it
  // Together or not at all.
  std::optional<std::string> order;
  std::optional<std::string> manifest;  // exact bytes
  std::optional<std::string> manifest_signature;
  std::optional<std::string> log_proof;
  std::optional<std::vector<Sha256>> consistency;  // from the checkpoint of the request to the proof's
  int64_t next_check_in_seconds = 300;
  static Result<CheckInAnswer> Parse(std::string_view text);
  std::string Build() const;
};

struct ReceiptsRequest {
  std::vector<std::string> receipts;  // compact JWS, 1 to kReceiptsMax, in the order of their numbers
  static Result<ReceiptsRequest> Parse(std::string_view text);
  std::string Build() const;
};

struct ReceiptResult {
  bool is_accepted = false;  // false: the device keeps it and sends it again
  bool is_final = false;     // refused for good: the device forgets it, the gap in its chain tells
  std::optional<std::string> code;
  std::optional<std::string> detail;
};
struct ReceiptsAnswer {
  std::vector<ReceiptResult> results;  // one each, in order
  static Result<ReceiptsAnswer> Parse(std::string_view text);
  std::string Build() const;
};

}  // namespace fleetseal::api::device
