"""Signer, sealer and server of a lab in the test's own hands: stopped and started at will, in another environment.

The lab's supervisor would start again whatever a test stops. Here it is ended, and its programs run as children of the
test, as the users they have there.
"""
import json
import os
import signal
import subprocess
import threading

from lab import BIN

USERS = {"sealer": 61002, "signer": 61001, "server": 61003}
SOCKET_GROUP = 61000


def wait_until(condition, what, seconds=60):
    """For what tells nobody when it happens: asks again until it holds."""
    pause = threading.Event()
    for _ in range(seconds * 50):
        answer = condition()
        if answer:
            return answer
        pause.wait(0.02)
    raise AssertionError("waited in vain for " + what)


class Services:
    def __init__(self, lab):
        self.lab = lab
        self.org = os.path.join(lab.folder, "org")
        self.running = {}
        self.environment = {}  # of all of them, from their next start on
        with open(os.path.join(self.org, "run", "pids.json")) as file:
            pids = json.load(file)
        os.kill(pids["supervisor"], signal.SIGTERM)
        for pid in pids.values():
            wait_until(lambda pid=pid: not is_alive(pid), "the end of the supervisor's programs")

    def config(self, name):
        return os.path.join(self.org, name, name + ".toml")

    def log_path(self, name):
        return os.path.join(self.lab.folder, "logs", name + ".log")

    def log_text(self, name):
        if not os.path.exists(self.log_path(name)):
            return ""
        with open(self.log_path(name), errors="replace") as file:
            return file.read()

    def spawn(self, name, config=None, environment=None):
        """Starts a program and returns it with the line it said when it was ready ('' if it ended before)."""
        read_end, write_end = os.pipe()
        with open(self.log_path(name), "ab") as log:
            identity = {"user": USERS[name], "group": USERS[name], "extra_groups": [SOCKET_GROUP]} if os.geteuid() == 0 else {}
            process = subprocess.Popen(
                [os.path.join(BIN, "fleetseal-" + name), "--config", config or self.config(name), "--ready-fd", str(write_end)],
                pass_fds=[write_end], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env={**os.environ, **self.environment, **(environment or {})}, **identity)
        os.close(write_end)
        with os.fdopen(read_end) as ready:
            return process, ready.readline()

    def start(self, *names, environment=None):
        """Those named, or all that do not run."""
        for name in names or [name for name in USERS if name not in self.running]:
            process, line = self.spawn(name, environment=environment)
            assert line, f"{name} did not start: " + self.log_text(name)[-2000:]
            self.running[name] = process

    def stop(self, *names):
        for name in names or reversed(USERS):
            process = self.running.pop(name, None)
            if process:
                process.terminate()
                assert process.wait(30) == 0, self.log_text(name)[-2000:]

    def restart(self, *names, environment=None):
        self.stop(*names)
        self.start(*names, environment=environment)

    def refuses_to_start(self, name, config=None, environment=None):
        """Starts what must not start; returns what it said."""
        size = os.path.getsize(self.log_path(name)) if os.path.exists(self.log_path(name)) else 0
        process, line = self.spawn(name, config, environment)
        try:
            assert line == "", "it started: " + line
            assert process.wait(30) not in (0, -signal.SIGABRT, -signal.SIGSEGV), self.log_text(name)[size:]
        finally:
            if process.poll() is None:
                process.kill()
                process.wait(30)
        return self.log_text(name)[size:]

    def kill(self):
        for process in self.running.values():
            process.kill()
            process.wait(30)
        self.running = {}


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def restart_device(lab, name, *parts):
    """Ends agent or installer of a device; the lab's supervisor starts it again."""
    for part in parts:
        with open(os.path.join(lab.folder, "devices", "pids.json")) as file:
            pid = json.load(file)[f"{name}.{part}"]
        if is_alive(pid):  # else it is about to be started
            os.kill(pid, signal.SIGKILL)
            wait_until(lambda pid=pid: not is_alive(pid), "the end of " + part)


def restart_agent(lab, name, port):
    """With another way to the server."""
    path = os.path.join(lab.device_home(name), "..", "agent", "agent.toml")
    with open(path) as file:
        lines = [f'server = "https://127.0.0.1:{port}"\n' if line.startswith("server = ") else line for line in file]
    with open(path, "w") as file:
        file.writelines(lines)
    restart_device(lab, name, "agent")
