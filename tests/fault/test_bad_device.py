"""A server that never stops, dawdles or falls silent (X6), and disks of a device that are full or read-only: said in the
log, nothing damaged, and the update goes on when the cause has gone, without a hand.
"""
import json
import os
import signal
import ssl
import subprocess

import pytest

from lab import Lab
from services import is_alive, restart_agent, restart_device, wait_until
from wrong_server import How, WrongServer

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root for the server's key and for mounts")
PIECE = bytes(65536)


@pytest.fixture(scope="module")
def lab():
    made = Lab(devices=2, is_populated=True)
    yield made
    made.down()


def log_path(lab, part, name="dev-1"):
    return os.path.join(lab.folder, "logs", f"{name}-{part}.log")


class Said:
    """What a program logs from here on."""

    def __init__(self, lab, part, name="dev-1"):
        self.path = log_path(lab, part, name)
        self.start = os.path.getsize(self.path)

    def lines(self, *words):
        with open(self.path, errors="replace") as file:
            file.seek(self.start)
            return [line for line in file if all(word in line for word in words)]

    def wait(self, *words, seconds=60):
        return wait_until(lambda: self.lines(*words), f"{words} in {self.path}", seconds)


def pids_of(lab, name="dev-1"):
    with open(os.path.join(lab.folder, "devices", "pids.json")) as file:
        pids = json.load(file)
    return pids[name + ".agent"], pids[name + ".installer"]


def agent_pid(lab, name="dev-1"):
    return pids_of(lab, name)[0]


def most_memory(pid):
    with open(f"/proc/{pid}/status") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith("VmHWM"))


def work_folder(lab, name="dev-1"):
    return os.path.realpath(os.path.join(lab.device_home(name), "..", "agent", "work"))


def part_sizes(lab, name="dev-1"):
    return [os.path.getsize(os.path.join(work_folder(lab, name), file)) for file in os.listdir(work_folder(lab, name)) if file.endswith(".part")]


# --- a server that is not what it should be -------------------------------------------------------------------------------


def endless_content(server, connection, path, headers):
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nConnection: close\r\n\r\n")
    server.pour(connection, PIECE)


def endless_chunks(server, connection, path, headers):
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nTransfer-Encoding: chunked\r\n\r\n")
    server.pour(connection, b"10000\r\n" + PIECE + b"\r\n")


def longer_content(server, connection, path, headers):
    """The right bytes, and a gigabyte behind them."""
    genuine = server.lab.as_device(server.name, "GET", path)[2]
    connection.sendall(f"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {len(genuine) + (1 << 30)}\r\n\r\n".encode())
    connection.sendall(genuine)
    server.pour(connection, PIECE)


def endless_head(server, connection, path, headers):
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    server.pour(connection, b"X-Filler: " + b"a" * 1000 + b"\r\n")


def endless_preludes(server, connection, path, headers):
    server.pour(connection, b"HTTP/1.1 100 Continue\r\nX-Filler: " + b"a" * 1000 + b"\r\n\r\n")


def one_byte_a_second(server, connection, path, headers):
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: 100000000\r\n\r\n")
    try:
        while not server.is_closed.wait(1):
            connection.sendall(b"x")
    except (OSError, ssl.SSLError):
        pass


def no_answer(server, connection, path, headers):
    try:
        while connection.recv(1):
            pass
    except (OSError, ssl.SSLError):
        pass


@pytest.fixture
def wrong_servers(lab):
    made = []

    def make(name):
        made.append(WrongServer(lab, name))
        said = Said(lab, "agent", name)
        restart_agent(lab, name, made[-1].port)
        said.wait("agent.started", f":{made[-1].port}")
        return made[-1]
    yield make
    for server in made:
        restart_agent(lab, server.name, server.target)
        server.close()


VERSIONS = iter(range(2, 100))


def released(lab, size=300_000):
    version = f"{next(VERSIONS)}.0.0"
    return lab.release(version, lab.path(f"pump-{version}.img", os.urandom(size)))


def start(lab, update, *devices):
    plan = lab.plan(update, *devices)
    lab.good("rollout", "start", plan)
    return plan


@pytest.mark.parametrize("act, code", [(endless_content, "FileTooLarge"), (endless_chunks, "FileTooLarge"), (longer_content, "FileTooLarge"),
                                       (endless_head, "ProtocolError"), (endless_preludes, "ProtocolError")])
def test_X6_content_without_end_is_cut_at_the_signed_size(lab, wrong_servers, act, code):
    server = wrong_servers("dev-1")
    update = released(lab)
    sealed = 300_000 + 65536
    said, before, pid = Said(lab, "agent"), lab.trust()["counters"], agent_pid(lab)
    server.how = How(act)
    plan = start(lab, update, "dev-1")
    said.wait("agent.cycle-failed", code)
    assert max(server.sent) < 16 << 20, "the device kept on reading"
    assert all(size <= sealed for size in part_sizes(lab))
    assert most_memory(pid) < 48 << 20
    assert agent_pid(lab) == pid and lab.trust()["counters"] == before
    server.how = None
    assert lab.watch(plan) == {"dev-1": "installed"}
    assert agent_pid(lab) == pid, "it went on without a restart"


@pytest.mark.parametrize("act, code", [(endless_content, "DocumentTooLarge"), (endless_head, "ProtocolError")])
def test_X6_a_check_in_without_end_is_cut_at_its_limit(lab, wrong_servers, act, code):
    server = wrong_servers("dev-1")
    update = released(lab)
    said, pid = Said(lab, "agent"), agent_pid(lab)
    server.how = How(act, "/device/v1/check-in")
    said.wait("agent.cycle-failed", code)
    assert max(server.sent) < 32 << 20
    assert most_memory(pid) < 48 << 20
    server.how = None
    assert lab.watch(start(lab, update, "dev-1")) == {"dev-1": "installed"}
    assert agent_pid(lab) == pid


def test_X6_content_below_the_least_rate_is_cut_and_fetched_from_the_right_server(lab, wrong_servers):
    slow, silent = wrong_servers("dev-1"), wrong_servers("dev-2")
    update = released(lab)
    heard = {name: (Said(lab, "agent", name), agent_pid(lab, name)) for name in ("dev-1", "dev-2")}
    slow.how, silent.how = How(one_byte_a_second), How(no_answer)
    plan = start(lab, update, "dev-1", "dev-2")
    for said, _ in heard.values():
        said.wait("agent.cycle-failed", "TimedOut")
    # What the slow one gave is found out only by the hash of the whole; then all of it is fetched again.
    slow.how = silent.how = None
    assert lab.watch(plan) == {"dev-1": "installed", "dev-2": "installed"}
    assert all(agent_pid(lab, name) == pid for name, (_, pid) in heard.items())


# --- disks ----------------------------------------------------------------------------------------------------------------


class Mounted:
    """A small file system in place of a folder, with what was in it."""

    def __init__(self, folder, kilobytes, lock=None):
        self.folder, self.kept = folder, folder + ".kept"
        info = os.stat(folder)
        subprocess.run(["cp", "-a", folder, self.kept], check=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={kilobytes}k,mode={info.st_mode & 0o7777:o},uid={info.st_uid},gid={info.st_gid}", "none", folder],
                       check=True)
        subprocess.run(["cp", "-a", self.kept + "/.", folder], check=True)
        # A file that stays open for writing would keep the file system writable: it lies on another one.
        self.lock = lock and os.path.join(folder, lock)
        if self.lock:
            subprocess.run(["mount", "--bind", os.path.join(self.kept, lock), self.lock], check=True)

    def fill(self):
        with open(os.path.join(self.folder, "ballast"), "wb", buffering=0) as file:
            try:
                while True:
                    file.write(bytes(4096))
            except OSError:
                pass

    def empty(self):
        os.unlink(os.path.join(self.folder, "ballast"))

    def remount(self, option):
        """While a file is open for writing the kernel says no."""
        wait_until(lambda: subprocess.run(["mount", "-o", "remount," + option, self.folder], capture_output=True).returncode == 0, "remount," + option)

    def put_back(self):
        if self.lock:
            subprocess.run(["umount", "-l", self.lock])
        subprocess.run(["umount", "-l", self.folder])
        subprocess.run(["rm", "-rf", self.kept])


@pytest.fixture
def mounted(lab):
    """Both programs start again when it is there: what they may open is fixed at their start."""
    disks = []

    def make(folder, kilobytes, lock=None):
        make_still(lab)
        said = Said(lab, "agent")
        disks.append(Mounted(folder, kilobytes, lock))
        restart_device(lab, "dev-1", "installer", "agent")
        said.wait("agent.started")
        said.wait("checked in")
        return disks[-1]
    yield make
    make_still(lab)
    for disk in disks:
        subprocess.run(["mount", "-o", "remount,rw", disk.folder])
        with_new = disk.folder + ".new"
        subprocess.run(["cp", "-a", disk.folder, with_new], check=True)
        disk.put_back()
        subprocess.run(["cp", "-aT", with_new, disk.folder], check=True)
        subprocess.run(["rm", "-rf", with_new, os.path.join(disk.folder, "ballast")])
    restart_device(lab, "dev-1", "installer", "agent")


def make_still(lab):
    """The agent asks nothing while files are copied; it is ended afterwards."""
    pid = agent_pid(lab)
    if is_alive(pid):
        os.kill(pid, signal.SIGSTOP)


def goes_on(lab, plan, pids):
    assert lab.watch(plan, 180) == {"dev-1": "installed"}
    assert pids_of(lab) == pids, "it went on without a restart"
    # The file systems of these tests stay small; nothing else is wrong.
    assert [finding for finding in doctor(lab) if not finding["what"].endswith("MiB are free")] == []


def doctor(lab):
    device = lab.device()
    return lab.run("doctor", "--device", device["installer_config"], "--agent", device["config"]).json["findings"]


def test_a_full_disk_under_the_downloads_delays_the_update(lab, mounted):
    disk = mounted(work_folder(lab), 4096)
    update = released(lab, 1_500_000)
    said, before, pids = Said(lab, "agent"), lab.trust()["counters"], pids_of(lab)
    disk.fill()
    plan = start(lab, update, "dev-1")
    said.wait("agent.cycle-failed", "NoSpace")
    assert {"where": disk.folder, "what": "0 MiB are free"}.items() <= doctor(lab)[0].items()
    assert lab.trust()["counters"] == before
    disk.empty()
    goes_on(lab, plan, pids)


def test_a_read_only_disk_under_the_downloads_delays_the_update(lab, mounted):
    disk = mounted(work_folder(lab), 4096)
    update = released(lab, 1_500_000)
    said, before, pids = Said(lab, "agent"), lab.trust()["counters"], pids_of(lab)
    disk.remount("ro")
    plan = start(lab, update, "dev-1")
    said.wait("agent.cycle-failed", "ead-only")
    assert {"where": disk.folder, "what": "the file system is read-only"}.items() <= doctor(lab)[0].items()
    assert lab.trust()["counters"] == before
    disk.remount("rw")
    goes_on(lab, plan, pids)


def test_a_full_disk_under_the_installers_state_delays_the_update(lab, mounted):
    disk = mounted(os.path.join(lab.device_home(), "state"), 8192, "lock")
    update = released(lab, 1_000_000)
    agent, installer, before, pids = Said(lab, "agent"), Said(lab, "installer"), lab.trust()["counters"], pids_of(lab)
    disk.fill()
    plan = start(lab, update, "dev-1")
    wait_until(lambda: agent.lines("NoSpace") or installer.lines("NoSpace"), "NoSpace")
    assert lab.trust()["counters"] == before
    disk.empty()
    goes_on(lab, plan, pids)


def receipts(lab, plan):
    return sorted(event["outcome"] for event in lab.good("device", "timeline", "dev-1")["events"] if event["event"] == "receipt" and event.get("planId") == plan)


def test_a_slot_without_the_space_delays_the_update_and_says_so_once(lab, mounted):
    disk = mounted(os.path.join(lab.device_home(), "slots"), 8192)
    update = released(lab, 2_500_000)  # larger than what the slot holds: there is nothing to overwrite
    said, before, pids = Said(lab, "agent"), lab.trust()["counters"], pids_of(lab)
    disk.fill()
    plan = start(lab, update, "dev-1")
    assert lab.watch(plan) == {"dev-1": "NoSpace"}
    ended = lab.run("rollout", "watch", plan).error
    assert "error NoSpace" in ended and "NoSpace on dev-1" in ended and "offered again at each check-in" in ended, ended
    wait_until(lambda: len(said.lines("refused the order", "NoSpace")) > 3, "the same order, tried again")
    assert lab.trust()["counters"] == before and receipts(lab, plan) == ["refused"]
    disk.empty()
    wait_until(lambda: lab.good("rollout", "show", plan)["counts"]["installed"], "the same order, installed")
    goes_on(lab, plan, pids)
    assert receipts(lab, plan) == ["installed", "refused"]


@pytest.mark.parametrize("folder, lock", [("state", "lock"), ("slots", None)])
def test_a_read_only_disk_of_the_installer_delays_the_update(lab, mounted, folder, lock):
    disk = mounted(os.path.join(lab.device_home(), folder), 8192, lock)
    update = released(lab, 1_000_000)
    agent, installer, before, pids = Said(lab, "agent"), Said(lab, "installer"), lab.trust()["counters"], pids_of(lab)
    disk.remount("ro")
    plan = start(lab, update, "dev-1")
    wait_until(lambda: agent.lines("ead-only") or installer.lines("ead-only"), "read-only")
    assert {"where": disk.folder, "what": "the file system is read-only"}.items() <= doctor(lab)[0].items()
    assert lab.trust()["counters"] == before
    disk.remount("rw")
    goes_on(lab, plan, pids)
