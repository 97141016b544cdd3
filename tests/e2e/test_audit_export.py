"""`fleetseal audit export`: what an auditor gets about one update on one device, judged offline and without the organisation's help."""
import json
import os
import shutil
import subprocess

import pytest

from lab import BIN, Lab

CONTENT = b"audited" * 10_000


@pytest.fixture(scope="module")
def lab():
    made = Lab(devices=2)
    yield made
    made.down()


@pytest.fixture(scope="module")
def update(lab):
    update = lab.release("1.2.0", lab.path("audited.img", CONTENT))
    lab.watch(lab.roll_out(update, "dev-1"))
    return update


@pytest.fixture(scope="module")
def exported(lab, update, tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("audit") / "evidence")
    return folder, lab.good("audit", "export", "--update", update, "--device", "dev-1", "-o", folder, "--as", "auditor")


def judged(lab, folder, part, as_of, *more):
    """With the root package that the auditor has from elsewhere."""
    return lab.run("verify", os.path.join(folder, part), "--key", os.path.join(folder, "keys.json"), "--trusted-package",
                   lab.info["root_package"], "--as-of", str(as_of), "--json", *more)


def kinds(outcome, of="ok"):
    return {finding["document"] for finding in outcome.json["findings"] if finding["outcome"] == of}


def test_S0_22_S1_2_everything_from_the_request_to_the_receipt_on_the_log_is_judged_offline(lab, exported):
    folder, told = exported
    assert told["receipts"] == 1 and told["receiptsWithoutProof"] == 0
    release = judged(lab, folder, "release", told["releaseAsOf"])
    assert release.code == 0 and release.json["trusted"], release.output
    assert {"manifest", "log", "request", "approval"} <= kinds(release)
    delivery = judged(lab, folder, "delivery", told["deliveryAsOf"])
    assert delivery.code == 0 and delivery.json["trusted"], delivery.output
    assert {"plan", "order", "receipt", "receipt proof"} <= kinds(delivery)


def test_the_printed_commands_run_as_they_stand(lab, update, tmp_path):
    folder = str(tmp_path / "evidence")
    said = subprocess.run([os.path.join(BIN, "fleetseal"), "audit", "export", "--update", update, "--device", "dev-1", "-o", folder],
                          env=lab.environment, capture_output=True, text=True, timeout=60).stdout
    commands = [line.split()[1:] for line in said.splitlines() if line.startswith("  fleetseal ")]
    assert len(commands) == 2, said
    for command in commands:
        outcome = lab.run(*command)
        assert outcome.code == 0, outcome.output


def test_S1_2_a_receipt_that_is_not_the_one_on_the_log_is_refused(lab, exported, tmp_path):
    folder, told = exported
    changed = str(tmp_path / "changed")
    shutil.copytree(folder, changed)
    path = os.path.join(changed, "delivery", "receipt-1.proof.json")
    with open(path) as file:
        proof = json.load(file)
    for name, value in (("salt", "another"), ("batch", ["A" * 43])):
        with open(path, "w") as file:
            json.dump({**proof, name: value}, file)
        outcome = judged(lab, changed, "delivery", told["deliveryAsOf"])
        assert outcome.code == 3 and "receipt proof" in kinds(outcome, "not judged"), outcome.output
    with open(path, "w") as file:
        json.dump({**proof, "batch": proof["batch"] + ["A" * 43]}, file)
    outcome = judged(lab, changed, "delivery", told["deliveryAsOf"])
    assert outcome.code == 3 and "LogProofMissing" in outcome.output


def test_without_an_order_or_a_free_folder_nothing_is_written(lab, update, exported, tmp_path):
    folder, _ = exported
    lab.refused("AlreadyExists", "audit", "export", "--update", update, "--device", "dev-1", "-o", folder)
    for device, code in (("dev-2", "NotFound"), ("dev-9", "DeviceUnknown")):
        path = str(tmp_path / device)
        lab.refused(code, "audit", "export", "--update", update, "--device", device, "-o", path)
        assert not os.path.exists(path)


def test_who_neither_audits_nor_operates_gets_none(lab, update, tmp_path):
    for person in ("publisher", "approver1"):
        lab.refused("RoleMissing", "audit", "export", "--update", update, "--device", "dev-1", "-o", str(tmp_path / person), "--as", person)
