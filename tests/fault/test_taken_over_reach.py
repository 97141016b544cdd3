"""A taken-over server beyond the sockets: no file and no process of signer and sealer is within its user's reach (S0.20, S1.62)."""
import json
import os
import subprocess
import sys

import pytest

from taken_over import SERVER, SOCKET_GROUP, TakenOverServer

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to act as the server's user")


@pytest.fixture(scope="module")
def server(lab):
    return TakenOverServer(lab)


REACH = r"""
import ctypes, json, os, signal, sys
org, pids = sys.argv[1], json.loads(sys.argv[2])
got = []
def tries(name, action):
    try:
        action()
    except OSError:
        return
    got.append(name)
for top in ("signer", "sealer", "offline", "identities", "run/signer", "run/sealer"):
    tries("list " + top, lambda: os.listdir(os.path.join(org, top)))
for path in sys.argv[3:]:
    if not path.startswith(os.path.join(org, "log")):
        tries("read " + path, lambda: os.close(os.open(path, os.O_RDONLY)))
    tries("write " + path, lambda: os.close(os.open(path, os.O_WRONLY)))
    tries("truncate " + path, lambda: os.truncate(path, 0))
    tries("unlink " + path, lambda: os.unlink(path))
    tries("rename " + path, lambda: os.rename(path, path + ".x"))
    tries("chmod " + path, lambda: os.chmod(path, 0o777))
for folder in ("", "log", "log/tile", "signer", "sealer", "run", "run/signer", "run/sealer"):
    path = os.path.join(org, folder, "planted")
    tries("create in " + folder, lambda: os.close(os.open(path, os.O_WRONLY | os.O_CREAT, 0o644)))
libc = ctypes.CDLL(None, use_errno=True)
def attach(pid):
    if libc.ptrace(16, pid, None, None) != 0:
        raise OSError(ctypes.get_errno(), "ptrace")
for name, pid in pids.items():
    for file, mode in (("mem", os.O_RDWR), ("environ", os.O_RDONLY), ("maps", os.O_RDONLY)):
        tries(f"/proc/{name}/{file}", lambda: os.read(os.open(f"/proc/{pid}/{file}", mode), 1))
    tries(f"/proc/{name}/fd", lambda: os.listdir(f"/proc/{pid}/fd"))
    tries(f"/proc/{name}/cwd", lambda: os.readlink(f"/proc/{pid}/cwd"))
    tries(f"ptrace {name}", lambda: attach(pid))
    tries(f"kill {name}", lambda: os.kill(pid, signal.SIGTERM))
    tries(f"stop {name}", lambda: os.kill(pid, signal.SIGSTOP))
print(json.dumps(got))
"""


def test_S0_20_S1_62_the_servers_user_reaches_no_file_or_process_of_signer_and_sealer(server):
    with open(os.path.join(server.org, "run", "pids.json")) as file:
        pids = json.load(file)
    pids = {name: pids[name] for name in ("signer", "sealer", "supervisor")}
    paths = []
    for top in ("signer", "sealer", "offline", "identities", "log"):
        for folder, _, files in os.walk(os.path.join(server.org, top)):
            paths += [os.path.join(folder, name) for name in files]
    assert any(path.endswith("signer.db") for path in paths) and any(path.endswith("sealing-key.json") for path in paths)
    before = server.fingerprint()
    done = subprocess.run([sys.executable, "-c", REACH, server.org, json.dumps(pids), *paths], user=SERVER, group=SERVER,
                          extra_groups=[SOCKET_GROUP], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == []
    assert server.fingerprint() == before and server.ask("hello")["organisation"] == "acme"
