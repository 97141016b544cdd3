"""Disks that are full or read-only, two of everything, wrong permissions, damaged files: a clear error that tells what to
do, no damage, and the work goes on when the cause has gone.

The programs are the real ones. Small disks are images of ext4 on loop devices: what runs into their end or turns
read-only is the kernel's own answer.
"""
import glob
import itertools
import os
import shutil
import sqlite3
import subprocess

import pytest

from lab import BIN
from services import USERS, Services, wait_until
from taken_over import TakenOverServer

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root for mounts and users")
VERSIONS = itertools.count(2)


@pytest.fixture(scope="module")
def services(lab):
    taken = Services(lab)
    yield taken
    taken.kill()


@pytest.fixture
def running(services):
    """All three run; a test may stop some."""
    services.start()
    yield services


@pytest.fixture(scope="module")
def server(lab):
    return TakenOverServer(lab)


class SmallDisk:
    """Puts a folder on a file system of its own, filled or turned read-only at will."""

    def __init__(self, folder, megabytes, scratch):
        self.folder, self.kept, self.image = folder, folder + ".kept", str(scratch / "disk.img")
        os.rename(folder, self.kept)
        os.mkdir(folder)
        subprocess.run(["truncate", "-s", f"{megabytes}M", self.image], check=True)
        subprocess.run(["mkfs.ext4", "-q", "-F", "-m", "0", self.image], check=True)
        if subprocess.run(["mount", "-o", "loop", self.image, folder], capture_output=True).returncode != 0:
            os.rmdir(folder)
            os.rename(self.kept, folder)
            pytest.skip("no loop devices here")
        subprocess.run(["cp", "-a", self.kept + "/.", folder], check=True)
        subprocess.run(["sync", "-f", folder], check=True)
        shutil.copystat(self.kept, folder)
        info = os.stat(self.kept)
        os.chown(folder, info.st_uid, info.st_gid)
        self.ballast = os.path.join(folder, "ballast")

    def fill(self):
        size = 1 << 20
        with open(self.ballast, "wb", buffering=0) as file:
            while size >= 512:
                try:
                    file.write(bytes(size))
                except OSError:
                    size //= 2
        os.sync()

    def empty(self):
        os.unlink(self.ballast)

    def turn_read_only(self):
        subprocess.run(["mount", "-o", "remount,abort", self.folder], capture_output=True)

    def remount(self, *options):
        wait_until(lambda: subprocess.run(["umount", self.folder], capture_output=True).returncode == 0, "the end of the file system", 10)
        subprocess.run(["e2fsck", "-p", "-f", self.image], capture_output=True)
        subprocess.run(["mount", "-o", ",".join(("loop", *options)), self.image, self.folder], check=True)

    def put_back(self):
        """What was written stays."""
        self.remount()
        subprocess.run(["rm", "-rf", os.path.join(self.folder, "lost+found"), self.ballast])
        shutil.rmtree(self.kept)
        subprocess.run(["cp", "-a", self.folder, self.kept], check=True)
        subprocess.run(["umount", self.folder], check=True)
        os.rmdir(self.folder)
        os.rename(self.kept, self.folder)


@pytest.fixture
def small_disk(services, tmp_path):
    disks = []

    def make(folder, megabytes=16):
        services.stop()
        disks.append(SmallDisk(os.path.join(services.org, folder), megabytes, tmp_path))
        services.start()
        return disks[-1]
    yield make
    services.kill()
    for disk in disks:
        disk.put_back()


def image(lab, size=1000):
    version = f"{next(VERSIONS)}.0.0"
    return version, lab.path(f"pump-{version}.img", os.urandom(size))


def works(lab):
    """A whole update, from request to installation."""
    version, path = image(lab)
    assert lab.watch(lab.roll_out(lab.release(version, path), "dev-1")) == {"dev-1": "installed"}


# --- disks ----------------------------------------------------------------------------------------------------------------


def test_a_full_disk_stops_an_upload_and_leaves_nothing_behind(lab, services, small_disk):
    disk = small_disk("server")
    version, path = image(lab, 3_000_000)
    submitted = lab.submit(version, path)
    lab.approve(submitted)
    disk.fill()
    outcome = lab.run("update", "import", submitted["id"], path)
    assert outcome.code == 1 and outcome.refusal == "NoSpace", outcome.output
    assert "free space" in outcome.json["error"]["advice"]
    assert os.listdir(os.path.join(disk.folder, "content", "incoming")) == []
    assert lab.request(lab.info["device_url"], "GET", "/device/v1/status")[0] == 200
    disk.empty()
    lab.good("update", "import", submitted["id"], path)
    assert lab.watch(lab.roll_out(submitted["id"], "dev-1")) == {"dev-1": "installed"}


def test_a_full_disk_delays_a_rollout_and_loses_no_receipt(lab, services, server, small_disk):
    disk = small_disk("server")
    version, path = image(lab)
    plan = lab.plan(lab.release(version, path), "dev-1")
    disk.fill()
    outcome = lab.run("rollout", "start", plan)
    disk.empty()
    if outcome.code != 0:
        assert outcome.refusal in ("NoSpace", "StorageFailed"), outcome.output
        lab.good("rollout", "start", plan)
    assert lab.watch(plan) == {"dev-1": "installed"}


@pytest.mark.parametrize("folder", ["signer", "log"])
def test_a_full_disk_of_the_signer_releases_nothing(lab, services, server, small_disk, folder):
    disk = small_disk(folder)
    version, path = image(lab)
    submitted = lab.submit(version, path)
    lab.good("approval", "approve", submitted["requestId"], "--as", "approver1")
    disk.fill()
    size = server.log_size()
    outcome = lab.run("approval", "approve", submitted["requestId"], "--as", "approver2")
    disk.empty()
    if outcome.code != 0:  # the last blocks of a page may have been there already
        assert outcome.refusal in ("LogNotWritable", "NoSpace", "StorageFailed"), outcome.output
        assert server.rows("SELECT state FROM requests WHERE id = ?", submitted["requestId"]) == [("waiting",)]
        assert server.log_size() == size
        lab.good("approval", "approve", submitted["requestId"], "--as", "approver2")
    assert lab.good("approval", "show", submitted["requestId"])["state"] == "signed"
    lab.good("update", "import", submitted["id"], path)
    assert lab.run("audit", "verify").code == 0
    works(lab)


@pytest.mark.parametrize("name", ["signer", "server"])
def test_a_disk_that_turns_read_only_stops_the_work_until_it_is_writable(lab, services, server, small_disk, name):
    disk = small_disk(name)
    version, path = image(lab)
    disk.turn_read_only()
    outcome = lab.run("update", "submit", "--product", "acme/pump", "--version", version, "--compatible", "manufacturer=acme,model=pump-1", "--file", path)
    assert outcome.code != 0 and outcome.refusal in ("LogNotWritable", "StorageFailed", "NoSpace", "Corrupt"), outcome.output
    assert outcome.json["error"]["advice"]
    assert services.running[name].poll() is None
    services.kill()
    disk.remount("ro")
    others = [other for other in USERS if other != name]
    services.start(*(other for other in others if other != "server"))
    said = services.refuses_to_start(name)
    assert "ead-only" in said or "readonly" in said, said
    disk.remount()
    services.start()
    works(lab)
    assert lab.run("audit", "verify").code == 0


# --- two of everything ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["server", "signer", "sealer"])
def test_a_second_program_on_the_same_directory_is_refused_and_names_the_first(lab, running, name):
    said = running.refuses_to_start(name)
    assert "Busy" in said and str(running.running[name].pid) in said and os.path.join(running.org, name) in said
    assert running.running[name].poll() is None
    assert lab.run("device", "list").code == 0


def test_a_second_supervisor_is_refused_and_names_the_first(lab, services):
    services.stop()
    first = subprocess.Popen([os.path.join(BIN, "fleetseal"), "run", "--data", services.org], stderr=subprocess.PIPE, text=True)
    try:
        assert any("serving" in line for line in iter(first.stderr.readline, ""))
        second = subprocess.run([os.path.join(BIN, "fleetseal"), "run", "--data", services.org], capture_output=True, text=True, timeout=60)
        assert second.returncode == 3 and "Busy" in second.stderr and str(first.pid) in second.stderr, second.stderr
        assert first.poll() is None and lab.run("device", "list").code == 0
    finally:
        first.terminate()
        first.stderr.close()
        first.wait(30)


def test_two_agents_at_once_install_once(lab, running, server):
    config = os.path.join(lab.device_home(), "..", "agent", "agent.toml")
    with open(os.path.join(lab.folder, "logs", "second-agent.log"), "ab") as log:
        second = subprocess.Popen([os.path.join(BIN, "fleetseal-agent"), "--config", config], stdout=log, stderr=log, user=61004, group=61004, extra_groups=[])
    try:
        version, path = image(lab, 500_000)
        update = lab.release(version, path)
        assert lab.watch(lab.roll_out(update, "dev-1")) == {"dev-1": "installed"}
    finally:
        second.terminate()
        second.wait(90)
    outcomes = server.rows("SELECT COUNT(*) FROM orders WHERE device_id = 'dev-1'")[0][0]
    assert len({row for row in server.rows("SELECT number FROM receipts WHERE device_id = 'dev-1'")}) == outcomes


# --- permissions ----------------------------------------------------------------------------------------------------------

SECRETS = [("signer", "signer/passphrase"), ("signer", "signer/keys/online/*.json"), ("signer", "signer/keys/publisher/*.json"),
           ("signer", "signer/keys/log/*.json"), ("signer", "signer/keys/ca/*.json"), ("sealer", "sealer/sealing-key.json"), ("server", "server/tls/server.key")]


@pytest.fixture
def mode_of(services):
    changed = []

    def change(path, mode=None, owner=None):
        info = os.stat(path)
        changed.append((path, info))
        if owner is not None:
            os.chown(path, owner, -1)
        if mode is not None:
            os.chmod(path, mode)
    yield change
    for path, info in reversed(changed):
        os.chown(path, info.st_uid, info.st_gid)
        os.chmod(path, info.st_mode & 0o7777)


@pytest.mark.parametrize("name, pattern", SECRETS)
def test_a_secret_that_others_can_read_is_refused_with_the_command_that_mends_it(services, mode_of, name, pattern):
    services.stop()
    if name == "server":
        services.start("sealer", "signer")
    path = sorted(path for path in glob.glob(os.path.join(services.org, pattern)) if not path.endswith(".pub.json"))[0]
    mode_of(path, 0o644)
    said = services.refuses_to_start(name)
    assert "ConfigInvalid" in said and "chmod 600" in said and os.path.basename(path) in said, said
    os.chmod(path, 0o600)
    services.start(name)


@pytest.mark.parametrize("name", ["signer", "sealer", "server"])
def test_a_directory_or_configuration_that_others_can_change_is_refused(services, mode_of, name):
    services.stop()
    if name == "server":
        services.start("sealer", "signer")
    for path in (os.path.join(services.org, name), services.config(name)):
        mode_of(path, 0o777 if os.path.isdir(path) else 0o666)
        said = services.refuses_to_start(name)
        assert "ConfigInvalid" in said and "chmod go" in said, said
        os.chmod(path, 0o700 if os.path.isdir(path) else 0o600)
    mode_of(services.config(name), owner=61009)
    said = services.refuses_to_start(name)
    assert services.config(name) in said, said
    os.chown(services.config(name), USERS[name], USERS[name])
    services.start(name)


# --- damage ---------------------------------------------------------------------------------------------------------------


def scribble(path):
    with open(path, "r+b") as file:
        file.write(b"no database here" * 4)


def tear(path):
    with open(path, "r+b") as file:
        for offset in range(4096, os.path.getsize(path), 4096):
            file.seek(offset)
            file.write(os.urandom(512))


def cut(path):
    with open(path, "r+b") as file:
        file.truncate(os.path.getsize(path) // 2)


def of_the_future(path):
    with sqlite3.connect(path) as database:
        for module, number in database.execute("SELECT module, MAX(number) FROM schema_migrations GROUP BY module").fetchall():
            database.execute("INSERT INTO schema_migrations VALUES (?, ?, 'future', 'x')", (module, number + 1))
    database.close()


@pytest.mark.parametrize("name", ["signer", "server"])
@pytest.mark.parametrize("damage", [scribble, tear, cut, of_the_future])
def test_a_damaged_database_is_refused_and_a_restored_one_goes_on(lab, services, server, name, damage):
    services.start()
    services.stop()
    if name == "server":
        services.start("sealer", "signer")
    path = os.path.join(services.org, name, name + ".db")
    shutil.copy2(path, path + ".kept")
    damage(path)
    said = services.refuses_to_start(name)
    if damage is of_the_future:
        assert "FormatVersionUnknown" in said and "newer program" in said, said
    else:
        assert "Corrupt" in said, said
    for leftover in (path + "-wal", path + "-shm"):
        if os.path.exists(leftover):
            os.unlink(leftover)
    os.rename(path + ".kept", path)
    os.chown(path, USERS[name], USERS[name])
    services.start()
    assert lab.run("device", "list").code == 0 and lab.run("audit", "verify").code == 0


def test_a_signer_without_its_database_starts_no_new_history(lab, services):
    services.start()
    services.stop()
    path = os.path.join(services.org, "signer", "signer.db")
    os.rename(path, path + ".kept")
    said = services.refuses_to_start("signer")
    assert "NotFound" in said or "Corrupt" in said, said
    for leftover in glob.glob(path + "-*"):
        os.unlink(leftover)
    os.rename(path + ".kept", path)
    services.start()
    assert lab.run("audit", "verify").code == 0


def flip(path):
    with open(path, "r+b") as file:
        file.seek(os.path.getsize(path) // 2)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))


def halve(path):
    with open(path, "r+b") as file:
        file.truncate(os.path.getsize(path) // 2)


@pytest.mark.parametrize("damage", [flip, halve, os.unlink])
def test_damaged_content_is_installed_nowhere_and_restored_content_everywhere(lab, running, damage):
    version, path = image(lab, 200_000)
    update = lab.release(version, path)
    sealed = lab.good("update", "show", update)["files"][0]["sealedSha256"]
    stored = glob.glob(os.path.join(running.org, "server", "content", "??", "??", "*"))
    stored = [name for name in stored if os.path.basename(name) == sealed or os.path.getmtime(name) == max(map(os.path.getmtime, stored))][-1]
    shutil.copy2(stored, stored + ".kept-beside")
    kept = os.path.join(lab.folder, "kept-content")
    os.rename(stored + ".kept-beside", kept)
    damage(stored)
    before = lab.trust()["counters"]
    log = os.path.join(lab.folder, "logs", "dev-1-agent.log")
    size = os.path.getsize(log)
    plan = lab.roll_out(update, "dev-1")

    def failure():
        with open(log) as file:
            file.seek(size)
            return [line for line in file if "failed" in line and os.path.basename(stored)[:16] in line]
    if damage is os.unlink:
        # What is not there is not offered, and people are told so.
        wait_until(lambda: lab.good("rollout", "show", plan)["devices"] == [{"id": "dev-1", "state": "waiting", "lacksContent": True}], "the word")
        seen = lab.good("device", "show", "dev-1")["lastSeen"]
        wait_until(lambda: lab.good("device", "show", "dev-1")["lastSeen"] > seen + 1, "a check-in since")
        assert lab.good("rollout", "show", plan)["counts"]["waiting"] == 1 and not failure()
    else:
        wait_until(failure, "the agent's failure")
    assert lab.trust()["counters"] == before
    shutil.copy2(kept, stored + ".new")
    os.chown(stored + ".new", USERS["server"], USERS["server"])
    os.rename(stored + ".new", stored)
    assert lab.watch(plan) == {"dev-1": "installed"}
