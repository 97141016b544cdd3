"""`fleetseal device bundle` and `fleetseal-agent --provision`: one file makes a machine a device."""
import json
import os
import shutil
import subprocess
import tempfile

import pytest

from lab import BIN, Lab

PROPERTIES = ("--property", "manufacturer=acme", "--property", "model=pump-1")


@pytest.fixture(scope="module")
def lab():
    made = Lab(devices=1)
    yield made
    made.down()


@pytest.fixture
def machine():
    folder = tempfile.mkdtemp(prefix="fleetseal-machine-")
    os.chmod(folder, 0o755)
    yield folder
    shutil.rmtree(folder)


def bundle(lab, folder, device, *more):
    path = os.path.join(folder, device + ".bundle")
    lab.good("device", "bundle", device, "--product", "acme/pump", *PROPERTIES, "--package", lab.info["root_package"], "--server",
             lab.info["device_url"], "--check-in-seconds", "1", "-o", path, *more)
    return path


def provision(path, folder, *more):
    return subprocess.run([os.path.join(BIN, "fleetseal-agent"), "--provision", path, "--into", os.path.join(folder, "device"), *more],
                          capture_output=True, text=True, timeout=60)


def tree(folder):
    found = {}
    for root, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(root, name)
            with open(path, "rb") as file:
                found[path] = (file.read(), os.stat(path).st_mode, os.stat(path).st_uid)
    return found


class Started:
    """The installer, started as `--provision` prints it."""

    def __init__(self, folder):
        self.home = os.path.join(folder, "device")
        config = os.path.join(self.home, "installer", "installer.json")
        owner = os.stat(config).st_uid
        read_end, write_end = os.pipe()
        self.process = subprocess.Popen([os.path.join(BIN, "fleetseal-installer"), "--config", config, "--ready-fd", str(write_end)],
                                        pass_fds=[write_end], stderr=subprocess.PIPE,
                                        **({"user": owner, "group": owner, "extra_groups": []} if owner != os.getuid() else {}))
        os.close(write_end)
        with os.fdopen(read_end) as ready:
            assert ready.readline(), self.process.stderr.read()

    def agent(self):
        config = os.path.join(self.home, "agent", "agent.toml")
        done = subprocess.run([os.path.join(BIN, "fleetseal-agent"), "--config", config, "--once"], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.communicate()


def test_a_bundle_makes_a_machine_a_device_that_installs(lab, machine):
    path = bundle(lab, machine, "pump-1")
    assert os.stat(path).st_mode & 0o777 == 0o600
    done = provision(path, machine)
    assert done.returncode == 0 and "pump-1 is provisioned" in done.stdout, done.stderr
    home = os.path.join(machine, "device")
    users = {name: os.stat(os.path.join(home, name)).st_uid for name in ("installer", "agent")}
    code = os.stat(os.path.join(home, "installer", "provisioning", "enrolment-code"))
    assert (code.st_mode & 0o777, code.st_uid) == (0o400, users["installer"])
    if os.getuid() == 0:
        assert 0 not in users.values() and users["installer"] != users["agent"]
    with Started(machine) as device:
        device.agent()
        assert lab.good("device", "show", "pump-1")["state"] == "active"
        content = b"bundle" * 20_000
        plan = lab.roll_out(lab.release("1.0.1", lab.path("bundle.img", content)), "pump-1")
        for _ in range(2):
            device.agent()
        assert lab.watch(plan)["pump-1"] == "installed"
        with open(os.path.join(home, "installer", "slots", "b.img"), "rb") as slot:
            assert slot.read(len(content)) == content
    # A second time only when asked, and then the trust state stays.
    before = tree(home)
    again = provision(path, machine)
    assert again.returncode == 3 and "AlreadyExists" in again.stderr and tree(home) == before
    other = bundle(lab, machine, "pump-other")
    refused = provision(other, machine, "--replace")
    assert refused.returncode == 3 and "Conflict" in refused.stderr and tree(home) == before
    state = {name: value for name, value in before.items() if "/installer/state/" in name}
    assert state and provision(path, machine, "--replace").returncode == 0
    with Started(machine) as device:
        device.agent()
    assert {name for name in tree(home) if "/installer/state/" in name} >= set(state)


def test_a_bundle_that_is_not_whole_changes_nothing(lab, machine):
    path = bundle(lab, machine, "pump-3")
    with open(path) as file:
        text = file.read()
    good = json.loads(text)
    bad = {"Truncated": text[:-40], "JsonInvalid": text[:200], "MemberUnknown": json.dumps({**good, "more": 1}),
           "DocumentTooLarge": text + " " * 1_100_000, "PackageStepInvalid": json.dumps({**good, "package": good["package"].replace('"version":1', '"version":7')})}
    for name, content in bad.items():
        wrong = os.path.join(machine, "wrong.bundle")
        with open(wrong, "w") as file:
            file.write(content)
        done = provision(wrong, machine)
        code = "JsonInvalid" if name == "Truncated" else name
        assert done.returncode == 3 and code in done.stderr, (name, done.stderr)
        assert not os.listdir(os.path.join(machine, "device")) if os.path.exists(os.path.join(machine, "device")) else True
    assert provision(path, machine).returncode == 0


def test_what_cannot_be_a_bundle_is_refused_before_the_device_is_allowed(lab, machine):
    common = ("device", "bundle", "pump-4", "--product", "acme/pump", *PROPERTIES)
    output = ("-o", os.path.join(machine, "pump-4.bundle"))
    installer = os.path.join(machine, "installer.json")
    with open(installer, "w") as file:
        json.dump({"stateDirectory": "/tmp/x", "filePrefix": "/srv", "health": {"command": ["/bin/true"]}}, file)
    for more in (("--package", lab.info["server_ca"]), ("--package", lab.info["root_package"], "--server", "http://x"),
                 ("--package", lab.info["root_package"], "--installer", installer)):
        assert lab.run(*common, *more, *output).code != 0, more
    assert lab.run("device", "show", "pump-4").code == 3
    assert not os.path.exists(output[1])


def test_a_folder_that_cannot_be_written_is_named(lab, machine):
    path = bundle(lab, machine, "pump-5")
    with open(os.path.join(machine, "device"), "w"):
        pass
    done = provision(path, machine)
    assert done.returncode in (1, 3) and os.path.join(machine, "device") in done.stderr, done.stderr
    assert os.path.getsize(os.path.join(machine, "device")) == 0
