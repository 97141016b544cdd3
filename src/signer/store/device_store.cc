#include "signer/store/device_store.h"

#include "signer/store/first_row.h"

namespace fleetseal::signer::store {
namespace {

#define FLEETSEAL_DEVICE_COLUMNS                                                                                    \
  "id, state, generation, product, environment, properties, enrolment_key, has_est_code, expires, "                 \
  "identity_key, receipt_jwk, receipt_kid, encryption_jwk, certificate, certificate_sha256, csr_sha256, enrolled, " \
  "last_sequence, receipt_generation, receipt_number, receipt_sha256, receipt_sequence"
constexpr std::string_view kDevice = "SELECT " FLEETSEAL_DEVICE_COLUMNS " FROM devices WHERE id = :id";
constexpr std::string_view kDevices =
    "SELECT " FLEETSEAL_DEVICE_COLUMNS " FROM devices WHERE id > :after_id ORDER BY id LIMIT :row_limit";
constexpr std::string_view kPutDevice =
    "INSERT INTO devices (" FLEETSEAL_DEVICE_COLUMNS
    ") VALUES (:id, :state, :generation, :product, :environment, :properties, "
    ":enrolment_key, :has_est_code, :expires, :identity_key, :receipt_jwk, :receipt_kid, "
    ":encryption_jwk, "
    ":certificate, :certificate_sha256, :csr_sha256, :enrolled, :last_sequence, :receipt_generation, :receipt_number, "
    ":receipt_sha256, :receipt_sequence) ON CONFLICT (id) DO UPDATE SET state = excluded.state, "
    "generation = excluded.generation, product = excluded.product, environment = excluded.environment, "
    "properties = excluded.properties, enrolment_key = excluded.enrolment_key, has_est_code = excluded.has_est_code, "
    "expires = excluded.expires, identity_key = excluded.identity_key, "
    "receipt_jwk = excluded.receipt_jwk, receipt_kid = excluded.receipt_kid, encryption_jwk = excluded.encryption_jwk, "
    "certificate = excluded.certificate, certificate_sha256 = excluded.certificate_sha256, csr_sha256 = "
    "excluded.csr_sha256, "
    "enrolled = excluded.enrolled, last_sequence = excluded.last_sequence, receipt_generation = "
    "excluded.receipt_generation, "
    "receipt_number = excluded.receipt_number, receipt_sha256 = excluded.receipt_sha256, "
    "receipt_sequence = excluded.receipt_sequence";
#undef FLEETSEAL_DEVICE_COLUMNS
constexpr std::string_view kCertificate =
    "SELECT sha256, kind, subject, generation, is_revoked, log_index FROM certificates WHERE sha256 = :sha256";
constexpr std::string_view kInsertCertificate =
    "INSERT INTO certificates (sha256, kind, subject, generation, is_revoked, log_index) "
    "VALUES (:sha256, :kind, :subject, :generation, :is_revoked, :log_index)";
constexpr std::string_view kRevokeCertificates =
    "UPDATE certificates SET is_revoked = 1 WHERE kind = :kind AND subject = :subject";
constexpr std::string_view kReceipt =
    "SELECT device_id, generation, number, sha256, compact, salt, log_index, batch FROM receipts "
    "WHERE device_id = :device_id AND generation = :generation AND number = :number";
constexpr std::string_view kReceiptsOfBatch =
    "SELECT device_id, generation, number, sha256, compact, salt, log_index, batch FROM receipts WHERE batch = :batch";
constexpr std::string_view kReceipts =
    "SELECT device_id, generation, number, sha256, compact, salt, log_index, batch FROM receipts "
    "WHERE device_id = :device_id AND generation = :generation AND number < :before ORDER BY number DESC LIMIT :limit";
constexpr std::string_view kInsertReceipt =
    "INSERT INTO receipts (device_id, generation, number, sha256, compact, salt, log_index, batch) "
    "VALUES (:device_id, :generation, :number, :sha256, :compact, :salt, :log_index, :batch)";

ReceiptRow ToReceipt(const storage::Row& row) {
  return {row.Text(0), row.Integer(1), row.Integer(2), row.Text(3),
          row.Text(4), row.Text(5),    row.Integer(6), row.Text(7)};
}

DeviceRow ToDevice(const storage::Row& row) {
  DeviceRow device;
  device.id = row.Text(0);
  device.state = row.Text(1);
  device.generation = row.Integer(2);
  device.product = row.Text(3);
  device.environment = row.Text(4);
  device.properties = row.Text(5);
  device.enrolment_key = row.Text(6);
  device.has_est_code = row.Bool(7);
  device.expires = row.Integer(8);
  device.identity_key = row.OptionalText(9);
  device.receipt_jwk = row.OptionalText(10);
  device.receipt_kid = row.OptionalText(11);
  device.encryption_jwk = row.OptionalText(12);
  device.certificate = row.OptionalText(13);
  device.certificate_sha256 = row.OptionalText(14);
  device.csr_sha256 = row.OptionalText(15);
  device.enrolled = row.OptionalInteger(16);
  device.last_sequence = row.Integer(17);
  device.receipt_generation = row.Integer(18);
  device.receipt_number = row.Integer(19);
  device.receipt_sha256 = row.OptionalText(20);
  device.receipt_sequence = row.Integer(21);
  return device;
}

}  // namespace

Result<std::optional<DeviceRow>> FindDevice(storage::Session& session, const std::string& id) {
  return FirstRow(session, kDevice, {id}, ToDevice);
}

Result<std::vector<DeviceRow>> ListDevices(storage::Session& session, const std::string& after, int64_t limit) {
  return AllRows(session, kDevices, {after, limit}, ToDevice);
}

Status PutDevice(storage::Session& session, const DeviceRow& device) {
  return Done(session.Execute(kPutDevice, {device.id,
                                           device.state,
                                           device.generation,
                                           device.product,
                                           device.environment,
                                           device.properties,
                                           device.enrolment_key,
                                           device.has_est_code,
                                           device.expires,
                                           device.identity_key,
                                           device.receipt_jwk,
                                           device.receipt_kid,
                                           device.encryption_jwk,
                                           device.certificate,
                                           device.certificate_sha256,
                                           device.csr_sha256,
                                           device.enrolled,
                                           device.last_sequence,
                                           device.receipt_generation,
                                           device.receipt_number,
                                           device.receipt_sha256,
                                           device.receipt_sequence}));
}

Result<std::optional<CertificateRow>> FindCertificate(storage::Session& session, const std::string& sha256) {
  return FirstRow(session, kCertificate, {sha256}, [](const storage::Row& row) {
    return CertificateRow{row.Text(0), row.Text(1), row.Text(2), row.Integer(3), row.Bool(4), row.Integer(5)};
  });
}

Status InsertCertificate(storage::Session& session, const CertificateRow& certificate) {
  return Done(
      session.Execute(kInsertCertificate, {certificate.sha256, certificate.kind, certificate.subject,
                                           certificate.generation, certificate.is_revoked, certificate.log_index}));
}

Status RevokeCertificates(storage::Session& session, const std::string& kind, const std::string& subject) {
  return Done(session.Execute(kRevokeCertificates, {kind, subject}));
}

Result<std::optional<ReceiptRow>> FindReceipt(storage::Session& session, const std::string& device_id,
                                              int64_t generation, int64_t number) {
  return FirstRow(session, kReceipt, {device_id, generation, number}, ToReceipt);
}

Result<std::vector<ReceiptRow>> ListReceiptsOfBatch(storage::Session& session, const std::string& batch) {
  return AllRows(session, kReceiptsOfBatch, {batch}, ToReceipt);
}

Result<std::vector<ReceiptRow>> ListReceipts(storage::Session& session, const std::string& device_id,
                                             int64_t generation, int64_t before, int64_t limit) {
  return AllRows(session, kReceipts, {device_id, generation, before, limit}, ToReceipt);
}

Status InsertReceipt(storage::Session& session, const ReceiptRow& receipt) {
  return Done(session.Execute(kInsertReceipt, {receipt.device_id, receipt.generation, receipt.number, receipt.sha256,
                                               receipt.compact, receipt.salt, receipt.log_index, receipt.batch}));
}

}  // namespace fleetseal::signer::store
