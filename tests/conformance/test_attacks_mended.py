"""Attacks that once succeeded, and the ones around the downgrade and the log.

Each attack ends with its code, or without an outcome, and changes nothing: trust state, slots, boot choice and files are
byte for byte what they were, and the installer still takes what is right.
"""
import json
import os
import subprocess

import pytest

from attacks import file_manifest, kill, open_window, refused_order, waiting
import documents
from documents import DAY, Key, b64, b64u, compact, jws, jws_parts, sha256
from installer import BIN, Installer, Refused, Release


# --- what was found and mended -----------------------------------------------------------------------------------------------


def test_the_time_of_a_stolen_director_key_falls_with_its_epoch(world, installer):
    far = world.now + 29 * DAY
    installer.offer(status=world.status(version=2**53 - 1, nonce=installer.state()["statusNonce"], issued=far, expires=far + 3600))
    assert "statusNonce" not in installer.state()
    world.epoch = 2
    installer.offer(packages=[world.package(2)])
    assert "statusNonce" in installer.state()
    release = Release(world, installer)
    release.status = world.status(version=1, package_version=2)
    assert "lastCode" not in release.install()


def test_a_commit_keeps_the_package_that_the_new_version_brought(world, tmp_path):
    second_run = str(tmp_path / "second-run")
    installer = Installer(world, tmp_path, health=f"[ -e {second_run} ] || {{ kill -9 $PPID; exit 1; }}")
    try:
        release = Release(world, installer, b"one")
        release.offer()
        installer.send_content(release.file_id, release.sealed_sha256, release.sealed)
        installer.process.wait(20)
        open(second_run, "w").close()
        installer.write("provisioning/package-2.json", world.package(2))
        installer.start()
        state = installer.wait_idle()
        assert state["installed"]["releaseCounter"] == 1 and state["packageVersion"] == 2
        assert len(state["receipts"]) == 1
    finally:
        installer.stop()


def test_nothing_is_switched_while_the_time_is_not_known(world, installer):
    waiting(world, installer)
    before = installer.fingerprint()
    # Raises the floor above the clock, into the window.
    installer.offer(status=world.status(version=50, issued=world.now + 7200, expires=world.now + 10800))
    assert installer.state(waitMs=1500, phase="installed")["phase"] == "installed"
    assert {path: value for path, value in installer.fingerprint().items() if path != "trust"} == {
        path: value for path, value in before.items() if path != "trust"}
    open_window(world, installer)
    assert installer.wait_idle()["installed"]["releaseCounter"] == 1


def test_a_tree_size_that_json_cannot_hold_is_refused_and_bricks_nothing(world, installer):
    release = Release(world, installer)
    leaf = world.log.leaves[release.index]
    hashes = [os.urandom(32) for _ in range(53)]
    root = documents.leaf_hash(leaf)
    for value in hashes:
        root = documents.node_hash(root, value)
    body = f"{world.log.origin}\n{2**53}\n{b64(root)}\n"
    note = f"{body}\n\u2014 {world.log.origin} {b64(world.log.key_id() + world.log.key.sign(body))}\n"
    lines = ["c2sp.org/tlog-proof@v1", "extra " + b64(leaf), "index 0"] + [b64(value) for value in hashes]
    refused_order(installer, "ValueOutOfRange", release, logProof="\n".join(lines) + "\n\n" + note, consistency=[])
    kill(installer)
    installer.start()
    assert "lastCode" not in release.install()


def test_a_verified_file_that_is_gone_is_no_installation(world, installer):
    waiting(world, installer, b"conf", manifest=file_manifest(world, "app.conf"))
    os.unlink(os.path.join(installer.files, ".new-app.conf"))
    open_window(world, installer)
    state = installer.wait_idle()
    assert state["lastCode"] == "HandlerFailed" and "installed" not in state
    assert json.loads(jws_parts(state["receipts"][-1])[1])["outcome"] == "rolled-back"


def verify(*paths):
    done = subprocess.run([os.path.join(BIN, "fleetseal"), "verify", *map(str, paths), "--json"], capture_output=True, text=True, stdin=subprocess.DEVNULL)
    return done.returncode, done.stdout + done.stderr


def saved(folder, **texts):
    folder.mkdir(exist_ok=True)
    for name, text in texts.items():
        (folder / name.replace("_", ".")).write_text(text)
    return folder


def test_verify_refuses_a_second_document_of_a_kind_instead_of_dropping_it(world, installer, tmp_path):
    release = Release(world, installer)
    folder = saved(tmp_path / "set", package_json=world.package(), b_jws=release.status)
    assert verify(folder)[0] == 0
    forged = world.status(version=7, key=Key.p256())
    saved(folder, a_jws=forged)
    assert verify(folder)[0] != 0
    saved(tmp_path / "alone", package_json=world.package(), a_jws=forged)
    code, text = verify(tmp_path / "alone")
    assert code == 3 and "SignatureInvalid" in text


def test_verify_does_not_call_trusted_what_it_only_skipped(world, installer, tmp_path):
    mine = Key.p256()
    forged = jws(mine, {"alg": "ES256", "typ": "fleetseal-receipt+jws", "kid": mine.kid()}, "{}")
    code, text = verify(saved(tmp_path / "skipped", package_json=world.package(), receipt_jws=forged))
    assert code != 0 and '"trusted": true' not in text


def test_verify_judges_the_order_by_its_dates_epoch_and_manifest(world, installer, tmp_path):
    release = Release(world, installer)
    other = Release(world, installer, b"other", counter=2)
    texts = {"package_json": world.package(), "signature_jws": release.signature, "m_json": release.manifest, "proof_txt": release.proof}
    assert verify(saved(tmp_path / "good", order_jws=release.order, **texts))[0] == 0
    expired = Release(world, installer, issued=world.now - 7200, expires=world.now - 3600)
    older = Release(world, installer, epoch=0)
    for name, order, expected in (("other", other.order, "ManifestHashMismatch"), ("expired", expired.order, "OrderExpired"),
                                  ("older", older.order, "OrderReplayed")):
        code, text = verify(saved(tmp_path / name, order_jws=order, **texts))
        assert code == 3 and expected in text, text


# --- downgrade ----------------------------------------------------------------------------------------------------------------


def permit(world, first, second, **changes):
    payload = {"permitId": "permit-1", "product": world.product,
               "from": {"releaseCounter": 2, "manifestSha256": b64u(sha256(second.manifest))},
               "to": {"releaseCounter": 1, "manifestSha256": b64u(sha256(first.manifest))},
               "deviceIds": ["dev-1"], "issued": world.now - 5, "expires": world.now + DAY}
    payload.update(changes)
    key = payload.pop("key", world.publisher)
    sjwk = payload.pop("sjwk", None) or world.sjwk()
    payload = {name: value for name, value in payload.items() if value is not None}
    return jws(key, {"alg": "ES256", "typ": "fleetseal-permit+jws", "sjwk": sjwk}, compact(payload))


def test_a_permit_is_for_one_way_one_device_and_one_time(world, installer):
    first = Release(world, installer, b"one")
    first.install()
    second = Release(world, installer, b"two", counter=2, version="1.1.0")
    second.install()
    back = {"releaseCounter": 1, "manifestSha256": b64u(sha256(first.manifest))}
    wrong = [{"deviceIds": ["dev-2"]}, {"deviceIds": None, "planId": "plan-9"}, {"product": "acme/valve"}, {"from": back},
             {"to": {"releaseCounter": 1, "manifestSha256": b64u(bytes(32))}}, {"issued": world.now - 9, "expires": world.now - 1},
             {"key": world.director, "sjwk": world.sjwk(world.director, "director-1")}, {"key": Key.p256()}]
    for number, changes in enumerate(wrong):
        release = Release(world, installer, b"one", manifest=first.manifest, signature=first.signature, sequence=100 + number,
                          permit=permit(world, first, second, **changes))
        refused_order(installer, "PermitInvalid", release)
    good = permit(world, first, second)
    down = Release(world, installer, b"one", manifest=first.manifest, signature=first.signature, sequence=200, permit=good)
    assert down.install()["installed"]["releaseCounter"] == 1
    up = Release(world, installer, b"two", counter=2, manifest=second.manifest, signature=second.signature, sequence=201)
    assert up.install()["installed"]["releaseCounter"] == 2
    again = Release(world, installer, b"one", manifest=first.manifest, signature=first.signature, sequence=202, permit=good)
    refused_order(installer, "PermitInvalid", again)


def test_no_permit_goes_below_the_package_minimum(world, installer):
    first = Release(world, installer, b"one")
    first.install()
    second = Release(world, installer, b"two", counter=2, version="1.1.0")
    second.install()
    world.min_counter = {"acme:pump": 2}
    installer.offer(packages=[world.package(2)])
    down = Release(world, installer, b"one", manifest=first.manifest, signature=first.signature, sequence=200, permit=permit(world, first, second))
    down.status = world.status(version=60, package_version=2)
    refused_order(installer, "RollbackRefused", down)


# --- log ----------------------------------------------------------------------------------------------------------------------


def test_a_consistency_proof_left_out_wrong_or_too_long_is_refused(world, installer):
    Release(world, installer, b"one").install()
    release = Release(world, installer, b"two", counter=2, version="1.1.0")
    for proof in ([], [b64u(bytes(32))] * max(1, len(release.consistency)), release.consistency + [b64u(bytes(32))]):
        refused_order(installer, "LogForked", release, consistency=proof)
    with pytest.raises(Refused):
        release.offer(status=None, consistency=[b64u(bytes(32))] * 65)
    assert "lastCode" not in release.install(status=None)


def test_the_proof_must_lead_to_the_root_of_the_checkpoint(world, installer):
    release = Release(world, installer)
    lines = release.proof.split("\n")
    for changed in (lines[:2] + ["index 0"] + lines[3:], lines[:2] + ["index 9007199254740991"] + lines[3:], lines[:2] + ["index 01"] + lines[3:],
                    lines[:3] + [b64(bytes(32))] + lines[3:], lines[:3] + [b64(bytes(32))] * 64 + lines[3:]):
        refused_order(installer, ("LogProofMissing", "ValueOutOfRange", "LimitExceeded"), release, logProof="\n".join(changed))


def test_a_quorum_of_witnesses_is_counted_by_key(world, installer):
    witness = documents.Log("witness.one")
    vkey = f"witness.one+{sha256(b'witness.one' + bytes([10, 4]) + witness.raw_public())[:4].hex()}+{b64u(bytes([4]) + witness.raw_public())}"
    logs = [{"origin": world.log.origin, "vkeys": [world.log.package_vkey()], "witnesses": [vkey], "quorum": 1}]
    installer.offer(packages=[world.package(2, logs=logs)])
    release = Release(world, installer)
    release.status = world.status(version=9, package_version=2, packageSha256=world.package_sha256(2, logs=logs))
    refused_order(installer, "QuorumMissing", release)
