// DeviceClient: the device API and EST, as the agent and the simulator call them.
//
// Source: docs/protocol/processes.md section 5; RFC 7030 (reference EST). Always TLS with exactly the CA given; nothing
// here judges a signed document: that is the installer's part. Thread rule: one thread at a time an object.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "api/device/messages.h"
#include "http/client.h"
#include "pki/certificate.h"

namespace fleetseal::device {

class PartFile;

struct ConnectOptions {
  std::string server_url;      // https
  std::string server_ca_path;  // or server_ca_pem
  std::string server_ca_pem;
  std::string certificate_path;  // with private_key_path, or both empty: no client certificate is shown
  std::string private_key_path;
  std::string certificate_pem;  // the same as text (simulator)
  std::string private_key_pem;
  // The signed time by which the server's dates are judged, when the device's clock is wrong.
  std::optional<UnixSeconds> now;
  // Trust model section 5: no dates are judged, and only Packages and StatusDocument may be asked for.
  bool is_to_learn_time = false;
  uint64_t rate_max = 0;  // downloads, bytes per second; 0: unbounded
  std::string proxy;
  const std::atomic<bool>* cancel = nullptr;  // outlives the client; may be null
};

// What is wanted of /content.
struct Content {
  Sha256 sealed_sha256;
  ByteCount sealed_size;
};

// What a long download is interrupted for, on the same connection and without a second one's memory: when `is_due` says
// so it stands still, `run` may ask the server what it likes, and it goes on from the same byte. An error of `run` ends
// it; what is there is kept.
struct Interlude {
  std::function<bool()> is_due{};
  std::function<Status()> run{};
};

class DeviceClient {
 public:
  // Codes: those of http::Client::Create. Opens no connection.
  static Result<std::unique_ptr<DeviceClient>> Create(const ConnectOptions& options);
  DeviceClient(const DeviceClient&) = delete;
  DeviceClient& operator=(const DeviceClient&) = delete;

  // All: Unreachable TimedOut TlsFailed Cancelled, the code of the server's problem document, ProtocolError for an
  // answer that cannot be read. InvalidArgument for what a client that is to learn the time may not ask.
  Result<api::device::CheckInAnswer> CheckIn(const api::device::CheckInRequest& request);
  // Package texts of version `from` and above, oldest first.
  Result<std::vector<std::string>> Packages(int64_t from);
  Result<std::string> StatusDocument(const std::optional<Bytes>& nonce);
  // REQUIRES: 1 to kReceiptsMax receipts.
  Result<std::vector<api::device::ReceiptResult>> SendReceipts(std::vector<std::string> receipts);

  // Fetches into `directory` and returns the file's path; size and hash are those wanted. A file that is there already
  // is hashed again, a part is continued (and thrown away once if it does not lead to the hash). Also: FileTooLarge
  // FileHashMismatch Truncated NoSpace StorageFailed, and what `interlude` gives.
  Result<std::string> Fetch(const Content& content, const std::string& directory, const Interlude& interlude = {});

  // EST simpleenroll with HTTP Basic: user is the device id, password the proof. Conflict while a person must decide
  // (202).
  Result<pki::Certificate> Enrol(ByteView csr_der, std::string_view device_id, std::string_view proof);
  // EST simplereenroll with the client certificate.
  Result<pki::Certificate> Reenrol(ByteView csr_der);

 private:
  DeviceClient(std::unique_ptr<http::Client> http, bool is_to_learn_time)
      : http_(std::move(http)), is_to_learn_time_(is_to_learn_time) {}
  Status CheckRoute(std::string_view path) const;
  // From the end of the part to its whole size.
  Status FillPart(const std::string& name, PartFile& part, uint64_t size_wanted, const Interlude& interlude);
  Result<std::string> Ask(http::ClientRequest request);
  Result<pki::Certificate> PostRequest(std::string_view operation, ByteView csr_der,
                                       std::vector<std::pair<std::string, std::string>> headers);

  std::unique_ptr<http::Client> http_;
  bool is_to_learn_time_;
};

// "fleetseal-agent/<version>", what check-ins name.
std::string_view AgentVersion();

}  // namespace fleetseal::device
