"""Cases of the refusal corpus: root-key packages that are no step."""
import json

from corpus import Pieces
from corpus_keys import FixedKey
from corpus_members import TOO_LARGE, altered, dashed, numbers, shapes
from corpus_world import HOUR, NOW
from documents import DAY, b64u, compact

STEP = "PackageStepInvalid"


def add_packages(world, control):
    def refuse(name, title, rows, code, text, group="package", **more):
        control.refuse(f"{group}/{name}", title, rows, code, "package", {"packages": text if type(text) is list else [text]}, **more)

    add_package_members(world, refuse)
    add_package_text(world, refuse)
    for add in (signature_cases, root_cases, step_cases, listing_cases, log_cases, list_cases):
        for name, title, rows, code, text in add(world):
            refuse(name, title, rows, code, text)


def add_package_members(world, refuse):
    protected = world.small(2)
    group = "members-package"
    for name, title, text, code in shapes(protected):
        refuse(name, title, "S1.46", code, world.sign_package(text), group)
    for name, title, text, code in numbers(protected, "version"):
        refuse(name, title, "S1.46", code, world.sign_package(text), group)
    right = world.small_package(2)
    for name, value in protected.items():
        other = {"version": 3, "rootKeys": {"root-5": {**value["root-5"], "n": world.keys["publisher-rsa"].jwk()["n"]}} if name == "rootKeys" else None,
                 "rootKeysExt": {**world.small(2)["rootKeysExt"], "root-3": world.keys["publisher-unlisted"].jwk()},
                 "signingKeys": {**value, "publisher-valve": world.listed("publisher-valve")} if name == "signingKeys" else None, "logs": protected["logs"][:1],
                 "minCounter": {}, "serverCAs": ["AAAA"], "deviceCAs": ["AAAA"], "disabledRootKeys": [], "threshold": 3}.get(name, None)
        other = altered(value) if other is None else other
        text = compact(protected).replace(f'"{name}":{compact(value)}', f'"{name}":{compact(other)}', 1)
        assert text != compact(protected), name
        refuse(f"{dashed(name)}-altered", f"{name} was altered after it was signed", "S1.43 S1.48", STEP, right.replace(compact(protected), text), group)
    whole = json.loads(right)
    for name in whole:
        rest = {key: value for key, value in whole.items() if key != name}
        refuse(f"outer-{dashed(name)}-missing", f"{name} is missing", "S1.46 S1.47", "MemberMissing", compact(rest), group)
        refuse(f"outer-{dashed(name)}-type", f"{name} is a text", "S1.46", "MemberTypeWrong", compact({**whole, name: "zz"}), group)
        refuse(f"outer-{dashed(name)}-twice", f"{name} is there twice", "S1.46", "JsonDuplicateMember", compact({name: whole[name]})[:-1] + "," + right[1:], group)
    refuse("outer-unknown", "a member beside protected that nobody knows", "S1.46", "MemberUnknown", '{"zz":1,' + right[1:], group)


def add_package_text(world, refuse):
    group = "package-text"
    right = world.small_package(2)
    protected = compact(world.small(2))
    resign = lambda old, new: world.sign_package(replaced(protected, old, new))
    texts = [("escaped-name", "a name of protected spelt with an escape", "TextInvalid", resign('"minCounter"', '"\\u006dinCounter"')),
             ("escaped-value", "a value of protected spelt with an escape", "TextInvalid", resign('"publisher"', '"\\u0070ublisher"')),
             ("escaped-slash", "an escaped slash in protected", "TextInvalid", resign('"log.acme"', '"log.acme\\/x"')),
             ("slash", "a slash in protected", "TextInvalid", resign('"origin":"log.acme"', '"origin":"log.acme/x"')),
             ("no-ascii", "a letter outside ASCII in protected", "TextInvalid", resign('"origin":"log.acme"', '"origin":"log.acm\u00e9"')),
             ("name-escaped-outside", "the name protected itself spelt with an escape, and a plain one missing", "MemberMissing",
              right.replace('{"protected"', '{"\\u0070rotected"', 1)),
             ("twice-escaped-outside", "protected twice, once spelt with an escape", "JsonDuplicateMember", right.replace("{", '{"\\u0070rotected":{},', 1)),
             ("is-test", "a test package, as other agents know them", "MemberUnknown", resign('"threshold":2', '"threshold":2,"isTest":true')),
             ("fraction", "the version with a fraction", "JsonNumberInvalid", resign('"version":2', '"version":2.0')),
             ("too-large", "the threshold is 2^53", "JsonNumberInvalid", resign('"threshold":2', f'"threshold":{TOO_LARGE}')),
             ("two", "a second package behind", "JsonInvalid", right + right), ("cut", "the last byte is missing", "JsonInvalid", right[:-1]),
             ("empty", "an empty text", "JsonInvalid", ""), ("list", "a list of packages", "MemberTypeWrong", f"[{right}]"),
             ("null", "null", "MemberTypeWrong", "null"), ("mark", "a byte order mark", "JsonInvalid", "\ufeff" + right),
             ("deep", "17 levels", "JsonTooDeep", '{"zz":' + "[" * 17 + "]" * 17 + "," + right[1:])]
    for name, title, code, text in texts:
        refuse(name, title, "S1.46", code, text, group)
    large = "S1.42 S1.45 S1.16 X6"
    refuse("huge", "blanks up to 42 KB", large, "DocumentTooLarge", Pieces([{"text": " ", "times": 42_000}, {"text": right}]), group)
    refuse("huge-depth", "40,000 levels", large, "JsonTooDeep", Pieces([{"text": "[", "times": 40_000}]), group)
    refuse("huge-key", "a root of 30,000 digits", large, "ValueOutOfRange",
           Pieces([{"text": '{"protected":{"version":'}, {"text": "9", "times": 15}, {"text": ',"published":1,"expires":2,"directorEpoch":1,"threshold":2,"rootKeys":{"a":{"keyType":"RSA","n":"'},
                   {"text": "A", "times": 30_000}, {"text": '","e":65537}}},"signatures":[],"signaturesExt":[]}'}]), group)


def replaced(text, old, new):
    assert old in text, old
    return text.replace(old, new, 1)


def signature_cases(world):
    rows = "S1.47 S1.43 S1.48"
    protected = compact(world.small(2))
    sign = lambda *signers, **keys: world.sign_package(protected, signers, keys.get("keys"))
    right = json.loads(world.small_package(2))
    first, second = right["signaturesExt"]
    with_signatures = lambda *signatures, positional=(): '{"protected":' + protected + ',"signatures":' + compact(list(positional)) + ',"signaturesExt":' + compact(list(signatures)) + "}"
    foreign = FixedKey.p256("root of somebody else")
    yield "signed-by-none", "no root signed it", rows, STEP, sign()
    yield "signed-by-one", "one root signed it, and two are needed", rows + " X4", STEP, sign("root-1")
    yield "signed-twice-by-one", "one root signed it twice", rows, STEP, with_signatures(first, first)
    yield "signed-by-one-and-a-disabled-one", "one root and one that is disabled", rows + " S1.44 S1.49", STEP, sign("root-1", "root-4")
    yield "signed-by-one-and-a-stranger", "one root and one that no package names", rows, STEP, sign("root-1", "root-9", keys={"root-9": foreign})
    yield "signed-by-strangers", "two roots of somebody else under the kids of ours", rows + " S1.37 S1.38 S1.50", STEP, \
        sign("root-1", "root-2", keys={"root-1": foreign, "root-2": FixedKey.p256("another root of somebody else")})
    yield "signatures-swapped", "two good signatures under each other's kids", rows, STEP, with_signatures({**first, "sig": second["sig"]}, {**second, "sig": first["sig"]})
    yield "signature-altered", "one bit of one signature", rows, STEP, with_signatures(first, {**second, "sig": ("A" if second["sig"][0] != "A" else "B") + second["sig"][1:]})
    yield "signature-of-older", "the signatures of the package before it", rows, STEP, with_signatures(*json.loads(world.package(1))["signaturesExt"])
    yield "signature-alg-other", "a P-256 root's signature under RS256", rows, STEP, with_signatures(first, {**second, "alg": "RS256"})
    for alg in ("HS256", "none", "ES384", "PS256", "EdDSA", ""):
        yield f"signature-alg-{alg.lower() or 'empty'}", f"signatures of alg {alg or 'empty'} alone", "S1.46 S1.47", "AlgorithmNotAllowed", \
            with_signatures(*[{**one, "alg": alg} for one in (first, second)])
    yield "signature-kid-missing", "a signature without kid", "S1.51 S1.47", "MemberMissing", with_signatures(first, {key: value for key, value in second.items() if key != "kid"})
    for name, kid in (("empty", ""), ("path", "../root-2"), ("long", "r" * 65)):
        yield f"signature-kid-{name}", f"a signature whose kid is {kid[:12]!r}", "S1.51 X10", "IdInvalid", with_signatures(first, {**second, "kid": kid})
    yield "signature-unknown-member", "a signature with a member that nobody knows", "S1.47", "MemberUnknown", with_signatures(first, {**second, "zz": 1})
    yield "signature-padded", "a signature with padding", "S1.47", "Base64Invalid", with_signatures(first, {**second, "sig": second["sig"] + "=="})
    rsa = {"alg": "RS256", "sig": b64u(world.rsa_root.sign(protected))}
    yield "positional-only", "positional signatures, which count for other agents and not for ours", "S1.47", STEP, with_signatures(positional=[rsa])
    yield "positional-and-one", "a positional signature and one of ours", "S1.47", STEP, with_signatures(first, positional=[rsa])
    yield "positional-too-many", "more positional signatures than RSA roots", "S1.47", "ValueOutOfRange", with_signatures(first, second, positional=[rsa, rsa])
    yield "positional-alg", "a positional signature of another alg", "S1.47", "AlgorithmNotAllowed", with_signatures(first, second, positional=[{**rsa, "alg": "ES256"}])


def root_cases(world):
    rows = "S1.39 S1.40 S1.41"
    new = {f"root-{number}": FixedKey.p256(f"new root {number}") for number in (1, 2, 3)}
    jwks = {kid: key.jwk() for kid, key in new.items()}
    both = {**new, "old-1": world.roots["root-1"], "old-2": world.roots["root-2"]}
    ours = world.small(2)["rootKeysExt"]
    yield "new-roots-name-themselves", "new roots that only they signed", rows, STEP, world.small_package(2, keys=new, rootKeysExt=jwks)
    yield "new-roots-unsigned", "new roots that only the old ones signed", rows, STEP, world.small_package(2, rootKeysExt=jwks)
    yield "new-roots-one-each", "one old root and one new one signed", rows, STEP, \
        world.sign_package(compact(world.small(2, rootKeysExt={**jwks, "old-1": ours["root-1"]}, disabledRootKeys=[])), ("old-1", "root-2"), both)
    yield "one-key-two-names", "one root under two kids signed twice", rows + " S1.47", STEP, \
        world.small_package(2, ("root-1", "root-6"), {**world.roots, "root-6": world.roots["root-1"]}, rootKeysExt={**ours, "root-6": ours["root-1"]})
    yield "roots-none", "no roots at all", "S1.46", STEP, world.small_package(2, rootKeys={}, rootKeysExt={}, disabledRootKeys=[])
    yield "roots-all-disabled", "every root is disabled", "S1.46", STEP, world.small_package(2, disabledRootKeys=["root-1", "root-2", "root-3", "root-4", "root-5"])
    yield "roots-too-few", "fewer enabled roots than are needed", "S1.46", STEP, world.small_package(2, disabledRootKeys=["root-2", "root-3", "root-4", "root-5"])
    yield "root-in-both-lists", "one kid in both lists of roots", "S1.46", "AlreadyExists", world.small_package(2, rootKeysExt={**ours, "root-5": ours["root-3"]})
    for name, kid, code in (("empty", "", "IdInvalid"), ("long", "r" * 65, "IdInvalid"), ("blank", "root 6", "IdInvalid"), ("path", "../root-6", "TextInvalid")):
        yield f"root-kid-{name}", f"a root whose kid is {kid[:12]!r}", "S1.51 X10", code, world.small_package(2, rootKeysExt={**ours, kid: ours["root-3"]})
    yield "root-rsa-in-ext", "an RSA root where only P-256 may be", "S1.46", "AlgorithmNotAllowed", world.small_package(2, rootKeysExt={**ours, "root-6": world.rsa_root.jwk()})
    yield "root-ed25519", "an Ed25519 root", "S1.46", "AlgorithmNotAllowed", world.small_package(2, rootKeysExt={**ours, "root-6": world.log.key.jwk()})
    yield "root-off-the-curve", "a root that is no point of the curve", "S1.46", "KeyInvalid", \
        world.small_package(2, rootKeysExt={**ours, "root-6": {**ours["root-3"], "x": ours["root-2"]["x"]}})
    rsa = world.small(2)["rootKeys"]["root-5"]
    small = FixedKey.rsa("small", 1024).jwk()["n"]
    for name, title, change, code in (("weak", "an RSA root of 1024 bits", {"n": small}, "KeyWeak"), ("exponent", "an RSA root with exponent 3", {"e": 3}, "ValueOutOfRange"),
                                      ("type", "an RSA root that says EC", {"keyType": "EC"}, "KeyInvalid"), ("unknown", "an RSA root with a member more", {"zz": 1}, "MemberUnknown")):
        yield f"root-rsa-{name}", title, "S1.46", code, world.small_package(2, rootKeys={"root-5": {**rsa, **change}})


def step_cases(world):
    rows = "S1.39 S1.40 S1.41"
    yield "skipped", "version 3 after version 1", rows, STEP, world.small_package(3)
    yield "version-0", "version 0", "S1.46", "ValueOutOfRange", world.small_package(0)
    yield "same-version", "version 1 again with other bytes", "S1.44 S1.49", STEP, world.small_package(1, expires=NOW + 200 * DAY)
    yield "two-skipped", "versions 3 and 4", rows, STEP, [world.small_package(3), world.small_package(4)]
    yield "epoch-fell", "the director's epoch fell", "X2", STEP, world.small_package(2, directorEpoch=1)
    yield "lives-too-long", "a package of 400 days and a second", "S1.29", STEP, world.small_package(2, published=NOW, expires=NOW + 400 * DAY + 1)
    yield "expires-before", "it expires when it is published", "X1", "ValueOutOfRange", world.small_package(2, expires=NOW - HOUR)
    for threshold, code in ((0, "ValueOutOfRange"), (1, "ValueOutOfRange"), (33, "ValueOutOfRange"), (4, STEP)):
        yield f"threshold-{threshold}", f"a threshold of {threshold}", "S1.47 X4", code, world.small_package(2, ("root-1", "root-2", "root-3"), threshold=threshold)


def listing_cases(world):
    few = world.small()["signingKeys"]
    listings = lambda **more: world.small_package(2, signingKeys={**few, **more})
    one = lambda **changes: listings(extra={**world.listed("publisher-unlisted"), **changes})
    rows = "S1.46 S1.29"
    yield "listing-400-days", "a publisher listed for 400 days and a second", rows, STEP, one(notBefore=NOW, notAfter=NOW + 400 * DAY + 1)
    publisher = {"publisher-1": few["publisher-1"]}
    yield "listing-35-days", "a director listed for 35 days and a second", rows, STEP, \
        world.small_package(2, signingKeys={**publisher, "director-3": {**world.listed("director-3", "director", []), "notBefore": NOW, "notAfter": NOW + 35 * DAY + 1}})
    yield "listing-third-director", "three directors", rows, STEP, \
        listings(**{f"director-{number}": world.listed(f"director-{number}", "director", []) for number in (3, 9)})
    yield "listing-twice", "one key listed under two kids", rows, STEP, listings(extra=world.listed("publisher-1"))
    yield "listing-two-purposes", "one key listed as publisher and as director", "S1.46 X4", STEP, \
        world.small_package(2, signingKeys={**publisher, "director-1": {**world.listed("publisher-1"), "role": "director", "products": []}})
    yield "listing-root", "a root listed as a signing key", "S1.46 X4", STEP, one(thumbprint=b64u(world.roots["root-1"].thumbprint()))
    yield "listing-role", "a role that nobody knows", "S1.46", "ValueOutOfRange", one(role="root")
    yield "listing-ends-first", "a listing that ends when it begins", rows, "ValueOutOfRange", one(notAfter=world.listed("publisher-unlisted")["notBefore"])
    yield "listing-thumbprint-short", "a thumbprint of 31 bytes", "S1.46", "Base64Invalid", one(thumbprint=b64u(bytes(31)))
    yield "listing-product-slash", "a product with a slash", "S1.46", "TextInvalid", one(products=["acme/pump"])
    yield "listing-product-bare", "a product without its vendor", "S1.46", "IdInvalid", one(products=["pump"])
    yield "listing-unknown-member", "a listing with a member that nobody knows", "S1.46", "MemberUnknown", one(zz=1)
    yield "listing-number-for-text", "a listing whose role is a number", "S1.46", "MemberTypeWrong", one(role=1)
    for alg in ("HS256", "none", "ES384", "PS256", "EdDSA"):
        yield f"listing-alg-{alg.lower()}", f"a listing of alg {alg}", "S1.46", "AlgorithmNotAllowed", one(alg=alg)
    for name, kid in (("empty", ""), ("long", "k" * 65), ("blank", "key 1")):
        yield f"listing-kid-{name}", f"a listing whose kid is {kid[:8]!r}", "S1.51 X10", "IdInvalid", listings(**{kid: world.listed("publisher-unlisted")})


def log_cases(world):
    log, witnessed = world.small(2)["logs"]
    package = lambda *logs: world.small_package(2, logs=list(logs))
    rows = "S1.46"
    yield "log-twice", "one log twice", rows, "AlreadyExists", package(log, log)
    yield "log-without-keys", "a log without a key", rows, "ValueOutOfRange", package({**log, "vkeys": []})
    yield "log-key-garbled", "a log's key that is none", rows, "TextInvalid", package({**log, "vkeys": ["log.acme"]})
    yield "log-key-id", "a log's key whose id is of another key", rows, "KeyInvalid", package({**log, "vkeys": [log["vkeys"][0].replace(world.log.key_id().hex(), "00000000")]})
    yield "log-origin-blank", "an origin with a blank", rows, "TextInvalid", package({**log, "origin": "log acme"})
    for name, quorum, code in (("zero", 0, "ValueOutOfRange"), ("above", 2, "ValueOutOfRange"), ("text", "some", "MemberTypeWrong"), ("true", True, "MemberTypeWrong")):
        yield f"log-quorum-{name}", f"a quorum of {quorum!r} with one witness", rows, code, package(log, {**witnessed, "quorum": quorum})


def list_cases(world):
    rows = "S1.46 S1.44"
    disabled = lambda *more: world.small_package(2, disabledSigningKeys=[world.disabled("publisher-disabled"), *more])
    yield "disabled-alg", "a disabled key by another hash than SHA-256", rows, "AlgorithmNotAllowed", disabled({"alg": "SHA1", "hash": b64u(bytes(32))})
    yield "disabled-hash-short", "a disabled key's hash of 20 bytes", rows, "Base64Invalid", disabled({"alg": "SHA256", "hash": b64u(bytes(20))})
    yield "disabled-hash-missing", "a disabled key without hash", rows, "MemberMissing", disabled({"alg": "SHA256"})
    yield "disabled-root-path", "a disabled root with a path for its kid", rows + " X10", "TextInvalid", world.small_package(2, disabledRootKeys=["../root-4"])
    yield "disabled-root-number", "a disabled root that is a number", rows, "MemberTypeWrong", world.small_package(2, disabledRootKeys=[4])
    yield "min-counter-text", "a least counter that is a text", "S1.46 X2", "MemberTypeWrong", world.small_package(2, minCounter={"acme:pump": "2"})
    yield "min-counter-product", "a least counter of a product without vendor", "S1.46", "IdInvalid", world.small_package(2, minCounter={"pump": 2})
    yield "ca-empty", "an empty certificate", "S1.46", "ValueOutOfRange", world.small_package(2, serverCAs=[""])
    yield "ca-base64", "a certificate with padding", "S1.46", "Base64Invalid", world.small_package(2, deviceCAs=["AAA="])
