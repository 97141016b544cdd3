"""An independent maker of Fleetseal documents, written from docs/protocol/documents.md with python3-cryptography.

Used to drive the real installer, verifier and signer with documents that our own C++ code did not build, and to build
wrong ones. Nothing here imports or calls the product.
"""
import base64
import hashlib
import json
import os
import struct
import time

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.concatkdf import ConcatKDFHash
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

DAY = 86400


def b64u(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64u(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def b64(data):
    return base64.b64encode(data).decode()


def sha256(data):
    return hashlib.sha256(data if isinstance(data, bytes) else data.encode()).digest()


def compact(value):
    return json.dumps(value, separators=(",", ":"))


class Key:
    """A P-256, RSA or Ed25519 key with the few operations that documents need."""

    def __init__(self, private):
        self.private = private
        self.public = private.public_key()

    @classmethod
    def p256(cls):
        return cls(ec.generate_private_key(ec.SECP256R1()))

    @classmethod
    def rsa(cls, bits=2048):
        return cls(rsa.generate_private_key(65537, bits))

    @classmethod
    def ed25519(cls):
        return cls(ed25519.Ed25519PrivateKey.generate())

    @property
    def alg(self):
        if isinstance(self.private, rsa.RSAPrivateKey):
            return "RS256"
        return "EdDSA" if isinstance(self.private, ed25519.Ed25519PrivateKey) else "ES256"

    def spki(self):
        return self.public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)

    def thumbprint(self):
        return sha256(self.spki())

    def kid(self):
        return b64u(self.thumbprint())

    def disabled_hash(self):
        if self.alg == "RS256":
            return sha256(self.public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.PKCS1))
        return self.thumbprint()

    def jwk(self, **extra):
        return {**public_jwk(self.public), **extra}

    def sign(self, data):
        data = data if isinstance(data, bytes) else data.encode()
        if self.alg == "RS256":
            return self.private.sign(data, padding.PKCS1v15(), hashes.SHA256())
        if self.alg == "EdDSA":
            return self.private.sign(data)
        r, s = decode_dss_signature(self.private.sign(data, ec.ECDSA(hashes.SHA256())))
        return r.to_bytes(32, "big") + s.to_bytes(32, "big")


def public_jwk(public):
    if isinstance(public, rsa.RSAPublicKey):
        numbers = public.public_numbers()
        return {"kty": "RSA", "n": b64u(numbers.n.to_bytes((numbers.n.bit_length() + 7) // 8, "big")), "e": "AQAB"}
    if isinstance(public, ed25519.Ed25519PublicKey):
        raw = public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        return {"kty": "OKP", "crv": "Ed25519", "x": b64u(raw)}
    numbers = public.public_numbers()
    return {"kty": "EC", "crv": "P-256", "x": b64u(numbers.x.to_bytes(32, "big")), "y": b64u(numbers.y.to_bytes(32, "big"))}


def verify_es256(public, data, signature):
    try:
        public.verify(encode_dss_signature(int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")),
                      data, ec.ECDSA(hashes.SHA256()))
        return True
    except InvalidSignature:
        return False


def jws(key, header, payload):
    """Compact JWS; `payload` is text or bytes as they are."""
    payload = payload if isinstance(payload, bytes) else payload.encode()
    signing_input = b64u(compact(header).encode()) + "." + b64u(payload)
    return signing_input + "." + b64u(key.sign(signing_input))


def jws_parts(text):
    header, payload, signature = text.split(".")
    return json.loads(unb64u(header)), unb64u(payload), unb64u(signature)


# --- log (reference: RFC 6962, C2SP tlog-checkpoint and tlog-proof) -------------------------------------------------------


def leaf_hash(leaf):
    return sha256(b"\x00" + leaf)


def node_hash(left, right):
    return sha256(b"\x01" + left + right)


def split_point(count):
    point = 1
    while point * 2 < count:
        point *= 2
    return point


def tree_root(leaf_hashes):
    if not leaf_hashes:
        return sha256(b"")
    if len(leaf_hashes) == 1:
        return leaf_hashes[0]
    point = split_point(len(leaf_hashes))
    return node_hash(tree_root(leaf_hashes[:point]), tree_root(leaf_hashes[point:]))


def inclusion(index, leaf_hashes):
    if len(leaf_hashes) == 1:
        return []
    point = split_point(len(leaf_hashes))
    if index < point:
        return inclusion(index, leaf_hashes[:point]) + [tree_root(leaf_hashes[point:])]
    return inclusion(index - point, leaf_hashes[point:]) + [tree_root(leaf_hashes[:point])]


def consistency(old, leaf_hashes, is_whole=True):
    if old == len(leaf_hashes):
        return [] if is_whole else [tree_root(leaf_hashes)]
    point = split_point(len(leaf_hashes))
    if old <= point:
        return consistency(old, leaf_hashes[:point], is_whole) + [tree_root(leaf_hashes[point:])]
    return consistency(old - point, leaf_hashes[point:], False) + [tree_root(leaf_hashes[:point])]


class Log:
    def __init__(self, origin="log.acme"):
        self.origin = origin
        self.key = Key.ed25519()
        self.leaves = [compact({"type": "state", "time": 1}).encode()]

    def raw_public(self):
        return self.key.public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)

    def key_id(self):
        return sha256(self.origin.encode() + b"\n\x01" + self.raw_public())[:4]

    def package_vkey(self):
        return f"{self.origin}+{self.key_id().hex()}+{b64u(bytes([1]) + self.raw_public())}"

    def append(self, leaf):
        self.leaves.append(leaf if isinstance(leaf, bytes) else leaf.encode())
        return len(self.leaves) - 1

    def hashes(self):
        return [leaf_hash(leaf) for leaf in self.leaves]

    def checkpoint(self, root=None):
        body = f"{self.origin}\n{len(self.leaves)}\n{b64(root or tree_root(self.hashes()))}\n"
        return f"{body}\n\u2014 {self.origin} {b64(self.key_id() + self.key.sign(body))}\n"

    def proof(self, index):
        lines = ["c2sp.org/tlog-proof@v1", "extra " + b64(self.leaves[index]), f"index {index}"]
        lines += [b64(value) for value in inclusion(index, self.hashes())]
        return "\n".join(lines) + "\n\n" + self.checkpoint()

    def consistency(self, old):
        return [b64u(value) for value in consistency(old, self.hashes())] if old else []


# --- sealing ---------------------------------------------------------------------------------------------------------------

SEGMENT = 65536
MAGIC = b"FLTSEAL\x00"


def file_key(update_key, seal_id, manifest_sha256, file_id):
    info = b"fleetseal file v1\x00" + manifest_sha256 + file_id.encode()
    return HKDF(hashes.SHA256(), 32, seal_id, info).derive(update_key)


def seal(plain, update_key, manifest_sha256, file_id, seal_id=None):
    seal_id = seal_id or os.urandom(16)
    header = MAGIC + struct.pack(">IIQ", 1, SEGMENT, len(plain)) + seal_id
    aead = AESGCM(file_key(update_key, seal_id, manifest_sha256, file_id))
    pieces = [plain[start:start + SEGMENT] for start in range(0, len(plain), SEGMENT)] or [b""]
    sealed = header
    for number, piece in enumerate(pieces):
        nonce = bytes(7) + struct.pack(">IB", number, number == len(pieces) - 1)
        sealed += aead.encrypt(nonce, piece, header)
    return sealed


def open_sealed(sealed, update_key, manifest_sha256, file_id):
    header, body = sealed[:40], sealed[40:]
    assert header[:8] == MAGIC
    version, segment, size = struct.unpack(">IIQ", header[8:24])
    assert (version, segment) == (1, SEGMENT)
    aead = AESGCM(file_key(update_key, header[24:40], manifest_sha256, file_id))
    pieces = [body[start:start + SEGMENT + 16] for start in range(0, len(body), SEGMENT + 16)]
    plain = b""
    for number, piece in enumerate(pieces):
        plain += aead.decrypt(bytes(7) + struct.pack(">IB", number, number == len(pieces) - 1), piece, header)
    assert len(plain) == size
    return plain


def jwe(public, plain, extra, ephemeral=None, nonce=None):
    """ECDH-ES (direct) + A256GCM, RFC 7518 section 4.6."""
    ephemeral = ephemeral or ec.generate_private_key(ec.SECP256R1())
    header = {"alg": "ECDH-ES", "enc": "A256GCM", "epk": public_jwk(ephemeral.public_key()), **extra}
    return jwe_of(public, plain, compact(header), ephemeral, nonce)


def jwe_of(public, plain, header, ephemeral, nonce=None):
    """`header` is the text of the protected header as it stands; what is sealed fits it."""
    shared = ephemeral.exchange(ec.ECDH(), public)
    other = struct.pack(">I", 7) + b"A256GCM" + struct.pack(">II", 0, 0) + struct.pack(">I", 256)
    key = ConcatKDFHash(hashes.SHA256(), 32, other).derive(shared)
    protected = b64u(header.encode())
    nonce = nonce or os.urandom(12)
    sealed = AESGCM(key).encrypt(nonce, plain, protected.encode())
    return ".".join([protected, "", b64u(nonce), b64u(sealed[:-16]), b64u(sealed[-16:])])


# --- an organisation ---------------------------------------------------------------------------------------------------------


class World:
    """An organisation whose every key is in our hands, so that each document can be made right or wrong."""

    def __init__(self, roots=3, threshold=2, organisation="acme", product="acme/pump"):
        self.now = int(time.time())
        self.organisation = organisation
        self.product = product
        self.roots = {f"root-{number}": Key.p256() for number in range(1, roots + 1)}
        self.threshold = threshold
        self.publisher = Key.p256()
        self.director = Key.p256()
        self.log = Log(f"log.{organisation}")
        self.listings = {
            "publisher-1": self.listing(self.publisher, "publisher", [product]),
            "director-1": self.listing(self.director, "director", []),
        }
        self.disabled_roots = []
        self.disabled_keys = []
        self.min_counter = {}
        self.epoch = 1
        self.status_version = 0

    def listing(self, key, role, products, before=-60, after=30 * DAY):
        return {"thumbprint": b64u(key.thumbprint()), "alg": key.alg, "role": role,
                "products": [product.replace("/", ":") for product in products],
                "notBefore": self.now + before, "notAfter": self.now + after}

    def protected(self, version=1, **changes):
        value = {
            "version": version, "published": self.now - 60, "expires": self.now + 300 * DAY, "directorEpoch": self.epoch,
            "threshold": self.threshold, "rootKeys": {}, "rootKeysExt": {kid: key.jwk() for kid, key in self.roots.items()},
            "disabledRootKeys": self.disabled_roots, "disabledSigningKeys": self.disabled_keys, "signingKeys": self.listings,
            "logs": [{"origin": self.log.origin, "vkeys": [self.log.package_vkey()], "witnesses": [], "quorum": "none"}],
            "minCounter": self.min_counter, "serverCAs": [], "deviceCAs": [],
        }
        value.update(changes)
        return value

    def package(self, version=1, signers=("root-1", "root-2"), keys=None, **changes):
        protected = compact(self.protected(version, **changes))
        keys = keys or self.roots
        signatures = [{"kid": kid, "alg": keys[kid].alg, "sig": b64u(keys[kid].sign(protected))} for kid in signers]
        return '{"protected":' + protected + ',"signatures":[],"signaturesExt":' + compact(signatures) + "}"

    def package_sha256(self, version=1, **changes):
        return b64u(sha256(compact(self.protected(version, **changes))))

    def sjwk(self, key=None, kid="publisher-1", root="root-1", root_key=None, header=None, payload=None):
        key = key or self.publisher
        header = header or {"alg": (root_key or self.roots[root]).alg, "kid": root, "typ": "fleetseal-signing-key+jws"}
        payload = payload or key.jwk(kid=kid, alg=key.alg)
        return jws(root_key or self.roots[root], header, compact(payload))

    def manifest(self, content, version="1.0.0", **changes):
        file_id = "f" + "0" * 15 + "1"
        value = {
            "manifestVersion": "5",
            "updateId": {"provider": self.product.split("/")[0], "name": self.product.split("/")[1], "version": version},
            "compatibility": [{"manufacturer": "acme", "model": "pump-1"}],
            "instructions": {"steps": [{"handler": "fleetseal/slot:1", "files": [file_id]}]},
            "files": {file_id: {"fileName": "pump.img", "sizeInBytes": len(content), "hashes": {"sha256": b64(sha256(content))}}},
            "createdDateTime": "2026-01-01T00:00:00Z",
        }
        value.update(changes)
        return compact(value)

    def manifest_signature(self, manifest, counter=1, key=None, header=None, sjwk=None, **changes):
        key = key or self.publisher
        payload = {"sha256": b64(sha256(manifest)), "product": self.product, "releaseCounter": counter,
                   "audience": f"urn:fleetseal:{self.organisation}", "delivery": "sealed", "issued": self.now - 10}
        payload.update(changes)
        payload = {name: value for name, value in payload.items() if value is not None}
        header = header or {"alg": key.alg, "typ": "fleetseal-manifest+jws", "sjwk": sjwk or self.sjwk()}
        return jws(key, header, compact(payload))

    def log_signature(self, signature, manifest, counter=1, **changes):
        leaf = {"type": "manifest-signature", "time": self.now - 5, "jwsSha256": b64u(sha256(signature)),
                "manifestSha256": b64u(sha256(manifest)), "product": self.product, "releaseCounter": counter,
                "keyThumbprint": b64u(self.publisher.thumbprint()), "requestId": "request-1",
                "policySha256": b64u(bytes(32)), "evidence": b64u(bytes(32))}
        leaf.update(changes)
        return self.log.append(compact(leaf))

    def status(self, version=1, package_version=1, key=None, header=None, **changes):
        key = key or self.director
        payload = {"epoch": self.epoch, "version": version, "issued": self.now - 5, "expires": self.now + 3600,
                   "packageVersion": package_version, "packageSha256": self.package_sha256(package_version),
                   "withdrawn": [], "newest": {}}
        payload.update(changes)
        header = header or {"alg": key.alg, "typ": "fleetseal-status+jws", "sjwk": self.sjwk(self.director, "director-1")}
        return jws(key, header, compact({name: value for name, value in payload.items() if value is not None}))

    def order(self, device, manifest, contents, content_key, sequence=1, key=None, header=None, **changes):
        key = key or self.director
        payload = {"orderId": f"order-{sequence}", "action": "install", "deviceId": device, "generation": 1, "epoch": self.epoch,
                   "sequence": sequence, "issued": self.now - 5, "expires": self.now + DAY, "packageVersion": 1,
                   "planId": "plan-1", "manifestSha256": b64u(sha256(manifest)), "contents": contents,
                   "contentKey": content_key, "reboot": "now"}
        payload.update(changes)
        header = header or {"alg": key.alg, "typ": "fleetseal-order+jws", "sjwk": self.sjwk(self.director, "director-1")}
        return jws(key, header, compact({name: value for name, value in payload.items() if value is not None}))
