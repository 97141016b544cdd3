"""Long forms for `./dev soak`: losses and thefts of signing keys on one organisation, one after the other in an order that chance makes, for many
generations of keys. The runbooks are run as printed each time, devices sleep through some of it, and every key that was ever stolen is tried again on
a device after every drill. FLEETSEAL_SEED repeats its choices."""
import json
import os
import random
import shutil

import pytest

from attacks import refused
from documents import compact, jws, jws_parts
from lab import Lab
from runbook import Runbook
from services import wait_until
from stolen import Genuine, LabInstaller, signer_key
from test_drills_keys import in_use, runs

IS_SOAK = os.environ.get("FLEETSEAL_SOAK") == "1"
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to run the programs as their users")
# Two generations in `./dev test`: enough to see that a drill follows on a drill.
GENERATIONS = 16 if IS_SOAK else 2
SEED = int(os.environ.get("FLEETSEAL_SEED", random.randrange(2**32)))
PAGES = {"publisher": "docs/operations/lost-publisher-key.md", "director": "docs/operations/lost-director-key.md"}


@pytest.fixture(scope="module")
def lab():
    made = Lab(devices=2, is_populated=True)
    yield made
    made.down()


class Stolen:
    """A signing key in a thief's hands, with the root's word for it that everybody has seen."""

    def __init__(self, lab, role, kid, sjwk):
        self.role, self.kid, self.sjwk = role, kid, sjwk
        self.key = signer_key(lab, role, kid)[1]
        self.code = "DisallowedSigningKey"

    def header(self, name):
        return {"alg": "ES256", "typ": f"fleetseal-{name}+jws", "sjwk": self.sjwk}


class Organisation:
    """Packages, roots and words of a lab over the generations; each drill gets a folder with the newest of them."""

    def __init__(self, lab):
        self.lab, self.version, self.drills = lab, 1, 0
        offline = os.path.join(lab.folder, "org", "offline")
        self.packages = [self.read(os.path.join(offline, "root-package-1.json"))]
        self.words = {name[:-len(".jws")]: self.read(os.path.join(offline, "sjwk", name)).strip() for name in os.listdir(os.path.join(offline, "sjwk"))}

    @staticmethod
    def read(path):
        with open(path) as file:
            return file.read()

    def drill(self, role, is_theft, plan):
        """The page's commands, as printed but for the package's number. Returns what was stolen."""
        old = in_use(self.lab, role)
        stolen = Stolen(self.lab, role, old, self.words[old])
        names = {"root-package-2.json": f"root-package-{self.version + 1}.json", "root-package-1.json": f"root-package-{self.version}.json",
                 f"{role}-0123456789abcdef": old, "plan-0123456789abcdef": plan}
        if not is_theft:
            names.update({"--disable-key": "--remove-key", "--raise-epoch ": ""})
            stolen.code = "SigningKeyNotListed"
        book = Runbook(self.lab, PAGES[role], names)
        # The holders' machine has their newest package, and their root folder remembers what it built on.
        for number, text in enumerate(self.packages, 1):
            with open(book.path(f"root-package-{number}.json"), "w") as file:
                file.write(text)
        for block in list(book.left):
            book.run(block)
        book.done()
        self.version += 1
        self.drills += 1
        self.packages.append(self.read(book.path(f"root-package-{self.version}.json")))
        new = in_use(self.lab, role)
        assert new != old
        self.words[new] = self.read(book.path(role + ".jws")).strip()
        shutil.move(book.folder, f"{book.folder}-{self.drills}")
        return stolen


def tried(lab, organisation, installer, thefts, update, folder):
    """Each key that was ever stolen or lost: a status, an order, a manifest of it, in every genuine document's place."""
    known = installer.state()["packageVersion"]
    lab.good("rollout", "start", lab.plan(update, installer.DEVICE))
    genuine = Genuine(lab, update, installer.DEVICE, folder)
    installer.offer(packages=organisation.packages[known:], status=genuine.status)
    status = json.loads(jws_parts(genuine.status)[1])
    for theft in thefts:
        if theft.role == "director":
            late = jws(theft.key, theft.header("status"), compact({**status, "version": status["version"] + 1000}))
            refused(installer, theft.code, lambda: installer.offer(status=late))
            order = jws(theft.key, theft.header("order"), jws_parts(genuine.order)[1])
            refused(installer, theft.code, lambda: installer.offer(**{**genuine.documents(), "order": order}))
        else:
            late = jws(theft.key, theft.header("manifest"), jws_parts(genuine.signature)[1])
            refused(installer, theft.code, lambda: installer.offer(**{**genuine.documents(), "manifestSignature": late}))


def test_drill_after_drill_S1_44_S1_49(lab, tmp_path):
    print(f"seed {SEED}")
    chance = random.Random(SEED)
    organisation, thefts = Organisation(lab), []
    for generation in range(1, GENERATIONS + 1):
        content = f"generation {generation} ".encode() * 500
        update = lab.release(f"{generation + 1}.0.0", lab.path(f"{generation}.img", content))
        plan = lab.plan(update, "dev-1")
        # In a short run one of each, in the long one as it comes; a generation in three is slept through by the other device.
        role = ("publisher", "director")[generation % 2] if not IS_SOAK else chance.choice(("publisher", "director"))
        with lab.held_agent("dev-2"):
            thefts.append(organisation.drill(role, chance.random() < 0.7, plan))
        if role == "publisher":
            lab.good("rollout", "start", plan)
        wait_until(lambda: runs(lab, "dev-1", content), f"generation {generation} on dev-1: {lab.logs()}", seconds=90)
        is_slept_through = IS_SOAK and generation < GENERATIONS and chance.random() < 0.34
        if is_slept_through:
            continue
        folder = tmp_path / str(generation)
        folder.mkdir()
        with LabInstaller(lab, "dev-2") as installer:
            tried(lab, organisation, installer, thefts, update, folder)
    assert len({theft.kid for theft in thefts}) == GENERATIONS
    with open(os.path.join(lab.folder, "org", "offline", "root-package-1.json")) as file:
        assert file.read() == organisation.packages[0]
