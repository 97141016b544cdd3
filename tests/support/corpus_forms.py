"""Cases of the refusal corpus: a signed document in every wrong form, and by every wrong key.

Each is a right document with one thing wrong, and is otherwise signed as it should be, so that nothing else can be the reason.
"""
import hashlib
import hmac

from corpus import Pieces
from corpus_keys import FixedKey
from corpus_world import MANIFEST_TYP, SJWK_TYP
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from documents import b64u, compact, jws, unb64u

JWS_ROWS = "S1.17 S1.31 S1.34 S1.35"


class Signed:
    """One signed document: what it is made of, and how its text comes into a case."""

    def __init__(self, group, control, slot, key, header, payload, wrap=None, document=None, code=None):
        self.group, self.control, self.slot, self.key = group, control, slot, key
        self.header, self.payload = header, payload
        self.wrap = wrap or (lambda text: {slot: text})
        self.document = document or ("status" if slot == "status" else "order")
        self.code = code

    def make(self, header=None, payload=None):
        """`header` is a whole header, as an object or as it stands; so is `payload`."""
        header = self.header if header is None else header
        payload = self.payload if payload is None else payload
        text = header if isinstance(header, (str, bytes)) else compact(header)
        body = payload if isinstance(payload, (str, bytes)) else compact(payload)
        text, body = (part if isinstance(part, bytes) else part.encode() for part in (text, body))
        signing_input = b64u(text) + "." + b64u(body)
        return signing_input + "." + b64u(self.key.sign(signing_input))

    def with_header(self, **changes):
        header = {**self.header, **changes}
        return self.make({name: value for name, value in header.items() if value is not None})

    def refuse(self, name, title, rows, code, text, group=None, **more):
        # A permit is judged inside an order: whatever is wrong with it has one code, but for what the order's own text may not hold.
        is_own = not self.code or code.startswith("!")
        self.control.refuse(f"{group or self.group}/{name}", title, rows, code.removeprefix("!") if is_own else self.code, self.document, self.wrap(text),
                            because=None if is_own else code, **more)


def spellings(signed):
    """Other spellings of the right text: its bytes are not changed, or only where nothing is signed."""
    right = signed.make()
    header, payload, signature = right.split(".")
    dots, codes = "JwsMalformed", "Base64Invalid"
    cases = [("one-segment", "only the header", header, dots), ("two-segments", "no signature and no dot before it", f"{header}.{payload}", dots),
             ("four-segments", "a dot behind", right + ".", dots), ("five-segments", "the form of an encrypted text", right + "..", dots),
             ("only-dots", "three empty segments", "..", dots), ("no-header", "the header is empty", f".{payload}.{signature}", dots),
             ("no-payload", "the payload is empty (detached)", f"{header}..{signature}", dots),
             ("no-signature", "the signature is missing", f"{header}.{payload}.", dots),
             ("json-form", "the JSON form of a JWS", compact({"payload": payload, "protected": header, "signature": signature}), dots),
             ("padded", "padding behind the signature", right + "=", codes), ("padded-header", "padding behind the header", f"{header}=.{payload}.{signature}", codes),
             ("padded-payload", "padding behind the payload", f"{header}.{payload}==.{signature}", codes),
             ("blank-before", "a blank in front", " " + right, codes), ("blank-inside", "a blank in the payload", f"{header}.{payload[:8]} {payload[8:]}.{signature}", codes),
             ("other-alphabet", "+ and / in the signature", f"{header}.{payload}.+/{signature[2:]}", codes),
             ("other-alphabet-in-payload", "+ and / in the payload", f"{header}.+/{payload[2:]}.{signature}", codes),
             ("odd-length", "a length that base64url cannot have", right + "AAA", codes),
             ("spare-bits", "bits behind the last byte of the signature are not zero", right[:-1] + chr(ord(right[-1]) + 1), codes)]
    for name, title, text, code in cases:
        yield name, title, "S1.32 " + JWS_ROWS, code, text
    for name, title, text in (("newline-after", "a line break behind", right + "\n"), ("nul-after", "a NUL behind", right + "\0"),
                              ("no-ascii", "a character that is no ASCII", right[:-1] + "\u00e9")):
        yield name, title, "S1.32 " + JWS_ROWS, "!TextInvalid" if signed.code else codes, text


def headers(signed):
    """Headers that are not exactly the right one, each properly signed."""
    typ = signed.header["typ"]
    for name, value in (("crit", ["exp"]), ("crit", []), ("b64", False), ("jwk", signed.key.jwk()), ("jku", "https://example.org"), ("x5u", "https://example.org"),
                        ("x5c", ["MAA="]), ("zip", "DEF"), ("exp", 1)):
        text = "an empty crit" if value == [] else f"a header member {name}"
        rows = JWS_ROWS + (" S1.23" if name in ("jwk", "x5c") else "")
        yield "header-crit-empty" if value == [] else f"header-{name}", text, rows, "HeaderNotAllowed", signed.with_header(**{name: value})
    yield "header-crit-b64", "crit names b64, as RFC 7797 asks", JWS_ROWS, "HeaderNotAllowed", signed.with_header(crit=["b64"], b64=False)
    yield "header-alg-none", "alg none and no signature", JWS_ROWS, "JwsMalformed", signed.with_header(alg="none").rsplit(".", 1)[0] + "."
    yield "header-alg-none-signed", "alg none with a signature", JWS_ROWS, "AlgorithmNotAllowed", signed.with_header(alg="none")
    yield "header-alg-hs256", "HS256 with the public key as its secret", JWS_ROWS, "AlgorithmNotAllowed", hs256(signed)
    for alg in ("RS256", "PS256", "EdDSA", "es256", ""):
        yield f"header-alg-{alg.lower() if alg != 'es256' else 'lower-case'}" if alg else "header-alg-empty", f"alg {alg or 'empty'}", JWS_ROWS, "AlgorithmNotAllowed", \
            signed.with_header(alg=alg)
    yield "header-alg-missing", "no alg", JWS_ROWS, "MemberMissing", signed.with_header(alg=None)
    for name, value in (("number", 5), ("list", ["ES256"])):
        yield f"header-alg-{name}", f"alg is a {name}", JWS_ROWS, "MemberTypeWrong", signed.with_header(alg=value)
    yield "header-typ-missing", "no typ", JWS_ROWS, "MemberMissing", signed.with_header(typ=None)
    yield "header-typ-empty", "an empty typ", JWS_ROWS, "TextInvalid", signed.with_header(typ="")
    yield "header-typ-number", "typ is a number", JWS_ROWS, "MemberTypeWrong", signed.with_header(typ=5)
    for name, value in (("jwt", "JWT"), ("other-case", typ.upper()), ("blank", typ + " "), ("plan", "fleetseal-plan+jws")):
        yield f"header-typ-{name}", f"typ {value!r}", JWS_ROWS, "TypMismatch", signed.with_header(typ=value)
    text = compact(signed.header)
    yield "header-twice", "a header member twice", JWS_ROWS, "JsonDuplicateMember", signed.make(header='{"alg":"ES256",' + text[1:])
    yield "header-twice-escaped", "a header member twice, once spelt with an escape", JWS_ROWS, "JsonDuplicateMember", signed.make(header='{"\\u0061lg":"none",' + text[1:])
    yield "header-list", "the header is a list", JWS_ROWS, "JwsMalformed", signed.make(header="[" + text + "]")
    yield "header-no-json", "the header is no JSON", JWS_ROWS, "JsonInvalid", signed.make(header=text[:-1])
    yield "header-two", "a second object behind the header", JWS_ROWS, "JsonInvalid", signed.make(header=text + "{}")
    yield "header-no-utf-8", "the header is no UTF-8", JWS_ROWS, "JsonInvalid", signed.make(header=text.replace(typ, "\xff").encode("latin-1"))


def header_members(signed, others):
    """Each header member twice, properly signed; and each altered after it was signed. `others`: by member a value that can be read, and the code."""
    text, (_, payload, signature) = compact(signed.header), signed.make().split(".")
    for name, (other, code) in others.items():
        rows = "S1.30 " + JWS_ROWS
        yield f"header-{name}-twice", f"the header member {name} twice", rows, "JsonDuplicateMember", signed.make(header="{" + compact({name: other})[1:-1] + "," + text[1:])
        header = b64u(compact({**signed.header, name: other}).encode())
        yield f"header-{name}-altered", f"the header member {name} was altered after it was signed", rows, code, f"{header}.{payload}.{signature}"


def hs256(signed):
    header = b64u(compact({**signed.header, "alg": "HS256"}).encode())
    signing_input = header + "." + b64u(compact(signed.payload).encode())
    return signing_input + "." + b64u(hmac.new(signed.key.spki(), signing_input.encode(), hashlib.sha256).digest())


def payloads(signed):
    """Payloads that are no object of ours, each properly signed."""
    text = compact(signed.payload)
    rows = JWS_ROWS
    yield "payload-list", "the payload is a list", rows, "MemberTypeWrong", signed.make(payload="[" + text + "]")
    yield "payload-empty-object", "the payload has no members", rows, "MemberMissing", signed.make(payload="{}")
    yield "payload-no-json", "the payload is no JSON", rows, "JsonInvalid", signed.make(payload=text[:-1])
    yield "payload-two", "a second object behind the payload", rows, "JsonInvalid", signed.make(payload=text + text)
    yield "payload-mark", "a byte order mark before the payload", rows, "JsonInvalid", signed.make(payload="\ufeff" + text)
    yield "payload-no-utf-8", "a text of the payload is no UTF-8", rows, "JsonInvalid", signed.make(payload=b'{"zz":"\xc0\xaf",' + text[1:].encode())
    yield "payload-deep", "17 levels of lists", "S1.16", "JsonTooDeep", signed.make(payload='{"zz":' + "[" * 17 + "]" * 17 + "," + text[1:])


def signatures(signed):
    """Signatures that are not the right one."""
    right = signed.make()
    head, signature = right.rsplit(".", 1)
    raw = unb64u(signature)
    rows = "S1.26 S1.53"
    r, s = int.from_bytes(raw[:32], "big"), int.from_bytes(raw[32:], "big")
    for name, title, value in (("bit", "one bit is another", raw[:-1] + bytes([raw[-1] ^ 1])), ("zero", "r and s are 0", bytes(64)),
                               ("short", "four bytes", b"1234"), ("long", "a byte too many", raw + b"\0"), ("der", "in DER form", encode_dss_signature(r, s)),
                               ("swapped-halves", "r and s are swapped", raw[32:] + raw[:32]), ("all-ones", "every bit is set", b"\xff" * 64)):
        yield f"signature-{name}", f"the signature: {title}", rows, "SignatureInvalid", f"{head}.{b64u(value)}"


def huge(signed):
    right = signed.make()
    header, payload, signature = right.split(".")
    deep = signed.make(payload="[" * 9_000)
    yield "huge", "30 KB", "S1.16 S1.33 X6", "DocumentTooLarge", Pieces([{"text": right}, {"text": "A", "times": 30_000}])
    yield "huge-header", "a header of 9,000 levels", "S1.16 S1.33 X6", "JsonTooDeep", Pieces([{"text": "W1tb", "times": 3_000}, {"text": f".{payload}.{signature}"}])
    yield "huge-depth", "a properly signed payload of 9,000 levels", "S1.16 S1.33 X6", "JsonTooDeep", \
        Pieces([{"text": header + "."}, {"text": "W1tb", "times": 3_000}, {"text": "." + deep.rsplit(".", 1)[1]}])


def add_forms(signed, kinds):
    for kind in kinds:
        for name, title, rows, code, text in kind(signed):
            signed.refuse(name, title, rows, code, text)


# --- keys ----------------------------------------------------------------------------------------------------------------------


def key_cases(world, typ, kid, payload):
    """(name, title, rows, text, code) of a document by each key that may not sign it. `kid`: the one that may."""
    is_director = kid.startswith("director")
    other = "publisher-1" if is_director else "director-1"
    unlisted, disabled = ("director-9", "director-2") if is_director else ("publisher-unlisted", "publisher-disabled")
    sign = lambda **how: world.signed(typ, payload, **how)
    yield "role", "by a key of another role", "S1.27 X4", "RoleNotAllowed", sign(kid=other)
    if typ != MANIFEST_TYP:
        yield "role-agent-release", "by an agent-release key", "S1.27 X4", "RoleNotAllowed", sign(kid="agent-1")
    yield "disabled", "by a disabled key", "S1.44 S1.49", "DisallowedSigningKey", sign(kid=disabled)
    yield "unlisted", "by a key that no listing names", "S1.37 S1.38 S1.50 X4", "SigningKeyNotListed", sign(kid=unlisted)
    yield "kid-taken", "by a key that no listing names, under the kid of one", "S1.37 S1.38 S1.50", "SigningKeyNotListed", \
        sign(kid=kid, key=world.keys[unlisted], sjwk=world.key_document(kid, key=world.keys[unlisted]))
    yield "kid-other", "by a listed key under the kid of another one", "S1.18 S1.19", "SigningKeyNotListed", \
        sign(kid=kid, sjwk=world.key_document(other, key=world.keys[kid]))
    yield "key-not-the-one", "the signing key is right and the signature is of another key", "S1.26 S1.53 S1.56", "SignatureInvalid", \
        sign(kid=kid, key=world.keys[unlisted])
    if not is_director:
        yield "expired", "by a key whose listing has ended this second", "S1.29 S1.54", "SigningKeyExpired", sign(kid="publisher-expired")
        yield "future", "by a key whose listing begins in a second", "S1.29 S1.54", "SigningKeyExpired", sign(kid="publisher-future")
        yield "product", "by a key that is listed for another product", "X5", "ProductNotAllowed", sign(kid="publisher-valve")
        yield "disabled-rsa", "by an RSA key whose PKCS#1 hash is disabled", "S1.44 S1.49", "DisallowedSigningKey", sign(kid="publisher-rsa-disabled")
        yield "pq", "by a key whose listing demands a second signature that nobody can give yet", "S1.27", "PqSignatureMissing", sign(kid="publisher-pq")
        yield "alg-listed-other", "the listing says RS256, the key is of P-256", JWS_ROWS, "AlgorithmNotAllowed", sign(kid="publisher-rs256")
        yield "alg-jwk-other", "the JWK says PS256, the listing RS256", JWS_ROWS, "AlgorithmNotAllowed", \
            sign(kid="publisher-rsa", sjwk=world.key_document("publisher-rsa", alg="PS256"))
        yield "alg-header-other", "the header says PS256, JWK and listing RS256", JWS_ROWS, "AlgorithmNotAllowed", sign(kid="publisher-rsa", header={"alg": "PS256"})
        yield "alg-header-es256", "an RSA key with ES256 in the header", JWS_ROWS, "AlgorithmNotAllowed", sign(kid="publisher-rsa", header={"alg": "ES256"})
        yield "next-key-old-signature", "the signing key of one publisher, the signature of the other one that is listed beside it", "S1.26 S1.53 S1.56", \
            "SignatureInvalid", sign(kid="publisher-next", key=world.publisher)


def root_cases(world, typ, kid, payload):
    """The signing key's own signature: by each root or other key that may not make it."""
    sign = lambda sjwk: world.signed(typ, payload, kid, sjwk=sjwk)
    header = lambda root, alg="ES256": {"alg": alg, "kid": root, "typ": SJWK_TYP}
    jwk = compact(world.keys[kid].jwk(kid=kid, alg="ES256"))
    stranger = FixedKey.p256("root of somebody else")
    rows = "S1.25 S1.52"
    anchors = "S1.37 S1.38 S1.50 " + rows
    yield "root-disabled", "signed by a root that is disabled", rows + " S1.44 S1.49", "DisallowedRootKid", sign(world.key_document(kid, "root-4"))
    yield "root-unknown", "signed by a root that no package names", rows, "UnknownRootKid", sign(jws(stranger, header("root-9"), jwk))
    yield "root-of-somebody", "signed by a root of somebody else under the kid of ours", anchors, "SignatureInvalid", sign(jws(stranger, header("root-1"), jwk))
    yield "root-other", "signed by root-2 under the kid of root-1", rows + " S1.51", "SignatureInvalid", sign(jws(world.roots["root-2"], header("root-1"), jwk))
    yield "root-is-signing-key", "signed by another signing key, which is named as its root", rows, "UnknownRootKid", sign(jws(world.publisher, header("publisher-1"), jwk))
    yield "root-is-signing-key-as-root", "signed by another signing key under the kid of a root", rows, "SignatureInvalid", sign(jws(world.publisher, header("root-1"), jwk))
    yield "root-self", "signed by itself", anchors, "UnknownRootKid", sign(jws(world.keys[kid], header(kid), jwk))
    yield "root-alg", "an RSA root with ES256 in the header", JWS_ROWS, "AlgorithmNotAllowed", sign(jws(world.rsa_root, header("root-5"), jwk))
    yield "root-alg-ps256", "an RSA root with PS256 in the header", JWS_ROWS, "AlgorithmNotAllowed", sign(jws(world.rsa_root, header("root-5", "PS256"), jwk))
    yield "root-alg-rs256", "a P-256 root with RS256 in the header", JWS_ROWS, "AlgorithmNotAllowed", sign(jws(world.roots["root-1"], header("root-1", "RS256"), jwk))
    for name, value in (("empty", ""), ("path", "../root-1"), ("long", "r" * 65), ("blank", "root-1 "), ("slash", "root/1")):
        yield f"root-kid-{name}", f"the root's kid is {value[:12]!r}", "S1.51 X10", "IdInvalid", sign(jws(world.roots["root-1"], header(value), jwk))
    yield "root-kid-other-case", "the root's kid in other case", "S1.51", "UnknownRootKid", sign(jws(world.roots["root-1"], header("ROOT-1"), jwk))
    yield "root-kid-number", "the root's kid is a number", "S1.51", "MemberTypeWrong", sign(jws(world.roots["root-1"], header(1), jwk))
    yield "root-kid-missing", "the root's kid is missing", "S1.51", "HeaderNotAllowed", sign(jws(world.roots["root-1"], {"alg": "ES256", "typ": SJWK_TYP}, jwk))
    nested = jws(world.roots["root-1"], {**header("root-1"), "sjwk": world.key_document(kid)}, jwk)
    yield "sjwk-in-sjwk", "the signing key's document holds a signing key itself", rows, "HeaderNotAllowed", sign(nested)


def key_headers(world, signed, kid):
    """Headers that name a key in another way than the one."""
    rows = "S1.23 S1.55"
    yield "key-missing", "no signing key comes with it, though the device has seen this one", rows, "HeaderNotAllowed", signed.with_header(sjwk=None)
    yield "key-kid-only", "a kid in place of the signing key", rows, "HeaderNotAllowed", signed.with_header(sjwk=None, kid=kid)
    yield "key-kid-too", "a kid beside the signing key", rows, "HeaderNotAllowed", signed.with_header(kid=kid)
    yield "key-jwk-only", "a bare JWK in place of the signing key", rows, "HeaderNotAllowed", signed.with_header(sjwk=None, jwk=signed.key.jwk())
    yield "key-number", "the signing key is a number", rows, "MemberTypeWrong", signed.with_header(sjwk=5)
    yield "key-object", "the signing key is a bare JWK", rows, "MemberTypeWrong", signed.with_header(sjwk=signed.key.jwk())
    yield "key-empty", "the signing key is empty", rows, "JwsMalformed", signed.with_header(sjwk="")
    other = world.key_document("director-1" if kid == "publisher-1" else "publisher-1")
    yield "key-of-another-message", "the signing key of another document, which is genuine", "S1.18 S1.19", "RoleNotAllowed", signed.with_header(sjwk=other)


def add_keys(signed, cases):
    for name, title, rows, code, text in cases:
        signed.refuse(name, title, rows, code, text, group=signed.group.replace("form-", "keys-"))
