"""Who judges a case of the refusal corpus: the installer over its socket, `fleetseal verify`, and the library.

Each is given the same documents, device, trust state and time, and answers with a Verdict; none of them knows what is expected.
"""
import collections
import ctypes
import hashlib
import json
import os
import shutil
import subprocess

from cryptography.hazmat.primitives import serialization

import corpus
from corpus_world import ENCRYPTION_KEY
from documents import b64u, sha256, unb64u
from installer import BIN, Installer, Refused

# What was accepted ("package 2", "status", "order"), what was refused with which code (None: nothing), the trust state's hash afterwards, the refusal in words.
Verdict = collections.namedtuple("Verdict", "accepted document code state detail")


class Base:
    def __init__(self, name):
        value = corpus.read_json(f"bases/{name}/base.json")
        self.name, self.title, self.walk = name, value["title"], value["walk"]
        self.device = corpus.read_text(value["device"])
        self.package = corpus.read_text(value["package"])
        self.state_path = os.path.join(corpus.FOLDER, value["trustState"])
        self.state = corpus.read_text(value["trustState"])

    def walk_offer(self, step, number):
        folder = f"bases/{self.name}/{number}"
        documents = {slot: [corpus.at(folder, one) for one in document] if slot == "packages" else corpus.at(folder, document)
                     for slot, document in step["documents"].items()}
        return corpus.offer_of(documents)


class Device(Installer):
    """An installer that has lived through what its base tells."""

    def __init__(self, base, folder, clock):
        self.base, self.clock = base, clock
        self.prepare(folder)
        self.write("provisioning/device.json", base.device)
        self.write("provisioning/package.json", base.package)
        os.makedirs(os.path.join(self.folder, "state"), mode=0o700, exist_ok=True)
        pem = ENCRYPTION_KEY.private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        self.write("state/encryption-key.pem", pem.decode())
        self.start()

    @classmethod
    def copy_of(cls, other, folder):
        """Another one with the same past. `other` has been stopped."""
        device = cls.__new__(cls)
        device.base, device.clock = other.base, other.clock
        device.prepare(folder)
        for name in ("provisioning", "state", "slots", "boot"):
            if os.path.isdir(os.path.join(other.folder, name)):
                shutil.copytree(os.path.join(other.folder, name), os.path.join(device.folder, name), dirs_exist_ok=True)
        device.start()
        return device

    def start(self, environment=None):
        super().start(environment or {**os.environ, **self.clock.environment})

    def live(self):
        for number, step in enumerate(self.base.walk, 1):
            answer = self.ask(self.base.walk_offer(step, number))
            assert "refusal" not in answer, (self.base.name, number, answer)
            if "content" in step:
                content = step["content"]
                self.send_content(content["fileId"], content["sealedSha256"], bytes.fromhex(corpus.read_text(content["hex"])))
                assert "lastCode" not in self.wait_idle()

    def state_file(self):
        with open(os.path.join(self.folder, "state", "state.json")) as file:
            return json.load(file)

    def trust_text(self):
        return self.state_file()["trust"]

    def refusals_logged(self, start):
        """(document, code) of each refusal in the device's log from byte `start` on."""
        with open(os.path.join(self.folder, "installer.log"), encoding="utf-8") as file:
            file.seek(start)
            lines = [json.loads(line) for line in file]
        return [(line.get("document", "content"), line["code"]) for line in lines if line.get("event") in ("document.refused", "content.refused")]

    def judge(self, case):
        """The verdict; `logged` is what the device's own log says was refused meanwhile."""
        self.clock.set(case.now)
        start = os.path.getsize(os.path.join(self.folder, "installer.log"))
        answer = self.ask(case.offer())
        refusal = answer.get("refusal", {})
        document, code = refusal.get("document"), refusal.get("code")
        if case.content and not refusal:
            try:
                self.send_content(case.content["fileId"], case.content["sealedSha256"], case.content["bytes"])
            except Refused as refused:
                document, code = "content", refused.code
        self.logged = self.refusals_logged(start)
        return Verdict(answer["accepted"], document, code, b64u(sha256(self.trust_text())), refusal.get("detail", ""))


class InstallerJudge:
    """One process for each base. A refusal changes nothing, so the next case meets the same device; what is kept meets a copy."""

    def __init__(self, folder, clock):
        self.folder, self.clock = str(folder), clock
        self.devices, self.pristine, self.count = {}, {}, 0

    def _new_folder(self):
        self.count += 1
        path = os.path.join(self.folder, str(self.count))
        os.makedirs(path)
        return path

    def device(self, name):
        if name not in self.devices:
            base = Base(name)
            self.clock.set(corpus.Case(corpus.control_paths()[0]).now)
            first = Device(base, self._new_folder(), self.clock)
            first.live()
            first.stop()
            self.pristine[name] = first
            self.devices[name] = Device.copy_of(first, self._new_folder())
        return self.devices[name]

    def replace(self, name):
        """After a case that did change something: the next one shall not fail for it."""
        self.devices[name].stop()
        self.devices[name] = Device.copy_of(self.pristine[name], self._new_folder())

    def copy(self, name):
        self.device(name)
        return Device.copy_of(self.pristine[name], self._new_folder())

    def stop(self):
        for device in self.devices.values():
            device.stop()


class VerifyJudge:
    """`fleetseal verify` in a device's place."""

    def __init__(self, folder):
        self.folder = str(folder)

    def judge(self, case):
        base = corpus.read_json(f"bases/{case.base}/base.json")
        path = os.path.join(self.folder, case.path.replace("/", "-") + ".json")
        with open(path, "w") as file:
            json.dump(case.offer(), file)
        content = []
        if case.content:
            with open(path + ".content", "wb") as file:
                file.write(case.content["bytes"])
            content = ["--content", f"{case.content['fileId']}={path}.content"]
        done = subprocess.run([os.path.join(BIN, "fleetseal"), "verify", "--json", "--as-of", str(case.now), "--offer", path,
                               "--device", os.path.join(corpus.FOLDER, base["device"]), "--trust-state", os.path.join(corpus.FOLDER, base["trustState"]), *content],
                              capture_output=True, text=True, stdin=subprocess.DEVNULL)
        os.unlink(path)
        assert done.returncode in (0, 3), done.stderr
        answer = json.loads(done.stdout)
        refusal = answer["device"].get("refusal", {})
        assert (done.returncode == 3) == bool(refusal) == (not answer["trusted"]), answer
        return Verdict(answer["device"]["accepted"], refusal.get("document"), refusal.get("code"), answer["device"]["trustStateSha256"], refusal.get("detail", ""))


    def judge_people(self, kind):
        """One kind of documents that no device gets: name -> (outcome, code) of each case, and of "accepted"."""
        value = corpus.read_json(f"people/{kind}.json")
        folder = os.path.join(self.folder, f"people-{kind}")
        os.makedirs(folder)
        trust = ["--trusted-package", os.path.join(corpus.FOLDER, value["package"])] if "package" in value else ["--key", folder + ".keys"]
        with open(folder + ".keys", "w") as file:
            json.dump(value.get("keys"), file)
        for name, document in [("accepted", value["accepted"]), *[(case["name"], case if "pieces" in case else case["text"]) for case in value["cases"]]]:
            with open(os.path.join(folder, name), "w", newline="") as file:
                file.write(document if isinstance(document, str) else corpus.read_document(document))
        done = subprocess.run([os.path.join(BIN, "fleetseal"), "verify", "--json", "--as-of", str(value["now"]), folder, *trust], capture_output=True, text=True, stdin=subprocess.DEVNULL)
        assert done.returncode == 3, done.stderr
        found = [one for one in json.loads(done.stdout)["findings"] if one["files"]]
        shutil.rmtree(folder)
        assert len(found) == len(value["cases"]) + 1
        return {os.path.basename(path): (one["outcome"], one.get("code")) for one in found for path in one["files"]}


class Bytes(ctypes.Structure):
    _fields_ = [("data", ctypes.c_char_p), ("size", ctypes.c_size_t)]

    @classmethod
    def of(cls, text):
        data = None if text is None else text if isinstance(text, bytes) else text.encode()
        return cls(data, len(data or b""))


class Detail(ctypes.Structure):
    _fields_ = [("text", ctypes.c_char * 256)]


class Documents(ctypes.Structure):
    _fields_ = [("packages", ctypes.POINTER(Bytes)), ("package_count", ctypes.c_size_t), ("status", Bytes), ("order", Bytes), ("manifest", Bytes),
                ("manifest_signature", Bytes), ("log_proof", Bytes), ("consistency", ctypes.c_char_p), ("consistency_count", ctypes.c_size_t)]


class Time(ctypes.Structure):
    _fields_ = [("clock", ctypes.c_int64), ("has_signed_now", ctypes.c_int), ("signed_now", ctypes.c_int64), ("nonce", Bytes)]


class Outcome(ctypes.Structure):
    _fields_ = [("state", ctypes.c_void_p), ("order", ctypes.c_void_p), ("packages_accepted", ctypes.c_size_t), ("is_status_accepted", ctypes.c_int),
                ("has_signed_now", ctypes.c_int), ("signed_now", ctypes.c_int64), ("is_time_forgotten", ctypes.c_int), ("refused", ctypes.c_int), ("code", ctypes.c_int32)]


class Computed(ctypes.Structure):
    _fields_ = [("size", ctypes.c_uint64), ("sha256", ctypes.c_char_p), ("sha384", ctypes.c_char_p), ("sha512", ctypes.c_char_p)]


class LibraryJudge:
    """libfleetseal-trust by its C functions (fleetseal/trust.h)."""

    REFUSED = {1: "package", 2: "status", 3: "order"}

    def __init__(self):
        self.library = ctypes.CDLL(os.path.join(os.path.dirname(os.path.abspath(BIN)), "lib", "libfleetseal-trust.so.0"))
        self.library.fleetseal_trust_code_name.restype = ctypes.c_char_p
        self.library.fleetseal_trust_order_manifest.restype = ctypes.c_void_p
        for name in ("state_free", "order_free", "device_free"):
            getattr(self.library, "fleetseal_trust_" + name).argtypes = [ctypes.c_void_p]
        self.bases = {}

    def _call(self, name, *arguments):
        return getattr(self.library, "fleetseal_trust_" + name)(*arguments)

    def _made(self, name, text):
        handle, detail = ctypes.c_void_p(), Detail()
        code = self._call(name, Bytes.of(text), ctypes.byref(handle), ctypes.byref(detail))
        assert code == 0, (name, code, detail.text)
        return handle

    def _base(self, name):
        if name not in self.bases:
            base = Base(name)
            self.bases[name] = (self._made("state_parse", base.state), self._made("device_parse", base.device), json.loads(json.loads(base.state)["package"])["protected"])
        return self.bases[name]

    def _text(self, state):
        size = ctypes.c_size_t()
        self._call("state_serialize", state, None, ctypes.c_size_t(0), ctypes.byref(size))
        buffer = ctypes.create_string_buffer(size.value)
        assert self._call("state_serialize", state, buffer, size, ctypes.byref(size)) == 0
        return buffer.raw[:size.value]

    def judge(self, case):
        state, device, protected = self._base(case.base)
        offer = case.offer()
        packages = [Bytes.of(text) for text in offer["packages"]]
        hashes = [unb64u(text) for text in offer.get("consistency", [])]
        manifest = unb64u(offer["manifest"]) if "manifest" in offer else None
        documents = Documents((Bytes * len(packages))(*packages), len(packages), *[Bytes.of(offer.get(slot)) for slot in ("status", "order")], Bytes.of(manifest),
                              *[Bytes.of(offer.get(slot)) for slot in ("manifestSignature", "logProof")], b"".join(hashes), len(hashes))
        outcome, detail = Outcome(), Detail()
        code = self._call("offer", state, device, ctypes.byref(documents), ctypes.byref(Time(case.now, 0, 0, Bytes.of(None))), ctypes.byref(outcome), ctypes.byref(detail))
        assert code >= 0 and code == outcome.code, (code, detail.text)
        accepted = [f"package {protected['version'] + number}" for number in range(1, outcome.packages_accepted + 1)]
        accepted += ["status"] * bool(outcome.is_status_accepted) + ["order"] * bool(outcome.order)
        document = self.REFUSED.get(outcome.refused)
        if case.content and not code:
            manifest = self._call("order_manifest", ctypes.c_void_p(outcome.order))
            data = case.content["bytes"]
            computed = Computed(len(data), hashlib.sha256(data).digest(), None, None)
            code = self._call("check_file", ctypes.c_void_p(manifest), case.content["fileId"].encode(), ctypes.byref(computed), ctypes.byref(detail))
            document = "content" if code else None
        name = self._call("code_name", ctypes.c_int32(code)).decode() if code else None
        handle = ctypes.c_void_p(outcome.state)
        verdict = Verdict(accepted, document, name, b64u(sha256(self._text(handle))), detail.text.decode())
        self._call("state_free", handle)
        self._call("order_free", ctypes.c_void_p(outcome.order))
        return verdict
