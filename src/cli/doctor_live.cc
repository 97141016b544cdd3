#include "cli/doctor_live.h"

#include <dirent.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdlib>
#include <iterator>
#include <vector>

#include "api/device/messages.h"
#include "cli/table.h"
#include "codec/base64.h"
#include "config/toml_reader.h"
#include "http/client.h"
#include "jose/jws.h"
#include "manifest/status.h"
#include "pki/certificate.h"
#include "sys/file.h"
#include "sys/process.h"
#include "sys/socket.h"

namespace fleetseal::cli {
namespace {

constexpr int64_t kSocketMs = 1'000;
struct Service {
  const char* name;
  const char* socket;
};
// docs/protocol/processes.md section 1.
constexpr Service kServices[] = {{"signer", "/run/signer/signer.sock"}, {"sealer", "/run/sealer/seal.sock"}};

constexpr size_t kSmallFileMax = 4 * 1024 * 1024;
constexpr size_t kNonceBytes = 16;

// Sockets that listen on `port`, by inode: /proc/net/tcp and tcp6 (proc(5)): "sl local remote st ... inode".
std::vector<std::string> ListeningInodes(int port) {
  char wanted[8];
  (void)std::snprintf(wanted, sizeof wanted, ":%04X", static_cast<unsigned>(port));
  std::vector<std::string> inodes;
  for (const char* table : {"/proc/net/tcp", "/proc/net/tcp6"}) {
    const auto text = sys::ReadTextFile(table, kSmallFileMax);
    if (!text) continue;
    std::string_view rest = *text;
    while (!rest.empty()) {
      std::string_view line = rest.substr(0, rest.find('\n'));
      rest.remove_prefix(std::min(rest.size(), line.size() + 1));
      std::vector<std::string_view> words;
      while (!line.empty()) {
        line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
        const std::string_view word = line.substr(0, line.find(' '));
        if (!word.empty()) words.push_back(word);
        line.remove_prefix(word.size());
      }
      constexpr std::string_view kListen = "0A";
      if (words.size() > 9 && words[1].ends_with(wanted) && words[3] == kListen) inodes.emplace_back(words[9]);
    }
  }
  return inodes;
}

bool HoldsOneOf(const std::string& process, const std::vector<std::string>& inodes) {
  const auto descriptors = sys::ListDirectory(process + "/fd");
  if (!descriptors) return false;
  for (const auto& name : *descriptors) {
    char target[64];
    const ssize_t size = ::readlink((process + "/fd/" + name).c_str(), target, sizeof target);
    if (size <= 0) continue;
    const std::string_view link(target, static_cast<size_t>(size));
    for (const auto& inode : inodes) {
      if (link == "socket:[" + inode + "]") return true;
    }
  }
  return false;
}

int PortOf(const std::string& url) {
  const size_t colon = url.rfind(':');
  int port = 0;
  if (colon != std::string::npos) std::from_chars(url.data() + colon + 1, url.data() + url.size(), port);
  return port;
}

Result<std::unique_ptr<http::Client>> ClientOf(const std::string& data, const std::string& url) {
  http::ClientOptions options;
  options.base_url = url;
  options.server_ca_path = data + "/server/ca/server.crt";
  options.connect_timeout = std::chrono::seconds(kLiveSeconds);
  options.total_timeout = std::chrono::seconds(kLiveSeconds);
  return http::Client::Create(std::move(options));
}

Result<manifest::StatusDocument> AskStatus(http::Client& client, Context context) {
  http::ClientRequest request;
  request.path = std::string(api::device::kStatusPath);
  Bytes nonce(kNonceBytes);
  context.random.Fill(nonce);
  request.query = {{"nonce", codec::EncodeBase64Url(nonce)}};  // so that the signer makes it now
  TRY_ASSIGN(const auto response, client.Do(request));
  TRY(http::CheckStatus(response));
  TRY_ASSIGN(const auto answer, api::device::StatusAnswer::Parse(response.body));
  TRY_ASSIGN(const auto jws, jose::UnverifiedJws::Parse(answer.status));
  return manifest::StatusDocument::Parse(AsText(jws.unverified_payload()));
}

// A name that stands in a document, without its quotes; empty if it is not there.
std::string UrlIn(const std::string& data, std::string_view key) {
  const auto file = config::TomlFile::Load(data + "/fleetseal.toml");
  return file ? (*file)->root().String(key) : std::string();
}

void LookAtStatus(const Context& context, const std::string& data, LiveReport& report, config::Findings& findings) {
  LivePort& port = report.ports.front();
  const auto client = ClientOf(data, port.url);
  if (!client) return findings.Failed(port.url, client.error());
  const auto status = AskStatus(**client, context);
  port.is_reachable = status.has_value();
  if (!status) {
    findings.Failed("status from " + port.url, status.error());
    return;
  }
  const UnixSeconds now = context.clock.Now();
  if (status->expires < now)
    findings.Problem("status " + std::to_string(status->version), "has ended",
                     "see that the signer runs, and its clock");
  const int64_t apart = status->issued.value - now.value;
  report.clock = "signer " + FormatTime(status->issued) + ", this machine " + FormatTime(now);
  if (std::abs(apart) > kClockApartMax)
    findings.Problem("clocks",
                     "the signer's clock is " + FormatSeconds(static_cast<uint64_t>(std::abs(apart))) +
                         (apart > 0 ? " ahead of" : " behind") + " this machine's",
                     "set both clocks, with NTP best");
}

void LookAtPeople(const Context& context, const std::string& data, config::Findings& findings) {
  const auto names = sys::ListDirectory(data + "/identities");
  if (!names) return;
  for (const auto& name : *names) {
    const std::string path = data + "/identities/" + name + "/person.crt";
    if (!sys::FileExists(path)) continue;
    const auto pem = sys::ReadTextFile(path, 64 * 1024);
    const auto certificate =
        pem ? pki::Certificate::FromPem(*pem) : Result<pki::Certificate>(tl::unexpected(pem.error()));
    if (!certificate) {
      findings.Failed(path, certificate.error());
      continue;
    }
    findings.EndsAt("certificate of " + name, certificate->not_after(), context.clock.Now(),
                    "fleetseal user renew --as " + name + " (certificates.md)");
  }
}

// Asks nothing: whether anybody takes a connection. Who may not even try (another user) does not know.
bool IsSilent(const std::string& socket) {
  const auto channel = sys::LocalChannel::Connect(socket, kSocketMs);
  return !channel && channel.error().detail.find("Permission denied") == std::string::npos;
}

void LookAtServices(const std::string& data, bool has_server, config::Findings& findings) {
  std::vector<std::string> silent;
  for (const Service& service : kServices)
    if (IsSilent(data + service.socket)) silent.emplace_back(service.name);
  const bool has_nobody = !has_server && silent.size() == std::size(kServices);
  if (!has_server) silent.emplace_back("server");
  findings.Checked("what runs");
  if (has_nobody)
    return findings.Warning(
        data, "nothing of it runs: devices and people get no answer",
        "start it (`fleetseal run --data " + data +
            "`, or systemctl start fleetseal-sealer fleetseal-signer fleetseal-server), unless it is "
            "to stand still");
  for (const auto& name : silent)
    findings.Problem("fleetseal-" + name, "it does not run, while another part of the organisation does",
                     "read its log; systemctl start fleetseal-" + name + ", or start `fleetseal run` again");
}

}  // namespace

std::string HolderOfPort(int port) {
  const auto inodes = ListeningInodes(port);
  if (inodes.empty()) return "nobody";
  const auto processes = sys::ListDirectory("/proc");
  if (!processes) return "?";
  for (const auto& name : *processes) {
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    const std::string folder = "/proc/" + name;
    if (!HoldsOneOf(folder, inodes)) continue;
    pid_t process = 0;
    std::from_chars(name.data(), name.data() + name.size(), process);
    const std::string program = sys::ProgramName(process);
    return (program.empty() ? "?" : program) + " (process " + name + ")";
  }
  return "?";
}

LiveReport LookAtLive(const Context& context, const std::string& data, config::Findings& findings) {
  LiveReport report;
  bool is_running = false;
  for (const auto& [name, key] :
       {std::pair<const char*, const char*>{"device API", "device_url"}, {"admin API", "admin_url"}}) {
    LivePort port{name, UrlIn(data, key), {}, false};
    if (port.url.empty()) {
      findings.Problem(data + "/fleetseal.toml", std::string("names no ") + key, "bring it back from a backup");
      continue;
    }
    const int number = PortOf(port.url);
    port.holder = HolderOfPort(number);
    // What the kernel calls a program has at most 15 characters.
    const bool is_ours = port.holder.starts_with("fleetseal-serve") || port.holder == "?";
    is_running = is_running || is_ours;
    if (!is_ours && port.holder != "nobody")
      findings.Problem(port.url, "port " + std::to_string(number) + " is held by " + port.holder,
                       "stop that program, or give the server another port (server/server.toml and fleetseal.toml)");
    report.ports.push_back(std::move(port));
  }
  findings.Checked("ports");
  LookAtServices(data, is_running, findings);
  LookAtPeople(context, data, findings);
  if (report.ports.size() < 2 || !is_running) return report;
  if (report.ports.back().holder == "nobody")
    findings.Problem(report.ports.back().url, "nobody listens there while the device API runs",
                     "read the server's log");
  LookAtStatus(context, data, report, findings);
  // The admin API wants a certificate: whether it takes connections is what its holder says.
  report.ports.back().is_reachable = report.ports.back().holder != "nobody";
  return report;
}

}  // namespace fleetseal::cli
