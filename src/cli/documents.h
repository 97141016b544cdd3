// Small helpers for building signed documents: nonces, dates, ids, hashes as text.
//
// Source: docs/protocol/documents.md section 4. Thread rule: any thread.
#pragma once

#include <string>
#include <string_view>

#include "base/bytes.h"
#include "cli/admin_client.h"
#include "cli/context.h"
#include "manifest/person_documents.h"

namespace fleetseal::cli {

// 16 random bytes.
Bytes NewNonce(Context& context);
// An id type with a fresh value "<prefix>-<26 characters>".
template <typename T>
T NewIdOf(Context& context, std::string_view prefix) {
  return *T::Parse(sys::NewId(context.random, prefix));
}
// Signs what takes something back, or lets it on again, as the client's person, and sends it. `done` is what is said.
Status SendRevocation(Context& context, AdminClient& client, manifest::RevocationKind kind, const std::string& subject,
                      manifest::RevocationAction action, const std::string& reason, const std::string& done);
std::string ToBase64Url(const Sha256& digest);
// SHA-256 and size of a file, read in pieces, with a progress line.
struct HashedFile {
  Sha256 sha256;
  ByteCount size;
};
Result<HashedFile> HashFile(const Context& context, const std::string& path);

}  // namespace fleetseal::cli
