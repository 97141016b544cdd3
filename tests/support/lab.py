"""A real lab (`fleetseal lab up`) for tests: every process, key and connection is the product's own."""
import contextlib
import fcntl
import http.client
import json
import os
import re
import shutil
import signal
import ssl
import subprocess
import tempfile
import time
from urllib.parse import urlsplit

BIN = os.environ["FLEETSEAL_BIN"]
PRODUCT = "acme/pump"
COMPATIBLE = "manufacturer=acme,model=pump-1"


class Outcome:
    def __init__(self, code, output, error):
        self.code, self.output, self.error = code, output, error

    @property
    def json(self):
        return json.loads(self.output)

    @property
    def refusal(self):
        """The stable code of an error answer."""
        return self.json["error"]["code"]


def wait_for_stop(pid):
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with open(f"/proc/{pid}/stat") as file:
            if file.read().rpartition(")")[2].split()[0] == "T":
                return
        time.sleep(0.005)
    raise AssertionError(f"process {pid} does not stop")


def is_locked(path):
    if not os.path.exists(path):
        return False
    with open(path, "r+b") as file:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            return True
    return False


class Lab:
    def __init__(self, devices=1, is_populated=False, more=()):
        # Only root can enter: the lab must open the path for the users it needs.
        self.folder = tempfile.mkdtemp(prefix="fleetseal-lab-")
        os.chmod(self.folder, 0o700)
        self.environment = dict(os.environ)
        arguments = ["lab", "up", "--dir", self.folder, "--devices", str(devices)] + (["--populate"] if is_populated else []) + list(more)
        try:
            outcome = self.run(*arguments)
            assert outcome.code == 0, outcome.error + outcome.output + self.logs()
        except BaseException:
            self.down()
            raise
        self.info = outcome.json
        self.environment.update(self.info["env"])

    def logs(self):
        text = ""
        folder = os.path.join(self.folder, "logs")
        for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
            with open(os.path.join(folder, name), errors="replace") as file:
                text += f"\n== {name}\n" + file.read()[-4000:]
        return text

    def run(self, *arguments, timeout=300):
        done = subprocess.run([os.path.join(BIN, "fleetseal"), *arguments, "--json"], env=self.environment, capture_output=True, text=True,
                              timeout=timeout)
        return Outcome(done.returncode, done.stdout, done.stderr)

    def good(self, *arguments):
        outcome = self.run(*arguments)
        assert outcome.code == 0, f"{arguments}: {outcome.output}{outcome.error}{self.logs()}"
        return outcome.json

    def refused(self, code, *arguments):
        outcome = self.run(*arguments)
        assert outcome.code == 3, f"{arguments}: {outcome.code} {outcome.output}{outcome.error}"
        assert outcome.refusal == code, outcome.output

    def down(self):
        subprocess.run([os.path.join(BIN, "fleetseal"), "lab", "down", "--dir", self.folder], capture_output=True)
        shutil.rmtree(self.folder, ignore_errors=True)

    def status(self):
        return self.good("lab", "status", "--dir", self.folder)

    def device(self, name="dev-1"):
        return next(device for device in self.info["devices"] if device["id"] == name)

    # --- an agent that asks nothing for a while ---

    def stop_agent(self, name="dev-1"):
        """Stops it between two cycles, where it owes nobody anything: in the middle of one it would keep the cycle's lock,
        the installer's connection and an answer of the server from before."""
        device = self.device(name)
        with open(device["config"]) as file:
            work = re.search('^work_directory = "(.*)"$', file.read(), re.M).group(1)
        deadline = time.monotonic() + 90
        while time.monotonic() < deadline:
            os.kill(device["agent_pid"], signal.SIGSTOP)
            wait_for_stop(device["agent_pid"])
            if not is_locked(os.path.join(work, "cycle.lock")):
                return device["agent_pid"]
            os.kill(device["agent_pid"], signal.SIGCONT)
            time.sleep(0.05)
        raise AssertionError(f"{name} never ends its cycle: {self.logs()}")

    @contextlib.contextmanager
    def held_agent(self, name="dev-1"):
        pid = self.stop_agent(name)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    def path(self, name, content):
        path = os.path.join(self.folder, "firmware", name)
        with open(path, "wb") as file:
            file.write(content)
        return path

    # --- the flow, step by step ---

    def submit(self, version, path, *more):
        return self.good("update", "submit", "--product", PRODUCT, "--version", version, "--compatible", COMPATIBLE, "--file", path, *more)

    def approve(self, submitted, approvers=("approver1", "approver2")):
        for approver in approvers:
            answer = self.good("approval", "approve", submitted["requestId"], "--as", approver)
        return answer

    def release(self, version, path, *more):
        submitted = self.submit(version, path, *more)
        self.approve(submitted)
        self.good("update", "import", submitted["id"], path.split(":")[0])
        return submitted["id"]

    def plan(self, update, *devices):
        return self.good("rollout", "plan", "--update", update, *(part for device in devices for part in ("--device", device)))["planId"]

    def roll_out(self, update, *devices):
        plan = self.plan(update, *devices)
        self.good("rollout", "start", plan)
        return plan

    def watch(self, plan, timeout=120):
        outcome = self.run("rollout", "watch", plan, "--timeout", str(timeout), timeout=timeout + 60)
        rollout, _ = json.JSONDecoder().raw_decode(outcome.output)
        assert "devices" in rollout, outcome.output + self.logs()
        return {device["id"]: device.get("code") or device["state"] for device in rollout["devices"]}

    # --- HTTP by hand ---

    def context(self, ca=None, cert=None, key=None, least=None, greatest=None):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(ca or self.info["server_ca"])
        if least:
            context.minimum_version = least
        if greatest:
            context.maximum_version = greatest
        if cert:
            context.load_cert_chain(cert, key)
        return context

    def request(self, url, method, path, body=None, cert=None, key=None, headers=None):
        parts = urlsplit(url)
        connection = http.client.HTTPSConnection(parts.hostname, parts.port, context=self.context(cert=cert, key=key), timeout=30)
        try:
            if isinstance(body, (dict, list)):
                body = json.dumps(body)
                headers = {"Content-Type": "application/json", **(headers or {})}
            try:
                connection.request(method, path, body=body, headers=headers or {})
            except (ssl.SSLError, ConnectionError):
                pass  # a server that refuses does not wait for the whole body; its answer is there to be read
            response = connection.getresponse()
            data = response.read()
            return response.status, dict(response.getheaders()), data
        finally:
            connection.close()

    def as_device(self, name, method, path, body=None, headers=None):
        device = self.device(name)
        return self.request(self.info["device_url"], method, path, body, device["cert"], device["key"], headers)

    def as_person(self, name, method, path, body=None, headers=None):
        identity = self.info["identities"][name]
        return self.request(self.info["admin_url"], method, path, body, identity["cert"], identity["key"], headers)

    # --- what an attack must not change ---

    def device_home(self, name="dev-1"):
        return os.path.dirname(self.device(name)["state_dir"])

    def active_image(self, name="dev-1"):
        with open(os.path.join(self.device_home(name), "boot", "active")) as file:
            return self.device(name)["slots"][0 if file.read().strip() == "a" else 1]

    def trust(self, name="dev-1"):
        with open(os.path.join(self.device(name)["state_dir"], "state.json")) as file:
            trust = json.load(file)["trust"]
        return json.loads(trust) if isinstance(trust, str) else trust
