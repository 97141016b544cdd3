#include "cli/tls.h"

#include <unistd.h>

#include <cerrno>
#include <vector>

#include "cli/admin_client.h"
#include "cli/recover.h"
#include "cli/table.h"
#include "codec/json.h"
#include "sys/errors.h"
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
  if (!text && text.error().code == ErrorCode::kBusy) context.advice = kStopSignerAdvice;
  if (!text && text.error().code == ErrorCode::kCertificateInvalid)
    context.advice = "bring the server.crt back that this signer issued; for one of another CA see lost-ca-key.md";
  TRY(text);
  return codec::ParseJson(*text);
}

// What to do about a refusal, where the code's own advice would mislead.
const char* AdviceOfCrossSign(ErrorCode code) {
  if (code == ErrorCode::kBusy) return kStopSignerAdvice;
  if (code == ErrorCode::kCertificateInvalid)
    return "give the new CA's own certificate, made as in step 1 of lost-ca-key.md";
  if (code == ErrorCode::kCertificateExpired) return "a CA that has ended vouches for none; see lost-ca-key.md";
  if (code == ErrorCode::kConflict)
    return "list it first: `fleetseal root rotate --add-server-ca`, and publish the package (lost-ca-key.md)";
  return "";
}

}  // namespace

Status RequireOrganisation(Context& context, const std::string& data) {
  if (sys::FileExists(data + "/fleetseal.toml")) return {};
  context.advice = "name the directory that `fleetseal init --data DIR` made; it holds fleetseal.toml";
  return Fail(ErrorCode::kNotFound, data + " holds no organisation");
}

Status TlsRenew(Context& context, const TlsRenewOptions& options) {
  TRY(RequireOrganisation(context, options.data));
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

Status TlsCrossSign(Context& context, const TlsCrossSignOptions& options) {
  TRY(RequireOrganisation(context, options.data));
  TRY_ASSIGN_CONTEXT(const auto next, sys::ReadTextFile(options.ca, kCertificateTextMax), "read the CA's certificate");
  const std::string folder = sys::ParentDirectory(options.output);
  if (::access(folder.c_str(), W_OK) != 0) return sys::FailErrno("write into", folder, errno);
  const auto text = HandOver(options.data, "signer", "--cross-sign", next);
  if (!text) context.advice = AdviceOfCrossSign(text.error().code);
  TRY(text);
  TRY_ASSIGN(const auto issued, codec::ParseJson(*text));
  TRY(sys::WriteFileDurably(options.output, AsBytes(TextOr(issued, "certificate", "")), 0644));
  codec::Json made = codec::Json::MakeObject().Set("certificateSha256", TextOr(issued, "certificateSha256", ""));
  made.Set("ends", IntegerOr(issued, "ends", 0)).Set("file", options.output);
  made.Set("logIndex", IntegerOr(issued, "logIndex", 0));
  Answer(context, made,
         "the old server CA vouches for the new one until " + FormatTime({IntegerOr(issued, "ends", 0)}) +
             "\n  record " + std::to_string(IntegerOr(issued, "logIndex", 0)) + " of the log; file " + options.output +
             "\nappend it to the server.crt that the new CA issued");
  return {};
}

}  // namespace fleetseal::cli
