"""Backup and restore of a living organisation, and what a signer does that is older than its devices know (ADR 0009)."""
import hashlib
import json
import os
import resource
import shutil
import signal
import sqlite3
import subprocess
import time

import pytest

from support.lab import BIN, Lab


@pytest.fixture(scope="module")
def lab():
    lab = Lab(devices=1)
    yield lab
    lab.down()


def fleetseal(*arguments, env=None):
    done = subprocess.run([os.path.join(BIN, "fleetseal"), *arguments, "--json"], capture_output=True, text=True, env=env, timeout=300)
    return done.returncode, (json.loads(done.stdout) if done.stdout.strip().startswith(("{", "[")) else {}), done.stderr


def good(*arguments, env=None):
    code, answer, error = fleetseal(*arguments, env=env)
    assert code == 0, f"{arguments}: {answer} {error}"
    return answer


def refused(name, *arguments, env=None):
    code, answer, error = fleetseal(*arguments, env=env)
    assert code != 0, answer
    assert "ProcessFailed" not in json.dumps(answer) + error, error
    assert name in json.dumps(answer) + error, f"{answer} {error}"


class Running:
    """`fleetseal run` on a data directory."""

    def __init__(self, data):
        reader, writer = os.pipe()
        self.log = open(data + ".run.log", "wb")
        self.process = subprocess.Popen([os.path.join(BIN, "fleetseal"), "run", "--data", data, "--ready-fd", str(writer)], pass_fds=[writer],
                                        stdout=self.log, stderr=self.log)
        os.close(writer)
        with os.fdopen(reader) as pipe:
            self.line = pipe.readline()

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(timeout=60)
        self.log.close()


def stop_organisation(lab):
    stop(data_of(lab) + "/run/pids.json")


def stop(path):
    with open(path) as file:
        pids = json.load(file)
    os.kill(pids["supervisor"], signal.SIGTERM)
    while True:
        try:
            os.kill(pids["supervisor"], 0)
        except ProcessLookupError:
            return
        if open(f"/proc/{pids['supervisor']}/stat").read().rsplit(")", 1)[1].split()[0] == "Z":
            return
        time.sleep(0.05)


def data_of(lab):
    return os.path.join(lab.folder, "org")


def tree(folder):
    """Every file and directory below `folder` with owner and mode, without what is made at run time."""
    found = {}
    for parent, folders, files in os.walk(folder):
        for name in folders + files:
            path = os.path.join(parent, name)
            facts = os.lstat(path)
            found[os.path.relpath(path, folder)] = (facts.st_mode, facts.st_uid, facts.st_gid)
    return found


def test_a_backup_comes_back_whole_and_halted_and_goes_on_by_a_signed_decision(lab, tmp_path_factory):
    folder = os.path.join(lab.folder, "backup")
    os.mkdir(folder)
    key, file, target = (os.path.join(folder, name) for name in ("key", "acme.backup", "restored"))
    data = data_of(lab)
    update = lab.release("1.0.0", lab.path("one.bin", b"one" * 50_000))
    good("backup", "--new-key", key)
    refused("AlreadyExists", "backup", "--new-key", key)
    made = good("backup", "--data", data, "--key", key, "-o", file)
    assert made["logSize"] > 0 and os.stat(file).st_mode & 0o777 == 0o600
    refused("AlreadyExists", "backup", "--data", data, "--key", key, "-o", file)
    assert sorted(os.listdir(folder)) == ["acme.backup", "key"], "no temporary files stay"
    # What the server's user puts into its folder neither spoils the backup unnoticed nor shows it what others may read.
    planted = os.path.join(data, "server").encode() + b"/\xff"
    open(planted, "wb").close()
    refused("Unsupported", "backup", "--data", data, "--key", key, "-o", file + "-2")
    os.remove(planted)
    if os.getuid() == 0:
        secret = os.path.join(data, "server", "secret")
        with open(os.open(secret, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as out:
            out.write(b"of another user")
        refused("Permission denied", "backup", "--data", data, "--key", key, "-o", file + "-2")
        os.remove(secret)
    assert sorted(os.listdir(folder)) == ["acme.backup", "key"]
    # A disk that is full half-way: the file limit fails the same write.
    half = os.stat(file).st_size // 2
    full = subprocess.run([os.path.join(BIN, "fleetseal"), "backup", "--data", data, "--key", key, "-o", file + "-2"], capture_output=True, text=True,
                          restore_signals=False, preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (half, half)))
    assert full.returncode not in (0, -signal.SIGXFSZ), full.stderr
    assert sorted(os.listdir(folder)) == ["acme.backup", "key"], full.stderr
    assert open(os.path.join(data, "signer/passphrase")).read().strip().encode() not in open(file, "rb").read()

    # Nothing is written from a file that is cut, changed, or opened with another key.
    whole = open(file, "rb").read()
    other = os.path.join(folder, "other-key")
    good("backup", "--new-key", other)
    bad = os.path.join(folder, "bad")
    for bytes_, with_key, code in ((whole, other, "DecryptFailed"), (whole[:-1], key, "Truncated"), (whole[: len(whole) // 2], key, "Truncated"),
                                   (whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:], key, "DecryptFailed"),
                                   (whole + b"x", key, ""), (b"", key, ""), (b"x" * 200, key, "FormatVersionUnknown")):
        with open(bad, "wb") as out:
            out.write(bytes_)
        refused(code, "restore", bad, "--key", with_key, "--data", target)
        assert not os.path.exists(target) and not os.path.exists(target + ".restoring")
    refused("AlreadyExists", "restore", file, "--key", key, "--data", data)

    # What happens after the backup, the restored signer cannot know.
    plan = lab.roll_out(update, "dev-1")
    assert lab.watch(plan) == {"dev-1": "installed"}
    stop_organisation(lab)

    good("restore", file, "--key", key, "--data", target)
    original, restored = tree(data), tree(target)
    for name, facts in restored.items():
        if name != "signer/restored":
            assert original[name] == facts, name
    for name in ("signer/signer.db", "signer/passphrase", "sealer/sealing-key.json", "server/server.db", "server/tls/server.key", "log"):
        assert name in restored
    assert not any(name.startswith(("offline", "identities")) for name in restored)
    state = good("recover", "show", "--data", target)
    assert state["isHalted"] and state["logSize"] == made["logSize"] and not state["isRunning"]

    # The newer log is still there: brought back and adopted, no device sees another history.
    shutil.rmtree(os.path.join(target, "log"))
    subprocess.run(["cp", "-a", os.path.join(data, "log"), os.path.join(target, "log")], check=True)
    state = good("recover", "show", "--data", target)
    assert state["filesSize"] > made["logSize"]
    security = os.path.join(data, "identities", "security")
    assert good("recover", "continue", "--data", target, "--as", security)["isSigned"] is False
    refused("LogForked", "recover", "continue", "--data", target, "--as", security, "--yes")
    refused("QuorumNotReached", "recover", "continue", "--data", target, "--as", os.path.join(data, "identities", "operator"), "--adopt-log", "--yes")
    after = good("recover", "continue", "--data", target, "--as", security, "--adopt-log", "--yes")
    assert not after["isHalted"] and after["logSize"] == state["filesSize"] + 1
    refused("Conflict", "recover", "continue", "--data", target, "--as", security, "--yes")

    # The device goes on with the restored organisation.
    os.rename(data, data + ".old")
    os.rename(target, data)
    shutil.copytree(data + ".old/identities", data + "/identities")
    running = Running(data)
    try:
        assert running.line, open(data + ".run.log").read()
        second = lab.release("1.0.1", lab.path("two.bin", b"two" * 50_000))
        assert lab.watch(lab.roll_out(second, "dev-1")) == {"dev-1": "installed"}

        # The same by copying an old database and an old log by hand: no mark, but the device's receipt tells.
        running.stop()
        old = os.path.join(folder, "old")
        os.mkdir(old)
        subprocess.run(["cp", "-a", data + "/signer", data + "/log", old], check=True)
        running = Running(data)
        for version in ("1.0.2", "1.0.3", "1.0.4"):
            third = lab.release(version, lab.path("three.bin", version.encode() * 5_000))
        assert lab.watch(lab.roll_out(third, "dev-1")) == {"dev-1": "installed"}
        running.stop()
        for name in ("signer", "log"):
            shutil.rmtree(os.path.join(data, name))
            subprocess.run(["cp", "-a", os.path.join(old, name), data], check=True)
        running = Running(data)
        assert not good("recover", "show", "--data", data)["isHalted"], "it cannot know yet"
        fourth = lab.release("1.0.5", lab.path("four.bin", b"four" * 50_000))
        lab.roll_out(fourth, "dev-1")
        state = wait_for_halt(data)
        assert state["isRunning"] and [suspect["deviceId"] for suspect in state["suspects"]] == ["dev-1"]
        assert state["suspects"][0]["checkpointSize"] > state["logSize"]
        # No signature, order or status comes out, and the log stands still.
        plan = lab.run("rollout", "plan", "--update", fourth, "--device", "dev-1")
        assert plan.code != 0 and plan.refusal == "SignerHalted", plan.output
        status, _, body = lab.request(lab.info["device_url"], "GET", "/device/v1/status?nonce=AAAAAAAAAAAAAAAAAAAAAA")
        assert status == 503 and json.loads(body)["code"] == "SignerHalted", body
        assert good("recover", "show", "--data", data)["logSize"] == state["logSize"]
        refused("LogForked", "recover", "continue", "--data", data, "--as", os.path.join(data, "identities", "security"), "--yes")
        after = good("recover", "continue", "--data", data, "--as", os.path.join(data, "identities", "security"), "--quarantine", "dev-1", "--yes")
        assert not after["isHalted"]
        assert [device["state"] for device in lab.good("device", "list")["devices"]] == ["quarantined"]
    finally:
        running.stop()


def wait_for_halt(data):
    deadline = time.monotonic() + 120
    while True:
        state = good("recover", "show", "--data", data)
        if state["isHalted"]:
            return state
        assert time.monotonic() < deadline, state
        time.sleep(0.2)


def test_doctor_names_what_is_wrong_at_rest_and_changes_nothing(tmp_path_factory):
    lab = Lab(devices=1)
    try:
        lab.release("1.0.0", lab.path("one.bin", b"one" * 50_000))
        data = data_of(lab)
        report = good("doctor", "--data", data)
        assert report["problems"] == 0 and len(report["checked"]) >= 6, report
        stop_organisation(lab)
        assert good("doctor", "--data", data)["problems"] == 0, "stopped or running"

        def names(part):
            code, report, _ = fleetseal("doctor", "--data", data)
            assert code == 1, report
            assert any(part in finding["where"] + finding["what"] for finding in report["findings"]), report
            assert all(finding["advice"] for finding in report["findings"])

        def damaged(path, offset=100):
            """Changes one byte; returns what mends it."""
            mode = os.stat(path).st_mode
            os.chmod(path, 0o600)
            with open(path, "r+b") as file:
                file.seek(offset)
                byte = file.read(1)
                file.seek(offset)
                file.write(bytes([byte[0] ^ 1]))
            os.chmod(path, mode)

        content = [os.path.join(parent, name) for parent, _, files in os.walk(data + "/server/content") for name in files if len(name) == 64]
        entries = [os.path.join(parent, name) for parent, _, files in os.walk(data + "/log/tile/entries") for name in files]
        for path in (content[0], max(entries, key=lambda entry: os.stat(entry).st_size)):
            before = tree(data)
            damaged(path)
            names("damaged" if path == content[0] else "log")
            assert tree(data) == before
            damaged(path)
        os.chmod(data + "/signer/passphrase", 0o644)
        names("signer/passphrase")
        os.chmod(data + "/signer/passphrase", 0o400)
        os.rename(content[0], content[0] + ".away")
        names("it is not there")
        os.rename(content[0] + ".away", content[0])
        update = next(iter(os.listdir(data + "/sealer/updates")))
        os.rename(data + "/sealer/updates/" + update, data + "/sealer/updates/" + "0" * 64 + ".json")
        names("0" * 64)
        os.rename(data + "/sealer/updates/" + "0" * 64 + ".json", data + "/sealer/updates/" + update)
        # Sealed files are those that the log has records of, whatever the server's database says.
        database = sqlite3.connect(data + "/server/server.db")
        real, size = database.execute("SELECT sealed_sha256, sealed_size FROM update_files").fetchone()
        database.execute("UPDATE update_files SET sealed_sha256 = ?", (hashlib.sha256(b"another").hexdigest(),))
        database.commit()
        names("the log has no record of it")
        database.execute("UPDATE update_files SET sealed_sha256 = ?, sealed_size = ?", (real, size + 1))
        database.commit()
        names("the log names another size")
        database.execute("UPDATE update_files SET sealed_size = ?", (size,))
        database.commit()
        database.close()
        assert good("doctor", "--data", data)["problems"] == 0
        with open(data + "/server/server.db", "r+b") as file:
            file.write(b"no database at all")
        names("server.db")
    finally:
        lab.down()


def bytes_of(folder):
    """Every file below `folder` with its bytes: what a check must leave as it is."""
    found = {}
    for parent, _, files in os.walk(folder):
        for name in files:
            path = os.path.join(parent, name)
            if os.path.isfile(path):
                with open(path, "rb") as file:
                    found[path] = file.read()
    return found


def test_doctor_looks_at_a_device_while_it_runs_and_changes_nothing(tmp_path_factory):
    lab = Lab(devices=1)
    try:
        update = lab.release("1.0.0", lab.path("one.bin", b"one" * 50_000))
        assert lab.watch(lab.roll_out(update, "dev-1")) == {"dev-1": "installed"}
        device = lab.device()
        home = os.path.dirname(os.path.dirname(device["installer_config"]))
        looks = ("doctor", "--device", device["installer_config"], "--agent", device["config"])
        report = good(*looks)
        assert report["problems"] == 0 and not report["findings"] and len(report["checked"]) >= 5, report
        stop(os.path.join(lab.folder, "devices", "pids.json"))
        before, facts = bytes_of(home), tree(home)
        assert good(*looks)["problems"] == 0
        for path, part in (("installer/state/state.json", "installer/state"), ("installer/state/state.mark", "installer/state"),
                           ("installer/boot/active", "installer/boot"), ("agent/identity/key.pem", "agent/identity"),
                           ("agent/identity/cert.pem", "agent/identity")):
            path = os.path.join(home, path)
            with open(path, "r+b") as file:
                whole = file.read()
                file.seek(len(whole) // 2)
                file.write(bytes([whole[len(whole) // 2] ^ 1]))
            damaged = bytes_of(home)
            code, report, error = fleetseal(*looks)
            assert code == 1 and any(part in finding["where"] for finding in report["findings"]), f"{path}: {report} {error}"
            assert all(finding["advice"] for finding in report["findings"])
            assert bytes_of(home) == damaged
            with open(path, "wb") as file:
                file.write(whole)
        download = os.path.join(home, "agent", "work", "0" * 64)
        with open(download, "wb") as file:
            file.write(b"not its name")
        os.chmod(download, 0o644)
        code, report, _ = fleetseal(*looks)
        assert code == 1 and any(finding["where"] == download for finding in report["findings"]), report
        os.unlink(download)
        assert good(*looks)["problems"] == 0
        assert bytes_of(home) == before and tree(home) == facts
        refused("InvalidArgument", "doctor")
    finally:
        lab.down()
