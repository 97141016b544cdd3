"""Root-key packages on a real lab: published from the command line, taken by every device at its next check-in."""
import base64
import hashlib
import json
import os
import sys
import threading
import time

import pytest

sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "support"))

from ceremony import Ceremony, jwk, write  # noqa: E402
from documents import World  # noqa: E402
from lab import Lab  # noqa: E402

PATIENCE = 90


@pytest.fixture(scope="module")
def lab():
    made = Lab(devices=2)
    try:
        yield made
    finally:
        made.down()


@pytest.fixture(scope="module")
def online(lab, tmp_path_factory):
    return Ceremony(os.path.join(lab.folder, "org"), tmp_path_factory.mktemp("online"))


def wait_for(what, reach):
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if reach():
            return
        threading.Event().wait(0.1)
    raise AssertionError(f"not reached: {what}")


def held(lab, device):
    """The package that the device's installer has stored."""
    return json.loads(lab.trust(device)["package"])["protected"]


def publish(lab, ceremony, *more):
    return lab.good("root", "publish", ceremony.package(), *more)


def test_S1_39_S1_40_S1_41_S1_45_three_generations_reach_every_device_and_a_sleeper_catches_up(lab, online):
    with lab.held_agent("dev-2"):
        # Roots, twice; then a listing; each signed by holders old and new.
        online.draft("rotate", "--add-root", online.new_root("root-4"), "--remove-root", "root-3")
        online.finish("root-1", "root-4", "root-2")
        assert publish(lab, online)["version"] == 2
        online.draft("rotate", "--add-root", online.new_root("root-5"), "--disable-root", "root-2")
        online.finish("root-1", "root-4")
        publish(lab, online)
        key = write(os.path.join(online.folder, "publisher-2.json"), jwk("publisher-2"))
        online.draft("rotate", "--add-key", key, "--role", "publisher", "--product", "acme/pump")
        online.finish("root-4", "root-5")
        publish(lab, online)
        wait_for("the device that is awake has version 4", lambda: held(lab, "dev-1")["version"] == 4)
        package = held(lab, "dev-1")
        assert sorted(package["rootKeysExt"]) == ["root-1", "root-2", "root-4", "root-5"] and "publisher-2" in package["signingKeys"]
        assert package["disabledRootKeys"] == ["root-2"]
        # What the disabled root signs counts no more, for nobody.
        online.draft("raise-epoch")
        online.refused("DisallowedRootKid", "package", "--draft", online.package(5), "--folder", online.roots, "--root", "root-2",
                       "--passphrase-file", online.passphrase, "-o", online.package(5))
        online.finish("root-1", "root-5")
        publish(lab, online)
        # A key is disabled; then the yearly renewals, many of them.
        online.draft("disable-key", "publisher-2")
        online.finish("root-1", "root-4")
        publish(lab, online)
        for _ in range(5):
            online.renew("root-1", "root-4")
            publish(lab, online)
        assert held(lab, "dev-2")["version"] == 1, "the sleeper has skipped ten versions"
    for device in ("dev-1", "dev-2"):
        wait_for(f"{device} has version 11", lambda: held(lab, device)["version"] == 11)
        package = held(lab, device)
        assert package["directorEpoch"] == 2 and "publisher-2" not in package["signingKeys"] and len(package["disabledSigningKeys"]) == 1
        wait_for(f"{device} has a status of the new epoch", lambda: (lab.trust(device).get("status") or {}).get("epoch") == 2)


def test_the_chain_is_served_without_a_client_certificate_in_pages(lab, online):
    status, _, body = lab.request(lab.info["device_url"], "GET", "/device/v1/packages?from=1")
    assert status == 200
    versions = [json.loads(text)["protected"]["version"] for text in json.loads(body)["packages"]]
    assert versions == list(range(1, online.version + 1))
    status, _, body = lab.request(lab.info["device_url"], "GET", f"/device/v1/packages?from={online.version + 1}")
    assert status == 200 and json.loads(body)["packages"] == []


def test_the_log_tells_who_made_a_package(lab, online):
    told = lab.good("audit", "package", "3")
    with open(os.path.join(online.folder, "root-package-3.transcript.json"), "rb") as file:
        digest = base64.urlsafe_b64encode(hashlib.sha256(file.read()).digest()).rstrip(b"=").decode()
    assert told["leaf"]["transcriptSha256"] == digest and told["leaf"]["version"] == 3
    assert [step["by"] for step in told["transcript"]["signatures"]] == ["holder of root-1", "holder of root-4"]
    lab.refused("NotFound", "audit", "package", "99")


def test_a_record_that_only_the_server_vouches_for_is_not_believed(lab, online, tmp_path):
    """The record is shown to stand in the tree of a checkpoint that the log's key signed (S0.23)."""
    known = os.path.join(online.folder, "root-package-1.json")
    assert lab.good("audit", "package", "3", "--package", known)["leaf"]["version"] == 3
    stranger = tmp_path / "stranger.json"
    stranger.write_text(World().package())
    lab.refused("LogProofMissing", "audit", "package", "3", "--package", str(stranger))
    log = os.path.join(lab.folder, "org", "log")
    with open(os.path.join(log, "checkpoint")) as file:
        size = int(file.read().split("\n")[1])
    path = os.path.join(log, "tile", "entries", "000.p", str(size))
    with open(path, "rb") as file:
        whole = file.read()
    with open(online.package(3), "rb") as file:
        digest = base64.urlsafe_b64encode(hashlib.sha256(json_protected(file.read())).digest()).rstrip(b"=")
    assert digest in whole
    try:
        with open(path, "wb") as file:
            file.write(whole.replace(digest, digest[::-1]))
        outcome = lab.run("audit", "package", "3", "--package", known)
        assert outcome.code == 1 and outcome.refusal == "Corrupt", outcome.output
    finally:
        with open(path, "wb") as file:
            file.write(whole)


def json_protected(text):
    """The bytes that the roots sign: as they stand in the file, which `root package` writes without white space."""
    return text[len(b'{"protected":'):text.index(b',"signatures":[')]


def test_publishing_refuses_what_is_no_step(lab, online):
    online.draft("raise-epoch")
    online.sign("root-1")
    lab.refused("PackageStepInvalid", "root", "publish", online.package(online.version + 1))
    assert lab.good("root", "publish", online.package(2))["version"] == 2, "what is published already is no step, and no harm"
    assert lab.as_device("dev-1", "GET", f"/device/v1/packages?from={online.version + 1}")[0] == 200
    # A transcript of another package.
    online.finish("root-4")
    other = os.path.join(online.folder, "root-package-3.transcript.json")
    lab.refused("Conflict", "root", "publish", online.package(), "--transcript", other)
    lab.refused("RoleMissing", "root", "publish", online.package(), "--as", "operator")
    online.version -= 1


def test_a_signing_key_gets_the_word_of_another_root_when_its_own_goes(lab, online):
    files = []
    for name in sorted(os.listdir(os.path.join(online.offline, "sjwk"))):
        files.append(os.path.join(online.folder, name))
        online.good("sign-key", "--folder", online.roots, "--root", "root-4", "--key", os.path.join(online.offline, "sjwk", name),
                    "--passphrase-file", online.passphrase, "-o", files[-1])
    online.draft("disable-root", "root-1")
    online.finish("root-4", "root-5")
    version = publish(lab, online, *(part for file in files for part in ("--sjwk", file)))["version"]
    for device in ("dev-1", "dev-2"):
        wait_for("a status that names the new package, which root 4 vouches for",
                 lambda: lab.trust(device)["status"]["packageVersion"] == version and held(lab, device)["version"] == version)
