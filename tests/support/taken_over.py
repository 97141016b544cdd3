"""A taken-over server: whoever runs as its user, with its files, its sockets and everything that passed through it.

Built on a real lab. Documents of people are made here from the keys of the lab's identities, so that a test can sign what
no honest client would. What must not change is the signer's database, its log and the sealer's records.
"""
import hashlib
import json
import os
import secrets
import socket
import sqlite3
import struct
import time

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ed25519
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.x509.oid import NameOID

from documents import Key, b64, b64u, compact, jws

SERVER = 61003
SOCKET_GROUP = 61000
DAY = 86400


class Refused(Exception):
    def __init__(self, code, detail=""):
        super().__init__(f"{code}: {detail}")
        self.code = code


class ServerUser:
    """Whatever is done inside is done with the server's user and group."""

    def __enter__(self):
        os.setegid(SOCKET_GROUP)
        os.seteuid(SERVER)

    def __exit__(self, *_):
        os.seteuid(0)
        os.setegid(0)


class Socket:
    """A connection of the server's user: u32 big-endian length + JSON."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(60)
        with ServerUser():
            self.socket.connect(path)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send_frame(self, data):
        self.socket.sendall(struct.pack(">I", len(data)) + data)

    def exact(self, count):
        data = b""
        while len(data) < count:
            piece = self.socket.recv(count - len(data))
            if not piece:
                raise EOFError("closed")
            data += piece
        return data

    def receive_frame(self):
        return self.exact(struct.unpack(">I", self.exact(4))[0])

    def send(self, message):
        self.send_frame(message if isinstance(message, bytes) else json.dumps(message).encode())

    def receive(self):
        answer = json.loads(self.receive_frame())
        if "error" in answer:
            raise Refused(answer["error"]["code"], answer["error"].get("detail", ""))
        return answer["ok"]

    def ask(self, message):
        self.send(message)
        return self.receive()


class Person:
    def __init__(self, name, key):
        self.name, self.key = name, key

    def sign(self, typ, payload, key=None, kid=None):
        key = key or self.key
        header = {"alg": key.alg, "typ": f"fleetseal-{typ}+jws", "kid": kid or key.kid()}
        return jws(key, header, payload if isinstance(payload, str) else compact(payload))


def nonce():
    return b64u(secrets.token_bytes(16))


def new_id(kind):
    return f"{kind}-{secrets.token_hex(8)}"


class EnrollingDevice:
    """A device's three keys, its certificate request, and the proof that its one-time code makes (ADR 0005)."""

    def __init__(self, name, code=None, generation=1):
        self.name, self.generation = name, generation
        self.code = code or "".join(secrets.choice("abcdefghijklmnopqrstuvwxyz234567") for _ in range(26))
        self.identity, self.receipt, self.encryption = Key.p256(), Key.p256(), Key.p256()
        self.csr = make_csr(name, self.identity)

    def enrolment_key(self):
        seed = HKDF(hashes.SHA256(), 32, None, b"fleetseal enrolment v1 " + self.name.encode()).derive(self.code.encode())
        return Key(ed25519.Ed25519PrivateKey.from_private_bytes(seed))

    def keys(self, **changes):
        payload = {"deviceId": self.name, "generation": self.generation, "csrSha256": b64u(hashlib.sha256(self.csr).digest()),
                   "receiptKey": self.receipt.jwk(), "encryptionKey": self.encryption.jwk(), "issued": int(time.time()), **changes}
        return jws(self.receipt, {"alg": "ES256", "typ": "fleetseal-device-keys+jws", "kid": self.receipt.kid()}, compact(payload))

    def proof(self, keys=None, signer=None, kid=None, **changes):
        signer = signer or self.enrolment_key()
        payload = {"deviceId": self.name, "keys": keys or self.keys(), "issued": int(time.time()), **changes}
        return jws(signer, {"alg": "EdDSA", "typ": "fleetseal-enrolment+jws", "kid": kid or signer.kid()}, compact(payload))


def make_csr(name, key):
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key.private, hashes.SHA256())
    return request.public_bytes(serialization.Encoding.DER)


class TakenOverServer:
    def __init__(self, lab):
        self.lab = lab
        self.org = os.path.join(lab.folder, "org")
        self.signer_db = os.path.join(self.org, "signer", "signer.db")
        self.server_db = os.path.join(self.org, "server", "server.db")

    # --- what it can ask ---

    def connect(self, name="signer"):
        folder = "signer" if name == "signer" else "sealer"
        return Socket(os.path.join(self.org, "run", folder, name + ".sock"))

    def ask(self, verb, **members):
        with self.connect() as connection:
            return connection.ask({"verb": verb, **members})

    # --- what it must not change ---

    def rows(self, statement, *values):
        """Reads the signer's database, as root."""
        database = sqlite3.connect(f"file:{self.signer_db}?mode=ro", uri=True, timeout=30)
        try:
            return database.execute(statement, values).fetchall()
        finally:
            database.close()

    def log_size(self):
        with open(os.path.join(self.org, "log", "checkpoint")) as file:
            return int(file.read().split("\n")[1])

    def fingerprint(self):
        """Log size, sealer's records, and every table of the signer but the one that counts statuses."""
        tables = [name for (name,) in self.rows("SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name")]
        parts = {name: hashlib.sha256(repr(sorted(map(repr, self.rows(f"SELECT * FROM {name}")))).encode()).hexdigest()
                 for name in tables if name not in ("director_state", "translog_lock")}
        parts["log"] = self.log_size()
        updates = os.path.join(self.org, "sealer", "updates")
        for name in sorted(os.listdir(updates)):
            with open(os.path.join(updates, name), "rb") as file:
                parts[name] = hashlib.sha256(file.read()).hexdigest()
        return parts

    def authority(self):
        """As above without what devices that are at work add: their receipts and the records of them."""
        return {name: part for name, part in self.fingerprint().items()
                if name not in ("log", "devices", "receipts") and not name.startswith("translog")}

    # --- people ---

    def person(self, name):
        with open(self.lab.info["identities"][name]["key"], "rb") as file:
            return Person(name, Key(serialization.load_pem_private_key(file.read(), None)))

    def request(self, manifest, signer="publisher", person=None, **changes):
        person = person or self.person(signer)
        now = int(time.time())
        payload = {"requestId": new_id("request"), "kind": "manifest", "product": "acme/pump",
                   "manifestSha256": b64u(hashlib.sha256(manifest).digest()), "delivery": "sealed", "audience": "urn:fleetseal:acme",
                   "requester": signer, "nonce": nonce(), "issued": now, "expires": now + DAY, **changes}
        return person.sign("request", payload)

    def approval(self, submitted, approver, person=None, **changes):
        person = person or self.person(approver)
        now = int(time.time())
        payload = {"requestId": submitted["requestId"], "typ": "fleetseal-manifest+jws", "payloadSha256": submitted["payloadSha256"],
                   "keyThumbprint": submitted["keyThumbprint"], "policySha256": submitted["policySha256"], "decision": "approve",
                   "approver": approver, "nonce": nonce(), "issued": now, "expires": now + DAY, **changes}
        return person.sign("approval", {name: value for name, value in payload.items() if value is not None})

    def permit_request(self, newer, older, signer="publisher", person=None, **changes):
        """`newer` and `older`: (release counter, base64url of the manifest hash)."""
        person = person or self.person(signer)
        now = int(time.time())
        payload = {"requestId": new_id("permit"), "kind": "permit", "product": "acme/pump",
                   "from": {"releaseCounter": newer[0], "manifestSha256": newer[1]},
                   "to": {"releaseCounter": older[0], "manifestSha256": older[1]}, "deviceIds": ["dev-1"], "permitExpires": now + DAY,
                   "audience": "urn:fleetseal:acme", "requester": signer, "nonce": nonce(), "issued": now, "expires": now + DAY, **changes}
        return person.sign("request", {name: value for name, value in payload.items() if value is not None})

    def permit_approval(self, asked, approver, person=None, **changes):
        return self.approval({**asked, "requestId": asked["permitId"]}, approver, person, **{"typ": "fleetseal-permit+jws", **changes})

    def plan(self, manifest_sha256, signer="operator", person=None, **changes):
        person = person or self.person(signer)
        now = int(time.time())
        payload = {"planId": new_id("plan"), "product": "acme/pump", "environment": "production", "manifestSha256": manifest_sha256,
                   "reboot": "now", "operator": signer, "nonce": nonce(), "issued": now, "expires": now + DAY, **changes}
        return payload["planId"], person.sign("plan", payload)

    def revocation(self, kind, subject, action, signer, person=None, **changes):
        person = person or self.person(signer)
        payload = {"revocationId": new_id("revocation"), "kind": kind, "subject": subject, "action": action, "reason": "test",
                   "person": signer, "nonce": nonce(), "issued": int(time.time()), **changes}
        return person.sign("revocation", payload)

    def change(self, changes, signer="security", person=None, sequence=None, **members):
        person = person or self.person(signer)
        payload = {"changeId": new_id("change"), "sequence": self.next_sequence() if sequence is None else sequence, "changes": changes,
                   "nonce": nonce(), "issued": int(time.time()), **members}
        return person.sign("register-change", payload)

    def next_sequence(self):
        return self.rows("SELECT sequence FROM register_state")[0][0] + 1

    def allow(self, device, **changes):
        entry = {"action": "allow-device", "id": device.name, "product": "acme/pump", "environment": "production",
                 "properties": {"manufacturer": "acme", "model": "pump-1"}, "generation": device.generation,
                 "enrolmentKey": device.enrolment_key().jwk()["x"], "estCode": False, "expires": int(time.time()) + DAY, **changes}
        return self.ask("register-change", jws=[self.change([entry], "operator", sequence=0)])

    def manifest(self, content, version, **changes):
        file_id = "f" + "0" * 15 + "1"
        value = {
            "manifestVersion": "5", "updateId": {"provider": "acme", "name": "pump", "version": version},
            "compatibility": [{"manufacturer": "acme", "model": "pump-1"}],
            "instructions": {"steps": [{"handler": "fleetseal/slot:1", "files": [file_id]}]},
            "files": {file_id: {"fileName": "pump.img", "sizeInBytes": len(content),
                                "hashes": {"sha256": b64(hashlib.sha256(content).digest())}}},
            "createdDateTime": "2026-01-01T00:00:00Z", **changes}
        return compact(value).encode()

    def signed_update(self):
        """base64url of the manifest hash of the lab's own update."""
        return b64u(bytes.fromhex(self.lab.info["update"]["id"]))
