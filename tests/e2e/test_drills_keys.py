"""Runbooks for signing keys, run as printed: docs/operations/lost-publisher-key.md and lost-director-key.md.

Each time a thief has the real key and uses it before and afterwards; afterwards the old key must be refused, also for
what a device has staged, and the device goes on.
"""
import json
import os

import pytest

from attacks import refused
from documents import DAY, b64u, compact, jws, jws_parts, unb64u
from installer import Refused as NotWanted
from lab import Lab
from runbook import Runbook
from services import wait_until
from stolen import Genuine, LabInstaller, Loot, read_public_log
from taken_over import TakenOverServer

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to run the programs as their users")
LAST = 2**53 - 1


@pytest.fixture
def lab():
    made = Lab(devices=2, is_populated=True)
    yield made
    made.down()


def in_use(lab, role):
    (kid,) = [key["kid"] for key in lab.good("key", "list")["keys"] if key["role"] == role and key["inUse"]]
    return kid


def ordered(lab, device, content, version, folder):
    """A release with an order for the device: the plan, and the documents as the server has them."""
    update = lab.release(version, lab.path(f"{version}.img", content))
    plan = lab.plan(update, device)
    lab.good("rollout", "start", plan)
    return update, plan, Genuine(lab, update, device, folder)


def with_consistency(lab, loot, installer, documents):
    read_public_log(lab, loot.log)
    size = int(documents["logProof"].split("\n\n")[1].split("\n")[1])
    loot.log.leaves = loot.log.leaves[:size]
    return {**documents, "consistency": loot.log.consistency(installer.state()["checkpoint"]["size"])}


def sealed_content(lab, device, order):
    (wanted,) = order.payload()["contents"]
    return wanted["fileId"], wanted["sealedSha256"], lab.as_device(device, "GET", "/content/v1/" + unb64u(wanted["sealedSha256"]).hex())[2]


def status_of(lab):
    return json.loads(lab.request(lab.info["device_url"], "GET", "/device/v1/status")[2])["status"]


def runs(lab, device, content):
    with open(lab.active_image(device), "rb") as file:
        return file.read(len(content)) == content


def installed(lab, device, order):
    rows = TakenOverServer(lab).rows("SELECT compact FROM receipts WHERE device_id = ?", device)
    receipts = [json.loads(jws_parts(text)[1]) for (text,) in rows]
    return any(receipt["outcome"] == "installed" and receipt.get("manifestSha256") == order.payload()["manifestSha256"] for receipt in receipts)


def package(book, version):
    with open(book.path(f"root-package-{version}.json")) as file:
        return file.read()


def test_drill_S1_44_S1_49_lost_publisher_key(lab, tmp_path):
    loot = Loot(lab, "publisher")
    old = in_use(lab, "publisher")
    content = b"two" * 5000
    with LabInstaller(lab) as installer:
        update, _, order = ordered(lab, "dev-1", content, "2.0.0", tmp_path / "order")
        installer.offer(**with_consistency(lab, loot, installer, order.documents()))
        sealed = sealed_content(lab, "dev-1", order)
        book = Runbook(lab, "docs/operations/lost-publisher-key.md", {"publisher-0123456789abcdef": old})
        for block in ("keys", "holders", "publish"):
            book.run(block)
        assert in_use(lab, "publisher") != old
        # The device has an update of the old key staged when the package comes.
        before = lab.active_image("dev-1")
        installer.offer(packages=[package(book, 2)], status=status_of(lab))
        assert installer.wait_idle()["lastCode"] == "DisallowedSigningKey"
        with pytest.raises(NotWanted, match="Conflict"):
            installer.send_content(*sealed)
        assert lab.active_image("dev-1") == before
    # Whatever the thief signs or signed is refused, in a genuine order of a release that has the new signature.
    with LabInstaller(lab, "dev-2") as installer:
        installer.offer(packages=[package(book, 2)], status=status_of(lab))
        lab.good("rollout", "start", lab.plan(update, "dev-2"))
        again = Genuine(lab, update, "dev-2", tmp_path / "again")
        assert again.signature != order.signature
        late = jws(loot.publisher, loot.header("manifest", "publisher"), jws_parts(again.signature)[1])
        for signature in (order.signature, late):
            refused(installer, "DisallowedSigningKey", lambda: installer.offer(**{**again.documents(), "manifestSignature": signature}))
    said = book.run("look")
    assert old not in said and "log.acme is whole" in said
    book.done()
    for device in ("dev-1", "dev-2"):
        assert lab.watch(lab.roll_out(update, device))[device] == "installed" and runs(lab, device, content)


def last_numbers(loot, installer, lab):
    """The numbers run to their end, the time far ahead, every order void."""
    header = loot.header("status", "director")
    known = json.loads(jws_parts(status_of(lab))[1])
    far = loot.now + 29 * DAY
    installer.offer(status=jws(loot.director, header, compact({**known, "version": LAST, "issued": far, "expires": far + 3600})))
    cancel = {"orderId": "order-last", "action": "cancel", "deviceId": installer.DEVICE, "generation": 1, "epoch": known["epoch"], "sequence": LAST,
              "issued": far, "expires": far + DAY, "packageVersion": 1, "planId": "plan-of-a-thief", "manifestSha256": b64u(bytes(32)),
              "contents": [], "reboot": "now"}
    nonce = installer.state().get("statusNonce")
    if nonce:
        installer.offer(status=jws(loot.director, header, compact({**known, "version": LAST, "issued": far, "expires": far + 3600, "nonce": nonce})))
    installer.offer(order=jws(loot.director, loot.header("order", "director"), compact(cancel)))


def test_drill_lost_director_key_whose_thief_ran_the_numbers_to_the_end(lab, tmp_path):
    loot = Loot(lab, "director")
    old = in_use(lab, "director")
    content = b"three" * 5000
    with LabInstaller(lab) as installer:
        _, plan, order = ordered(lab, "dev-1", content, "2.0.0", tmp_path / "order")
        last_numbers(loot, installer, lab)
        state = installer.state()
        assert (state["statusVersion"], state["orderSequence"]) == (LAST, LAST)
        # Nothing that is genuine is taken any more.
        refused(installer, "StatusReplayed", lambda: installer.offer(status=status_of(lab)))
        refused(installer, ("OrderCancelled", "OrderReplayed", "OrderExpired"), lambda: installer.offer(**order.documents()))
    book = Runbook(lab, "docs/operations/lost-director-key.md", {"director-0123456789abcdef": old, "plan-0123456789abcdef": plan})
    for block in ("keys", "holders", "publish", "order"):
        book.run(block)
    book.done()
    assert in_use(lab, "director") != old
    wait_until(lambda: installed(lab, "dev-1", order), "the receipt of the device that was frozen", seconds=90)
    assert runs(lab, "dev-1", content)
    # Its time is right again, and the old director is refused: status, order, a later number, a status of the new epoch.
    with LabInstaller(lab) as installer:
        assert lab.trust()["timeFloor"] < loot.now + 600
        known = json.loads(jws_parts(status_of(lab))[1])
        for changes in ({}, {"version": LAST}, {"epoch": known["epoch"] + 1}):
            status = jws(loot.director, loot.header("status", "director"), compact({**known, **changes}))
            refused(installer, "DisallowedSigningKey", lambda: installer.offer(status=status))
        payload = {**order.payload(), "epoch": 2, "sequence": loot.next_sequence()}
        for order_text in (order.order, jws(loot.director, loot.header("order", "director"), compact(payload))):
            refused(installer, "DisallowedSigningKey", lambda: installer.offer(**{**order.documents(), "order": order_text}))
