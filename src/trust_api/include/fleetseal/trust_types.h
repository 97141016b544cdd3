// Codes, limits and plain structures of libfleetseal-trust. Include <fleetseal/trust.h>.
//
// Plain C99, usable from C++. Times are seconds since 1970-01-01T00:00:00Z. Pointers in structures that the library
// fills are borrowed from the handle that was asked and end with it; texts end with a NUL and hold none.
// A structure changes only with the number in the library's name (libfleetseal-trust.so.0).
#ifndef FLEETSEAL_TRUST_TYPES_H
#define FLEETSEAL_TRUST_TYPES_H

#include <stddef.h>
#include <stdint.h>

// Rises when functions are added. fleetseal_trust_api_version() is that of the library in use.
#define FLEETSEAL_TRUST_API_VERSION 1u

// 0, a number above 0 out of Fleetseal's table of codes (docs/reference/error-codes.md; a number never changes its
// meaning; fleetseal_trust_code_name gives the name), or one of these:
typedef int32_t fleetseal_trust_code;
#define FLEETSEAL_TRUST_OK 0
#define FLEETSEAL_TRUST_OUT_OF_MEMORY (-1)     // nothing was decided, nothing changed: call again with more
#define FLEETSEAL_TRUST_BAD_CALL (-2)          // a null pointer or an index that the function does not allow
#define FLEETSEAL_TRUST_BUFFER_TOO_SMALL (-3)  // *size says what it takes
#define FLEETSEAL_TRUST_BUG (-4)               // nothing was decided: please report it

// Greatest sizes in bytes; past them a document is refused (DocumentTooLarge, LimitExceeded) before it is read.
#define FLEETSEAL_TRUST_PACKAGE_BYTES_MAX 40960u
#define FLEETSEAL_TRUST_PACKAGES_MAX 64u  // in one call
#define FLEETSEAL_TRUST_STATUS_BYTES_MAX 28672u
#define FLEETSEAL_TRUST_JWS_BYTES_MAX 20480u  // order, manifest signature, permit
#define FLEETSEAL_TRUST_MANIFEST_BYTES_MAX 16384u
#define FLEETSEAL_TRUST_LOG_PROOF_BYTES_MAX 8192u
#define FLEETSEAL_TRUST_CONSISTENCY_MAX 63u  // hashes
#define FLEETSEAL_TRUST_DEVICE_BYTES_MAX 65536u
#define FLEETSEAL_TRUST_STATE_BYTES_MAX 4194304u

// What a call holds of heap at most, beyond the handles that it was given: with documents that are all as large as they
// may be, and whatever other bytes come. Ordinary ones (packages and orders of some KiB) take 24 KiB.
#define FLEETSEAL_TRUST_HEAP_BYTES_MAX 262144u

#define FLEETSEAL_TRUST_HASH_BYTES 32u
#define FLEETSEAL_TRUST_ORIGIN_BYTES_MAX 256u
#define FLEETSEAL_TRUST_DETAIL_BYTES 256u

typedef struct fleetseal_trust_state fleetseal_trust_state;
typedef struct fleetseal_trust_device fleetseal_trust_device;
typedef struct fleetseal_trust_order fleetseal_trust_order;
typedef struct fleetseal_trust_manifest fleetseal_trust_manifest;

// Bytes of the caller, read during the call only. data == NULL: the document is not there (size is then not read).
typedef struct {
  const void* data;
  size_t size;
} fleetseal_trust_bytes;

// Why, for a log: printable ASCII, cut where it is too long, empty after success. Never for an untrusted peer.
typedef struct {
  char text[FLEETSEAL_TRUST_DETAIL_BYTES];
} fleetseal_trust_detail;

// What a device got. Everything may be missing. A cancel needs only `order`; an install needs all that follow it.
typedef struct {
  const fleetseal_trust_bytes* packages;  // ascending versions
  size_t package_count;
  fleetseal_trust_bytes status;
  fleetseal_trust_bytes order;
  fleetseal_trust_bytes manifest;            // the exact bytes
  fleetseal_trust_bytes manifest_signature;  // compact JWS
  fleetseal_trust_bytes log_proof;           // tlog-proof
  const uint8_t* consistency;  // consistency_count hashes of FLEETSEAL_TRUST_HASH_BYTES, one after the other
  size_t consistency_count;
} fleetseal_trust_documents;

// What the device knows about the time (trust model section 5).
typedef struct {
  int64_t clock;       // the device's own, which may be wrong
  int has_signed_now;  // a status with this boot's nonce came before
  int64_t signed_now;  // the time that it gave, and what has passed since
  // What this boot asked with, 1 to 64 bytes; a status that holds it gives the time. Not read with has_signed_now.
  fleetseal_trust_bytes nonce;
} fleetseal_trust_time;

typedef enum {
  FLEETSEAL_TRUST_NOTHING = 0,
  FLEETSEAL_TRUST_PACKAGE = 1,
  FLEETSEAL_TRUST_STATUS = 2,
  FLEETSEAL_TRUST_ORDER = 3,
} fleetseal_trust_document;

// What fleetseal_trust_offer found. The caller frees `state` and `order`.
typedef struct {
  fleetseal_trust_state* state;  // after everything that was accepted, also after a refusal: store it
  fleetseal_trust_order* order;  // NULL unless it was accepted
  size_t packages_accepted;
  int is_status_accepted;
  int has_signed_now;  // the status held the nonce ...
  int64_t signed_now;  // ... and says that it is this time
  // A package raised directorEpoch: what earlier statuses said about the time does not hold any more. Take a new nonce.
  int is_time_forgotten;
  fleetseal_trust_document refused;  // what `code` is about; the rest was not looked at
  fleetseal_trust_code code;         // that of the refusal, or below 0: nothing was decided; else 0
} fleetseal_trust_outcome;

typedef struct {
  int64_t package_version;
  int64_t package_expires;
  int64_t director_epoch;
  int64_t time_floor;
  int has_status;
  int64_t status_epoch;
  int64_t status_version;
  int64_t status_expires;
  int has_order;
  int64_t order_epoch;
  int64_t order_sequence;
  uint8_t order_sha256[FLEETSEAL_TRUST_HASH_BYTES];  // of the last order accepted
} fleetseal_trust_state_info;

typedef struct {
  const char* product;  // vendor/name
  const char* version;
  const char* component;
  int64_t release_counter;
  int is_sealed;                                   // files come encrypted, see the order's content key
  uint8_t sha256[FLEETSEAL_TRUST_HASH_BYTES];      // of the exact bytes
  uint8_t key_sha256[FLEETSEAL_TRUST_HASH_BYTES];  // thumbprint of the key that signed
  size_t file_count;
  size_t step_count;
} fleetseal_trust_manifest_info;

typedef struct {
  const char* file_id;
  const char* file_name;
  uint64_t size;  // plain bytes
  uint8_t sha256[FLEETSEAL_TRUST_HASH_BYTES];
  int has_sha384;  // if so, fleetseal_trust_check_file wants it too
  int has_sha512;
  // In an order's manifest; else 0.
  uint64_t sealed_size;
  uint8_t sealed_sha256[FLEETSEAL_TRUST_HASH_BYTES];
} fleetseal_trust_file;

typedef struct {
  const char* handler;
  size_t file_count;
} fleetseal_trust_step;

typedef struct {
  const char* order_id;
  const char* plan_id;
  int64_t epoch;
  int64_t sequence;
  uint8_t sha256[FLEETSEAL_TRUST_HASH_BYTES];  // of the compact order
  int is_cancel;
  int is_repeat;                      // the stored order again: resume it, or report how it ended
  int is_installed;                   // its manifest is what is installed already
  fleetseal_trust_bytes content_key;  // compact JWE for the device's encryption key; data == NULL if there is none
} fleetseal_trust_order_info;

typedef struct {
  char origin[FLEETSEAL_TRUST_ORIGIN_BYTES_MAX];
  uint64_t size;
  uint8_t root[FLEETSEAL_TRUST_HASH_BYTES];
} fleetseal_trust_checkpoint;

// What the caller computed over a plain file. A null pointer: not computed.
typedef struct {
  uint64_t size;
  const uint8_t* sha256;  // 32 bytes
  const uint8_t* sha384;  // 48 bytes
  const uint8_t* sha512;  // 64 bytes
} fleetseal_trust_computed;

#endif
