"""The other way through the runbooks of signing keys: the key was lost, not stolen. `--remove-key` in place of `--disable-key` as the pages say it,
everything else as printed; afterwards the key is listed nowhere, and a copy that turns up signs nothing."""
import json
import os

import pytest

import printed
from attacks import refused
from documents import compact, jws, jws_parts
from lab import Lab
from runbook import Runbook
from stolen import Genuine, LabInstaller, Loot
from test_drills_keys import in_use, package, runs, status_of

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to run the programs as their users")


@pytest.fixture
def lab():
    made = Lab(devices=2, is_populated=True)
    yield made
    made.down()


def variant(page, *without):
    """The names that turn the page's commands into those of a loss, after its own sentence on that."""
    with open(os.path.join(printed.sources.ROOT, page)) as file:
        text = file.read()
    sentence = "is the same walk with `--remove-key` in place of `--disable-key`"
    assert sentence + "".join(f", and without `{word}`" for word in without) in text
    return {"--disable-key": "--remove-key", **{word + " ": "" for word in without}}


def protected(book, version):
    return json.loads(package(book, version))["protected"]


def test_drill_S1_44_a_publisher_key_that_was_lost_is_removed(lab, tmp_path):
    loot = Loot(lab, "publisher")  # the copy that turns up
    old = in_use(lab, "publisher")
    content = b"two" * 5000
    update = lab.release("2.0.0", lab.path("two.img", content))
    page = "docs/operations/lost-publisher-key.md"
    book = Runbook(lab, page, {**variant(page), "publisher-0123456789abcdef": old})
    for block in ("keys", "holders", "publish", "look"):
        book.run(block)
    book.done()
    assert old not in protected(book, 2)["signingKeys"] and protected(book, 2)["disabledSigningKeys"] == []
    assert in_use(lab, "publisher") != old
    with LabInstaller(lab, "dev-2") as installer:
        installer.offer(packages=[package(book, 2)], status=status_of(lab))
        lab.good("rollout", "start", lab.plan(update, "dev-2"))
        genuine = Genuine(lab, update, "dev-2", tmp_path / "order")
        late = jws(loot.publisher, loot.header("manifest", "publisher"), jws_parts(genuine.signature)[1])
        refused(installer, "SigningKeyNotListed", lambda: installer.offer(**{**genuine.documents(), "manifestSignature": late}))
    # What was stored lives on, with the signature of the new key.
    assert lab.watch(lab.roll_out(update, "dev-1"))["dev-1"] == "installed" and runs(lab, "dev-1", content)


def test_drill_a_director_key_that_was_lost_is_removed(lab, tmp_path):
    loot = Loot(lab, "director")
    old = in_use(lab, "director")
    content = b"three" * 5000
    update = lab.release("2.0.0", lab.path("three.img", content))
    plan = lab.plan(update, "dev-1")
    page = "docs/operations/lost-director-key.md"
    book = Runbook(lab, page, {**variant(page, "--raise-epoch"), "director-0123456789abcdef": old, "plan-0123456789abcdef": plan})
    for block in ("keys", "holders", "publish", "order"):
        book.run(block)
    book.done()
    before = json.loads(package(book, 1))["protected"]
    assert old not in protected(book, 2)["signingKeys"] and protected(book, 2)["directorEpoch"] == before["directorEpoch"]
    assert lab.watch(plan)["dev-1"] == "installed" and runs(lab, "dev-1", content)
    with LabInstaller(lab) as installer:
        known = json.loads(jws_parts(status_of(lab))[1])
        status = jws(loot.director, loot.header("status", "director"), compact({**known, "version": known["version"] + 100}))
        refused(installer, "SigningKeyNotListed", lambda: installer.offer(status=status))
