"""What a thief took from a lab: the real keys, unlocked with the passphrase that lay beside them, and a device's socket.

The keystore is opened from its description in src/signer/keys/keystore.h (scrypt, HKDF, AES-256-GCM), not by the product.
Public things (sjwk, packages, manifests, proofs, orders) are where the server has them: whoever steals a key has seen them.
"""
import json
import os
import signal
import struct
import time

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.concatkdf import ConcatKDFHash
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

import documents
from documents import Key, b64u, compact, jwe, seal, sha256, unb64u
from installer import Channel, Installer
from taken_over import SOCKET_GROUP

AGENT = 61004
PURPOSES = {"publisher": "publisher", "director": "online", "log": "log", "server-ca": "ca", "device-ca": "ca", "people-ca": "ca"}


def org(lab):
    return os.path.join(lab.folder, "org")


def passphrase(path):
    with open(path) as file:
        return file.read().strip().encode()


def signer_key(lab, purpose, kid=None):
    """(kid, key) of the signer's key for the purpose; the only one, or the one named."""
    folder = os.path.join(org(lab), "signer", "keys")
    with open(os.path.join(folder, "keystore.json")) as file:
        head = json.load(file)
    word = passphrase(os.path.join(org(lab), "signer", "passphrase"))
    master = Scrypt(unb64u(head["salt"]), 32, head["n"], 8, 1).derive(word)
    store = PURPOSES[purpose]
    store_key = HKDF(hashes.SHA256(), 32, b"", b"fleetseal keystore v1 " + store.encode()).derive(master)
    found = []
    for name in sorted(os.listdir(os.path.join(folder, store))):
        if name.endswith(".json") and name.startswith(purpose + "-") and kid in (None, name[:-len(".json")]):
            with open(os.path.join(folder, store, name)) as file:
                text = file.read()
            sealed = json.loads(text)
            file_key = HKDF(hashes.SHA256(), 32, unb64u(sealed["salt"]), b"fleetseal key file v1").derive(store_key)
            clear = compact({name: value for name, value in sealed.items() if name not in ("salt", "nonce", "sealed")})
            plain = AESGCM(file_key).decrypt(unb64u(sealed["nonce"]), unb64u(sealed["sealed"]), clear.encode())
            found.append((sealed["kid"], Key(serialization.load_der_private_key(plain, None))))
    assert len(found) == 1, f"{purpose}: {[name for name, _ in found]}"
    return found[0]


def root_key(lab, kid):
    offline = os.path.join(org(lab), "offline")
    with open(os.path.join(offline, "roots", kid + ".key"), "rb") as file:
        return Key(serialization.load_pem_private_key(file.read(), passphrase(os.path.join(offline, "passphrase"))))


class Loot(documents.World):
    """A maker of documents with the lab's own keys, those that were taken; the others are the thief's own."""

    def __init__(self, lab, *taken):
        super().__init__()
        self.lab = lab
        self.sequence = int(time.time() * 1000)
        self.kids = {"publisher": "publisher-1", "director": "director-1"}
        for name in taken:
            if name.startswith("root-"):
                self.roots[name] = root_key(lab, name)
            elif name == "log":
                self.log.key = signer_key(lab, "log")[1]
            else:
                self.kids[name], key = signer_key(lab, name)
                setattr(self, name, key)
        with open(os.path.join(org(lab), "offline", "root-package-1.json")) as file:
            self.first_package = json.load(file)["protected"]
        self.listings = {}

    def genuine_sjwk(self, role):
        """A root's word for the key, as every document of it carries it."""
        name = next(kid for kid, listing in self.first_package["signingKeys"].items() if listing["role"] == role)
        with open(os.path.join(org(self.lab), "offline", "sjwk", name + ".jws")) as file:
            return file.read().strip()

    def header(self, name, role):
        return {"alg": "ES256", "typ": f"fleetseal-{name}+jws", "sjwk": self.genuine_sjwk(role)}

    def next_sequence(self):
        self.sequence = max(self.sequence + 1, int(time.time() * 1000))
        return self.sequence

    def step(self, protected, signers, **changes):
        """A package of the given members, signed by the roots named."""
        text = compact({**protected, **changes})
        signatures = [{"kid": kid, "alg": "ES256", "sig": b64u(self.roots[kid].sign(text))} for kid in signers]
        return '{"protected":' + text + ',"signatures":[],"signaturesExt":' + compact(signatures) + "}"


class LabInstaller(Installer):
    """The installer of a lab's device, spoken to as its agent's user; the agent itself is held meanwhile."""

    def __init__(self, lab, name="dev-1"):  # pylint: disable=super-init-not-called
        self.lab, self.DEVICE = lab, name
        device = next(device for device in lab.status()["devices"] if device["id"] == name)
        self.folder = os.path.dirname(device["state_dir"])
        self.files = os.path.join(os.path.dirname(self.folder), "files")
        self.socket = device["installer_socket"]

    def __enter__(self):
        self.agent = self.lab.stop_agent(self.DEVICE)
        return self

    def __exit__(self, *_):
        os.kill(self.agent, signal.SIGCONT)

    def as_agent(self, action):
        os.setegid(SOCKET_GROUP)
        os.seteuid(AGENT)
        try:
            return action()
        finally:
            os.seteuid(0)
            os.setegid(0)

    def channel(self):
        return self.as_agent(lambda: Channel(self.socket))

    def active_image(self):
        return self.lab.active_image(self.DEVICE)


class Forged:
    """Everything for one installation of the thief's own firmware; what it is signed with is the thief's choice."""

    def __init__(self, loot, installer, content, counter, version, publisher_header, director_header=None, publisher=None, director=None, **order):
        self.content, self.installer = content, installer
        self.file_id = "f" + "0" * 15 + "1"
        self.manifest = loot.manifest(content, version)
        self.signature = loot.manifest_signature(self.manifest, counter, key=publisher or loot.publisher, header=publisher_header)
        update_key = os.urandom(32)
        self.sealed = seal(content, update_key, sha256(self.manifest), self.file_id)
        self.sealed_sha256 = b64u(sha256(self.sealed))
        content_key = jwe(installer.encryption_key(), update_key,
                          {"deviceId": installer.DEVICE, "generation": 1, "manifestSha256": b64u(sha256(self.manifest))})
        contents = [{"fileId": self.file_id, "sealedSha256": self.sealed_sha256, "sealedSize": len(self.sealed)}]
        self.order = loot.order(installer.DEVICE, self.manifest, contents, content_key, sequence=loot.next_sequence(),
                                key=director or loot.director, header=director_header or loot.header("order", "director"), **order)

    def documents(self, **changes):
        value = {"order": self.order, "manifest": b64u(self.manifest.encode()), "manifestSignature": self.signature, **changes}
        return {name: part for name, part in value.items() if part is not None}

    def offer(self, **changes):
        return self.installer.offer(**self.documents(**changes))

    def finish(self):
        self.installer.send_content(self.file_id, self.sealed_sha256, self.sealed)
        return self.installer.wait_idle()


class Genuine:
    """What the server has of an update for a device: its order with everything that goes with it."""

    def __init__(self, lab, update, device, folder):
        self.folder = str(folder)
        lab.good("update", "show", update, "--documents", self.folder, "--device", device)
        self.order, self.signature, self.status, self.proof = (
            self.text(name) for name in ("order.jws", "manifest.jws", "status.jws", "log.proof"))
        self.manifest = self.text("manifest.json")

    def text(self, name):
        with open(os.path.join(self.folder, name)) as file:
            return file.read()

    def payload(self):
        return json.loads(documents.jws_parts(self.order)[1])

    def documents(self):
        return {"order": self.order, "manifest": b64u(self.manifest.encode()), "manifestSignature": self.signature, "logProof": self.proof}


def open_jwe(key, text):
    """What whoever has the private key reads in a content key (RFC 7518 section 4.6); InvalidTag with another."""
    protected, _, nonce, body, tag = text.split(".")
    point = json.loads(unb64u(protected))["epk"]
    numbers = ec.EllipticCurvePublicNumbers(int.from_bytes(unb64u(point["x"]), "big"), int.from_bytes(unb64u(point["y"]), "big"), ec.SECP256R1())
    shared = key.private.exchange(ec.ECDH(), numbers.public_key())
    other = struct.pack(">I", 7) + b"A256GCM" + struct.pack(">II", 0, 0) + struct.pack(">I", 256)
    return AESGCM(ConcatKDFHash(hashes.SHA256(), 32, other).derive(shared)).decrypt(unb64u(nonce), unb64u(body) + unb64u(tag), protected.encode())


def read_public_log(lab, log):
    """The log as anybody reads it, put into the thief's own."""
    entries, size = [], 1
    while len(entries) < size:
        page = lab.good("audit", "query", "--from", str(len(entries)), "--limit", "500")
        size = page["size"]
        entries += page["entries"]
    log.leaves = [entry["leaf"].encode() for entry in entries]


def write_log(log, folder):
    """The files of a log of less than 256 records (C2SP tlog-tiles), signed with its key."""
    count = len(log.leaves)
    assert 0 < count < 256
    files = {f"tile/0/000.p/{count}": b"".join(log.hashes()),
             f"tile/entries/000.p/{count}": b"".join(struct.pack(">H", len(leaf)) + leaf for leaf in log.leaves),
             "checkpoint": log.checkpoint().encode()}
    for name, data in files.items():
        path = os.path.join(str(folder), name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(data)
