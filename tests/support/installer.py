"""A real fleetseal-installer process, provisioned by a World, spoken to over its socket as the agent would."""
import hashlib
import json
import os
import socket
import struct
import subprocess
import threading

from cryptography.hazmat.primitives import serialization

from documents import World, b64u, jwe, seal, sha256

BIN = os.environ["FLEETSEAL_BIN"]


class Refused(Exception):
    def __init__(self, code, detail=""):
        super().__init__(f"{code}: {detail}")
        self.code = code


class Channel:
    """Length-prefixed JSON; one file descriptor may travel with a message."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(60)
        self.socket.connect(path)

    def send(self, message, descriptor=None):
        data = message if isinstance(message, bytes) else json.dumps(message).encode()
        frame = struct.pack(">I", len(data)) + data
        if descriptor is None:
            self.socket.sendall(frame)
        else:
            sent = socket.send_fds(self.socket, [frame], [descriptor])
            self.socket.sendall(frame[sent:])

    def receive(self):
        size = struct.unpack(">I", self.exact(4))[0]
        return json.loads(self.exact(size))

    def exact(self, count):
        data = b""
        while len(data) < count:
            piece = self.socket.recv(count - len(data))
            if not piece:
                raise EOFError("the installer closed the connection")
            data += piece
        return data

    def ask(self, message, descriptor=None):
        self.send(message, descriptor)
        answer = self.receive()
        if "error" in answer:
            raise Refused(answer["error"]["code"], answer["error"].get("detail", ""))
        return answer

    def close(self):
        self.socket.close()


class Installer:
    DEVICE = "dev-1"

    def __init__(self, world, folder, health="exit 0", properties=None, product=None, delivery="sealed"):
        self.prepare(folder, health)
        self.provision(world, properties, product, delivery)
        self.start()

    def provision(self, world, properties=None, product=None, delivery="sealed"):
        """Who the device is, and whom it trusts first."""
        self.world = world
        self.write("provisioning/device.json", json.dumps({
            "organisation": world.organisation, "deviceId": self.DEVICE, "generation": 1, "product": product or world.product,
            "environment": "production", "properties": properties or {"manufacturer": "acme", "model": "pump-1"},
            "delivery": delivery, "buildTime": world.now - 86400}))
        self.write("provisioning/package.json", world.package())
        self.write("provisioning/enrolment-code", "a" * 26 + "\n")

    def prepare(self, folder, health="exit 0"):
        """The folders and the configuration: all but what says who the device is."""
        self.folder = os.path.join(str(folder), "installer")
        self.files = os.path.join(str(folder), "files")
        for path in (os.path.join(self.folder, "provisioning"), os.path.join(self.folder, "slots"), self.files):
            os.makedirs(path, mode=0o700, exist_ok=True)
        self.write("installer.json", json.dumps({
            "socket": "installer.sock", "provisioningDirectory": "provisioning", "stateDirectory": "state",
            "slots": {"a": "slots/a.img", "b": "slots/b.img", "bytesMax": 64 * 1024 * 1024},
            "bootControl": {"kind": "files", "directory": "boot"}, "filePrefix": self.files,
            "health": {"command": ["/bin/sh", "-c", health, "health"], "timeoutSeconds": 10}, "streamIdleSeconds": 5}))
        self.process = None

    def write(self, name, text):
        path = os.path.join(self.folder, name)
        with open(path, "w") as file:
            file.write(text)
        os.chmod(path, 0o600)

    def start(self, environment=None):
        read_end, write_end = os.pipe()
        self.log = open(os.path.join(self.folder, "installer.log"), "ab")
        self.process = subprocess.Popen(
            [os.path.join(BIN, "fleetseal-installer"), "--config", os.path.join(self.folder, "installer.json"),
             "--ready-fd", str(write_end)], pass_fds=[write_end], stderr=self.log, stdout=self.log, env=environment)
        os.close(write_end)
        with os.fdopen(read_end) as ready:
            line = ready.readline()
        assert line, "the installer did not start: " + self.log_text()

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(30)
        self.log.close()

    def log_text(self):
        with open(os.path.join(self.folder, "installer.log")) as file:
            return file.read()

    def channel(self):
        return Channel(os.path.join(self.folder, "installer.sock"))

    def ask(self, message, descriptor=None):
        channel = self.channel()
        try:
            return channel.ask(message, descriptor)
        finally:
            channel.close()

    def state(self, **members):
        return self.ask({"verb": "state", **members})

    def encryption_key(self):
        with open(os.path.join(self.folder, "state", "encryption-key.pem"), "rb") as file:
            return serialization.load_pem_private_key(file.read(), None).public_key()

    def receipt_key(self):
        with open(os.path.join(self.folder, "state", "receipt-key.pem"), "rb") as file:
            return serialization.load_pem_private_key(file.read(), None).public_key()

    def offer(self, **documents):
        """Offers documents; raises Refused with the installer's code."""
        answer = self.ask({"verb": "offer-documents", "packages": [], **documents})
        if "refusal" in answer:
            raise Refused(answer["refusal"]["code"], answer["refusal"].get("detail", ""))
        return answer

    def send_content(self, file_id, sealed_sha256, sealed):
        """Streams sealed bytes through a pipe; raises Refused."""
        read_end, write_end = os.pipe()
        channel = self.channel()

        def feed():
            try:
                with os.fdopen(write_end, "wb") as pipe:
                    pipe.write(sealed)
            except BrokenPipeError:
                pass

        channel.send({"verb": "offer-content", "fileId": file_id, "sealedSha256": sealed_sha256}, read_end)
        os.close(read_end)
        feeder = threading.Thread(target=feed)
        feeder.start()
        try:
            answer = channel.receive()
        finally:
            feeder.join()
            channel.close()
        if "error" in answer:
            raise Refused(answer["error"]["code"], answer["error"].get("detail", ""))
        return answer

    def wait_idle(self):
        """Waits (in the installer, not by sleeping) until nothing is going on."""
        state = self.state()
        while state["phase"] != "idle":
            state = self.state(waitMs=20000, phase=state["phase"])
        return state

    def trust_bytes(self):
        """The trust part of the state file, as bytes."""
        with open(os.path.join(self.folder, "state", "state.json")) as file:
            return json.dumps(json.load(file)["trust"]).encode()

    def fingerprint(self):
        """What a refused document must not change: trust state, slots, boot choice, files."""
        # A file that is just being replaced is neither old nor new; one that stays behind is a difference.
        for _ in range(500):
            parts = self._fingerprint_now()
            if not any(".tmp-" in path for path in parts):
                break
        return parts

    def _fingerprint_now(self):
        parts = {"trust": hashlib.sha256(self.trust_bytes()).hexdigest()}
        for top in (os.path.join(self.folder, "slots"), os.path.join(self.folder, "boot"), self.files):
            for folder, _, files in os.walk(top):
                for file in files:
                    path = os.path.join(folder, file)
                    try:
                        with open(path, "rb") as handle:
                            parts[path] = hashlib.sha256(handle.read()).hexdigest()
                    except FileNotFoundError:
                        parts[path + ".tmp-gone"] = ""
        return parts

    def active_slot(self):
        with open(os.path.join(self.folder, "boot", "active")) as file:
            return file.read().strip()

    def slot_bytes(self, slot, size):
        with open(os.path.join(self.folder, "slots", slot + ".img"), "rb") as file:
            return file.read(size)


class Release:
    """Everything for one installation on one device; each part may be replaced before it is offered."""

    def __init__(self, world: World, installer: Installer, content=b"firmware image", counter=1, version="1.0.0", sequence=None,
                 manifest=None, signature=None, is_logged=True, **order):
        self.world = world
        self.installer = installer
        self.content = content
        self.file_id = "f" + "0" * 15 + "1"
        self.manifest = manifest or world.manifest(content, version)
        self.signature = signature or world.manifest_signature(self.manifest, counter)
        manifest_sha256 = sha256(self.manifest)
        self.update_key = os.urandom(32)
        self.sealed = seal(content, self.update_key, manifest_sha256, self.file_id)
        self.sealed_sha256 = b64u(sha256(self.sealed))
        self.content_key = jwe(installer.encryption_key(), self.update_key,
                               {"deviceId": installer.DEVICE, "generation": 1, "manifestSha256": b64u(manifest_sha256)})
        contents = [{"fileId": self.file_id, "sealedSha256": self.sealed_sha256, "sealedSize": len(self.sealed)}]
        order = {"device": installer.DEVICE, "contents": contents, "content_key": self.content_key,
                 "sequence": sequence if sequence is not None else counter, **order}
        self.order = world.order(order.pop("device"), self.manifest, order.pop("contents"), order.pop("content_key"), **order)
        self.log_size_before = installer.state().get("checkpoint", {}).get("size", 0)
        self.index = world.log_signature(self.signature, self.manifest, counter) if is_logged else None
        self.proof = world.log.proof(self.index) if is_logged else None
        self.consistency = world.log.consistency(self.log_size_before) if is_logged else []
        world.status_version += 1
        self.status = world.status(version=world.status_version)

    def documents(self, **changes):
        documents = {"status": self.status, "order": self.order, "manifest": b64u(self.manifest.encode()),
                     "manifestSignature": self.signature, "logProof": self.proof, "consistency": self.consistency}
        documents.update(changes)
        return {name: value for name, value in documents.items() if value is not None}

    def offer(self, **changes):
        return self.installer.offer(**self.documents(**changes))

    def install(self, **changes):
        self.offer(**changes)
        self.installer.send_content(self.file_id, self.sealed_sha256, self.sealed)
        return self.installer.wait_idle()
