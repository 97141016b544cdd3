#include "cli/documents.h"

#include "cli/progress.h"
#include "manifest/typ.h"

#include <fcntl.h>

#include <array>

#include "codec/base64.h"
#include "crypto/digest.h"
#include "manifest/person_documents.h"
#include "sys/file.h"

namespace fleetseal::cli {

Bytes NewNonce(Context& context) {
  Bytes nonce(manifest::kNonceBytes);
  context.random.Fill(nonce);
  return nonce;
}

Status SendRevocation(Context& context, AdminClient& client, manifest::RevocationKind kind, const std::string& subject,
                      manifest::RevocationAction action, const std::string& reason, const std::string& done) {
  manifest::Revocation revocation;
  revocation.revocation_id = NewIdOf<RequestId>(context, "revocation");
  revocation.kind = kind;
  revocation.subject = subject;
  revocation.action = action;
  revocation.reason = reason;
  revocation.person = client.identity().id();
  revocation.nonce = NewNonce(context);
  revocation.issued = context.clock.Now();
  TRY_ASSIGN(auto compact, client.identity().SignDocument(manifest::kTypRevocation, revocation.Build()));
  codec::Json body = codec::Json::MakeObject();
  body.Set("revocation", std::move(compact));
  TRY_ASSIGN(const auto answer, client.Post("/admin/v1/revocations", body));
  Answer(context, answer, done);
  return {};
}

std::string ToBase64Url(const Sha256& digest) { return codec::EncodeBase64Url(digest.view()); }

Result<HashedFile> HashFile(const Context& context, const std::string& path) {
  TRY_ASSIGN(const auto fd, sys::OpenFile(path, O_RDONLY | O_CLOEXEC));
  TRY_ASSIGN(const ByteCount size, sys::SizeOf(fd.get()));
  ProgressLine progress(context, "hashing " + path, size.value);
  crypto::Sha256Hasher hasher;
  Bytes buffer(256 * 1024);
  uint64_t done = 0;
  while (true) {
    TRY_ASSIGN(const size_t count, sys::ReadUpTo(fd.get(), buffer));
    if (count == 0) break;
    hasher.Update(ByteView(buffer).first(count));
    done += count;
    progress.Update(done);
  }
  progress.Finish();
  return HashedFile{hasher.Finish(), ByteCount{done}};
}

}  // namespace fleetseal::cli
