"""Wrong texts, made from a right one: what a broken or hostile peer sends. Used against every program that listens.

A case is (name, what makes the bytes from a right message, codes that may answer). Nothing here talks to anybody.
"""
import json

from documents import b64u, compact

SYNTAX = ("JsonInvalid",)
NUMBER = ("JsonNumberInvalid",)
DEPTH = ("JsonTooDeep",)
TYPE = ("MemberTypeWrong",)
MISSING = ("MemberMissing",)
UNKNOWN = ("MemberUnknown",)
TWICE = ("JsonDuplicateMember",)

# Characters that must never come into a path, a URL, a log line or a query by way of an id.
PATHS = ["", ".", "..", "../x", "..\\x", "/etc/passwd", "a/b", "a\\b", "a b", "a%2fb", "a\u0000b", "a\nb", "caf\u00e9", "\u2025", "x" * 65,
         "a;b", "a'b", "a*", "~", "$(x)", "a:b", "a?b", "a#b"]


def raw(data):
    return lambda _: data


def added(member):
    """The right text with one more member in front, as it stands."""
    return lambda message: b"{" + member + b"," + compact(message).encode()[1:]


def texts():
    """Any message at all: what is wrong before a member is looked at."""
    first = lambda message: next(iter(message))
    yield "nothing", raw(b""), SYNTAX
    yield "blank", raw(b" \r\n\t "), SYNTAX
    for name, value in (("null", b"null"), ("true", b"true"), ("a number", b"5"), ("a text", b'"text"'), ("a list", b"[]"),
                        ("a list of objects", b"[{}]")):
        yield name, raw(value), TYPE + MISSING
    yield "an empty object", raw(b"{}"), MISSING
    for part in (1, 2, 3):
        yield f"cut at {part} quarters", lambda message, part=part: compact(message).encode()[:len(compact(message)) * part // 4], SYNTAX
    yield "the last brace missing", lambda message: compact(message).encode()[:-1], SYNTAX
    yield "a second object behind", lambda message: compact(message).encode() + b"{}", SYNTAX
    yield "a brace behind", lambda message: compact(message).encode() + b"}", SYNTAX
    yield "a NUL behind", lambda message: compact(message).encode() + b"\0", SYNTAX
    yield "a byte order mark", lambda message: b"\xef\xbb\xbf" + compact(message).encode(), SYNTAX
    yield "UTF-16", lambda message: compact(message).encode("utf-16"), SYNTAX
    yield "UTF-16 without a mark", lambda message: compact(message).encode("utf-16-be"), SYNTAX
    yield "single quotes", lambda message: compact(message).replace('"', "'").encode(), SYNTAX
    yield "no quotes", raw(b"{verb:1}"), SYNTAX
    yield "a comma too many", lambda message: compact(message).encode()[:-1] + b",}", SYNTAX
    yield "a comma in front", lambda message: b"{," + compact(message).encode()[1:], SYNTAX
    yield "a comment", lambda message: b"/* */" + compact(message).encode(), SYNTAX
    yield "a line comment", lambda message: compact(message).encode() + b"// x", SYNTAX
    yield "a semicolon for a colon", lambda message: compact(message).replace(":", ";", 1).encode(), SYNTAX
    yield "white space of another kind", lambda message: b"\x0b" + compact(message).encode(), SYNTAX
    yield "a no-break space", lambda message: "\u00a0".encode() + compact(message).encode(), SYNTAX
    yield "only brackets", raw(b"[" * 1000), DEPTH + SYNTAX
    yield "brackets of 100,000 levels", raw(b"[" * 100_000), DEPTH + SYNTAX + ("DocumentTooLarge",)
    yield "objects of 5,000 levels", raw(b'{"a":' * 5000 + b"1" + b"}" * 5000), DEPTH
    yield "17 levels", added(b'"zz":' + b"[" * 17 + b"]" * 17), DEPTH
    yield "a member twice", lambda message: b'{"%s":1,' % first(message).encode() + compact(message).encode()[1:], TWICE
    yield "a member twice, one spelled in escapes", \
        lambda message: b'{"\\u%04x%s":1,' % (ord(first(message)[0]), first(message)[1:].encode()) + compact(message).encode()[1:], TWICE
    yield "an unknown member twice", added(b'"zz":1,"zz":1'), TWICE
    yield "an unknown member", added(b'"zz":1'), UNKNOWN
    yield "an unknown member without a name", added(b'"":1'), UNKNOWN
    yield "an unknown member with a NUL", added(b'"zz\\u0000":1'), UNKNOWN
    yield "a member in other case", lambda message: added(b'"%s":1' % first(message).upper().encode())(message), UNKNOWN
    yield "__proto__", added(b'"__proto__":{}'), UNKNOWN
    yield "a million members", raw(b"{" + b",".join(b'"%x":0' % number for number in range(120_000)) + b"}"), \
        ("LimitExceeded", "DocumentTooLarge") + UNKNOWN + MISSING
    for name, number in (("NaN", b"NaN"), ("Infinity", b"Infinity"), ("plus", b"+1"), ("hexadecimal", b"0x10"), ("a bare dot", b"."),
                         ("a minus alone", b"-"), ("an underscore", b"1_000"), ("two dots", b"1.2.3"), ("a dot at the end", b"1.")):
        yield f"a number: {name}", added(b'"zz":' + number), SYNTAX + NUMBER
    for name, number in (("a fraction", b"1.0"), ("an exponent", b"1e3"), ("minus zero", b"-0"), ("a leading zero", b"01"),
                         ("2 to the 53rd", b"9007199254740992"), ("minus 2 to the 53rd", b"-9007199254740992"),
                         ("2 to the 64th", b"18446744073709551616"), ("1000 digits", b"9" * 1000), ("a tiny fraction", b"1e-400")):
        yield f"a number: {name}", added(b'"zz":' + number), NUMBER + SYNTAX
    for name, text in (("a byte 255", b"\xff"), ("half a character", b"\xc3"), ("a lone continuation", b"\x80"),
                       ("an overlong slash", b"\xc0\xaf"), ("an overlong NUL", b"\xc0\x80"), ("a surrogate", b"\xed\xa0\x80"),
                       ("beyond Unicode", b"\xf4\x90\x80\x80"), ("five bytes", b"\xf8\x88\x80\x80\x80"), ("Latin-1", "café".encode("latin-1"))):
        yield f"bad UTF-8: {name}", added(b'"zz":"' + text + b'"'), SYNTAX
        yield f"bad UTF-8 in a name: {name}", added(b'"' + text + b'":1'), SYNTAX
    for name, text in (("a NUL", b"\0"), ("a line break", b"\n"), ("a tab", b"\t"), ("an escape character", b"\x1b[2J")):
        yield f"a bare control character: {name}", added(b'"zz":"' + text + b'"'), SYNTAX
    for name, text in (("unknown", b"\\x41"), ("cut", b"\\u00"), ("of no hex", b"\\u00zz"), ("half a pair", b"\\ud800"),
                       ("the second half", b"\\udc00"), ("two first halves", b"\\ud800\\ud800"), ("a bare backslash", b"\\")):
        yield f"an escape: {name}", added(b'"zz":"' + text + b'"'), SYNTAX


def members(message, optional=(), free=()):
    """Every member of a right message: missing, and of each wrong type. `free`: may hold any type."""
    for name, value in message.items():
        def with_value(other, name=name):
            return lambda right: compact({**right, name: other}).encode()

        if name not in optional:
            yield f"{name}: missing", lambda right, name=name: compact({key: one for key, one in right.items() if key != name}).encode(), MISSING
        if name in free:
            continue
        for kind, other in (("null", None), ("true", True), ("a number", 7), ("a text", "\u0001"), ("a list", [None]), ("an object", {"zz": 1})):
            if type(other) is type(value):
                continue
            yield f"{name}: {kind}", with_value(other), TYPE


def base64_texts(size=32):
    """Texts that are not the one base64url form of `size` bytes."""
    good = b64u(bytes(range(250 - size, 250)))
    yield "empty", ""
    yield "one short", b64u(bytes(size - 1))
    yield "one long", b64u(bytes(size + 1))
    yield "padded", good + "="
    yield "a character too many", good + "A"
    yield "a line break", good[:20] + "\n" + good[20:]
    yield "a blank", " " + good
    yield "the other alphabet", "+/" + good[2:]
    yield "a dot", good[:-1] + "."
    yield "bits after the end", good[:-1] + {"A": "B"}.get(good[-1], chr(ord(good[-1]) + 1))
    yield "a NUL", good[:-1] + "\u0000"
    yield "not ASCII", good[:-1] + "\u00e9"


def compact_texts(right):
    """A right compact JWS in other spellings; codes for each."""
    header, payload, signature = right.split(".")
    words = json.loads(__import__("documents").unb64u(header))

    def with_header(**changes):
        return ".".join((b64u(compact({**words, **changes}).encode()), payload, signature))

    yield "empty", "", ("JwsMalformed", "ValueOutOfRange")
    yield "one segment", header, ("JwsMalformed",)
    yield "two segments", header + "." + payload, ("JwsMalformed",)
    yield "four segments", right + ".", ("JwsMalformed",)
    yield "five segments", right + "..", ("JwsMalformed",)
    yield "dots", "..", ("JwsMalformed", "JsonInvalid")
    yield "no header", "." + payload + "." + signature, ("JwsMalformed", "JsonInvalid")
    yield "no payload", header + ".." + signature, ("JwsMalformed",)
    yield "no signature", header + "." + payload + ".", ("JwsMalformed",)
    yield "padding", right + "=", ("Base64Invalid",)
    yield "a line break behind", right + "\n", ("Base64Invalid",)
    yield "a blank in front", " " + right, ("Base64Invalid",)
    yield "a NUL behind", right + "\u0000", ("Base64Invalid",)
    yield "the other alphabet", header + "." + payload + "." + "+/" + signature[2:], ("Base64Invalid",)
    yield "the JSON form", compact({"payload": payload, "protected": header, "signature": signature}), ("JwsMalformed", "Base64Invalid")
    yield "crit", with_header(crit=["exp"]), ("HeaderNotAllowed",)
    yield "an empty crit", with_header(crit=[]), ("HeaderNotAllowed",)
    yield "b64 false", with_header(b64=False), ("HeaderNotAllowed",)
    yield "a jwk", with_header(jwk={"kty": "EC"}), ("HeaderNotAllowed",)
    yield "a jku", with_header(jku="https://a"), ("HeaderNotAllowed",)
    yield "an x5c", with_header(x5c=["MAA="]), ("HeaderNotAllowed",)
    yield "zip", with_header(zip="DEF"), ("HeaderNotAllowed",)
    yield "alg none", with_header(alg="none"), ("AlgorithmNotAllowed",)
    yield "alg of no text", with_header(alg=5), ("MemberTypeWrong",)
    yield "typ of no text", with_header(typ=None), ("MemberTypeWrong",)
    yield "an empty typ", with_header(typ=""), ("TextInvalid", "ValueOutOfRange", "TypMismatch", "MemberMissing")
    yield "a header that is a list", b64u(b"[]") + "." + payload + "." + signature, ("JwsMalformed",)
    yield "a header that is no JSON", b64u(b"{") + "." + payload + "." + signature, ("JsonInvalid",)
    yield "a header member twice", b64u(b'{"alg":"ES256","alg":"ES256"}') + "." + payload + "." + signature, ("JsonDuplicateMember",)
    yield "a short signature", header + "." + payload + "." + b64u(b"1234"), ("SignatureInvalid", "PersonUnknown", "SigningKeyNotListed")
    yield "129 KiB", right + "A" * 132_000, ("DocumentTooLarge", "JwsMalformed", "ValueOutOfRange")
