"""S1.29, S1.54: a publisher key that lives for two days and is rotated every day: three rotations on one lab whose clocks go on, with the agents and
installers that were there before the first. The real old keys are tried on the devices each day."""
import contextlib
import json
import os
import random

import pytest

from clock import shifted
from documents import DAY, jws, jws_parts
from e2e.test_rotate_keys import Roots, in_use, keys
from installer import Refused
from lab import Lab
from services import Services, wait_until
from stolen import Genuine, LabInstaller, signer_key

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to run the programs as their users")
IS_SOAK = os.environ.get("FLEETSEAL_SOAK") == "1"
ROTATIONS = 12 if IS_SOAK else 3
LISTED_DAYS = 2
SEED = int(os.environ.get("FLEETSEAL_SEED", random.randrange(2**32)))


class Days:
    """A lab whose organisation is so many days ahead. Devices keep their own clocks: what is signed tells them the time."""

    def __init__(self):
        self.lab = Lab(devices=2)
        try:
            self.folder = os.path.join(self.lab.folder, "clock")
            os.mkdir(self.folder, 0o755)
            os.chmod(self.folder, 0o755)
            self.services = Services(self.lab)
            self.services.start()
            self.roots = Roots(self.lab)
        except BaseException:
            self.lab.down()
            raise

    def close(self):
        self.services.kill()
        self.lab.down()

    def go_to(self, day):
        environment = shifted(self.folder, day * DAY)
        self.lab.environment.update(environment)
        self.services.restart(environment=environment)

    def rotate(self, number, *changes):
        """A new publisher key, made by the signer, vouched for and listed: (its id, the sjwk)."""
        file = os.path.join(self.lab.folder, f"publisher-{number}.json")
        made = self.lab.good("key", "rotate", in_use(self.lab, "publisher"), "--package", self.roots.package(), "-o", file)
        self.roots.list_key(file, "--key-days", str(LISTED_DAYS), *changes)
        with open(file.replace(".json", ".jws")) as sjwk:
            return made["kid"], sjwk.read().strip()

    def release(self, version):
        return self.lab.release(version, self.lab.path(version + ".img", version.encode() * 3000))

    def wait_for_package(self, device):
        def has_newest():
            return json.loads(self.lab.trust(device)["package"])["protected"]["version"] == self.roots.version
        wait_until(has_newest, "the newest package on " + device)

    def installs(self, update, version, device="dev-1"):
        plan = self.lab.roll_out(update, device)
        assert self.lab.watch(plan) == {device: "installed"}
        with open(self.lab.active_image(device), "rb") as file:
            assert file.read(len(version)) == version.encode()
        return plan

    def judged(self, update, made, folder):
        """What a device says to the manifest of a genuine order, signed by each real key as the signer would have done."""
        folder.mkdir()
        with LabInstaller(self.lab, "dev-2") as installer:
            self.lab.good("rollout", "start", self.lab.plan(update, "dev-2"))
            genuine = Genuine(self.lab, update, "dev-2", folder)
            installer.offer(status=genuine.status)
            for _, key, sjwk in made:
                late = jws(key, {"alg": "ES256", "typ": "fleetseal-manifest+jws", "sjwk": sjwk}, jws_parts(genuine.signature)[1])
                with pytest.raises(Refused) as caught:
                    installer.offer(**{**genuine.documents(), "manifestSignature": late})
                yield caught.value.code


@pytest.fixture(scope="module")
def days():
    made = Days()
    yield made
    made.close()


def programs(lab):
    return [(device["agent_pid"], device["installer_pid"]) for device in lab.status()["devices"]]


def test_S1_29_S1_54_a_key_rotated_daily_is_taken_at_once_beside_the_old_one_which_ends(days, tmp_path):
    lab = days.lab
    before = programs(lab)
    first = in_use(lab, "publisher")
    made = []
    chance = random.Random(SEED)
    print(f"seed {SEED}")
    for day in range(ROTATIONS + 1):
        # In the long form a device sleeps through days and generations of keys at random, and wakes to judge what came since.
        is_asleep = IS_SOAK and day < ROTATIONS and chance.random() < 0.4
        with lab.held_agent("dev-2") if is_asleep else contextlib.nullcontext():
            days.go_to(day)
            # Signed by yesterday's key, while it is the one in use.
            old = days.release(f"{day + 1}.0.0")
            signed_by = in_use(lab, "publisher")
            kid, sjwk = days.rotate(day, *(("--remove-key", first) if day == 0 else ()))
            assert in_use(lab, "publisher") == kid
            made.append((kid, signer_key(lab, "publisher", kid)[1], sjwk))
            new = days.release(f"{day + 1}.1.0")
            days.wait_for_package("dev-1")
            if day > 0:
                # In the overlap both are taken, on the same day, by the same programs: the old one's release, then the new one's.
                assert signed_by == made[-2][0]
                days.installs(old, f"{day + 1}.0.0")
            days.installs(new, f"{day + 1}.1.0")
            assert programs(lab) == before
        if is_asleep:
            continue
        days.wait_for_package("dev-2")
        # What the private keys are good for today: nothing but the record on the log is wanting while a listing holds.
        codes = list(days.judged(new, made, tmp_path / str(day)))
        assert codes == ["SigningKeyExpired"] * (len(made) - LISTED_DAYS) + ["LogProofMissing"] * min(len(made), LISTED_DAYS), day
    for kid, _, _ in made[:-LISTED_DAYS]:
        lab.good("key", "retire", kid)
    assert {key["kid"]: key["state"] for key in keys(lab, "publisher")}[made[0][0]] == "retired"
