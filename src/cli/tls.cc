#include "cli/tls.h"

#include <vector>

#include "cli/admin_client.h"
#include "cli/recover.h"
#include "cli/table.h"
#include "codec/json.h"
#include "sys/file.h"

namespace fleetseal::cli {
namespace {

constexpr size_t kCertificateTextMax = 64 * 1024;

// What the server shows: its certificate, and what for.
struct Present {
  std::string certificate;
  std::string names;
};

Result<Present> AskServer(const std::string& data) {
  TRY_ASSIGN(const auto text, AskProgram(data, "server", {"--show-certificate"}));
  TRY_ASSIGN(const auto json, codec::ParseJson(text));
  codec::ObjectReader reader(json, "what the server shows");
  Present present{reader.String("certificate", kCertificateTextMax), {}};
  for (const auto& name : reader.Strings("names", 256)) present.names += (present.names.empty() ? "" : ", ") + name;
  reader.Integer("ends");
  TRY(reader.Finish());
  return present;
}

Result<codec::Json> AskSigner(Context& context, const TlsRenewOptions& options, const Present& present) {
  std::vector<std::string> date;
  if (!options.date.empty()) date = {"--date", options.date};
  const auto text = HandOver(options.data, "signer", "--renew-server", present.certificate, date);
  if (!text && text.error().code == ErrorCode::kBusy)
    context.advice = "stop the signer meanwhile: end `fleetseal run`, or systemctl stop fleetseal-signer";
  if (!text && text.error().code == ErrorCode::kCertificateInvalid)
    context.advice = "bring the server.crt back that this signer issued; for one of another CA see lost-ca-key.md";
  TRY(text);
  return codec::ParseJson(*text);
}

}  // namespace

Status TlsRenew(Context& context, const TlsRenewOptions& options) {
  if (!sys::FileExists(options.data + "/fleetseal.toml")) {
    context.advice = "name the directory that `fleetseal init --data DIR` made; it holds fleetseal.toml";
    return Fail(ErrorCode::kNotFound, options.data + " holds no organisation");
  }
  TRY_ASSIGN(const Present present, AskServer(options.data));
  TRY_ASSIGN(const auto issued, AskSigner(context, options, present));
  TRY_ASSIGN(const auto text,
             HandOver(options.data, "server", "--take-certificate", TextOr(issued, "certificate", "")));
  TRY_ASSIGN(auto taken, codec::ParseJson(text));
  taken.Set("logIndex", IntegerOr(issued, "logIndex", 0));
  Answer(context, taken,
         "the server's certificate is renewed until " + FormatTime({IntegerOr(taken, "ends", 0)}) +
             ", for the same key and " + present.names + "\n  record " +
             std::to_string(IntegerOr(issued, "logIndex", 0)) + " of the log; file " + TextOr(taken, "file", "") +
             "\nthe server uses it from its next start:\n  fleetseal run --data " + options.data +
             "   (or: systemctl start fleetseal-signer; systemctl restart fleetseal-server)");
  return {};
}

}  // namespace fleetseal::cli
