"""Users, file rights and sandboxes of a running lab, seen from outside."""
import json
import os
import re
import stat
import subprocess
import sys

import pytest

from lab import Lab

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="users of their own need root")

SOCKET_GROUP = 61000
USERS = {"signer": 61001, "sealer": 61002, "server": 61003, "agent": 61004, "installer": 61005, "nobody": 65534}

# Whose tree it is; what belongs to root (None) is closed to all six.
OWNERS = [("org/signer", "signer"), ("org/sealer", "sealer"), ("org/server", "server"), ("org/log", "signer"),
          ("org/run/signer", "signer"), ("org/run/sealer", "sealer"), ("devices/[^/]+/agent", "agent"),
          ("devices/[^/]+/(installer|files|run)", "installer"), (".*", None)]
# What everybody may read: the public log, what was installed as a file, and what the lab says about itself. Nobody may write anything.
PUBLIC = ["lab.json", "logs", "firmware(/.*)?", "org", "org/fleetseal.toml", "org/log(/.*)?", "org/run/pids.json", "devices", "devices/pids.json",
          "devices/[^/]+", "devices/[^/]+/files(/.*)?"]

TRY_ALL = r"""
import json, os, sys
found = {}
for path in json.load(sys.stdin):
    ways = ""
    is_folder = os.path.isdir(path) and not os.path.islink(path)
    try:
        if is_folder:
            os.listdir(path)
        else:
            os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
        ways += "r"
    except OSError:
        pass
    try:
        if is_folder:
            probe = os.path.join(path, ".walk-probe")
            os.close(os.open(probe, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
            os.unlink(probe)
        else:
            os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
        ways += "w"
    except OSError:
        pass
    if ways:
        found[path] = ways
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def lab():
    made = Lab(devices=2, is_populated=True)
    yield made
    made.down()


def run_as(user, code, data=None, groups=()):
    """Python as another user; its standard output."""
    uid = USERS[user]
    done = subprocess.run([sys.executable, "-c", code], input=json.dumps(data), text=True, capture_output=True, user=uid, group=uid,
                          extra_groups=list(groups), cwd="/")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def processes(lab):
    status = lab.status()
    pids = {name: [status["pids"][name]] for name in ("signer", "sealer", "server")}
    for name in ("agent", "installer"):
        pids[name] = [device[name + "_pid"] for device in status["devices"]]
    return [(name, pid) for name, all_of_one in pids.items() for pid in all_of_one]


def status_of(pid):
    with open(f"/proc/{pid}/status") as file:
        return dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)


def test_S1_62_every_process_runs_as_its_own_user_without_rights_and_under_a_filter(lab):
    for name, pid in processes(lab):
        status = status_of(pid)
        uid = str(USERS[name])
        assert status["Uid"].split() == [uid] * 4 and status["Gid"].split() == [uid] * 4, name
        groups = [str(SOCKET_GROUP)] if name in ("signer", "sealer", "server") else []
        assert status["Groups"].split() == groups, name
        assert status["NoNewPrivs"] == "1" and status["Seccomp"] == "2", name
        for which in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"):
            assert int(status[which], 16) == 0, (name, which)
        assert status["Umask"] == "0077", name
        with open(f"/proc/{pid}/limits") as file:
            assert re.search(r"Max core file size +0 +0 ", file.read()), name


def test_S1_62_every_process_says_at_its_start_what_holds_it(lab):
    logs = {"org.log": ["signer.ready", "sealer.ready", "server.ready"], "dev-1-agent.log": ["agent.started"]}
    for file, events in logs.items():
        with open(os.path.join(lab.folder, "logs", file)) as text:
            lines = [json.loads(line) for line in text if line.startswith("{")]
        for event in events:
            told = next(line for line in lines if line["event"] == event)
            assert "seccomp" in told["sandbox"], told
        assert not [line for line in lines if line["event"] == "sandbox.incomplete"]
    with open(os.path.join(lab.folder, "logs", "dev-1-installer.log")) as text:
        told = next(json.loads(line) for line in text if '"installer.sandbox"' in line)
    assert "seccomp" in told["entered"] and "landlock" in told["entered"] and told["missing"] == "none"


def test_S1_62_no_process_can_look_into_another_of_its_own_user(lab):
    look = "import json, os, sys\ntry:\n  os.close(os.open(json.load(sys.stdin), os.O_RDONLY)); print(1)\nexcept PermissionError:\n  print(0)\n"
    for name, pid in processes(lab):
        for file in ("mem", "environ", "maps"):
            assert run_as(name, look, f"/proc/{pid}/{file}") == 0, (name, file)


def paths_below(folder):
    for root, folders, files in os.walk(folder):
        for name in folders + files:
            yield os.path.join(root, name)


@pytest.mark.parametrize("user", USERS)
def test_S1_62_nothing_of_one_program_can_be_opened_by_another(lab, user):
    paths = sorted(paths_below(lab.folder))
    assert len(paths) > 60
    found = run_as(user, TRY_ALL, paths, [SOCKET_GROUP] if user in ("signer", "sealer", "server") else [])
    own = 0
    for path, ways in found.items():
        name = os.path.relpath(path, lab.folder)
        owner = next(owner for pattern, owner in OWNERS if re.fullmatch(pattern + "(/.*)?", name))
        if owner == user:
            own += 1
            continue
        is_public = any(re.fullmatch(pattern, name) for pattern in PUBLIC)
        assert ways == "r" and is_public, f"{user}: {ways} {name}"
    # The walk would prove nothing if it could not open what is open.
    assert user == "nobody" or own > 3, found
    assert os.path.join(lab.folder, "org/fleetseal.toml") in found


CHANGE = r"""
import json, os, sys
worked = []
for path in json.load(sys.stdin):
    folder = os.path.dirname(path)
    for name, change in {
        "write": lambda: os.close(os.open(path, os.O_WRONLY)),
        "truncate": lambda: os.truncate(path, 0),
        "create": lambda: os.close(os.open(os.path.join(folder, "new"), os.O_WRONLY | os.O_CREAT)),
        "rename": lambda: os.rename(path, path + ".old"),
        "unlink": lambda: os.unlink(path),
        "chmod": lambda: os.chmod(path, 0o666),
        "link": lambda: os.link(path, "/tmp/fleetseal-walk-link"),
    }.items():
        try:
            change()
            worked.append(name + " " + path)
        except PermissionError:
            pass
print(json.dumps(worked))
"""


def test_S1_57_the_agents_user_cannot_write_trust_state_slots_or_boot_choice(lab):
    home = lab.device_home("dev-1")
    targets = [os.path.join(home, *parts.split("/")) for parts in
               ("state/state.json", "state/receipt-key.pem", "provisioning/package.json", "provisioning/device.json", "installer.json", "slots/a.img",
                "slots/b.img", "boot/active")]
    assert all(os.path.isfile(path) for path in targets)
    assert run_as("agent", CHANGE, targets) == []


def test_S0_20_only_the_importer_writes_the_store_and_devices_only_read_it(lab):
    content = os.path.join(lab.folder, "org", "server", "content")
    objects = [path for path in paths_below(content) if re.fullmatch("[0-9a-f]{64}", os.path.basename(path))]
    assert objects
    before = {path: open(path, "rb").read() for path in objects}
    for user in USERS:
        if user != "server":
            assert run_as(user, CHANGE, objects, [SOCKET_GROUP]) == [], user
    name = os.path.basename(objects[0])
    for method in ("PUT", "POST", "PATCH", "DELETE"):
        code, _, _ = lab.as_device("dev-1", method, f"/content/v1/{name}", b"other")
        assert code in (403, 404, 405, 501), (method, code)
    assert {path: open(path, "rb").read() for path in objects} == before


ASK = r"""
import json, socket, struct, sys
path, message = json.load(sys.stdin)
peer = socket.socket(socket.AF_UNIX)
peer.settimeout(60)
try:
    peer.connect(path)
    data = json.dumps(message).encode()
    peer.sendall(struct.pack(">I", len(data)) + data)
    answer = b""
    while True:
        piece = peer.recv(65536)
        if not piece:
            break
        answer += piece
        if len(answer) >= 4 and len(answer) >= 4 + struct.unpack(">I", answer[:4])[0]:
            break
    print(json.dumps(json.loads(answer[4:]) if answer else "closed"))
except OSError as error:
    print(json.dumps(type(error).__name__))
"""


@pytest.mark.parametrize("name,welcome,message", [
    ("org/run/signer/signer.sock", "server", {"verb": "hello"}),
    ("org/run/sealer/seal.sock", "server", {"verb": "contents", "manifestSha256": "x"}),
    ("org/run/sealer/wrap.sock", "signer", {"verb": "contents", "manifestSha256": "A" * 43}),
    ("devices/dev-1/run/installer.sock", "agent", {"verb": "state"})])
def test_S1_62_a_socket_answers_one_user(lab, name, welcome, message):
    path = os.path.join(lab.folder, name)
    assert stat.S_ISSOCK(os.stat(path).st_mode)
    for user in USERS:
        # With the group that opens the door: the uid must be enough of a reason to refuse.
        answer = run_as(user, ASK, [path, message], [SOCKET_GROUP])
        is_refused = answer in ("closed", "PermissionError", "BrokenPipeError", "ConnectionResetError") or (
            isinstance(answer, dict) and answer.get("error", {}).get("code") == "PermissionDenied")
        assert is_refused == (user != welcome), (user, answer)
        if user not in ("signer", "sealer", "server") and name.startswith("org/"):
            assert run_as(user, ASK, [path, message]) == "PermissionError", user
