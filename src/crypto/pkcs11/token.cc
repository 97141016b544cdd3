#include "crypto/pkcs11/token.h"

#include <dlfcn.h>
#include <p11-kit/pkcs11.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <mutex>
#include <vector>

#include "base/secret_bytes.h"
#include "crypto/digest.h"
#include "sys/file.h"

namespace fleetseal::crypto::pkcs11 {
namespace {

constexpr size_t kSlotsMax = 256;
constexpr size_t kPinBytesMax = 256;
constexpr CK_ULONG kAttributeBytesMax = 4096;
// DER of the object identifier prime256v1.
constexpr uint8_t kP256Parameters[] = {0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07};
// RFC 8017 section 9.2, note 1: DigestInfo of SHA-256 without the digest.
constexpr uint8_t kSha256DigestInfo[] = {0x30, 0x31, 0x30, 0x0D, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01,
                                         0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20};

Status Check(CK_RV rv, const char* function) {
  if (rv == CKR_OK) return {};
  char text[96];
  snprintf(text, sizeof text, "PKCS#11 %s failed with CKR 0x%lx", function, rv);
  if (rv == CKR_PIN_INCORRECT || rv == CKR_PIN_LEN_RANGE || rv == CKR_PIN_INVALID)
    return Fail(ErrorCode::kPassphraseWrong, std::string("the PIN does not open the token: ") + text);
  if (rv == CKR_PIN_LOCKED || rv == CKR_PIN_EXPIRED)
    return Fail(ErrorCode::kPermissionDenied, std::string("the token's PIN is locked: ") + text);
  return Fail(ErrorCode::kUnreachable, text);
}

// A blank-padded field of a token against a URI's attribute.
template <size_t N>
bool Fits(const unsigned char (&field)[N], const std::string& wanted) {
  if (wanted.empty()) return true;
  std::string_view text(reinterpret_cast<const char*>(field), N);
  while (text.ends_with(' ')) text.remove_suffix(1);
  return text == wanted;
}

Result<CK_FUNCTION_LIST*> LoadModule(const std::string& path) {
  if (path.empty())
    return Fail(ErrorCode::kInvalidArgument, "the URI names no module: add ?module-path=/usr/lib/.../module.so");
  void* handle = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (handle == nullptr) {
    const char* why = dlerror();  // NOLINT(concurrency-mt-unsafe)
    return Fail(ErrorCode::kInvalidArgument, std::string("loading the PKCS#11 module: ") + (why ? why : path.c_str()));
  }
  CK_C_GetFunctionList get_list = nullptr;
  void* symbol = dlsym(handle, "C_GetFunctionList");
  if (symbol == nullptr) return Fail(ErrorCode::kInvalidArgument, path + " is not a PKCS#11 module");
  std::memcpy(&get_list, &symbol, sizeof get_list);
  CK_FUNCTION_LIST* list = nullptr;
  TRY(Check(get_list(&list), "C_GetFunctionList"));
  CK_C_INITIALIZE_ARGS arguments{};
  arguments.flags = CKF_OS_LOCKING_OK;
  const CK_RV rv = list->C_Initialize(&arguments);
  if (rv != CKR_CRYPTOKI_ALREADY_INITIALIZED) TRY(Check(rv, "C_Initialize"));
  return list;
}

enum class Access { kRead, kWrite };

// One session on the token that the URI names, logged in.
class Session {
 public:
  static Result<std::unique_ptr<Session>> Open(const Uri& uri, Access access) {
    TRY_ASSIGN(CK_FUNCTION_LIST * module, LoadModule(uri.module_path));
    TRY_ASSIGN(const CK_SLOT_ID slot, FindSlot(module, uri));
    auto session = std::unique_ptr<Session>(new Session(module));
    const CK_FLAGS flags = CKF_SERIAL_SESSION | (access == Access::kWrite ? CKF_RW_SESSION : 0);
    TRY(Check(module->C_OpenSession(slot, flags, nullptr, nullptr, &session->handle_), "C_OpenSession"));
    session->is_open_ = true;
    TRY(session->LogIn(uri));
    return session;
  }
  ~Session() {
    if (is_open_) module_->C_CloseSession(handle_);
  }
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  Result<std::vector<CK_OBJECT_HANDLE>> Find(CK_OBJECT_CLASS kind, const std::string& label, ByteView id) const {
    CK_BBOOL yes = CK_TRUE;
    std::vector<CK_ATTRIBUTE> attributes = {{CKA_CLASS, &kind, sizeof kind}, {CKA_TOKEN, &yes, sizeof yes}};
    std::string name = label;
    Bytes wanted_id = ToBytes(id);
    if (!name.empty()) attributes.push_back({CKA_LABEL, name.data(), name.size()});
    if (!wanted_id.empty()) attributes.push_back({CKA_ID, wanted_id.data(), wanted_id.size()});
    TRY(Check(module_->C_FindObjectsInit(handle_, attributes.data(), attributes.size()), "C_FindObjectsInit"));
    std::vector<CK_OBJECT_HANDLE> found(3);  // more than one is refused anyway
    CK_ULONG count = 0;
    const CK_RV rv = module_->C_FindObjects(handle_, found.data(), found.size(), &count);
    module_->C_FindObjectsFinal(handle_);
    TRY(Check(rv, "C_FindObjects"));
    found.resize(std::min<size_t>(count, found.size()));
    return found;
  }

  Result<Bytes> Attribute(CK_OBJECT_HANDLE object, CK_ATTRIBUTE_TYPE type) const {
    CK_ATTRIBUTE attribute{type, nullptr, 0};
    TRY(Check(module_->C_GetAttributeValue(handle_, object, &attribute, 1), "C_GetAttributeValue"));
    if (attribute.ulValueLen > kAttributeBytesMax) return Fail(ErrorCode::kKeyInvalid, "an attribute is too long");
    Bytes value(attribute.ulValueLen);
    attribute.pValue = value.data();
    TRY(Check(module_->C_GetAttributeValue(handle_, object, &attribute, 1), "C_GetAttributeValue"));
    value.resize(std::min<size_t>(attribute.ulValueLen, value.size()));
    return value;
  }

  // The public key that `object` (either half) has.
  Result<PublicKey> KeyOf(CK_OBJECT_HANDLE object) const {
    TRY_ASSIGN(const Bytes type_bytes, Attribute(object, CKA_KEY_TYPE));
    CK_KEY_TYPE type = 0;
    if (type_bytes.size() != sizeof type) return Fail(ErrorCode::kKeyInvalid, "the token gives no key type");
    std::memcpy(&type, type_bytes.data(), sizeof type);
    if (type == CKK_RSA) {
      TRY_ASSIGN(const Bytes n, Attribute(object, CKA_MODULUS));
      TRY_ASSIGN(const Bytes e, Attribute(object, CKA_PUBLIC_EXPONENT));
      return PublicKey::FromRsa(n, e);
    }
    if (type != CKK_EC) return Fail(ErrorCode::kKeyInvalid, "the key on the token is neither RSA nor P-256");
    TRY_ASSIGN(const Bytes parameters, Attribute(object, CKA_EC_PARAMS));
    if (!std::equal(parameters.begin(), parameters.end(), std::begin(kP256Parameters), std::end(kP256Parameters)))
      return Fail(ErrorCode::kKeyInvalid, "the key on the token is not on P-256");
    TRY_ASSIGN(Bytes point, Attribute(object, CKA_EC_POINT));
    // PKCS#11 2.40 section 2.3.3: a DER OCTET STRING; some modules give the point itself.
    if (point.size() == 67 && point[0] == 0x04 && point[1] == 0x41) point.erase(point.begin(), point.begin() + 2);
    if (point.size() != 65 || point[0] != 0x04) return Fail(ErrorCode::kKeyInvalid, "the token's point is not a point");
    const ByteView view(point);
    return PublicKey::FromEcPoint(KeyType::kP256, view.subspan(1, 32), view.subspan(33, 32));
  }

  CK_FUNCTION_LIST* module() const { return module_; }
  CK_SESSION_HANDLE handle() const { return handle_; }
  const SecretBytes& pin() const { return pin_; }
  Status LogInAs(CK_USER_TYPE user) const {
    // The function takes a pointer to bytes that it does not change.
    auto* pin = const_cast<uint8_t*>(pin_.reveal().data());
    const CK_RV rv = module_->C_Login(handle_, user, pin, pin_.size());
    return rv == CKR_USER_ALREADY_LOGGED_IN ? Status() : Check(rv, "C_Login");
  }

 private:
  explicit Session(CK_FUNCTION_LIST* module) : module_(module) {}

  static Result<CK_SLOT_ID> FindSlot(CK_FUNCTION_LIST* module, const Uri& uri) {
    std::vector<CK_SLOT_ID> slots(kSlotsMax);
    CK_ULONG count = slots.size();
    TRY(Check(module->C_GetSlotList(CK_TRUE, slots.data(), &count), "C_GetSlotList"));
    slots.resize(std::min<size_t>(count, slots.size()));
    std::vector<CK_SLOT_ID> fitting;
    for (const CK_SLOT_ID slot : slots) {
      CK_TOKEN_INFO info{};
      if (module->C_GetTokenInfo(slot, &info) != CKR_OK) continue;
      const bool fits = Fits(info.label, uri.token) && Fits(info.serialNumber, uri.serial) &&
                        Fits(info.manufacturerID, uri.manufacturer) && Fits(info.model, uri.model) &&
                        (!uri.slot_id || *uri.slot_id == slot) && (info.flags & CKF_TOKEN_INITIALIZED) != 0;
      if (fits) fitting.push_back(slot);
    }
    if (fitting.empty()) return Fail(ErrorCode::kInvalidArgument, "no token of that URI is present");
    if (fitting.size() > 1)
      return Fail(ErrorCode::kConflict, "more than one token fits the URI: add token= or serial=");
    return fitting.front();
  }

  Status LogIn(const Uri& uri) {
    if (uri.pin_source.empty())
      return Fail(ErrorCode::kInvalidArgument, "the URI names no file with the PIN: add pin-source=/path");
    TRY_ASSIGN(const SecretBytes text, sys::ReadSecretFile(uri.pin_source, kPinBytesMax));
    ByteView pin = text.reveal();
    while (!pin.empty() && pin.back() == '\n') pin = pin.first(pin.size() - 1);
    pin_ = SecretBytes::CopyOf(pin);
    return LogInAs(CKU_USER);
  }

  CK_FUNCTION_LIST* module_;
  CK_SESSION_HANDLE handle_ = 0;
  bool is_open_ = false;
  SecretBytes pin_;
};

Result<CK_OBJECT_HANDLE> FindOne(const Session& session, CK_OBJECT_CLASS kind, const Uri& uri) {
  TRY_ASSIGN(const auto found, session.Find(kind, uri.object, uri.id));
  if (found.empty()) return Fail(ErrorCode::kNotFound, "the token holds no such key: " + uri.object);
  if (found.size() > 1) return Fail(ErrorCode::kConflict, "more than one key fits the URI: add object= or id=");
  return found.front();
}

// From the public object if there is one: a private EC key need not hold its point.
Result<PublicKey> PublicHalf(const Session& session, const Uri& uri, CK_OBJECT_HANDLE private_key) {
  TRY_ASSIGN(const Bytes id, session.Attribute(private_key, CKA_ID));
  TRY_ASSIGN(const auto found, session.Find(CKO_PUBLIC_KEY, id.empty() ? uri.object : std::string(), id));
  return session.KeyOf(found.size() == 1 ? found.front() : private_key);
}

class TokenSigner final : public Signer {
 public:
  TokenSigner(std::unique_ptr<Session> session, CK_OBJECT_HANDLE key, PublicKey public_key, bool is_asked_each_time)
      : session_(std::move(session)),
        key_(key),
        public_key_(std::move(public_key)),
        is_asked_each_time_(is_asked_each_time) {}
  TokenSigner(const TokenSigner&) = delete;
  TokenSigner& operator=(const TokenSigner&) = delete;

  Result<Bytes> Sign(SignatureAlgorithm algorithm, ByteView message) const override {
    if (algorithm != public_key_.default_algorithm())
      return Fail(ErrorCode::kAlgorithmNotAllowed, "the token's key signs ES256 or RS256 only");
    const bool is_rsa = public_key_.type() == KeyType::kRsa;
    const Sha256 digest = HashSha256(message);
    Bytes input = is_rsa ? Bytes(std::begin(kSha256DigestInfo), std::end(kSha256DigestInfo)) : Bytes();
    input.insert(input.end(), digest.bytes.begin(), digest.bytes.end());
    Bytes signature(is_rsa ? (public_key_.bits() + 7) / 8 : 64);
    TRY(Ask(is_rsa ? CKM_RSA_PKCS : CKM_ECDSA, input, signature));
    // A faulty signature can betray the key, and nobody downstream could use it.
    TRY_CONTEXT(public_key_.Verify(algorithm, message, signature), "checking the token's signature");
    return signature;
  }
  const PublicKey& public_key() const override { return public_key_; }

 private:
  Status Ask(CK_MECHANISM_TYPE type, Bytes& input, Bytes& signature) const {
    const std::lock_guard lock(mutex_);
    CK_FUNCTION_LIST* module = session_->module();
    CK_MECHANISM mechanism{type, nullptr, 0};
    TRY(Check(module->C_SignInit(session_->handle(), &mechanism, key_), "C_SignInit"));
    if (is_asked_each_time_) TRY(session_->LogInAs(CKU_CONTEXT_SPECIFIC));
    CK_ULONG size = signature.size();
    TRY(Check(module->C_Sign(session_->handle(), input.data(), input.size(), signature.data(), &size), "C_Sign"));
    if (size != signature.size()) return Fail(ErrorCode::kUnreachable, "the token gave a signature of another length");
    return {};
  }

  const std::unique_ptr<Session> session_;
  const CK_OBJECT_HANDLE key_;
  const PublicKey public_key_;
  const bool is_asked_each_time_;  // CKA_ALWAYS_AUTHENTICATE: the PIN again for each signature
  mutable std::mutex mutex_;       // a session has one signing operation
};

}  // namespace

Result<std::unique_ptr<Signer>> OpenSigner(const Uri& uri) {
  TRY_ASSIGN(auto session, Session::Open(uri, Access::kRead));
  TRY_ASSIGN(const CK_OBJECT_HANDLE key, FindOne(*session, CKO_PRIVATE_KEY, uri));
  TRY_ASSIGN(PublicKey public_key, PublicHalf(*session, uri, key));
  const auto always = session->Attribute(key, CKA_ALWAYS_AUTHENTICATE);
  const bool is_asked_each_time = always && !always->empty() && always->front() == CK_TRUE;
  return std::unique_ptr<Signer>(
      std::make_unique<TokenSigner>(std::move(session), key, std::move(public_key), is_asked_each_time));
}

Result<PublicKey> ReadPublicKey(const Uri& uri) {
  TRY_ASSIGN(const auto session, Session::Open(uri, Access::kRead));
  TRY_ASSIGN(const CK_OBJECT_HANDLE key, FindOne(*session, CKO_PRIVATE_KEY, uri));
  return PublicHalf(*session, uri, key);
}

Result<PublicKey> CreateKeyPair(const Uri& uri, KeyKind kind) {
  if (uri.object.empty()) return Fail(ErrorCode::kInvalidArgument, "the URI names no key: add object=NAME");
  const bool is_rsa = kind == KeyKind::kRsa2048 || kind == KeyKind::kRsa3072;
  if (!is_rsa && kind != KeyKind::kP256)
    return Fail(ErrorCode::kAlgorithmNotAllowed, "a token makes P-256 or RSA keys");
  TRY_ASSIGN(const auto session, Session::Open(uri, Access::kWrite));
  TRY_ASSIGN(const auto existing, session->Find(CKO_PRIVATE_KEY, uri.object, {}));
  if (!existing.empty()) return Fail(ErrorCode::kAlreadyExists, "the token holds a key " + uri.object + " already");
  CK_BBOOL yes = CK_TRUE;
  CK_BBOOL no = CK_FALSE;
  std::string label = uri.object;
  const Sha256 label_hash = HashSha256(uri.object);
  Bytes id = uri.id.empty() ? Bytes(label_hash.bytes.begin(), label_hash.bytes.begin() + 16) : uri.id;
  Bytes parameters(std::begin(kP256Parameters), std::end(kP256Parameters));
  CK_ULONG bits = kind == KeyKind::kRsa3072 ? 3072 : 2048;
  Bytes exponent = {1, 0, 1};
  const CK_ATTRIBUTE token_attribute = {CKA_TOKEN, &yes, sizeof yes};
  const CK_ATTRIBUTE label_attribute = {CKA_LABEL, label.data(), label.size()};
  const CK_ATTRIBUTE id_attribute = {CKA_ID, id.data(), id.size()};
  std::vector<CK_ATTRIBUTE> open = {token_attribute, label_attribute, id_attribute, {CKA_VERIFY, &yes, sizeof yes}};
  if (is_rsa) {
    open.push_back({CKA_MODULUS_BITS, &bits, sizeof bits});
    open.push_back({CKA_PUBLIC_EXPONENT, exponent.data(), exponent.size()});
  } else {
    open.push_back({CKA_EC_PARAMS, parameters.data(), parameters.size()});
  }
  std::vector<CK_ATTRIBUTE> closed = {token_attribute,
                                      label_attribute,
                                      id_attribute,
                                      {CKA_PRIVATE, &yes, sizeof yes},
                                      {CKA_SENSITIVE, &yes, sizeof yes},
                                      {CKA_EXTRACTABLE, &no, sizeof no},
                                      {CKA_SIGN, &yes, sizeof yes}};
  CK_MECHANISM mechanism{static_cast<CK_MECHANISM_TYPE>(is_rsa ? CKM_RSA_PKCS_KEY_PAIR_GEN : CKM_EC_KEY_PAIR_GEN),
                         nullptr, 0};
  CK_OBJECT_HANDLE public_key = 0;
  CK_OBJECT_HANDLE private_key = 0;
  TRY(Check(session->module()->C_GenerateKeyPair(session->handle(), &mechanism, open.data(), open.size(), closed.data(),
                                                 closed.size(), &public_key, &private_key),
            "C_GenerateKeyPair"));
  return session->KeyOf(public_key);
}

}  // namespace fleetseal::crypto::pkcs11
