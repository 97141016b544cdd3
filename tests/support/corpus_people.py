"""Cases of the refusal corpus: documents that people, devices and, for the security team, the roots sign. No device gets them.

One file a kind, people/<kind>.json: all its cases are judged by one run of `fleetseal verify`.
"""
import corpus_forms as forms
from corpus import Pieces
from corpus_forms import Signed
from corpus_keys import FixedKey, stream
from corpus_members import numbers
from corpus_nested import nested_changes, nested_shapes
from corpus_world import HOUR, NOW
from documents import DAY, b64u, compact, jws, sha256, unb64u

WHY = "the signer and auditors read it; the installer and the library are never given one"
CURVE_ORDER = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551
# The forms of which each kind has one; the request has all.
FORMS = """two-segments four-segments no-signature padded other-alphabet spare-bits newline-after header-crit header-b64 header-jwk header-x5c header-alg-none
header-alg-none-signed header-alg-hs256 header-alg-rs256 header-typ-missing header-typ-other-case header-twice payload-list payload-deep signature-bit signature-zero
signature-short""".split()


class Kind:
    """`others`: values of members that a parser takes, by path; `unreadable`: codes of what an altered member cannot be read as, by the case's name."""

    def __init__(self, name, key, payload, maps=(), optional=(), others=None, unreadable=None, typ=None, ended=None):
        self.name, self.key, self.payload, self.maps, self.optional = name, key, payload, maps, optional
        self.others = {("product",): "acme/valve", **(others or {})}
        self.unreadable, self.typ, self.ended = unreadable or {}, f"fleetseal-{typ or name}+jws", ended
        self.cases = []

    def refuse(self, name, title, code, text):
        """`code`: None if nobody can judge it."""
        assert name not in [case["name"] for case in self.cases], (self.name, name)
        value = {"pieces": text} if isinstance(text, Pieces) else {"text": text}
        self.cases.append({"name": name, "title": title, **({"code": code} if code else {}), **value})


KEY_PARTS = {"kty": "KeyInvalid", "crv": "KeyInvalid", "x": "KeyInvalid", "y": "KeyInvalid"}


def key_parts(prefix):
    return {f"{prefix}-{name}-altered": code for name, code in KEY_PARTS.items()}


def kinds(world, keys):
    digest = lambda name: b64u(stream(name, 32))
    once = {"nonce": b64u(stream("nonce of a person", 16))}
    dates = {"issued": NOW - 5, "expires": NOW + HOUR}
    point = {"releaseCounter": 3, "manifestSha256": digest("from")}
    asked = {"product": "acme/pump", "audience": "urn:fleetseal:acme", "requester": "ann", **once, **dates}
    kind_code = {"kind-altered": "ValueOutOfRange"}
    yield Kind("request", keys["ann"], {"requestId": "r-1", "kind": "manifest", "manifestSha256": digest("manifest"), "delivery": "sealed", **asked},
               others={("delivery",): "clear"}, unreadable=kind_code, ended="ApprovalExpired")
    yield Kind("request-resign", keys["ann"], {"requestId": "r-1", "kind": "resign", "manifestSha256": digest("manifest"), **asked}, typ="request", unreadable=kind_code, ended="ApprovalExpired")
    yield Kind("request-permit", keys["ann"], {"requestId": "r-1", "kind": "permit", "from": point, "to": {**point, "releaseCounter": 2}, "deviceIds": ["dev-1", "dev-2"],
                                               "permitExpires": NOW + DAY, **asked}, typ="request", unreadable=kind_code, ended="ApprovalExpired")
    yield Kind("approval", keys["bob"], {"requestId": "r-1", "typ": "fleetseal-manifest+jws", "payloadSha256": digest("payload"), "keyThumbprint": digest("key"),
                                         "policySha256": digest("policy"), "decision": "approve", "reason": "tested", "approver": "bob", **once, **dates},
               optional=[("reason",)], others={("decision",): "reject"}, ended="ApprovalExpired")
    yield Kind("plan", keys["eve"], {"planId": "p-1", "product": "acme/pump", "environment": "production", "manifestSha256": digest("manifest"), "devices": ["dev-1", "dev-2"],
                                     "window": {"notBefore": NOW, "notAfter": NOW + HOUR}, "deadline": NOW + HOUR, "reboot": "now", "bytesMax": 1000, "operator": "eve", **once, **dates},
               optional=[("window",), ("deadline",), ("bytesMax",)], others={("reboot",): "later"}, ended="PlanExpired")
    yield Kind("revocation", keys["eve"], {"revocationId": "v-1", "kind": "device", "subject": "dev-1", "action": "revoke", "reason": "stolen", "person": "eve", **once, "issued": NOW - 5},
               others={("kind",): "person", ("action",): "suspend"}, ended="")
    yield from change_kinds(keys, {**once, "issued": NOW - 5})
    yield from device_kinds(world, keys, digest)


def change_kinds(keys, end):
    jwk = FixedKey.p256("key of tess").jwk()
    policy = {"policyId": "policy-1", "product": "acme/pump", "approvals": 1, "delivery": "sealed", "environments": ["production"], "reviewBy": NOW + DAY}
    at = lambda name: ("changes", 0, name)
    halt = b64u(stream("halt", 16))
    changes = {"register-change": {"action": "add-person", "id": "tess", "roles": ["operator", "auditor"], "products": ["acme/pump"], "key": jwk},
               "register-change-policy": {"action": "set-policy", "policy": policy},
               "register-change-security": {"action": "set-security", "people": ["ann", "bob"], "quorum": 2},
               "register-change-device": {"action": "allow-device", "id": "dev-1", "product": "acme/pump", "environment": "production", "properties": {"model": "pump-1"}, "generation": 1,
                                          "enrolmentKey": keys["code of dev-1"].jwk()["x"], "estCode": False, "expires": NOW + DAY},
               "register-change-continue": {"action": "continue-after-restore", "haltId": halt, "logSize": 5, "sequenceFloor": 6, "adoptLog": False, "quarantine": ["dev-1"]},
               "register-change-key": {"action": "create-key", "role": "publisher", "products": ["acme/pump", "acme/valve"], "alg": "ES256"},
               "register-change-log": {"action": "new-log", "origin": "log-2.acme", "previousOrigin": "log.acme", "previousSize": 5, "lost": True, "haltId": halt, "sequenceFloor": 6,
                                       "reason": "the disk is gone"}}
    others = {at("product"): "acme/valve", (*at("policy"), "product"): "acme/valve", (*at("policy"), "delivery"): "clear", at("origin"): "log-3.acme", at("quorum"): 1, at("role"): "agent-release", at("alg"): "RS256"}
    unreadable = {"changes-altered": "ValueOutOfRange", "changes-first-action-altered": "ValueOutOfRange", **key_parts("changes-first-key")}
    for name, change in changes.items():
        mine = {**others, **({at("people"): ["ann", "eve"]} if name == "register-change-security" else {})}
        yield Kind(name, keys["cleo"], {"changeId": "c-1", "sequence": 0 if name.endswith("device") else 4, "changes": [change], **end}, typ="register-change",
                   maps={("changes", 0, "properties")}, optional=[at("haltId")] if name.endswith("log") else (), others=mine, unreadable=unreadable, ended="")


def device_kinds(world, keys, digest):
    phases = {"accepted": NOW - 9, "committed": NOW - 5}
    yield Kind("receipt", keys["receipt of dev-1"],
               {"deviceId": "dev-1", "generation": 1, "number": 2, "previous": digest("previous"), "orderId": "order-1", "epoch": 2, "sequence": 100, "manifestSha256": digest("manifest"),
                "product": "acme/pump", "releaseCounter": 4, "publisherKey": digest("publisher"), "directorKey": digest("director"), "checkpointSize": 7,
                "files": [{"fileId": "f0000000000000001", "sha256": digest("file")}], "phases": phases, "outcome": "rolled-back", "code": "HealthCheckFailed",
                "document": digest("order"), "count": 1, "issued": NOW - 5},
               maps={("phases",)}, others={("outcome",): "failed"},
               optional=[(name,) for name in ("orderId", "manifestSha256", "product", "releaseCounter", "publisherKey", "directorKey", "code", "document")])
    jwk = keys["receipt of dev-1"].jwk()
    yield Kind("device-keys", keys["receipt of dev-1"],
               {"deviceId": "dev-1", "generation": 1, "csrSha256": digest("csr"), "receiptKey": jwk, "encryptionKey": FixedKey.p256("encryption key of dev-1").jwk(), "issued": NOW - 5},
               unreadable={**key_parts("receipt-key"), **key_parts("encryption-key")})
    yield Kind("enrolment", keys["code of dev-1"], {"deviceId": "dev-1", "keys": "a.b.c", "issued": NOW - 5})


def add_people(corpus, world):
    keys = {name: FixedKey.p256(f"key of {name}") for name in ("ann", "bob", "eve", "cleo", "receipt of dev-1")}
    keys["code of dev-1"] = FixedKey.ed25519("code of dev-1")
    register = {key.kid(): key.jwk() for key in keys.values()}
    for kind in kinds(world, keys):
        accepted = add_kind(kind, keys)
        put(corpus, kind, accepted, keys=register)
    add_replacement(corpus, world)


def put(corpus, kind, accepted, **trust):
    corpus.put_json(f"people/{kind.name}.json", {"title": kind.typ, "judges": ["verify"], "why": WHY, "now": NOW, **trust, "accepted": accepted, "cases": kind.cases})


def add_kind(kind, keys):
    header = {"alg": kind.key.alg, "typ": kind.typ, "kid": kind.key.kid()}
    signed = Signed("", None, "", kind.key, header, kind.payload)
    right = signed.make()
    head, _, signature = right.split(".")
    for name, title, text, code in nested_shapes(kind.payload, kind.maps, kind.optional, is_top=True):
        kind.refuse(name, title, code, signed.make(payload=text))
    for name, title, text in nested_changes(kind.payload, kind.maps, kind.others, is_top=True):
        kind.refuse(name, title, kind.unreadable.get(name, "SignatureInvalid"), f"{head}.{b64u(text.encode())}.{signature}")
    for name, title, text, code in numbers(kind.payload, "issued"):
        kind.refuse(name, title, code, signed.make(payload=text))
    for make in (forms.spellings, forms.headers, forms.payloads, forms.signatures):
        for name, title, _, code, text in make(signed):
            # What does not begin as a JWS is no document of ours; with the typ of another kind it is one of that kind, below.
            if text.startswith("ey") and name != "header-typ-plan" and (kind.name == "request" or name in FORMS):
                kind.refuse(name, title, code, text)
    other = keys["bob" if kind.key is not keys["bob"] else "ann"]
    add_keys(kind, signed, other)
    deep = signed.make(payload='{"zz":' + "[" * 9_000)
    kind.refuse("huge", "131 KB", "DocumentTooLarge", Pieces([{"text": right}, {"text": "A", "times": 131_072}]))
    kind.refuse("huge-depth", "a properly signed payload of 9,000 levels", "JsonTooDeep",
                Pieces([{"text": head + "." + b64u(b'{"zz":')}, {"text": "W1tb", "times": 3_000}, {"text": "." + deep.rsplit(".", 1)[1]}]))
    if kind.ended is not None:
        kind.refuse("ahead", "issued six minutes ahead", kind.ended or "ApprovalExpired", signed.make(payload={**kind.payload, **later(kind.payload)}))
    if kind.ended:
        kind.refuse("expired", "it expires this second", kind.ended, signed.make(payload={**kind.payload, "expires": NOW}))
    return right


def later(payload):
    return {"issued": NOW + 360, **({"expires": NOW + HOUR} if "expires" in payload else {})}


def add_keys(kind, signed, other):
    """Keys that may not sign it, and headers that name one in another way than the one."""
    header = signed.header
    kind.refuse("key-other", "by the key of somebody else, under this one's kid", "SignatureInvalid", jws(other, {**header, "alg": other.alg}, compact(kind.payload))
                if kind.key.alg == other.alg else signed.make().rsplit(".", 1)[0] + "." + b64u(other.sign("x")))
    kind.refuse("key-unknown", "by a key that nobody gave", None, jws(FixedKey.p256("key of nobody"), {**header, "alg": "ES256", "kid": FixedKey.p256("key of nobody").kid()}, compact(kind.payload)))
    other_payload = {**kind.payload, "issued": NOW - 6}
    kind.refuse("signature-swapped", "the signature of another document by the same key", "SignatureInvalid",
                signed.make().rsplit(".", 1)[0] + "." + signed.make(payload=other_payload).rsplit(".", 1)[1])
    kind.refuse("kid-missing", "no kid", "HeaderNotAllowed", signed.with_header(kid=None))
    kind.refuse("kid-number", "a kid that is a number", "MemberTypeWrong", signed.with_header(kid=5))
    for name, value in (("empty", ""), ("path", "../ann"), ("long", "k" * 65)):
        kind.refuse(f"kid-{name}", f"the kid is {value[:8]!r}", "IdInvalid", signed.with_header(kid=value))
    kind.refuse("sjwk-too", "a signing key beside the kid", "HeaderNotAllowed", signed.with_header(sjwk="a.b.c"))
    of_another = "fleetseal-plan+jws" if signed.header["typ"] != "fleetseal-plan+jws" else "fleetseal-approval+jws"
    kind.refuse("typ-of-another-kind", f"it says that it is a {of_another}", "MemberMissing", signed.with_header(typ=of_another))
    altered = {"alg": ("RS256", "AlgorithmNotAllowed"), "typ": (of_another, "MemberMissing"), "kid": (other.kid(), "SignatureInvalid" if other.alg == kind.key.alg else "AlgorithmNotAllowed")}
    for name, title, _, code, text in forms.header_members(signed, altered):
        kind.refuse(name, title, code, text)
    if kind.name == "receipt":
        head, tail = signed.make().rsplit(".", 1)
        raw = unb64u(tail)
        twin = raw[:32] + (CURVE_ORDER - int.from_bytes(raw[32:], "big")).to_bytes(32, "big")
        kind.refuse("signature-twin", "the other s of the same signature", "ReceiptInvalid", f"{head}.{b64u(twin)}")


# --- by the roots ------------------------------------------------------------------------------------------------------------------


def add_replacement(corpus, world):
    jwk = lambda name: FixedKey.p256(f"key of {name}").jwk()
    halt = {"haltId": b64u(stream("halt", 16)), "logSize": 5, "sequenceFloor": 6, "adoptLog": False, "quarantine": ["dev-1"]}
    payload = {"changeId": "c-1", "organisation": "acme", "packageVersion": 1, "packageSha256": world.package_sha256(1), "sequence": 5,
               "people": [{"id": "tess", "key": jwk("tess")}, {"id": "ursula", "key": jwk("ursula")}], "quorum": 2, "continueAfterRestore": halt, "issued": NOW - 5, "expires": NOW + DAY}
    kind = Kind("security-replacement", None, payload, optional=[("continueAfterRestore",)])
    header = lambda root: {"alg": "ES256", "typ": kind.typ, "kid": root}
    sign = lambda root, text, key=None: jws(key or world.roots[root], header(root), text)
    whole = lambda text, *signatures: compact({"payload": text, "jws": list(signatures)})
    by_both = lambda text: whole(text, sign("root-1", text), sign("root-2", text))
    text = compact(payload)
    right = by_both(text)
    for name, title, changed, code in nested_shapes(payload, kind.maps, kind.optional, is_top=True):
        kind.refuse(name, title, code, by_both(changed))
    for name, title, changed, code in numbers(payload, "issued"):
        kind.refuse(name, title, code, by_both(changed))
    first, second = sign("root-1", text), sign("root-2", text)
    for name, title, changed in nested_changes(payload, kind.maps, {("quorum",): 1}, is_top=True):
        moved = lambda one: f"{one.split('.')[0]}.{b64u(changed.encode())}.{one.split('.')[2]}"
        kind.refuse(name, title, "SignatureInvalid", whole(changed, moved(first), moved(second)))
    signed = Signed("", None, "", world.roots["root-2"], header("root-2"), payload)
    for make in (forms.spellings, forms.headers, forms.signatures):
        for name, title, _, code, one in make(signed):
            if name in FORMS:
                kind.refuse(name, f"one of the signatures: {title}", code, whole(text, first, one))
    stranger = FixedKey.p256("root of somebody else")
    for name, title, code, signatures in (("signed-by-none", "no root signed", "QuorumNotReached", []), ("signed-by-one", "one root signed, and two are needed", "QuorumNotReached", [first]),
                                          ("signed-twice-by-one", "one root signed twice", "QuorumNotReached", [first, first]),
                                          ("root-disabled", "by a root that is disabled", "DisallowedRootKid", [first, sign("root-4", text)]),
                                          ("root-unknown", "by a root that no package names", "UnknownRootKid", [first, sign("root-9", text, stranger)]),
                                          ("root-of-somebody", "by somebody else under the kid of a root", "SignatureInvalid", [first, sign("root-2", text, stranger)]),
                                          ("by-publisher", "by a publisher under the kid of a root", "SignatureInvalid", [first, sign("root-2", text, world.publisher)]),
                                          ("signatures-swapped", "two good signatures under each other's kids", "SignatureInvalid",
                                           [first.rsplit(".", 1)[0] + "." + second.rsplit(".", 1)[1], second.rsplit(".", 1)[0] + "." + first.rsplit(".", 1)[1]]),
                                          ("too-many", "33 signatures", "ValueOutOfRange", [first] * 33)):
        kind.refuse(name, title, code, whole(text, *signatures))
    other = compact({**payload, "changeId": "c-2"})
    kind.refuse("other-payload", "one root signed another text than the one shown", "SignatureInvalid", whole(text, first, sign("root-2", other)))
    for name, title, code, changes in (("package-other", "it names other bytes of the package", "Conflict", {"packageSha256": b64u(sha256("x"))}),
                                       ("package-later", "it names a package that is not there", "Conflict", {"packageVersion": 2}),
                                       ("quorum-0", "nobody decides", "ValueOutOfRange", {"quorum": 0}), ("quorum-3", "three of two decide", "ValueOutOfRange", {"quorum": 3}),
                                       ("people-none", "nobody", "ValueOutOfRange", {"people": []}),
                                       ("person-twice", "one person twice", "ValueOutOfRange", {"people": [payload["people"][0]] * 2}),
                                       ("key-twice", "one key under two names", "ValueOutOfRange", {"people": [payload["people"][0], {"id": "ursula", "key": jwk("tess")}]}),
                                       ("lives-too-long", "30 days and a second", "ValueOutOfRange", {"expires": NOW - 5 + 30 * DAY + 1}),
                                       ("expired", "it expires this second", "ApprovalExpired", {"expires": NOW}), ("ahead", "issued six minutes ahead", "ApprovalExpired", {"issued": NOW + 360})):
        kind.refuse(name, title, code, by_both(compact({**payload, **changes})))
    outer = {"payload": text, "jws": [first, second]}
    kind.refuse("outer-unknown", "a member beside payload and jws that nobody knows", "MemberUnknown", compact({**outer, "zz": 1}))
    kind.refuse("outer-payload-type", "the payload is an object", "MemberTypeWrong", compact({**outer, "payload": payload}))
    kind.refuse("outer-jws-type", "jws is a text", "MemberTypeWrong", compact({**outer, "jws": first}))
    kind.refuse("outer-twice", "jws twice", "JsonDuplicateMember", compact(outer)[:-1] + ',"jws":[]}')
    put(corpus, kind, right, package="bases/package-1.json")
