"""Crash matrices of a device's beginning and of its certificate: provisioned, enrolled, renewed.

The agent is killed or failed at every call that changes a file of its own. Then it runs once more: the device has one set of keys,
a certificate for them, nothing half-written, and is let in.
"""
import os
import shutil

import pytest

from clock import shifted
from commands import contents, run, visit_all
from crash import IS_ROOT, Shim
from documents import DAY
from e2e.test_recovery_network import Holders
from work import Cycle, Runner, Scene

pytestmark = pytest.mark.skipif(not IS_ROOT, reason="needs root to run the programs as their users")
ALLOWED = ("--product", "acme/pump", "--property", "manufacturer=acme", "--property", "model=pump-1")
LATER = 62 * DAY  # devices' certificates live 90 days


class Devices(Scene):
    def identity(self, device):
        return os.path.join(self.lab.folder, "devices", device, "agent", "identity")

    def read(self, device, name):
        with open(os.path.join(self.identity(device), name)) as file:
            return file.read()

    def check_let_in(self, device):
        assert sorted(os.listdir(self.identity(device))) == ["cert.pem", "key.pem"]
        shown = self.lab.good("device", "show", device)
        assert (shown["state"], shown["generation"]) == ("active", 1)
        done = self.recorded.device_cycle(device)
        assert done.returncode == 0 and "enrolled" not in done.stdout and "renewed" not in done.stdout, done.stdout + done.stderr


class Beginning(Devices):
    """dev-2 is allowed and never was here; there is a bundle for dev-3."""

    def __init__(self):
        super().__init__()
        code = self.lab.good("device", "allow", "dev-2", *ALLOWED)
        self.recorded.clone_device("dev-2", code["code"])
        self.bundle = os.path.join(self.recorded.folder, "dev-3.bundle")
        self.lab.good("device", "bundle", "dev-3", *ALLOWED, "--package", self.lab.info["root_package"], "--server", self.lab.info["device_url"], "-o",
                      self.bundle)
        self.add("enrolment", Cycle(self.recorded, "dev-2"), lambda: self.check_let_in("dev-2"))


class Later(Devices):
    """Two months on: everybody's clock says so, the signer's keys are listed anew, and dev-1's certificate is to be renewed."""

    def __init__(self):
        super().__init__()
        lab, services = self.lab, self.recorded.services
        folder = os.path.join(lab.folder, "clock")
        os.mkdir(folder, 0o755)
        services.stop()
        services.environment = shifted(folder, LATER)
        lab.environment.update(services.environment)
        services.start()
        kids = [key["kid"] for key in lab.good("key", "list")["keys"]]
        Holders(lab).step("--days", "300", *(part for kid in kids for part in ("--renew-key", kid)))
        self.key, self.certificate = self.read("dev-1", "key.pem"), self.read("dev-1", "cert.pem")
        self.add("renewal", Cycle(self.recorded), self.check_renewed)

    def check_renewed(self):
        self.check_let_in("dev-1")
        assert self.read("dev-1", "key.pem") == self.key and self.read("dev-1", "cert.pem") != self.certificate


@pytest.fixture(scope="module")
def beginning():
    made = Beginning()
    yield made
    made.close()


@pytest.mark.parametrize("victim, share", [("agent", 2), ("signer", 12)])
def test_crash_matrix_of_an_enrolment(beginning, victim, share):
    Runner(beginning, "enrolment", victim).run(share)


@pytest.mark.parametrize("is_replaced", [False, True])
def test_crash_matrix_of_a_provisioning(beginning, is_replaced):
    """The files of a device are all there, with their owners and modes, or the same command makes them."""
    folder = os.path.join(beginning.recorded.folder, "machine")
    home = os.path.join(folder, "device")
    arguments = ("--provision", beginning.bundle, "--into", home)
    again = (*arguments, "--replace") if is_replaced else arguments

    def prepare():
        shutil.rmtree(folder, ignore_errors=True)
        os.mkdir(folder, 0o755)
        if is_replaced:
            assert run("fleetseal-agent", *arguments).returncode == 0

    def check(done, where):
        repeated = run("fleetseal-agent", *again)
        was_whole = "is provisioned as dev-3" in repeated.stderr
        assert repeated.returncode == 0 or (was_whole and not is_replaced), where + repeated.stderr
        assert done.returncode != 0 or was_whole or is_replaced, where
        assert contents(home) == whole, where

    prepare()
    assert run("fleetseal-agent", *again).returncode == 0
    whole = contents(home)
    shim = Shim(beginning.recorded.folder, folder)
    name = "agent --provision" + (" --replace" if is_replaced else "")
    visit_all(shim, name, prepare, lambda environment: run("fleetseal-agent", *again, environment=environment), check, share=4, least=5)
    shim.close()


@pytest.fixture(scope="module")
def later():
    made = Later()
    yield made
    made.close()


@pytest.mark.parametrize("victim, share", [("agent", 2), ("signer", 12)])
def test_crash_matrix_of_a_renewal(later, victim, share):
    Runner(later, "renewal", victim).run(share)
