#include "base/error_code.h"
#include "base/limits.h"
#include "merkle/note.h"
#include "merkle/tree.h"
#include "trust_api/handles.h"

namespace fleetseal::trust_api {
namespace {

// The header's limits are those of the code.
static_assert(FLEETSEAL_TRUST_PACKAGE_BYTES_MAX == limits::kPackageBytesMax);
static_assert(FLEETSEAL_TRUST_PACKAGES_MAX == limits::kPackageStepsMax);
static_assert(FLEETSEAL_TRUST_JWS_BYTES_MAX == limits::kDeviceJwsBytesMax);
static_assert(FLEETSEAL_TRUST_STATUS_BYTES_MAX == limits::kStatusBytesMax);
static_assert(FLEETSEAL_TRUST_MANIFEST_BYTES_MAX == limits::kManifestBytesMax);
static_assert(FLEETSEAL_TRUST_LOG_PROOF_BYTES_MAX == limits::kDeviceLogProofBytesMax);
static_assert(FLEETSEAL_TRUST_CONSISTENCY_MAX == merkle::kProofHashesMax);
static_assert(FLEETSEAL_TRUST_ORIGIN_BYTES_MAX == merkle::kKeyNameBytesMax + 1);
static_assert(FLEETSEAL_TRUST_HASH_BYTES == Sha256::kSize);

struct CodeTexts {
  Code code;
  const char* name;
  const char* title;
  const char* advice;
};

constexpr CodeTexts kTexts[] = {
    {FLEETSEAL_TRUST_OK, "Ok", "accepted", ""},
    {FLEETSEAL_TRUST_OUT_OF_MEMORY, "OutOfMemory", "there is not enough memory", "free memory and call again"},
    {FLEETSEAL_TRUST_BAD_CALL, "BadCall", "an argument is a null pointer or out of range", "correct the program"},
    {FLEETSEAL_TRUST_BUFFER_TOO_SMALL, "BufferTooSmall", "the buffer is too small", "call again with a larger one"},
    {FLEETSEAL_TRUST_BUG, "Bug", "an internal error occurred", "report this as a bug"},
#define FLEETSEAL_ERROR_CODE(number, name, exit, http, title, advice) {number, #name, title, advice},
#include "base/error_codes.inc"
#undef FLEETSEAL_ERROR_CODE
};
constexpr CodeTexts kUnknown = {0, "Unknown", "the code is not known to this version", "use a newer library"};

const CodeTexts& TextsOf(Code code) {
  for (const CodeTexts& texts : kTexts) {
    if (texts.code == code) return texts;
  }
  return kUnknown;
}

}  // namespace
}  // namespace fleetseal::trust_api

using fleetseal::trust_api::TextsOf;

uint32_t fleetseal_trust_api_version() noexcept { return FLEETSEAL_TRUST_API_VERSION; }
const char* fleetseal_trust_code_name(fleetseal_trust_code code) noexcept { return TextsOf(code).name; }
const char* fleetseal_trust_code_title(fleetseal_trust_code code) noexcept { return TextsOf(code).title; }
const char* fleetseal_trust_code_advice(fleetseal_trust_code code) noexcept { return TextsOf(code).advice; }
