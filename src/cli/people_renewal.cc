// user renew and user certify: the next certificate of a person, for the registered key.
#include <algorithm>

#include "cli/people.h"
#include "cli/recover.h"
#include "cli/table.h"
#include "cli/tls.h"
#include "codec/base64.h"
#include "crypto/key.h"
#include "pki/certificate.h"
#include "pki/csr.h"
#include "sys/file.h"

namespace fleetseal::cli {
namespace {

constexpr size_t kRequestBytesMax = 64 * 1024;

Result<pki::Certificate> CertificateIn(const codec::Json& answer) {
  TRY_ASSIGN(const std::string pem, TextOf(answer, "certificate"));
  return pki::Certificate::FromPem(pem);
}

// For the key and the name that were asked for, or it takes the place of none.
Status CheckFits(const pki::Certificate& certificate, const pki::CertificateRequest& request) {
  if (!(certificate.public_key() == request.public_key))
    return Fail(ErrorCode::kProtocolError, "the certificate is for another key");
  if (certificate.san_uris() != request.san_uris)
    return Fail(ErrorCode::kProtocolError, "the certificate is for another name");
  return {};
}

// The old file stays beside it, as FILE.old: it is good until it ends.
Status PutCertificate(const std::string& path, const pki::Certificate& certificate) {
  const std::string pem = certificate.ToPem();
  if (sys::FileExists(path)) {
    TRY_ASSIGN(const Bytes old, sys::ReadFile(path, kRequestBytesMax));
    if (!std::ranges::equal(old, AsBytes(pem))) TRY(sys::WriteFileDurably(path + ".old", old, 0644));
  }
  return sys::WriteFileDurably(path, AsBytes(pem), 0644);
}

Result<codec::Json> AskServer(AdminClient& client, ByteView csr) {
  codec::Json body = codec::Json::MakeObject();
  body.Set("csr", codec::EncodeBase64Url(csr));
  return client.Post("/admin/v1/person-certificates", body);
}

Result<codec::Json> AskSigner(Context& context, const UserRenewOptions& options, ByteView csr) {
  TRY(RequireOrganisation(context, options.data));
  std::vector<std::string> date;
  if (!options.date.empty()) date = {"--date", options.date};
  const auto text = HandOver(options.data, "signer", "--certify-person", AsText(csr), date);
  if (!text && text.error().code == ErrorCode::kBusy)
    context.advice = std::string(kStopSignerAdvice) + "; through a running one: without --data";
  TRY(text);
  return codec::ParseJson(*text);
}

Result<codec::Json> Ask(Context& context, const UserRenewOptions& options, ByteView csr) {
  if (!options.data.empty()) return AskSigner(context, options, csr);
  TRY_ASSIGN(const auto client, AdminClient::OpenAny(context));
  auto answer = AskServer(*client, csr);
  if (!answer && answer.error().code == ErrorCode::kTlsFailed)
    context.advice =
        "if the certificate has ended: `fleetseal user renew --request FILE`, for somebody of the security team, or "
        "--data on the signer's machine (certificates.md)";
  return answer;
}

}  // namespace

Status UserRenew(Context& context, const UserRenewOptions& options) {
  if (!options.date.empty() && options.data.empty())
    return Fail(ErrorCode::kInvalidArgument, "--date goes with --data");
  if (!options.request.empty() && !options.data.empty())
    return Fail(ErrorCode::kInvalidArgument, "--request and --data exclude each other");
  TRY_ASSIGN(const auto identity, Identity::ChooseOnly(context));
  TRY_ASSIGN(const Bytes csr, IdentityCsr(identity->folder()));
  codec::Json json = codec::Json::MakeObject().Set("id", identity->id().text());
  if (!options.request.empty()) {
    TRY(sys::WriteFileDurably(options.request, csr, 0644));
    json.Set("request", options.request);
    Answer(context, json,
           options.request + " asks for a certificate of " + identity->id().text() +
               "; somebody of the security team: fleetseal user certify " + options.request + " -o person.crt");
    return {};
  }
  TRY_ASSIGN(const auto answer, Ask(context, options, csr));
  TRY_ASSIGN(const auto certificate, CertificateIn(answer));
  TRY_ASSIGN(const auto request, pki::ParseCertificateRequest(csr));
  TRY(CheckFits(certificate, request));
  TRY(PutCertificate(identity->certificate_path(), certificate));
  json.Set("ends", certificate.not_after().value).Set("file", identity->certificate_path());
  Answer(context, json,
         identity->id().text() + " is certified until " + FormatTime(certificate.not_after()) +
             ", for the same key\n  file " + identity->certificate_path());
  return {};
}

Status UserCertify(Context& context, const UserCertifyOptions& options) {
  TRY_ASSIGN_CONTEXT(const Bytes csr, sys::ReadFile(options.request, kRequestBytesMax), "read the request");
  TRY_ASSIGN_CONTEXT(const auto request, pki::ParseCertificateRequest(csr), options.request);
  TRY_ASSIGN(const auto client, AdminClient::OpenAs(context, manifest::PersonRole::kSecurity));
  TRY_ASSIGN(const auto answer, AskServer(*client, csr));
  TRY_ASSIGN(const auto certificate, CertificateIn(answer));
  TRY(CheckFits(certificate, request));
  TRY(PutCertificate(options.output, certificate));
  codec::Json json = codec::Json::MakeObject().Set("id", TextOr(answer, "id", ""));
  json.Set("ends", certificate.not_after().value).Set("file", options.output);
  Answer(context, json,
         TextOr(answer, "id", "") + " is certified until " + FormatTime(certificate.not_after()) +
             ", for the registered key\n  file " + options.output +
             ": it belongs into that person's folder as person.crt");
  return {};
}

}  // namespace fleetseal::cli
