"""A lab whose messages to the signer were recorded, each with the data as it was before: what the crash matrices replay."""
import json
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import threading

from crash import IS_ROOT, copy_tree, scratch
from documents import leaf_hash, tree_root
from lab import BIN, Lab
from services import Services

STORES = ("signer", "log", "sealer")
ALL_STORES = (*STORES, "server")


def read_frame(peer):
    size = struct.unpack(">I", exact(peer, 4))[0]
    return exact(peer, size)


def exact(peer, count):
    data = b""
    while len(data) < count:
        piece = peer.recv(count - len(data))
        if not piece:
            raise EOFError
        data += piece
    return data


def ask_socket(path, message, seconds=60):
    """The answer, or None if the signer died before it answered."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
        peer.settimeout(seconds)
        try:
            peer.connect(path)
            peer.sendall(struct.pack(">I", len(message)) + message)
            return json.loads(read_frame(peer))
        except (EOFError, ConnectionError, FileNotFoundError):
            return None


class Step:
    """One message, its answer on the good day, and the folder with the stores as they were before it."""

    def __init__(self, message, folder, name=None):
        self.message, self.folder = message, folder
        self.verb = json.loads(message)["verb"]
        self.name = name or self.verb
        self.answer = None


class Tree:
    """A log as it lies on disk: its checkpoint and leaves, recomputed."""

    def __init__(self, folder):
        with open(os.path.join(folder, "checkpoint")) as file:
            lines = file.read().split("\n")
        self.origin, self.size, self.root = lines[0], int(lines[1]), lines[2]
        self.leaves = []
        for bundle in range((self.size + 255) // 256):
            width = min(256, self.size - bundle * 256)
            name = os.path.join(folder, "tile", "entries", f"{bundle:03d}" + (f".p/{width}" if width < 256 else ""))
            with open(name, "rb") as file:
                data = file.read()
            while data:
                size = struct.unpack(">H", data[:2])[0]
                self.leaves.append(data[2:2 + size])
                data = data[2 + size:]
        assert len(self.leaves) == self.size
        self.check_extends(self)

    def check_extends(self, earlier):
        """The tree of this log at the earlier one's size is the earlier one's: it has not forked."""
        import base64
        assert self.origin == earlier.origin and self.size >= earlier.size
        assert base64.b64encode(tree_root([leaf_hash(leaf) for leaf in self.leaves[:earlier.size]])).decode() == earlier.root

    def records(self, kind):
        return [record for record in map(json.loads, self.leaves) if record["type"] == kind]


class RecordedLab:
    """Runs the whole flow through a relay in front of the signer."""

    def __init__(self, verbs):
        self.folder = scratch("fleetseal-crash-org-")
        before, tempfile.tempdir = tempfile.tempdir, self.folder
        try:
            self.lab = Lab(devices=1)
        finally:
            tempfile.tempdir = before
        self.steps = []
        self.verbs = verbs
        self.lock = threading.Lock()
        self.services = Services(self.lab)
        self.org = self.services.org
        with open(os.path.join(self.lab.folder, "devices", "pids.json")) as file:
            os.kill(json.load(file)["supervisor"], 15)
        self.signer_socket = os.path.join(self.org, "run", "signer", "signer.sock")
        self.relay_path = os.path.join(self.lab.folder, "relay.sock")
        self.listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.listener.bind(self.relay_path)
        os.chmod(self.relay_path, 0o777)
        os.chmod(self.lab.folder, 0o711)
        self.listener.listen(32)
        threading.Thread(target=self.accept, daemon=True).start()
        self.change("signer", "server_uid", str(os.geteuid()))
        self.change("server", "signer_socket", json.dumps(self.relay_path))

    def change(self, name, key, value):
        """Sets a key at the top of a configuration."""
        with open(self.services.config(name), "r+") as file:
            lines = [line for line in file.read().splitlines() if not line.startswith(key + " ")]
            file.seek(0)
            file.truncate()
            file.write(f"{key} = {value}\n" + "\n".join(lines) + "\n")

    def accept(self):
        while True:
            try:
                peer, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.relay, args=(peer,), daemon=True).start()

    def relay(self, peer):
        with peer:
            try:
                while True:
                    message = read_frame(peer)
                    answer = json.dumps(self.forward(message)).encode()
                    peer.sendall(struct.pack(">I", len(answer)) + answer)
            except (EOFError, OSError):
                return

    def record(self, name, **words):
        """Asks the signer for something that no program of ours asks for in this way; the step has that name."""
        answer = self.forward(json.dumps(words).encode(), name)
        assert answer and "ok" in answer, (name, answer)
        return answer["ok"]

    def ask(self, **words):
        """The same, and nothing is recorded."""
        answer = ask_socket(self.signer_socket, json.dumps(words).encode())
        assert answer and "ok" in answer, (words, answer)
        return answer["ok"]

    def step(self, name):
        """The last step of that name."""
        return [step for step in self.steps if step.name == name][-1]

    def forward(self, message, name=None):
        with self.lock:
            step = None
            if name or json.loads(message)["verb"] in self.verbs:
                self.services.stop("signer")
                step = Step(message, os.path.join(self.folder, f"step-{len(self.steps)}"), name)
                os.mkdir(step.folder, 0o711)
                for store in STORES:
                    copy_tree(os.path.join(self.org, store), os.path.join(step.folder, store))
                self.services.start("signer")
            answer = ask_socket(self.signer_socket, message)
            if step and answer and "ok" in answer:
                step.answer = answer
                self.steps.append(step)
            return answer

    def restore(self, step):
        for store in STORES:
            copy_tree(os.path.join(step.folder, store), os.path.join(self.org, store))

    def keep(self, name):
        """A copy of everything, devices too, with nobody running."""
        self.services.stop()
        folder = os.path.join(self.folder, "kept-" + name)
        os.mkdir(folder, 0o711)
        for store in ALL_STORES:
            copy_tree(os.path.join(self.org, store), os.path.join(folder, store))
        copy_tree(os.path.join(self.lab.folder, "devices"), os.path.join(folder, "devices"))
        self.services.start()
        return folder

    def go_back(self, folder):
        self.services.kill()
        for store in ALL_STORES:
            copy_tree(os.path.join(folder, store), os.path.join(self.org, store))
        copy_tree(os.path.join(folder, "devices"), os.path.join(self.lab.folder, "devices"))

    def device_cycle(self, name="dev-1", environment=None):
        """One cycle of a real agent with a real installer; both end with it. Returns how the agent ended."""
        paths = self.lab.device(name)
        user = {"user": 61005, "group": 61005} if IS_ROOT else {}
        agent = {"user": 61004, "group": 61004} if IS_ROOT else {}
        read_end, write_end = os.pipe()
        installer = subprocess.Popen([os.path.join(BIN, "fleetseal-installer"), "--config", paths["installer_config"], "--ready-fd", str(write_end)],
                                     pass_fds=[write_end], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                                     env={**os.environ, **self.services.environment}, **user)
        os.close(write_end)
        with os.fdopen(read_end) as ready:
            assert ready.readline()
        try:
            return subprocess.run([os.path.join(BIN, "fleetseal-agent"), "--config", paths["config"], "--once"], capture_output=True, text=True,
                                  env=environment or {**os.environ, **self.services.environment}, **agent)
        finally:
            installer.terminate()
            installer.wait(30)

    def clone_device(self, name, code):
        """A device as dev-1 was before it enrolled."""
        devices = os.path.join(self.lab.folder, "devices")
        home = os.path.join(devices, name)
        copy_tree(os.path.join(devices, "dev-1"), home)
        for gone in ("installer/state", "installer/boot", "agent/identity", "agent/work"):
            shutil.rmtree(os.path.join(home, gone), ignore_errors=True)
        for path in ("installer/installer.json", "installer/provisioning/device.json", "agent/agent.toml"):
            with open(os.path.join(home, path), "r+") as file:
                text = file.read().replace("dev-1", name)
                file.seek(0)
                file.truncate()
                file.write(text)
        with open(os.path.join(home, "installer/provisioning/enrolment-code"), "w") as file:
            file.write(code + "\n")
        self.lab.info["devices"].append({"id": name, "installer_config": os.path.join(home, "installer", "installer.json"),
                                         "config": os.path.join(home, "agent", "agent.toml")})

    def close(self):
        self.listener.close()
        self.services.kill()
        shutil.rmtree(self.folder, ignore_errors=True)
