"""A device in bad surroundings: wrong clocks, lost connections, open ports."""
import os
import signal
import socket
import subprocess
import threading
from urllib.parse import urlsplit

import pytest

from clock import YEAR, shifted
from lab import BIN, Lab


def image(seed, size=300_000):
    return (seed.encode() * (size // len(seed) + 1))[:size]


@pytest.fixture(scope="module")
def still():
    """A lab whose device processes are started by the tests."""
    lab = Lab(devices=1, is_populated=True)
    supervisor = lab.status()["pids"]["devices_supervisor"]
    pids = [lab.status()["devices"][0][name] for name in ("agent_pid", "installer_pid")]
    os.kill(supervisor, signal.SIGTERM)
    for pid in [supervisor, *pids]:
        while os.path.exists(f"/proc/{pid}/stat") and open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()[0] != "Z":
            os.sched_yield()
    yield lab
    lab.down()


class Device:
    def __init__(self, lab, environment=None):
        self.lab = lab
        self.home = os.path.dirname(lab.device()["config"])
        self.environment = {**os.environ, **(environment or {})}
        owner = os.stat(lab.device()["state_dir"]).st_uid
        read_end, write_end = os.pipe()
        self.installer = subprocess.Popen(
            [os.path.join(BIN, "fleetseal-installer"), "--config", os.path.join(lab.device_home(), "installer.json"), "--ready-fd", str(write_end)],
            pass_fds=[write_end], env=self.environment, stderr=subprocess.PIPE, **({"user": owner, "group": owner, "extra_groups": []} if owner else {}))
        os.close(write_end)
        with os.fdopen(read_end) as ready:
            assert ready.readline(), self.installer.stderr.read()

    def arguments(self, url=None):
        config = self.lab.device()["config"]
        if url:
            other = os.path.join(self.home, "other.toml")
            with open(config) as file, open(other, "w") as out:
                out.write(file.read().replace(self.lab.info["device_url"], url))
            os.chown(other, os.stat(config).st_uid, os.stat(config).st_gid)
            config = other
        return [os.path.join(BIN, "fleetseal-agent"), "--config", config, "--once", "--json"]

    def agent(self, url=None):
        return subprocess.run(self.arguments(url), capture_output=True, text=True, timeout=240, env=self.environment)

    def stop(self):
        self.installer.terminate()
        self.installer.communicate(timeout=30)


def runs(lab, content):
    with open(lab.active_image(), "rb") as file:
        return file.read(len(content)) == content


@pytest.mark.parametrize("shift,version", [(-YEAR, "3.0.0"), (YEAR, "3.1.0")], ids=["back", "forward"])
def test_X9_a_device_whose_clock_is_a_year_wrong_is_updated_by_a_right_server(still, tmp_path, shift, version):
    content = image(version)
    still.roll_out(still.release(version, still.path(f"{version}.img", content)), "dev-1")
    floor = still.trust()["timeFloor"]
    device = Device(still, shifted(tmp_path, shift))
    try:
        done = device.agent()
        assert done.returncode == 0, done.stdout + done.stderr + still.logs()
    finally:
        device.stop()
    assert runs(still, content)
    assert floor <= still.trust()["timeFloor"] <= os.stat(still.device()["state_dir"] + "/state.json").st_mtime + 60


class Cutting:
    """A TCP relay to the server that hangs up when a connection has carried more than `limit` bytes of answers."""

    def __init__(self, url, limit):
        parts = urlsplit(url)
        self.target, self.limit, self.passed = (parts.hostname, parts.port), limit, []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self.listener.getsockname()[1]}"
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            server = socket.create_connection(self.target)
            threading.Thread(target=self.relay, args=(client, server, None), daemon=True).start()
            threading.Thread(target=self.relay, args=(server, client, self.limit), daemon=True).start()

    def relay(self, source, sink, limit):
        count = 0
        try:
            while data := source.recv(65536):
                count += len(data)
                if limit is not None and count > limit:
                    break
                sink.sendall(data)
        except OSError:
            pass
        self.passed.append(count)
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def close(self):
        self.listener.close()


def test_a_download_goes_on_where_the_network_was_lost(still):
    """Every connection is cut after half of the file: the agent asks for the rest only, in as many cycles as it takes."""
    content = os.urandom(3_000_000)
    still.roll_out(still.release("4.0.0", still.path("4.0.0.img", content)), "dev-1")
    device = Device(still)
    relay = Cutting(still.info["device_url"], 1_500_000)
    try:
        for _ in range(4):
            done = device.agent(relay.url)
            if done.returncode == 0:
                break
        assert done.returncode == 0, done.stdout + done.stderr
    finally:
        relay.close()
        device.stop()
    assert runs(still, content)
    assert max(relay.passed) >= 1_500_000  # it was cut
    # What was lost with each cut is what the kernel still held; nothing travelled twice.
    assert sum(count for count in relay.passed if count > 100_000) < 3_000_000 + 1_200_000
    assert not [name for name in os.listdir(os.path.join(device.home, "work")) if name.endswith(".part")]


def listening(pid):
    """Addresses on which the process listens or receives, by the inodes of its sockets."""
    inodes = set()
    for descriptor in os.listdir(f"/proc/{pid}/fd"):
        try:
            target = os.readlink(f"/proc/{pid}/fd/{descriptor}")
        except OSError:
            continue
        if target.startswith("socket:["):
            inodes.add(target[8:-1])
    found = []
    for table in ("tcp", "tcp6", "udp", "udp6", "raw", "raw6"):
        with open(f"/proc/{pid}/net/{table}") as file:
            rows = [line.split() for line in file.readlines()[1:]]
        found += [row[1] for row in rows if row[9] in inodes and (row[3] == "0A" or not table.startswith("tcp"))]
    return found


def test_S1_63_nothing_on_a_device_listens_and_only_the_server_does_elsewhere():
    lab = Lab(devices=1)
    try:
        status = lab.status()
        device = status["devices"][0]
        for name in ("agent_pid", "installer_pid"):
            assert listening(device[name]) == [], name
        for name in ("signer", "sealer"):
            assert listening(status["pids"][name]) == [], name
        assert listening(status["pids"]["server"])
    finally:
        lab.down()
