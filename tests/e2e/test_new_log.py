"""A log that is lost, forked or old is left for a new one (docs/operations/lost-log.md, ADR 0013); security keys are replaced
by the roots (docs/operations/lost-security-keys.md)."""
import json
import os
import shutil
import subprocess
import threading
import time

import pytest

from attacks import refused as refused_by
from ceremony import Ceremony
from e2e.test_backup import Running, data_of, fleetseal, good, refused, stop_organisation
from lab import Lab
from services import wait_until
from stolen import Genuine, LabInstaller

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to run the programs as their users")
PATIENCE = 120


@pytest.fixture(scope="module")
def lab():
    made = Lab(devices=1)
    yield made
    made.down()


class Organisation:
    """The lab's organisation, its holders of roots, and `fleetseal run`."""

    def __init__(self, lab, folder):
        self.lab, self.data = lab, data_of(lab)
        self.security = os.path.join(self.data, "identities", "security")
        self.roots = Ceremony(self.data, folder)
        self.origin, self.running = "log.acme", None
        stop_organisation(lab)
        self.start()

    def start(self):
        self.running = Running(self.data)
        assert self.running.line, self.told()

    def told(self):
        with open(self.data + ".run.log") as file:
            return file.read()[-4000:]

    def stop(self):
        if self.running:
            self.running.stop()
            self.running = None

    def new_log(self, origin, *more):
        """The programs are stopped; what the signer prints."""
        return good("recover", "new-log", "--data", self.data, "--origin", origin, "--reason", "a drill", "--as", self.security, "--yes", *more)

    def publish(self, made):
        """The package that names the new log, and not the old one."""
        self.roots.draft("rotate", "--log", made["origin"], "--log-key", made["vkey"], "--remove-log", self.origin)
        self.roots.finish("root-1", "root-2")
        self.lab.good("root", "publish", self.roots.package())
        self.origin = made["origin"]

    def log_folder(self):
        return os.path.join(self.data, "log", *(["origins", self.origin] if self.origin != "log.acme" else []))


@pytest.fixture(scope="module")
def organisation(lab, tmp_path_factory):
    made = Organisation(lab, tmp_path_factory.mktemp("roots"))
    yield made
    made.stop()


def wait_for(what, reach):
    deadline = time.monotonic() + PATIENCE
    while not reach():
        assert time.monotonic() < deadline, what
        threading.Event().wait(0.1)


def installs(lab, organisation, version):
    """The next release goes through, and the device has a checkpoint of the log that is written now."""
    update = lab.release(version, lab.path(f"{version}.img", version.encode() * 5000))
    assert lab.watch(lab.roll_out(update, "dev-1")) == {"dev-1": "installed"}, organisation.told()
    trust = lab.trust()
    assert organisation.origin in trust["checkpoints"], trust["checkpoints"]
    assert json.loads(trust["package"])["protected"]["logs"][0]["origin"] == organisation.origin
    assert lab.good("audit", "verify")["origin"] == organisation.origin
    return update


def documents_of(lab, update):
    status, _, body = lab.as_person("security", "GET", f"/admin/v1/updates/{update}/documents")
    assert status == 200, body
    return json.loads(body)


def test_a_log_is_left_without_loss(lab, organisation, tmp_path):
    stored = lab.release("1.0.0", lab.path("one.img", b"one" * 5000))
    first = installs(lab, organisation, "1.1.0")
    old_proof = documents_of(lab, first)["logProof"]
    refused("Busy", "recover", "new-log", "--data", organisation.data, "--origin", "log.acme.2", "--reason", "x", "--as", organisation.security, "--yes")
    organisation.stop()
    shown = good("recover", "new-log", "--data", organisation.data, "--origin", "log.acme.2", "--reason", "x", "--as", organisation.security)
    assert shown["isSigned"] is False
    made = organisation.new_log("log.acme.2")
    assert made["lost"] is False and made["previousOrigin"] == "log.acme"
    assert organisation.new_log("log.acme.2") == made, "whoever missed the answer asks again, and nobody signs again"
    organisation.start()
    installs(lab, organisation, "1.2.0")  # with the old log
    organisation.publish(made)
    installs(lab, organisation, "1.3.0")
    # A release of before has its record on the new log; its old proof counts no more.
    assert "log.acme.2\n" in documents_of(lab, stored)["logProof"] and "log.acme\n" in old_proof
    # The old log is served below its name, whole, for whoever has the package of its time.
    status, _, body = lab.request(lab.info["device_url"], "GET", "/log/origins/log.acme/checkpoint")
    assert status == 200 and body.startswith(b"log.acme\n")
    status, _, body = lab.request(lab.info["device_url"], "GET", "/log/checkpoint")
    assert status == 200 and body.startswith(b"log.acme.2\n")
    assert lab.request(lab.info["device_url"], "GET", "/log/origins/log.nobody/checkpoint")[0] == 404
    old = good("audit", "verify", "--log", os.path.join(organisation.data, "log"), "--package", organisation.roots.package(1))
    assert old["origin"] == "log.acme"
    told = lab.good("audit", "package", str(organisation.roots.version))
    assert told["leaf"]["version"] == organisation.roots.version
    # What an auditor gets of an update of before: its record is on the new log, the device's answers are on the old one.
    folder = str(tmp_path / "evidence")
    told = lab.good("audit", "export", "--update", first, "--device", "dev-1", "-o", folder)
    assert told["receipts"] > 0 and told["receiptsWithoutProof"] == 0
    for part in told["folders"]:
        lab.good("verify", part["path"], "--key", os.path.join(folder, "keys.json"), "--as-of", str(part["asOf"]), "--trusted-package",
                 lab.info["root_package"])


def test_a_destroyed_log_is_left(lab, organisation):
    kept = lab.release("2.0.0", lab.path("two.img", b"two" * 5000))
    left_proof = documents_of(lab, kept)["logProof"]
    organisation.stop()
    shutil.rmtree(organisation.log_folder())
    state = good("recover", "show", "--data", organisation.data)
    assert "logProblem" in state and not state["isHalted"], state
    made = organisation.new_log("log.acme.3")
    assert made["lost"] is True
    state = good("recover", "show", "--data", organisation.data)
    assert state["isHalted"] and state["awaitsPackage"] and state["newLog"] == made == organisation.new_log("log.acme.3")
    organisation.start()
    assert lab.run("rollout", "plan", "--update", kept, "--device", "dev-1").refusal == "SignerHalted"
    organisation.publish(made)
    assert not good("recover", "show", "--data", organisation.data)["isHalted"]
    # A server that shows the record on the log that was left is refused by the device; on the new one it is right.
    wait_until(lambda: json.loads(lab.trust()["package"])["protected"]["version"] == organisation.roots.version, "the package on the device")
    with LabInstaller(lab) as installer:
        plan = lab.roll_out(kept, "dev-1")
        genuine = Genuine(lab, kept, "dev-1", os.path.join(lab.folder, "left-log"))
        assert "log.acme.2\n" in left_proof and "log.acme.3\n" in genuine.proof
        before = lab.active_image("dev-1")
        refused_by(installer, "LogProofMissing", lambda: installer.offer(**{**genuine.documents(), "logProof": left_proof}))
        assert lab.active_image("dev-1") == before
    assert lab.watch(plan) == {"dev-1": "installed"}, organisation.told()
    installs(lab, organisation, "2.1.0")


def test_a_forked_log_is_left(lab, organisation):
    """The files show another history than the signer's database: somebody put an older database back."""
    organisation.stop()
    signer = os.path.join(organisation.data, "signer")
    kept = os.path.join(lab.folder, "kept-signer")
    subprocess.run(["cp", "-a", signer, kept], check=True)
    organisation.start()
    installs(lab, organisation, "3.0.0")
    organisation.stop()
    shutil.rmtree(signer)
    subprocess.run(["cp", "-a", kept, signer], check=True)
    code, _, error = fleetseal("run", "--data", organisation.data)
    assert code != 0
    state = good("recover", "show", "--data", organisation.data)
    assert state["isHalted"], error
    made = organisation.new_log("log.acme.4")
    assert made["lost"] is True
    organisation.start()
    organisation.publish(made)
    installs(lab, organisation, "3.1.0")
    assert lab.trust()["counters"]["acme/pump#main"]["installed"] > 1000, "no forgotten counter is given out again"


def replacement(lab, organisation, name, *more):
    """The folder of a new person, and the document that names it, signed by one root of two."""
    info = lab.info["identities"]["security"]
    folder, file = os.path.join(lab.folder, name), os.path.join(lab.folder, f"{name}.json")
    ceremony = organisation.roots
    ceremony.good("security-person", "--id", name, "--organisation", "acme", "--url", lab.info["admin_url"], "--server-ca",
                  os.path.join(os.path.dirname(info["cert"]), "server-ca.crt"), "--folder", folder)
    number = good("recover", "show", "--data", organisation.data)["registerSequence"] + 1
    ceremony.good("replace-security", "--package", ceremony.package(), "--organisation", "acme", "--sequence", str(number), "--person",
                  os.path.join(folder, "person.pub.json"), "--quorum", "1", *more, "-o", file)
    sign_replacement(organisation, file, "root-1")
    return folder, file


def sign_replacement(organisation, file, root):
    ceremony = organisation.roots
    ceremony.good("replace-security", "--draft", file, "--folder", ceremony.roots, "--root", root, "--passphrase-file", ceremony.passphrase, "-o", file)


def test_lost_security_keys_are_replaced_by_the_roots(lab, organisation):
    organisation.stop()
    folder, file = replacement(lab, organisation, "tess")
    refused("QuorumNotReached", "root", "publish-security", file, "--data", organisation.data)
    sign_replacement(organisation, file, "root-3")
    good("root", "publish-security", file, "--data", organisation.data, "--identity", folder)
    organisation.start()
    people = {person["id"]: person["state"] for person in lab.good("user", "list", "--as", folder)["people"]}
    assert people["security"] == "revoked" and people["tess"] == "active"
    assert lab.run("user", "add", "mallory", "--role", "approver", "--as", "security").code != 0
    lab.good("user", "add", "otto", "--role", "auditor", "--as", folder)
    organisation.stop()
    refused("Conflict", "root", "publish-security", file, "--data", organisation.data)  # its time is over


def test_lost_security_keys_of_a_halted_signer_are_replaced_and_the_halt_ends(lab, organisation):
    organisation.stop()
    folder, file = replacement(lab, organisation, "uma")
    sign_replacement(organisation, file, "root-3")
    with open(os.path.join(organisation.data, "signer", "restored"), "w") as mark:  # what `fleetseal restore` leaves
        mark.write("a drill\n")
    state = good("recover", "show", "--data", organisation.data)
    assert state["isHalted"]
    refused("SignerHalted", "root", "publish-security", file, "--data", organisation.data)
    told = os.path.join(lab.folder, "recovery.json")
    with open(told, "w") as out:
        json.dump(state, out)
    folder, file = replacement(lab, organisation, "vera", "--recovery", told)
    sign_replacement(organisation, file, "root-3")
    done = good("root", "publish-security", file, "--data", organisation.data, "--identity", folder)
    assert "vera" in done["certificates"]
    assert not good("recover", "show", "--data", organisation.data)["isHalted"]
    organisation.start()
    lab.good("user", "add", "olaf", "--role", "auditor", "--as", folder)
    installs(lab, organisation, "3.2.0")