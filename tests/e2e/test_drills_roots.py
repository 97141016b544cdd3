"""docs/operations/lost-root.md, run as printed: one root is stolen, k are left; afterwards it is refused."""
import json
import os

import pytest

from attacks import refused
from documents import Key, jws, jws_parts
from installer import Refused as NotWanted
from lab import Lab
from runbook import Runbook
from services import wait_until
from stolen import Genuine, LabInstaller, Loot, root_key
from taken_over import Refused, TakenOverServer
from test_drills_keys import in_use, ordered, package, runs, sealed_content, status_of, with_consistency

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to run the programs as their users")


@pytest.fixture
def lab():
    made = Lab(devices=2, is_populated=True)
    yield made
    made.down()


def test_drill_S1_44_S1_49_lost_root_with_k_left(lab, tmp_path):
    loot = Loot(lab, "root-1")
    content = b"four" * 5000
    kids = {role: in_use(lab, role) for role in ("publisher", "director")}
    with LabInstaller(lab) as installer, LabInstaller(lab, "dev-2") as other:
        update, plan, order = ordered(lab, "dev-1", content, "2.0.0", tmp_path / "order")
        old_status = status_of(lab)
        lab.good("rollout", "start", lab.plan(update, "dev-2"))
        waiting = Genuine(lab, update, "dev-2", tmp_path / "waiting")
        installer.offer(**with_consistency(lab, loot, installer, order.documents()))
        sealed = sealed_content(lab, "dev-1", order)
        book = Runbook(lab, "docs/operations/lost-root.md", {f"{role}-0123456789abcdef": kid for role, kid in kids.items()})
        os.remove(book.path("roots/root-1.key"))  # it is gone
        os.remove(book.path("roots/root-1.pub.json"))
        for block in ("new", "holders", "word", "publish"):
            book.run(block)
        book.done()
        # An update is staged whose key that root vouched for.
        before = lab.active_image("dev-1")
        installer.offer(packages=[package(book, 2)], status=status_of(lab))
        assert installer.wait_idle()["lastCode"] == "DisallowedRootKid"
        with pytest.raises(NotWanted, match="Conflict"):
            installer.send_content(*sealed)
        assert lab.active_image("dev-1") == before
        # Afterwards: what it vouches for, old and new, is refused, though the keys themselves are listed.
        refused(installer, "DisallowedRootKid", lambda: installer.offer(status=old_status))
        assert installer.offer(**order.documents())["wanted"] == [], "its outcome stands"
        mine = Key.p256()
        for kid in ("mine", kids["director"]):
            status = jws(mine, {"alg": "ES256", "typ": "fleetseal-status+jws", "sjwk": loot.sjwk(mine, kid, "root-1")}, jws_parts(old_status)[1])
            refused(installer, "DisallowedRootKid", lambda: installer.offer(status=status))
        # Its signature counts for nothing, even beside one of a root that is left.
        now = json.loads(package(book, 2))["protected"]
        loot.roots["root-2"] = root_key(lab, "root-2")
        step = loot.step({**now, "version": 3, "disabledRootKeys": []}, ["root-1", "root-2"])
        refused(installer, ("PackageStepInvalid", "DisallowedRootKid"), lambda: installer.offer(packages=[step]))
        with pytest.raises(Refused, match="PackageStepInvalid|DisallowedRootKid"):
            TakenOverServer(lab).ask("publish-package", package=step)
        # Nor does the package of before come back (S1_44: a replay re-enables nothing).
        refused(installer, "PackageStepInvalid", lambda: installer.offer(packages=[package(book, 1)]))
        other.offer(packages=[package(book, 2)], status=status_of(lab))
        refused(other, "DisallowedRootKid", lambda: other.offer(**waiting.documents()))
    lab.good("rollout", "start", plan)
    wait_until(lambda: runs(lab, "dev-1", content), "the stored update under the word of another root")
    assert lab.watch(lab.roll_out(update, "dev-2"))["dev-2"] == "installed"
