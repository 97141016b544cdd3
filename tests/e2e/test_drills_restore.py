"""docs/operations/restored-signer.md, run as printed: a signer from a backup that holds a key that was stolen since.

How a restored signer halts, and what else may be restored: test_backup.py.
"""
import os
import shutil
import signal
import subprocess

import pytest

from attacks import refused
from documents import jws, jws_parts
from lab import BIN, Lab
from runbook import Runbook
from services import is_alive, wait_until
from stolen import Genuine, LabInstaller, Loot
from test_drills_keys import in_use, package, runs, status_of

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to run the programs as their users")


@pytest.fixture
def lab():
    made = Lab(devices=2, is_populated=True)
    yield made
    made.down()


class Organisation:
    """`fleetseal run` on the lab's organisation, ended and started by the test."""

    def __init__(self, lab):
        self.lab, self.data = lab, os.path.join(lab.folder, "org")
        self.process = None

    def end_the_labs(self):
        pids = self.lab.status()["pids"]
        os.kill(pids["supervisor"], signal.SIGTERM)
        for name in ("supervisor", "server", "signer", "sealer"):
            wait_until(lambda pid=pids[name]: not is_alive(pid), "the end of " + name)

    def start(self):
        read_end, write_end = os.pipe()
        with open(os.path.join(self.lab.folder, "logs", "restored.log"), "ab") as log:
            self.process = subprocess.Popen([os.path.join(BIN, "fleetseal"), "run", "--data", self.data, "--ready-fd", str(write_end)],
                                            pass_fds=[write_end], stdout=log, stderr=log)
        os.close(write_end)
        with os.fdopen(read_end) as ready:
            assert ready.readline(), self.lab.logs()

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(60)


def test_drill_signer_restored_from_an_old_backup(lab, tmp_path):
    loot = Loot(lab, "publisher")
    stolen = in_use(lab, "publisher")
    organisation = Organisation(lab)
    places = {"/var/lib/fleetseal-new": os.path.join(lab.folder, "org-new"), "/var/lib/fleetseal ": organisation.data + " ",
              "/var/lib/fleetseal/": organisation.data + "/"}
    update = lab.release("2.0.0", lab.path("two.img", b"two" * 5000))
    book = Runbook(lab, "docs/operations/restored-signer.md", {**places, "publisher-0123456789abcdef": stolen})
    book.run("backup")
    # The publisher's key is stolen and replaced; an update is released and installed with its successor.
    lost = Runbook(lab, "docs/operations/lost-publisher-key.md", {"publisher-0123456789abcdef": stolen})
    for block in ("keys", "holders", "publish"):
        lost.run(block)
    for name in ("root-package-2.json", "root-package-2.transcript.json"):
        shutil.copy(lost.path(name), book.folder)
    successor = in_use(lab, "publisher")
    assert successor != stolen
    book.names["publisher-fedcba9876543210"] = successor
    assert lab.watch(lab.roll_out(update, "dev-1")) == {"dev-1": "installed"}
    # The machine is lost.
    organisation.end_the_labs()
    try:
        for block in ("restore", "log", "decide"):
            book.run(block)
        os.rename(organisation.data, organisation.data + ".lost")
        os.rename(organisation.data + "-new", organisation.data)
        for name in ("identities", "offline"):
            shutil.copytree(os.path.join(organisation.data + ".lost", name), os.path.join(organisation.data, name))
        organisation.start()
        assert in_use(lab, "publisher") == stolen, "the backup brought it back"
        book.run("again")
        book.done()
        assert in_use(lab, "publisher") not in (stolen, successor)
        content = b"three" * 5000
        after = lab.release("3.0.0", lab.path("three.img", content))
        assert lab.watch(lab.roll_out(after, "dev-1", "dev-2")) == {"dev-1": "installed", "dev-2": "installed"}
        assert runs(lab, "dev-1", content) and runs(lab, "dev-2", content)
        # The stolen key is refused, in an order that is genuine; so is the one that was lost.
        last = lab.release("4.0.0", lab.path("four.img", b"four" * 5000))
        with LabInstaller(lab, "dev-2") as installer:
            lab.good("rollout", "start", lab.plan(last, "dev-2"))
            order = Genuine(lab, last, "dev-2", tmp_path / "order")
            forged = jws(loot.publisher, loot.header("manifest", "publisher"), jws_parts(order.signature)[1])
            refused(installer, "DisallowedSigningKey", lambda: installer.offer(**{**order.documents(), "manifestSignature": forged}))
            refused(installer, "PackageStepInvalid", lambda: installer.offer(packages=[package(book, 2)]))
            assert installer.state()["packageVersion"] == 3 and status_of(lab)
    finally:
        organisation.stop()
