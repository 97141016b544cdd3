// Devices, their certificates and receipts.
//
// Source: trust model sections 2, 5 and 9. All functions run inside the caller's transaction; codes are those of
// storage::Session. Thread rule: one transaction, one thread.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "storage/database.h"

namespace fleetseal::signer::store {

struct DeviceRow {
  std::string id;
  std::string state;  // allowed, active, suspended, revoked, quarantined
  int64_t generation = 1;
  std::string product;
  std::string environment;
  std::string properties;     // JSON object
  std::string enrolment_key;  // base64url, 32 bytes
  bool has_est_code = false;
  int64_t expires = 0;                      // of the enrolment entry
  std::optional<std::string> identity_key;  // thumbprint
  std::optional<std::string> receipt_jwk;
  std::optional<std::string> receipt_kid;
  std::optional<std::string> encryption_jwk;
  std::optional<std::string> certificate;  // base64url of the DER
  std::optional<std::string> certificate_sha256;
  std::optional<std::string> csr_sha256;  // of the enrolment
  std::optional<int64_t> enrolled;
  int64_t last_sequence = 0;       // of an order
  int64_t receipt_generation = 0;  // in which the last receipt came
  int64_t receipt_number = 0;
  std::optional<std::string> receipt_sha256;
  int64_t receipt_sequence = 0;
};
Result<std::optional<DeviceRow>> FindDevice(storage::Session& session, const std::string& id);
// With ids above `after`, ascending.
Result<std::vector<DeviceRow>> ListDevices(storage::Session& session, const std::string& after, int64_t limit);
// Inserts, or replaces the whole row.
Status PutDevice(storage::Session& session, const DeviceRow& device);

struct CertificateRow {
  std::string sha256;
  std::string kind;
  std::string subject;
  int64_t generation = 0;
  bool is_revoked = false;
  int64_t log_index = 0;
};
Result<std::optional<CertificateRow>> FindCertificate(storage::Session& session, const std::string& sha256);
Status InsertCertificate(storage::Session& session, const CertificateRow& certificate);
Status RevokeCertificates(storage::Session& session, const std::string& kind, const std::string& subject);

struct ReceiptRow {
  std::string device_id;
  int64_t generation = 0;
  int64_t number = 0;
  std::string sha256;
  std::string compact;
  std::string salt;
  int64_t log_index = 0;
  std::string batch;  // base64url of its batch's root; empty in rows of before there was this column
};
Result<std::optional<ReceiptRow>> FindReceipt(storage::Session& session, const std::string& device_id,
                                              int64_t generation, int64_t number);
// In no order.
Result<std::vector<ReceiptRow>> ListReceiptsOfBatch(storage::Session& session, const std::string& batch);
// Of a device and generation with numbers below `before`, the last ones first.
Result<std::vector<ReceiptRow>> ListReceipts(storage::Session& session, const std::string& device_id,
                                             int64_t generation, int64_t before, int64_t limit);
Status InsertReceipt(storage::Session& session, const ReceiptRow& receipt);

}  // namespace fleetseal::signer::store
