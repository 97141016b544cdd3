"""`fleetseal audit export`: what an auditor gets about one update on one device, judged offline and without the organisation's help."""
import json
import os
import shutil
import subprocess

import pytest

from lab import BIN, COMPATIBLE, PRODUCT, Lab

CONTENT = b"audited" * 10_000


@pytest.fixture(scope="module")
def lab():
    made = Lab(devices=2)
    yield made
    made.down()


def export(lab, update, folder, device="dev-1", who="auditor"):
    return lab.good("audit", "export", "--update", update, "--device", device, "-o", folder, "--as", who)


def install(lab, version):
    update = lab.release(version, lab.path(f"audited-{version}.img", CONTENT + version.encode()))
    assert lab.watch(lab.roll_out(update, "dev-1")) == {"dev-1": "installed"}
    return update


@pytest.fixture(scope="module")
def older(lab, tmp_path_factory):
    """The evidence of a release before."""
    folder = str(tmp_path_factory.mktemp("older") / "evidence")
    export(lab, install(lab, "1.1.0"), folder)
    return folder


@pytest.fixture(scope="module")
def update(lab, older):
    return install(lab, "1.2.0")


@pytest.fixture(scope="module")
def exported(lab, update, tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("audit") / "evidence")
    return folder, export(lab, update, folder)


def judged(lab, told, place, folder=None):
    """With the root package that the auditor has from elsewhere."""
    part = told["folders"][place]
    path = os.path.join(folder or told["folder"], os.path.basename(part["path"]))
    return lab.run("verify", path, "--key", os.path.join(told["folder"], "keys.json"), "--trusted-package", lab.info["root_package"],
                   "--as-of", str(part["asOf"]))


def all_good(lab, told):
    for place in range(len(told["folders"])):
        outcome = judged(lab, told, place)
        assert outcome.code == 0 and outcome.json["trusted"], outcome.output


def documents(outcome, of="ok"):
    return {finding["document"] for finding in outcome.json["findings"] if finding["outcome"] == of}


def test_S0_22_S1_2_everything_from_the_request_to_the_receipt_on_the_log_is_judged_offline(lab, exported):
    _, told = exported
    assert told["receipts"] == 1 and told["receiptsWithoutProof"] == 0 and told["receiptsLeftOut"] == 0
    assert [os.path.basename(part["path"]) for part in told["folders"]] == ["release", "delivery-1"]
    all_good(lab, told)
    assert {"manifest", "log", "request", "approval"} <= documents(judged(lab, told, 0))
    assert {"plan", "order", "receipt", "receipt proof"} <= documents(judged(lab, told, 1))


def test_the_printed_commands_run_as_they_stand(lab, update, tmp_path):
    folder = str(tmp_path / "evidence")
    said = subprocess.run([os.path.join(BIN, "fleetseal"), "audit", "export", "--update", update, "--device", "dev-1", "-o", folder],
                          env=lab.environment, capture_output=True, text=True, timeout=60).stdout
    commands = [line.split()[1:] for line in said.splitlines() if line.startswith("  fleetseal ")]
    assert len(commands) == 2, said
    for command in commands:
        outcome = lab.run(*command)
        assert outcome.code == 0, outcome.output
    with open(os.path.join(folder, "keys.json")) as file:
        keys = json.load(file)
    told = {line.split()[0]: line.split()[1:] for line in said.splitlines() if line.split() and line.split()[0] in keys}
    assert set(told) == set(keys) and ["device", "dev-1"] in told.values() and ["operator"] in told.values(), said


@pytest.mark.parametrize("name,place", [("request.jws", 0), ("approval-1.jws", 0), ("plan.jws", 1), ("receipt-1.jws", 1)])
def test_S0_22_S1_2_a_genuine_document_of_another_release_is_not_taken_for_this_one(lab, exported, older, tmp_path, name, place):
    """Whoever carries the evidence has all that was ever signed."""
    folder, told = exported
    mixed = str(tmp_path / "mixed")
    shutil.copytree(folder, mixed)
    part = os.path.basename(told["folders"][place]["path"])
    shutil.copy(os.path.join(older, part, name), os.path.join(mixed, part, name))
    if name == "receipt-1.jws":
        shutil.copy(os.path.join(older, part, "receipt-1.proof.json"), os.path.join(mixed, part))
    outcome = judged(lab, told, place, mixed)
    assert outcome.code == 3 and not outcome.json["trusted"], outcome.output
    assert name.split("-")[0].split(".")[0] in documents(outcome, "not judged"), outcome.output


def test_S1_2_a_receipt_that_is_not_the_one_on_the_log_is_refused(lab, exported, tmp_path):
    folder, told = exported
    changed = str(tmp_path / "changed")
    shutil.copytree(folder, changed)
    path = os.path.join(changed, "delivery-1", "receipt-1.proof.json")
    with open(path) as file:
        proof = json.load(file)
    for name, value in (("salt", "another"), ("batch", ["A" * 43])):
        with open(path, "w") as file:
            json.dump({**proof, name: value}, file)
        outcome = judged(lab, told, 1, changed)
        assert outcome.code == 3 and "receipt proof" in documents(outcome, "not judged"), outcome.output
    with open(path, "w") as file:
        json.dump({**proof, "batch": proof["batch"] + ["A" * 43]}, file)
    outcome = judged(lab, told, 1, changed)
    assert outcome.code == 3 and "LogProofMissing" in outcome.output


def test_each_order_has_a_folder_of_its_own_with_what_was_answered_to_it(lab, update, exported, tmp_path):
    first = exported[1]["folders"][1]
    lab.watch(lab.roll_out(update, "dev-1"))  # once more: it is installed already
    told = export(lab, update, str(tmp_path / "evidence") + "/")
    assert os.listdir(tmp_path) == ["evidence"]
    assert [os.path.basename(part["path"]) for part in told["folders"]] == ["release", "delivery-1", "delivery-2"]
    all_good(lab, told)
    with open(os.path.join(first["path"], "order.jws")) as one, open(os.path.join(told["folders"][2]["path"], "order.jws")) as other:
        assert one.read() == other.read()
    assert "receipt" in documents(judged(lab, told, 2))


def test_S1_2_a_refusal_is_evidence_too(lab, tmp_path):
    path = lab.path("radio.img", b"radio" * 1000)
    submitted = lab.good("update", "submit", "--product", PRODUCT, "--version", "1.0.1", "--compatible", COMPATIBLE, "--component", "radio", "--file", path)
    lab.approve(submitted)
    lab.good("update", "import", submitted["id"], path)
    assert lab.watch(lab.roll_out(submitted["id"], "dev-1")) == {"dev-1": "NotCompatible"}
    told = export(lab, submitted["id"], str(tmp_path / "evidence"))
    assert told["receipts"] == 1
    all_good(lab, told)
    assert "NotCompatible" in judged(lab, told, 1).output


def test_what_was_withdrawn_is_exported_still(lab, tmp_path):
    update = install(lab, "1.3.0")
    lab.good("update", "withdraw", update, "--reason", "a drill", "--as", "security")
    all_good(lab, export(lab, update, str(tmp_path / "evidence"), who="security"))


def test_a_folder_of_folders_is_told_to_be_one(lab, exported):
    outcome = lab.run("verify", exported[0])
    assert outcome.code == 3 and outcome.output.count("verify it by itself") == len(exported[1]["folders"]), outcome.output


def test_records_of_a_type_are_found_wherever_they_lie(lab, update):
    every = lab.good("audit", "query", "--limit", "1000")["entries"]
    late = [entry for entry in every if json.loads(entry["leaf"])["type"] == "receipt-batch"]
    assert len(late) > 1 and late[0]["index"] > 2
    assert lab.good("audit", "query", "--type", "receipt-batch", "--limit", "2")["entries"] == late[:2]
    assert lab.good("audit", "query", "--limit", "3")["entries"] == every[:3]
    assert lab.good("audit", "query", "--type", "nothing")["entries"] == []


def test_without_an_order_or_a_free_folder_nothing_is_written(lab, update, exported, tmp_path):
    folder, _ = exported
    lab.refused("AlreadyExists", "audit", "export", "--update", update, "--device", "dev-1", "-o", folder)
    for device, code in (("dev-2", "NotFound"), ("dev-9", "DeviceUnknown")):
        path = str(tmp_path / device)
        lab.refused(code, "audit", "export", "--update", update, "--device", device, "-o", path)
        assert os.listdir(tmp_path) == []


def test_who_neither_audits_nor_operates_gets_none(lab, update, tmp_path):
    for person in ("publisher", "approver1"):
        lab.refused("RoleMissing", "audit", "export", "--update", update, "--device", "dev-1", "-o", str(tmp_path / person), "--as", person)
    assert os.listdir(tmp_path) == []
