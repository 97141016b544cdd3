"""Trust model section 9: a device whose installer's state was put back as a whole is quarantined at its next check-in.

docs/operations/device-alarms.md says how a person lets it in again.
"""
import os
import shutil
import subprocess
import tempfile

import pytest

from clock import shifted
from lab import BIN, Lab
from services import Services
from test_provision import Started, bundle, provision

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to run the programs as their users")
LATER = 700  # past the ten minutes in which a lower number may be an old request


class Machine:
    """A provisioned device in a folder of its own."""

    def __init__(self, lab, name):
        self.lab, self.name = lab, name
        self.folder = tempfile.mkdtemp(prefix="fleetseal-machine-")
        os.chmod(self.folder, 0o755)
        self.home = os.path.join(self.folder, "device")
        self.provision()

    def provision(self, *more):
        done = provision(bundle(self.lab, self.folder, self.name, *(("--yes",) if more else ())), self.folder, *more)
        assert done.returncode == 0, done.stderr
        os.remove(os.path.join(self.folder, self.name + ".bundle"))

    def cycles(self, count=2):
        with Started(self.folder) as device:
            for _ in range(count):
                device.agent()

    def code(self):
        """Of a cycle that is refused."""
        with Started(self.folder):
            done = subprocess.run([os.path.join(BIN, "fleetseal-agent"), "--config", os.path.join(self.home, "agent", "agent.toml"), "--once", "--json"],
                                  capture_output=True, text=True, timeout=120)
        assert done.returncode == 3, done.stdout + done.stderr
        return done.stdout

    def path(self, *parts):
        return os.path.join(self.home, *parts)

    def copy(self):
        subprocess.run(["cp", "-a", self.path("installer"), self.path("installer.copy")], check=True)

    def put_back(self):
        shutil.rmtree(self.path("installer"))
        os.rename(self.path("installer.copy"), self.path("installer"))

    def state(self):
        return self.lab.good("device", "show", self.name)["state"]


@pytest.fixture(scope="module")
def world():
    lab = Lab(devices=1)
    services, machines = None, []
    try:
        folder = os.path.join(lab.folder, "clock")
        os.mkdir(folder, 0o755)
        os.chmod(folder, 0o755)
        services = Services(lab)
        services.start()
        machines += [Machine(lab, name) for name in ("pump-1", "pump-2", "pump-3")]
        yield lab, services, folder, machines
    finally:
        if services:
            services.kill()
        for machine in machines:
            shutil.rmtree(machine.folder)
        lab.down()


def roll_out(lab, version, *machines):
    update = lab.release(version, lab.path(version + ".img", version.encode() * 2000))
    plan = lab.roll_out(update, *(machine.name for machine in machines))
    for machine in machines:
        machine.cycles()
    assert set(lab.watch(plan).values()) == {"installed"}


def test_a_state_that_was_put_back_quarantines_the_device_until_it_is_allowed_again(world):
    lab, services, folder, (older, empty, good) = world
    for machine in (empty, good):
        machine.cycles(1)
    empty.copy()
    roll_out(lab, "1.0.1", older, empty, good)
    older.copy()
    roll_out(lab, "1.0.2", older, empty, good)
    services.restart("server", environment=shifted(folder, LATER))
    older.put_back()
    empty.put_back()  # from before its first order
    size = lab.good("audit", "verify")["size"]
    for machine in (older, empty):
        assert machine.state() == "active"
        assert "DeviceQuarantined" in machine.code()
        assert machine.state() == "quarantined"
        assert [event["actor"] for event in lab.good("audit", "events", "--device", machine.name, "--event", "quarantined")["events"]] == ["server"]
        assert '"what":"order"' in "".join(line for line in services.log_text("server").splitlines() if "device.turned-back" in line and machine.name in line)
    good.cycles()
    assert good.state() == "active"
    refusals = [entry["leaf"] for entry in lab.good("audit", "query", "--limit", "1000", "--type", "refusal")["entries"] if entry["index"] >= size]
    assert len(refusals) == 2 and all('"code":"DeviceQuarantined"' in leaf and '"what":"order-number"' in leaf for leaf in refusals), refusals
    # It stays, also for a server that was started anew and has its states from the signer.
    services.restart("server", environment=shifted(folder, LATER))
    assert "DeviceQuarantined" in older.code()
    # A person lets them in again: a new generation, with the state as it is, or without.
    shutil.rmtree(empty.path("installer", "state"))
    for machine in (older, empty):
        shutil.rmtree(machine.path("agent", "identity"))
        machine.provision("--replace")
        machine.cycles()
        assert machine.state() == "active"
    roll_out(lab, "1.0.3", older, empty, good)
    services.restart("server", environment=shifted(folder, 2 * LATER))
    for machine in (older, empty, good):
        machine.cycles()
        assert machine.state() == "active"
