"""A device that was parked for a hundred days comes back over the network, through signed documents alone (S1_39, S1_42, X1, X9).

Meanwhile its package and its status have expired, its certificate has died, the root that vouched for everything was
disabled and ten package versions were published; in `./dev soak` more than one answer carries. Its clock is right, stands at 1970 (no RTC) or at 2100. The server's
side lives at the later time too; every other clock goes right.
"""
import json
import os
import signal
import subprocess
import time

import pytest

from clock import shifted
from crash import IS_FULL
from documents import DAY
from lab import BIN, Lab
from services import Services, is_alive, wait_until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to run the programs as their users")
AGENT, INSTALLER = 61004, 61005
CEREMONIES, WAKING = 85 * DAY, 100 * DAY  # people's certificates live 90 days, and so do devices'
EPOCHS = 80 if IS_FULL else 9  # package versions, an epoch each; one answer carries 64
CONTENT = b"after a hundred days" * 500


def stop_devices(lab):
    with open(os.path.join(lab.folder, "devices", "pids.json")) as file:
        pids = json.load(file)
    os.kill(pids["supervisor"], signal.SIGTERM)
    for pid in pids.values():
        wait_until(lambda pid=pid: not is_alive(pid), "the end of the devices")


class Holders:
    """Whoever holds the roots, at the time of the lab's environment."""

    def __init__(self, lab):
        self.lab, self.version = lab, 1
        self.offline = os.path.join(lab.folder, "org", "offline")
        self.place = ("--folder", os.path.join(self.offline, "roots"), "--passphrase-file", os.path.join(self.offline, "passphrase"))

    def package(self, version=None):
        return os.path.join(self.offline, f"root-package-{version or self.version}.json")

    def step(self, *changes, roots=("root-2", "root-3"), sjwks=()):
        draft = self.package(self.version + 1)
        self.done("root", "rotate", "--package", self.package(), *changes, "-o", draft)
        self.done("root", "package", *self.place, *(part for root in roots for part in ("--root", root)), "--draft", draft, "-o", draft)
        self.done("root", "publish", draft, *(part for sjwk in sjwks for part in ("--sjwk", sjwk)))
        self.version += 1

    def vouch(self, root):
        """Another root's word for every signing key."""
        files = []
        for name in sorted(os.listdir(os.path.join(self.offline, "sjwk"))):
            files.append(os.path.join(self.lab.folder, name))
            self.done("root", "sign-key", *self.place, "--root", root, "--key", os.path.join(self.offline, "sjwk", name), "-o", files[-1])
        return files

    def done(self, *arguments):
        outcome = self.lab.run(*arguments)
        assert outcome.code == 0, f"{arguments}: {outcome.output}{outcome.error}{self.lab.logs()}"


@pytest.fixture(scope="module")
def parked():
    """A lab whose devices were switched off long ago; its services run a hundred days later."""
    lab = Lab(devices=4, is_populated=True)
    services = None
    try:
        folder = os.path.join(lab.folder, "clock")
        os.mkdir(folder, 0o755)
        os.chmod(folder, 0o755)
        holders = Holders(lab)
        holders.step("--renew", "--days", "30")
        for device in lab.info["devices"]:
            wait_until(lambda name=device["id"]: json.loads(lab.trust(name)["package"])["protected"]["version"] == 2, "package 2")
        stop_devices(lab)
        services = Services(lab)
        lab.environment.update(shifted(folder, CEREMONIES))
        services.start(environment=shifted(folder, CEREMONIES))
        kids = list(json.load(open(holders.package(1)))["protected"]["signingKeys"])
        holders.step("--disable-root", "root-1", "--days", "300", *(part for kid in kids for part in ("--renew-key", kid)),
                     sjwks=holders.vouch("root-2"))
        for _ in range(EPOCHS):
            holders.step("--raise-epoch")
        update = lab.release("2.0.0", lab.path("two.img", CONTENT))
        lab.good("device", "revoke", "dev-4", "--reason", "stolen")
        devices = [part for name in ("dev-1", "dev-2", "dev-3") for part in ("--device", name)]
        plan = lab.good("rollout", "plan", "--update", update, *devices, "--valid-seconds", str(25 * DAY))["planId"]
        lab.good("rollout", "start", plan)
        services.restart(environment=shifted(folder, WAKING))
        yield lab, folder
    finally:
        if services:
            services.kill()
        lab.down()


def cycle(lab, folder, name, seconds):
    """The device is switched on with a clock that is so far off; one cycle of its agent, and what its installer says then."""
    paths = lab.device(name)
    environment = {**os.environ, **shifted(folder, seconds)}
    read_end, write_end = os.pipe()
    with open(os.path.join(lab.folder, "logs", name + "-parked.log"), "ab") as log:
        installer = subprocess.Popen([os.path.join(BIN, "fleetseal-installer"), "--config", paths["installer_config"], "--ready-fd", str(write_end)],
                                     pass_fds=[write_end], stdout=log, stderr=log, env=environment, user=INSTALLER, group=INSTALLER)
    os.close(write_end)
    with os.fdopen(read_end) as ready:
        assert ready.readline(), lab.logs()
    try:
        return subprocess.run([os.path.join(BIN, "fleetseal-agent"), "--config", paths["config"], "--once"], capture_output=True, text=True,
                              env=environment, user=AGENT, group=AGENT, timeout=120)
    finally:
        installer.terminate()
        installer.wait(30)


def runs(lab, name):
    with open(lab.active_image(name), "rb") as file:
        return file.read(len(CONTENT)) == CONTENT


@pytest.mark.parametrize("name, clock", [("dev-1", "right"), ("dev-2", "1970"), ("dev-3", "2100")])
def test_S1_39_S1_40_S1_41_S1_42_X1_X9_a_parked_device_comes_back_over_the_network(parked, name, clock):
    lab, folder = parked
    seconds = {"right": WAKING, "1970": 3600 - int(time.time()), "2100": 4_102_444_800 - int(time.time())}[clock]
    before = lab.trust(name)
    assert json.loads(before["package"])["protected"]["version"] == 2
    certificate = open(lab.device(name)["cert"]).read()
    said = ""
    for _ in range(5):  # an agent that waits for a restart comes back in its next cycle
        said += cycle(lab, folder, name, seconds).stdout
        if runs(lab, name) and "receipt(s) are with the server" in said:
            break
    assert runs(lab, name), said + lab.logs()
    assert "certificate renewed" in said and open(lab.device(name)["cert"]).read() != certificate
    after = lab.trust(name)
    package = json.loads(after["package"])["protected"]
    assert package["version"] == 3 + EPOCHS and package["disabledRootKeys"] == ["root-1"] and package["directorEpoch"] == 1 + EPOCHS
    # Its time is the signer's, whatever its own clock says.
    assert abs(after["timeFloor"] - (time.time() + WAKING)) < 600
    assert after["status"]["epoch"] == 1 + EPOCHS and after["counters"] != before["counters"]


def test_a_revoked_device_does_not_come_back(parked):
    lab, folder = parked
    certificate = open(lab.device("dev-4")["cert"]).read()
    done = cycle(lab, folder, "dev-4", WAKING)
    assert done.returncode == 3 and "DeviceRevoked" in done.stdout + done.stderr, done.stdout + done.stderr
    assert "certificate not renewed" in done.stdout and open(lab.device("dev-4")["cert"]).read() == certificate
    assert not runs(lab, "dev-4")
