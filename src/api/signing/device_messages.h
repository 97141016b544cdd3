// Answers of the signer about devices, imports, orders, receipts, revocations and itself. messages.h includes this.
//
// Source: docs/protocol/processes.md section 3. Parse() is strict and takes the member `ok` of an answer; ToJson()
// makes it. Thread rule: plain values.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/ids.h"
#include "base/result.h"
#include "codec/json.h"
#include "manifest/order.h"
#include "manifest/person_documents.h"

namespace fleetseal::api::signing {

// Bounds of one message; past them LimitExceeded.
inline constexpr size_t kOrderDevicesMax = 256;
inline constexpr size_t kReceiptsMax = 256;
inline constexpr int64_t kDevicesPageMax = 1000;
inline constexpr int64_t kPlansPageMax = 1000;

struct EnrolAnswer {
  Bytes certificate;  // DER
  int64_t generation = 1;
  static Result<EnrolAnswer> Parse(const codec::Json& json);
  codec::Json ToJson() const;
};

enum class DeviceState : uint8_t { kAllowed, kActive, kSuspended, kRevoked, kQuarantined };
std::string_view DeviceStateName(DeviceState state);
Result<DeviceState> DeviceStateFromName(std::string_view name);  // ValueOutOfRange

struct DeviceRow {
  DeviceId id;
  DeviceState state = DeviceState::kAllowed;
  int64_t generation = 1;
  ProductName product;
  Environment environment;
  std::map<std::string, std::string> properties;
  std::optional<Sha256> certificate_sha256;  // of the newest certificate's DER
  std::optional<Sha256> identity_key;        // thumbprint
  bool has_keys = false;                     // receipt and encryption key are registered: orders are possible
};
struct DevicesAnswer {
  std::vector<DeviceRow> devices;     // by id
  std::optional<std::string> cursor;  // give it to the next call; absent at the end
  static Result<DevicesAnswer> Parse(const codec::Json& json);
  codec::Json ToJson() const;
};

struct ImportFile {
  FileId file_id;
  std::string file_name;
  Sha256 sha256;
  ByteCount size;
};
struct PrepareImportAnswer {
  std::vector<ImportFile> files;
  static Result<PrepareImportAnswer> Parse(const codec::Json& json);
  codec::Json ToJson() const;
};
struct CompleteImportAnswer {
  std::vector<manifest::OrderContent> contents;
  static Result<CompleteImportAnswer> Parse(const codec::Json& json);
  codec::Json ToJson() const;
};

struct OrderResult {
  DeviceId device_id;
  std::optional<std::string> order;  // compact JWS; else `error`
  std::optional<int64_t> sequence;
  std::optional<Refusal> error;
};
struct OrdersAnswer {
  std::vector<OrderResult> orders;  // as asked for
  static Result<OrdersAnswer> Parse(const codec::Json& json);
  codec::Json ToJson() const;
};

enum class PlanState : uint8_t { kActive, kPaused, kCancelled };
std::string_view PlanStateName(PlanState state);
Result<PlanState> PlanStateFromName(std::string_view name);  // ValueOutOfRange

struct PlanRow {
  PlanId id;
  PlanState state = PlanState::kActive;
};
struct PlansAnswer {
  std::vector<PlanRow> plans;         // by id
  std::optional<std::string> cursor;  // give it to the next call; absent at the end
  static Result<PlansAnswer> Parse(const codec::Json& json);
  codec::Json ToJson() const;
};

// A device has told a number below one that it told before (trust model section 9).
struct NumberTold {
  int64_t epoch = 0;  // 0 for a package
  int64_t number = 0;
  auto operator<=>(const NumberTold&) const = default;
};
struct QuarantineRequest {
  DeviceId device_id;
  int64_t generation = 1;
  std::string what;  // "package", "status", "order"
  NumberTold known;
  NumberTold told;
  // Without "verb". ValueOutOfRange (what; told is not below known), and those of ObjectReader.
  static Result<QuarantineRequest> Read(codec::ObjectReader& reader);
  codec::Json ToJson() const;
};

struct ReceiptResult {
  bool is_accepted = false;
  bool is_final = false;  // refused for good: sending it again is no use, the device forgets it
  std::optional<ErrorCode> code;
  std::optional<std::string> detail;
};
struct ReceiptsAnswer {
  std::vector<ReceiptResult> results;  // as sent
  static Result<ReceiptsAnswer> Parse(const codec::Json& json);
  codec::Json ToJson() const;
};

struct RevokeAnswer {
  manifest::RevocationKind kind = manifest::RevocationKind::kDevice;
  std::string subject;
  manifest::RevocationAction action = manifest::RevocationAction::kSuspend;
  static Result<RevokeAnswer> Parse(const codec::Json& json);
  codec::Json ToJson() const;
};

struct LogIndexAnswer {
  int64_t log_index = 0;
  std::string manifest_signature;
  static Result<LogIndexAnswer> Parse(const codec::Json& json);
  codec::Json ToJson() const;
};

struct HelloAnswer {
  Organisation organisation;
  std::string server_ca;  // PEM
  std::string device_ca;
  std::string people_ca;
  std::string log_vkey;
  std::string log_origin;
  int64_t package_version = 0;
  std::string version;  // of the program
  std::string problem;  // why it signs nothing now; empty if it does
  static Result<HelloAnswer> Parse(const codec::Json& json);
  codec::Json ToJson() const;
};

}  // namespace fleetseal::api::signing
