"""Crash matrices of the signer: its own keys made, listed and retired, root-key packages, updates signed again, the switch of logs.

As test_crash_signer.py: one recorded message on the data as it was before it, killed or failed at every call that changes a file.
"""
import json
import os
import shutil
import subprocess
import time

import pytest

from ceremony import Ceremony
from documents import b64u
from lab import BIN
from recorded import RecordedLab, Tree
from replay import Case, good, records_of, run
from taken_over import DAY, TakenOverServer, new_id, nonce

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to run the programs as their users")
FIRST_LOG, SECOND_LOG, THIRD_LOG = "log.acme", "log.acme.2", "log.acme.3"


class Scene:
    """A publisher key is made, listed, used and the old one retired; then the log is left twice, whole and lost."""

    def __init__(self):
        self.recorded = recorded = RecordedLab(())
        recorded.services.start()
        self.lab = lab = recorded.lab
        self.people = TakenOverServer(lab)
        self.roots = Ceremony(recorded.org, os.path.join(recorded.folder, "offline"))
        self.update = lab.release("1.0.0", lab.path("one.img", os.urandom(20_000)))
        self.withdrawn = lab.release("1.1.0", lab.path("two.img", os.urandom(20_000)))
        recorded.services.stop("server")
        recorded.ask(verb="revoke", revocation=self.people.revocation("manifest", b64u(bytes.fromhex(self.withdrawn)), "withdraw", "publisher"))
        self.rotate_the_publisher()
        self.leave_the_log()
        self.lose_the_log()
        recorded.services.stop()

    def key_in_use(self):
        (key,) = [key["kid"] for key in self.recorded.ask(verb="keys")["keys"] if key["role"] == "publisher" and key["inUse"]]
        return key

    def change_keys(self, name, **change):
        self.recorded.record(name, verb="register-change", jws=[self.people.change([change])])

    def rotate_the_publisher(self):
        self.old_key = self.key_in_use()
        self.change_keys("create-key", action="create-key", role="publisher", products=["acme/pump"], alg="ES256")
        (made,) = [key for key in self.recorded.ask(verb="keys")["keys"] if key["state"] == "waiting"]
        self.new_key = made["kid"]
        file = os.path.join(self.recorded.folder, "publisher.json")
        with open(file, "w") as opened:
            json.dump(made["jwk"], opened)
        sjwk = file + ".jws"
        self.roots.good("sign-key", "--folder", self.roots.roots, "--passphrase-file", self.roots.passphrase, "--root", "root-1", "--key", file, "-o", sjwk)
        with open(sjwk) as opened:
            self.recorded.record("take-sjwk", verb="take-sjwk", sjwk=opened.read().strip())
        self.roots.draft("rotate", "--add-key", file, "--role", "publisher", "--product", "acme/pump", "--remove-key", self.old_key)
        self.roots.finish("root-1", "root-2")
        with open(self.roots.package()) as package, open(self.roots.package().replace(".json", ".transcript.json")) as transcript:
            self.recorded.record("publish-package with a transcript", verb="publish-package", package=package.read(), transcript=transcript.read())
        assert self.key_in_use() == self.new_key
        now = int(time.time())
        words = {"requestId": new_id("request"), "kind": "resign", "product": "acme/pump", "manifestSha256": b64u(bytes.fromhex(self.update)),
                 "audience": "urn:fleetseal:acme", "requester": "publisher", "nonce": nonce(), "issued": now, "expires": now + DAY}
        self.recorded.record("resign", verb="resign", request=self.people.person("publisher").sign("request", words))
        self.change_keys("retire-key", action="retire-key", kid=self.old_key)
        self.roots.renew("root-1", "root-2")
        with open(self.roots.package()) as package:
            self.recorded.record("publish-package without a transcript", verb="publish-package", package=package.read())

    def new_log(self, old, new):
        """Decided on the stopped signer; the package that names it is published."""
        self.recorded.services.stop("signer")
        done = subprocess.run([os.path.join(BIN, "fleetseal"), "recover", "new-log", "--data", self.recorded.org, "--origin", new, "--reason", "a test",
                               "--as", os.path.join(self.recorded.org, "identities", "security"), "--yes", "--json"], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        made = json.loads(done.stdout)
        self.roots.draft("rotate", "--log", new, "--log-key", made["vkey"], "--remove-log", old)
        self.roots.finish("root-1", "root-2")
        self.recorded.services.start("signer")
        return made

    def publish_package(self, name):
        with open(self.roots.package()) as package:
            self.recorded.record(name, verb="publish-package", package=package.read())

    def leave_the_log(self):
        assert self.new_log(FIRST_LOG, SECOND_LOG)["lost"] is False
        self.publish_package("publish-package, a log is left")

    def lose_the_log(self):
        """Nothing but an empty folder is left of it."""
        self.recorded.services.stop("signer")
        shutil.rmtree(log_folder(self.recorded.org, SECOND_LOG))
        assert self.new_log(SECOND_LOG, THIRD_LOG)["lost"] is True
        self.publish_package("publish-package, a lost log is left")


def log_folder(organisation, origin):
    return os.path.join(organisation, "log", *(["origins", origin] if origin != FIRST_LOG else []))


@pytest.fixture(scope="module")
def scene():
    made = Scene()
    yield made
    made.recorded.close()


def keys(replay):
    return replay.ask({"verb": "keys"})["ok"]["keys"]


class KeyCase(Case):
    """One key more, whatever happened; the log names its thumbprint, and it signs nothing before the roots list it."""

    def __init__(self, scene):
        self.old_key, self.new = scene.old_key, None

    def check_running(self, replay, answers):
        (self.new,) = [key for key in keys(replay) if "changeId" in key]
        (used,) = [key["kid"] for key in keys(replay) if key["role"] == "publisher" and key["inUse"]]
        assert (self.new["state"], self.new["inUse"], used) == ("waiting", False, self.old_key)

    def check_log(self, tree, answers):
        leaf = json.loads(tree.leaves[self.new["logIndex"]])
        assert (leaf["type"], leaf["kid"], leaf["thumbprint"]) == ("signing-key", self.new["kid"], self.new["thumbprint"])


def test_X8_crash_matrix_of_a_key_that_is_made(scene):
    run(scene.recorded, scene.recorded.step("create-key"), "signer", KeyCase(scene), share=20)


class SjwkCase(Case):
    def __init__(self, scene):
        self.kid = scene.new_key

    def check_running(self, replay, answers):
        assert [key["hasSjwk"] for key in keys(replay) if key["kid"] == self.kid] == [True]


def test_crash_matrix_of_a_roots_word_about_a_key(scene):
    run(scene.recorded, scene.recorded.step("take-sjwk"), "signer", SjwkCase(scene), share=12)


class SignedAgain(Case):
    """Once an update was signed again, its release counter stands in several records, with one manifest."""

    def check_records(self, tree):
        releases = tree.records("manifest-signature")
        assert len({record["jwsSha256"] for record in releases}) == len(releases)
        pairs = {(record["releaseCounter"], record["manifestSha256"]) for record in releases}
        assert len(pairs) == len({counter for counter, _ in pairs}) == len({manifest for _, manifest in pairs}) == 2


class RetiredCase(SignedAgain):
    """The key is destroyed and signs nothing; the other one does."""

    def __init__(self, scene):
        self.old_key, self.new_key = scene.old_key, scene.new_key

    def check_running(self, replay, answers):
        states = {key["kid"]: (key["state"], key["inUse"]) for key in keys(replay) if key["role"] == "publisher"}
        assert states == {self.old_key: ("retired", False), self.new_key: ("ready", True)}
        files = [name for _, _, names in os.walk(os.path.join(replay.recorded.org, "signer", "keys")) for name in names]
        assert [name for name in files if name.startswith(self.old_key)] == [] and self.new_key + ".json" in files


def test_X8_crash_matrix_of_a_key_that_is_retired(scene):
    run(scene.recorded, scene.recorded.step("retire-key"), "signer", RetiredCase(scene), share=24)


class PackageCase(SignedAgain):
    """The package is served, the record that is named is of it, and it was recorded twice at most."""

    def __init__(self, step):
        self.message = json.loads(step.message)
        self.version = json.loads(self.message["package"])["protected"]["version"]
        self.found = None

    def check_running(self, replay, answers):
        assert replay.ask({"verb": "packages", "from": self.version})["ok"]["packages"] == [self.message["package"]]
        self.found = replay.ask({"verb": "package-record", "version": self.version})["ok"]
        assert self.found.get("transcript") == self.message.get("transcript")

    def check_log(self, tree, answers):
        leaf = json.loads(tree.leaves[self.found["logIndex"]])
        assert (leaf["type"], leaf["version"]) == ("package", self.version)
        assert 1 <= len([record for record in tree.records("package") if record["version"] == self.version]) <= 2


@pytest.mark.parametrize("how", ["with", "without"])
def test_X8_crash_matrix_of_a_package(scene, how):
    step = scene.recorded.step(f"publish-package {how} a transcript")
    run(scene.recorded, step, "signer", PackageCase(step), share=24)


class ResignCase(SignedAgain):
    """The answer's record is of the answer's signature, under the new key and with the release counter of before."""

    def __init__(self, scene):
        self.kid = scene.new_key

    def check_running(self, replay, answers):
        told = answers[-1]["ok"]
        assert told["keyKid"] == self.kid
        found = replay.ask({"verb": "log-index", "manifestSha256": told["manifestSha256"]})["ok"]
        assert found == {"logIndex": told["logIndex"], "manifestSignature": told["manifestSignature"]}

    def check_log(self, tree, answers):
        told = answers[-1]["ok"]
        assert records_of(tree, "manifest-signature", told["manifestSignature"]) == [told["logIndex"]]


def test_crash_matrix_of_an_update_that_is_signed_again(scene):
    run(scene.recorded, scene.recorded.step("resign"), "signer", ResignCase(scene), share=20)


class SwitchCase(PackageCase):
    """The new log is written, whole, with the records of the releases that were not withdrawn; the old one is what it was, or longer."""

    def __init__(self, scene, step, new, others):
        super().__init__(step)
        self.scene, self.new, self.others = scene, new, others

    def check_running(self, replay, answers):
        super().check_running(replay, answers)
        assert replay.ask({"verb": "hello"})["ok"]["logOrigin"] == self.new
        self.found = replay.ask({"verb": "package-record", "version": self.version})["ok"]
        self.release = replay.ask({"verb": "log-index", "manifestSha256": b64u(bytes.fromhex(self.scene.update))})["ok"]
        assert good(replay.ask({"verb": "status"}))

    def check_log(self, tree, answers):
        tree = Tree(log_folder(self.scene.recorded.org, self.new))
        assert tree.origin == self.new and tree.records("log-begin")[0]["previousOrigin"] in self.others
        super().check_log(tree, answers)
        assert self.release["logIndex"] in records_of(tree, "manifest-signature", self.release["manifestSignature"])
        assert {record["manifestSha256"] for record in tree.records("manifest-signature")} == {b64u(bytes.fromhex(self.scene.update))}
        assert {record["version"] for record in tree.records("log-switch")} == {self.version}


def test_crash_matrix_of_the_switch_to_a_new_log(scene):
    step = scene.recorded.step("publish-package, a log is left")
    run(scene.recorded, step, "signer", SwitchCase(scene, step, SECOND_LOG, {FIRST_LOG}), share=40)


def test_crash_matrix_of_the_switch_from_a_lost_log(scene):
    step = scene.recorded.step("publish-package, a lost log is left")
    run(scene.recorded, step, "signer", SwitchCase(scene, step, THIRD_LOG, {SECOND_LOG}), share=32)
