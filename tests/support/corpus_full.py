"""Cases of the refusal corpus: documents with every member that they can have, and what can be wrong inside them."""
import hashlib
import json

import documents
from corpus_decisions import world_leaf
from corpus_forms import Signed
from corpus_keys import FixedKey, stream
from corpus_nested import Raw, changed, member_shapes, nested_changes, nested_shapes, short, spelt
from corpus_world import DEVICE, ENCRYPTION_KEY, FILE_ID, HOUR, MANIFEST_TYP, NOW, ORDER_TYP, STATUS_TYP, Release
from documents import b64, b64u, compact, sha256

STEP = "PackageStepInvalid"
STATUS_MAPS = {("newest",), ("newest", "acme/pump")}
PROPERTIES = ("instructions", "steps", 0, "handlerProperties")
MANIFEST_MAPS = {("compatibility", 0), ("files",), PROPERTIES}
MANIFEST_OPTIONAL = [("component",), ("description",), ("files", FILE_ID, "hashes", "sha384"), ("files", FILE_ID, "hashes", "sha512")]
PQ = ("signingKeys", "publisher-pq", "pq")
PACKAGE_MAPS = {("rootKeys",), ("rootKeysExt",), ("signingKeys",), ("minCounter",)}
# What cannot be altered into anything that could be read: judged before any signature.
UNREADABLE = {"root-keys-root-5-key-type": "KeyInvalid", "root-keys-root-5-e": "ValueOutOfRange", "disabled-signing-keys-first-alg": "AlgorithmNotAllowed",
              **{f"root-keys-ext-root-1-{name}": "KeyInvalid" for name in ("kty", "crv", "x", "y")}}


def add_full(world, make_control):
    """`make_control` takes name, title, base, documents and what is accepted."""
    release = FullRelease(world)
    found = release.order_documents(world)
    control = make_control("full-install", "an order and a manifest with every member that they can have", "fresh", found, ["order"])
    order = json.loads(documents.jws_parts(found["order"])[1])
    director = {"alg": "ES256", "sjwk": world.key_document("director-1")}
    add_signed(Signed("nested-order", control, "order", world.director, {"typ": ORDER_TYP, **director}, order), optional=[("window",), ("deadline",)])
    add_manifest(world, control, release)
    add_content_key(world, control, release, order)
    add_record(world, control, release)
    status = world.status_payload(nonce=b64u(stream("nonce of a status", 16)))
    control = make_control("full-status", "a status with every member that it can have", "fresh", {"status": world.signed(STATUS_TYP, status, "director-1")}, ["status"])
    add_signed(Signed("nested-status", control, "status", world.director, {"typ": STATUS_TYP, **director}, status), STATUS_MAPS, [("nonce",)])
    add_package(world, make_control)


def add_signed(signed, maps=(), optional=(), group=None):
    """Signed as it stands; and altered after it was signed."""
    for name, title, text, code in nested_shapes(signed.payload, maps, optional):
        signed.refuse(name, title, "S1.28 S1.30", code, signed.make(payload=text), group=group)
    head, _, signature = signed.make().split(".")
    for name, title, text in nested_changes(signed.payload, maps):
        signed.refuse(name, title, "S1.26 S1.30", "SignatureInvalid", f"{head}.{b64u(text.encode())}.{signature}", group=group)


# --- a release --------------------------------------------------------------------------------------------------------------------


class FullRelease(Release):
    def __init__(self, world):
        super().__init__(world, "4.2.0", 4, is_logged=False)
        file = {"fileName": "pump.conf", "sizeInBytes": len(self.content),
                "hashes": {name: b64(hashlib.new(name, self.content).digest()) for name in ("sha256", "sha384", "sha512")}}
        step = {"handler": "fleetseal/file:1", "files": [FILE_ID], "handlerProperties": {"target": "pump.conf"}}
        self.manifest = world.manifest(self.content, "4.2.0", component="main", description="pump controller", instructions={"steps": [step]}, files={FILE_ID: file})
        self.sha256 = sha256(self.manifest)
        self.signature = world.manifest_signature(self.manifest, 4)
        self.content_key = world.content_key(self.manifest, self.update_key)

    def order_documents(self, world):
        log = world.log.copy()
        self.index = world_leaf(world, log, self)
        self.record = log.leaves[self.index]
        return world.order_documents(self, log, window={"notBefore": NOW - HOUR, "notAfter": NOW + HOUR}, deadline=NOW + HOUR)


def add_manifest(world, control, release):
    """A manifest of a wrong shape is signed and ordered as it stands; the altered one is not."""
    value = json.loads(release.manifest)
    target_missing = spelt(changed(value, PROPERTIES, lambda found: {}))
    cases = [*nested_shapes(value, MANIFEST_MAPS, [*MANIFEST_OPTIONAL, PROPERTIES]),
             ("instructions-steps-first-handler-properties-target-missing", "a file step without its target", target_missing, "MemberMissing"),
             ("instructions-steps-first-handler-properties-missing", "a file step without properties",
              spelt(changed(value, PROPERTIES[:-1], lambda found: {"handler": found["handler"], "files": found["files"]})), "MemberMissing")]
    for name, title, text, code in cases:
        signed = world.signed(MANIFEST_TYP, world.signature_payload(release, sha256=b64(sha256(text))), "publisher-1")
        order = world.signed(ORDER_TYP, world.order_payload(release, manifestSha256=b64u(sha256(text))), "director-1")
        code = "KeyWeak" if name == "files-file-hashes-unknown" else code
        control.refuse(f"nested-manifest/{name}", title, "S1.28", code, "order", {"manifest": text, "manifestSignature": signed, "order": order})
    for name, title, text in nested_changes(value, MANIFEST_MAPS):
        control.refuse(f"nested-manifest/{name}", title, "S1.28 S1.30", "ManifestHashMismatch", "order", {"manifest": text})


def add_content_key(world, control, release, order):
    """The content key's own header, sealed as it stands; and altered. Whatever is wrong has one code."""
    ephemeral, nonce = FixedKey.p256("content key in full").private, stream("content key in full", 12)
    header = {"alg": "ECDH-ES", "enc": "A256GCM", "epk": documents.public_jwk(ephemeral.public_key()),
              "deviceId": DEVICE, "generation": 1, "manifestSha256": b64u(release.sha256)}
    sealed = lambda text: documents.jwe_of(ENCRYPTION_KEY.public, release.update_key, text, ephemeral, nonce)
    rest = sealed(compact(header)).split(".", 1)[1]
    cases = [(name, title, sealed(text)) for name, title, text, _ in nested_shapes(header, is_top=True)]
    cases += [(name, title, f"{b64u(text.encode())}.{rest}") for name, title, text in nested_changes(header, is_top=True)]
    for name, title, text in cases:
        control.refuse(f"nested-content-key/{name}", f"the content key: {title}", "S1.28", "DecryptFailed", "order",
                       {"order": world.signed(ORDER_TYP, {**order, "contentKey": text}, "director-1")}, judges=["installer"],
                       why="only the device holds the key that opens a content key")


def add_record(world, control, release):
    """The record of the manifest signature, on the log as it stands."""
    right = json.loads(release.record)
    for name in right:
        for kind, title, text, code in member_shapes(right, (), name, True):
            log = world.log.copy()
            control.refuse(f"nested-log-record/{short((name,))}-{kind}", f"the record: {title}", "X3 X4", code, "order", {"logProof": log.proof(log.append(text))})


# --- a package ---------------------------------------------------------------------------------------------------------------------


def add_package(world, make_control):
    """Signed by its roots as it stands, with a positional signature for other agents; altered after that; and the signatures themselves."""
    few = world.small(2)
    # What `pq` holds is for a later day: a key whose listing has one signs nothing.
    protected = {**few, "signingKeys": {"publisher-pq": world.listed("publisher-pq", pq={}), **few["signingKeys"]}, "logs": few["logs"][::-1],
                 "serverCAs": ["AAAA"], "deviceCAs": ["AAAA"]}
    right = package_text(world, compact(protected))
    control = make_control("full-package", "a root-key package with every member that it can have", "fresh", {"packages": [right]}, ["package 2"])

    def refuse(name, title, rows, code, text):
        control.refuse(f"nested-package/{name}", title, rows, code, "package", {"packages": [text]})

    for name, title, text, code in nested_shapes(protected, PACKAGE_MAPS, [PQ]):
        refuse(name, title, "S1.46", code, package_text(world, text))
    outer = json.loads(right)
    log = ("logs", 0)
    others = {("signingKeys", "publisher-pq", "alg"): "RS256", ("signingKeys", "publisher-pq", "role"): "director", (*log, "quorum"): "none",
              (*log, "vkeys"): few["logs"][1]["vkeys"] * 2, (*log, "witnesses"): few["logs"][1]["witnesses"] * 2}
    for name, title, text in nested_changes(protected, PACKAGE_MAPS, others):
        refuse(name, title, "S1.43 S1.48", UNREADABLE.get(name.removesuffix("-altered"), STEP), spelt({**outer, "protected": Raw(text)}))
    signatures = {name: outer[name] for name in ("signatures", "signaturesExt")}
    whole = lambda text: '{"protected":' + compact(protected) + "," + text[1:]
    for name, title, text, code in nested_shapes(signatures):
        refuse(name, title, "S1.47 S1.51", code, whole(text))
    for name, title, text in nested_changes(signatures, others={("signaturesExt", 0, "alg"): "RS256"}):
        # Positional signatures are for other agents: ours judges their form alone.
        if name.startswith("signatures-ext-"):
            refuse(name, title, "S1.47 S1.51", STEP, whole(text))


def package_text(world, protected):
    signed = world.sign_package(protected)
    positional = [{"alg": "RS256", "sig": b64u(world.rsa_root.sign(protected))}]
    assert '"signatures":[],' in signed
    return signed.replace('"signatures":[],', f'"signatures":{compact(positional)},')
