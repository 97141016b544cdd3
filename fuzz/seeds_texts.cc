// Seeds of small texts: codecs, HTTP, configuration files.
#include "codec/base64.h"
#include "codec/pem.h"
#include "fuzz/seeds.h"

namespace fleetseal::fuzz {
namespace {

void CodecSeeds(const SeedWriter& out) {
  const auto seed = [&](std::string_view parser, std::string_view text) { out.Seed("codec", parser, text); };
  constexpr std::string_view kJson =
      R"({"a":[1,-2,0,true,false,null,"\u00e9\n\"/"],"b":{"c":{}},"d":9007199254740991,"e":""})";
  out.Seed("crypto", "pkcs11-uri",
           "pkcs11:token=roots;serial=01;object=root%2D1;id=%01%02?module-path=/usr/lib/x.so&pin-source=file:/run/pin");
  seed("json", kJson);
  seed("minified-member", R"({ "protected" : { "a" : [ 1 , "x y" ] } , "b":"\\ \" " })");
  seed("base64url", "AAEC_-8");
  seed("base64", "AAEC/+8=");
  seed("base64-lines", codec::EncodeBase64Lines(Bytes(100, 0x5a)));
  seed("hex", "00ff7a");
  out.Seed("codec", "hex", std::string(64, 'b'), "digest");
  const std::string pem = codec::EncodePem("CERTIFICATE", Bytes(60, 1));
  seed("pem", pem);
  out.Seed("codec", "pem", pem + pem, "two");
  seed("id", "device-1");
  seed("product", "acme/gateway");
  seed("update-version", "1.2.3.4");
  seed("date-time", "2026-11-21T10:00:00Z");
  out.BadSeed("codec", "json", R"({"a":1,"a":2})", "twice");
  out.BadSeed("codec", "json", "[1.0,1e5,01,-0]", "numbers");
  out.BadSeed("codec", "json", std::string(40, '['), "deep");
  out.BadSeed("codec", "json", "{\"a\":\"\xed\xa0\x80\"}", "surrogate");
  out.BadSeed("codec", "base64url", "AB", "bits");
  out.BadSeed("codec", "id", "..", "dots");
  out.BadSeed("codec", "date-time", "2026-02-30T10:00:00Z", "no-day");
}

void HttpSeeds(const SeedWriter& out) {
  const auto seed = [&](std::string_view parser, std::string_view text) { out.Seed("http", parser, text); };
  seed("request-head",
       "POST /device/v1/check-in?limit=5 HTTP/1.1\r\nHost: fleet.example\r\nContent-Type: application/json\r\n"
       "Content-Length: 12\r\nAccept: a\r\nAccept: b\r\nExpect: 100-continue\r\nConnection: "
       "keep-alive\r\n\r\n{\"a\":\"bcd\"}");
  out.BadSeed("http", "request-head", "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", "chunked");
  out.BadSeed("http", "request-head", "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "two-hosts");
  out.BadSeed("http", "request-head", "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\n",
              "two-lengths");
  out.BadSeed("http", "request-head", "GET /a/../b HTTP/1.1\r\nHost: a\r\n\r\n", "climbs");
  seed("target", "/device/v1/a%20b%2541?limit=5&cursor=x%3D%26+y&flag");
  out.BadSeed("http", "target", "/content/v1/%2e%2e/x", "climbs");
  seed("range", "bytes=10-19\n\"tag\"\n");
  out.Seed("http", "range", "bytes=-5\n\n", "suffix");
  out.BadSeed("http", "range", "bytes=18446744073709551615-\n\n\"a\", \"tag\"", "huge");
  seed("response-head", "text:plain value");
  out.BadSeed("http", "response-head", "text:value\r\nset-cookie: a", "split");
  seed(
      "problem",
      R"({"type":"urn:fleetseal:error:NotFound","title":"t","status":404,"code":"NotFound","detail":"d","advice":"a","requestId":"r"})");
}

constexpr std::string_view kServer = R"(organisation = "acme"
data = "server"
database = "sqlite:server.db"
content = "content"
log = "../log"
signer_socket = "signer.sock"
signer_connections = 2
check_in_seconds = 5
log_level = "debug"
[device]
listen = "[::1]:0"
io_threads = 2
[admin]
listen = "127.0.0.1:9443"
[tls]
certificate = "server.crt"
private_key = "server.key"
)";
constexpr std::string_view kSigner = R"(organisation = "acme"
data = "signer"
passphrase = "passphrase"
log = "../log"
log_origin = "log.acme"
socket = "signer.sock"
server_uid = 1000
socket_group = 1000
status_seconds = 3600
halt_devices = 3
)";
constexpr std::string_view kAgent = R"(server = "https://fleet.example:8443"
server_ca = "ca.pem"
device_id = "device-1"
identity_directory = "identity"
installer_socket = "/run/installer.sock"
work_directory = "work"
check_in_seconds = 60
rate_max = 1000
proxy = "http://proxy:3128"
log_level = "warning"
)";
constexpr std::string_view kInstaller =
    R"({"socket":"installer.sock","agentUid":1000,"provisioningDirectory":"provisioning","stateDirectory":"state",)"
    R"("slots":{"a":"a.img","b":"b.img","bytesMax":67108864},"bootControl":{"kind":"files","directory":"boot"},)"
    R"("filePrefix":"files","health":{"command":["/bin/true","x"],"timeoutSeconds":10},)"
    R"("reboot":{"mode":"command","command":["reboot"]},"power":{"command":["power"]},"streamIdleSeconds":5})";
constexpr std::string_view kDevice =
    R"({"organisation":"acme","deviceId":"device-1","generation":1,"product":"acme/gateway","environment":"production",)"
    R"("properties":{"manufacturer":"acme"},"delivery":"sealed","profile":"native","buildTime":5})";

void ConfigSeeds(const SeedWriter& out) {
  const auto seed = [&](std::string_view parser, std::string_view text) { out.Seed("config", parser, text); };
  seed("toml",
       "a = 1\nb = ['x', \"\\u00e9\"]\nc = -5\nd = {g = 1_000}\n[t.u]\ne = true\n[[l]]\nf = \"\xc3\xa9\" # \xc3\xa9\n");
  seed("server", kServer);
  seed("signer", kSigner);
  seed("sealer", "data = \"sealer\"\nseal_socket = \"a\"\nwrap_socket = \"b\"\nserver_uid = 1\nsigner_uid = 2\n");
  seed("agent", kAgent);
  seed("installer", kInstaller);
  seed("device", kDevice);
  seed("boot-control", "a\n");
  out.BadSeed("config", "boot-control", "c\n", "no-slot");
  out.BadSeed("config", "agent", "server = \"http://fleet.example\"\n", "plain");
}

}  // namespace

void WriteTextSeeds(const SeedWriter& out) {
  CodecSeeds(out);
  HttpSeeds(out);
  ConfigSeeds(out);
}

}  // namespace fleetseal::fuzz
