"""Attacks on the real installer and verifier, with every key of the organisation at hand (trust model section 10).

Each attack ends with its code, or without an outcome, and changes nothing: trust state, slots, boot choice and files are
byte for byte what they were, and the installer still takes what is right.
"""
import json
import os
import signal
import socket
import struct
import subprocess
import threading

import pytest

import documents
from documents import DAY, Key, b64, b64u, compact, jws, jws_parts, sha256, unb64u
from installer import BIN, Installer, Refused, Release

FILE_ID = "f" + "0" * 15 + "1"
ORDER_OF_P256 = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551


def refused(installer, codes, action):
    """The action is refused with one of the codes and leaves everything as it was."""
    codes = (codes,) if isinstance(codes, str) else codes
    before = installer.fingerprint()
    with pytest.raises(Refused) as caught:
        action()
    assert caught.value.code in codes, caught.value
    assert installer.fingerprint() == before


def refused_order(installer, codes, release, **changes):
    installer.offer(status=release.status)
    refused(installer, codes, lambda: release.offer(status=None, **changes))


def waiting(world, installer, content=b"one", **order):
    """A release that is verified and waits for its window."""
    release = Release(world, installer, content, window={"notBefore": world.now + 3600, "notAfter": world.now + 9000}, **order)
    release.offer()
    installer.send_content(release.file_id, release.sealed_sha256, release.sealed)
    assert installer.state()["phase"] == "installed"
    return release


def open_window(world, installer, version=90):
    """A status with the device's nonce says that the window's time has come."""
    nonce = installer.state()["statusNonce"]
    return installer.offer(status=world.status(version=version, nonce=nonce, issued=world.now + 7200, expires=world.now + 10800))


def file_manifest(world, target, content=b"conf", version="1.0.0"):
    step = {"handler": "fleetseal/file:1", "files": [FILE_ID], "handlerProperties": {"target": target}}
    return world.manifest(content, version, instructions={"steps": [step]})


def kill(installer):
    installer.process.send_signal(signal.SIGKILL)
    installer.process.wait(20)


def with_payload(compact_jws, change):
    header, payload, signature = compact_jws.split(".")
    return ".".join([header, b64u(change(unb64u(payload))), signature])


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


# --- thieves ------------------------------------------------------------------------------------------------------------------


def test_the_publisher_alone_orders_nothing(world, installer):
    release = Release(world, installer)
    header = {"alg": "ES256", "typ": "fleetseal-order+jws", "sjwk": world.sjwk()}
    mine = Release(world, installer, key=world.publisher, header=header, sequence=9)
    refused_order(installer, "RoleNotAllowed", release, order=mine.order)


def test_the_director_alone_releases_nothing(world, installer):
    release = Release(world, installer, is_logged=False)
    header = {"alg": "ES256", "typ": "fleetseal-manifest+jws", "sjwk": world.sjwk(world.director, "director-1")}
    signature = world.manifest_signature(release.manifest, key=world.director, header=header)
    index = world.log_signature(signature, release.manifest)
    refused_order(installer, "RoleNotAllowed", release, manifestSignature=signature, logProof=world.log.proof(index))


@pytest.mark.parametrize("size", [0, 39, 2**40, 2**53 - 1])
def test_an_order_cannot_ask_for_more_bytes_than_its_files_have_sealed(world, installer, size):
    """Else the director's key fills the device's disk with what is called a genuine update."""
    release = Release(world, installer)
    contents = [{"fileId": release.file_id, "sealedSha256": release.sealed_sha256, "sealedSize": size}]
    refused_order(installer, "FileHashMismatch", Release(world, installer, sequence=7, contents=contents))


def test_publisher_and_director_without_the_log_install_nothing(world, installer):
    mine = documents.Log(world.log.origin)
    release = Release(world, installer, is_logged=False)
    leaf = {"type": "manifest-signature", "time": world.now, "jwsSha256": b64u(sha256(release.signature))}
    refused_order(installer, ("LogProofMissing", "MemberMissing"), release, logProof=mine.proof(mine.append(compact(leaf))))


def test_one_root_makes_no_signing_key(world, installer):
    release = Release(world, installer)
    mine = Key.p256()
    for kid in ("publisher-1", "publisher-9"):
        signature = world.manifest_signature(release.manifest, key=mine, sjwk=world.sjwk(mine, kid))
        refused_order(installer, "SigningKeyNotListed", release, manifestSignature=signature)


def test_one_root_under_two_names_is_one(world, installer):
    twice = {**{kid: key.jwk() for kid, key in world.roots.items()}, "root-4": world.roots["root-1"].jwk()}
    keys = {**world.roots, "root-4": world.roots["root-1"]}
    package = world.package(2, signers=("root-1", "root-4"), keys=keys, rootKeysExt=twice)
    refused(installer, ("PackageStepInvalid", "AlreadyExists"), lambda: installer.offer(packages=[package]))


@pytest.mark.parametrize("threshold", [0, 1, -1, 33])
def test_a_threshold_of_one_is_no_package(world, installer, threshold):
    package = world.package(2, signers=("root-1", "root-2", "root-3"), threshold=threshold)
    refused(installer, ("ValueOutOfRange", "JsonNumberInvalid"), lambda: installer.offer(packages=[package]))


def test_new_roots_cannot_name_themselves(world, installer):
    mine = {f"root-{number}": Key.p256() for number in (1, 2, 3)}
    package = world.package(2, keys=mine, rootKeysExt={kid: key.jwk() for kid, key in mine.items()})
    refused(installer, "PackageStepInvalid", lambda: installer.offer(packages=[package]))


def test_a_kid_in_both_lists_of_roots_is_refused(world, installer):
    rsa = Key.rsa()
    root_keys = {"root-1": {"keyType": "RSA", "n": rsa.jwk()["n"], "e": 65537}}
    package = world.package(2, rootKeys=root_keys)
    refused(installer, "AlreadyExists", lambda: installer.offer(packages=[package]))


def test_positional_signatures_do_not_count(world, installer):
    package = json.loads(world.package(2, signers=()))
    rsa = Key.rsa()
    protected = compact(world.protected(2, rootKeys={"rsa-1": {"keyType": "RSA", "n": rsa.jwk()["n"], "e": 65537}}))
    package = '{"protected":' + protected + ',"signatures":' + compact([{"alg": "RS256", "sig": b64u(rsa.sign(protected))}]) + ',"signaturesExt":[]}'
    refused(installer, "PackageStepInvalid", lambda: installer.offer(packages=[package]))


@pytest.mark.parametrize("change", [("\"version\":2", "\"version\":2,\"version\":2"), ("\"protected\"", "\"\\u0070rotected\""),
                                    ("\"version\":2", "\"v\\u0065rsion\":2"), ("\"version\":2", "\"version\":2.0"),
                                    ("\"version\":2", "\"version\":9007199254740994"), ("\"threshold\":2", "\"threshold\":2,\"isTest\":true")])
def test_a_package_has_one_spelling(world, installer, change):
    package = world.package(2)
    assert change[0] in package
    refused(installer, ("JsonDuplicateMember", "JsonNumberInvalid", "TextInvalid", "MemberMissing", "UnknownMember", "MemberUnknown"),
            lambda: installer.offer(packages=[package.replace(*change)]))


def test_white_space_in_a_package_is_no_other_package(world, installer):
    package = world.package(2)
    installer.offer(packages=[package.replace(",", " ,\n\t")])
    refused(installer, "PackageStepInvalid", lambda: installer.offer(packages=[package]))
    assert installer.state()["packageVersion"] == 2


@pytest.mark.parametrize("listing", [{"role": "director", "days": 36}, {"role": "publisher", "days": 401}, {"role": "director", "days": 30}])
def test_a_listing_that_lives_too_long_or_a_third_director_is_refused(world, installer, listing):
    key = Key.p256()
    world.listings["extra-1"] = world.listing(key, listing["role"], [], before=0, after=listing["days"] * DAY)
    if listing["days"] == 30:
        world.listings["extra-2"] = world.listing(Key.p256(), "director", [])
    refused(installer, "PackageStepInvalid", lambda: installer.offer(packages=[world.package(2)]))


# --- spelling, algorithms, key ids -------------------------------------------------------------------------------------------


def test_the_other_s_of_a_signature_is_not_on_the_log(world, installer):
    release = Release(world, installer)
    head, payload, signature = release.signature.split(".")
    raw = unb64u(signature)
    other = raw[:32] + (ORDER_OF_P256 - int.from_bytes(raw[32:], "big")).to_bytes(32, "big")
    refused_order(installer, ("LogProofMissing", "SignatureInvalid"), release, manifestSignature=f"{head}.{payload}.{b64u(other)}")


@pytest.mark.parametrize("spell", [lambda text: text + "=", lambda text: text + "\n", lambda text: " " + text, lambda text: text + ".", lambda text: text.replace("-", "+").replace("_", "/") + "+",
                                   lambda text: text[:-1] + chr(ord(text[-1]) + 1), lambda text: text + "A"])
def test_a_jws_has_one_spelling(world, installer, spell):
    release = Release(world, installer)
    refused_order(installer, ("Base64Invalid", "JwsMalformed", "SignatureInvalid"), release, order=spell(release.order))


@pytest.mark.parametrize("alg", ["RS256", "PS256", "ES384", "EdDSA", "HS256", "none", "es256", ""])
def test_the_header_does_not_choose_the_algorithm(world, installer, alg):
    release = Release(world, installer)
    header = {"alg": alg, "typ": "fleetseal-manifest+jws", "sjwk": world.sjwk()}
    refused_order(installer, "AlgorithmNotAllowed", release, manifestSignature=world.manifest_signature(release.manifest, header=header))


def test_an_rsa_key_with_an_es256_header_is_refused(world, installer):
    rsa = Key.rsa()
    world.listings["publisher-1"] = world.listing(rsa, "publisher", [world.product])
    installer.offer(packages=[world.package(2)])
    release = Release(world, installer)
    installer.offer(status=world.status(version=70, package_version=2))
    for outer, inner in (("ES256", "RS256"), ("RS256", "ES256"), ("PS256", "RS256"), ("RS256", "PS256")):
        header = {"alg": outer, "typ": "fleetseal-manifest+jws", "sjwk": world.sjwk(rsa, payload=rsa.jwk(kid="publisher-1", alg=inner))}
        signature = world.manifest_signature(release.manifest, key=rsa, header=header)
        refused(installer, "AlgorithmNotAllowed", lambda: release.offer(status=None, manifestSignature=signature))


def test_the_key_of_one_with_the_kid_of_another_is_refused(world, installer):
    release = Release(world, installer)
    for key, kid in ((world.publisher, "director-1"), (world.director, "publisher-1")):
        signature = world.manifest_signature(release.manifest, key=key, sjwk=world.sjwk(key, kid))
        refused_order(installer, "SigningKeyNotListed", release, manifestSignature=signature)


@pytest.mark.parametrize("typ", ["fleetseal-Manifest+jws", "fleetseal-manifest+jws ", "fleetseal-order+jws", "fleetseal-permit+jws", "jws"])
def test_typ_is_compared_exactly(world, installer, typ):
    release = Release(world, installer)
    header = {"alg": "ES256", "typ": typ, "sjwk": world.sjwk()}
    refused_order(installer, "TypMismatch", release, manifestSignature=world.manifest_signature(release.manifest, header=header))


def test_one_document_is_not_another(world, installer):
    """Every genuine document in the place of every other one."""
    release = Release(world, installer)
    installer.offer(status=release.status)
    places = {"order": release.order, "manifestSignature": release.signature, "status": release.status}
    for place in places:
        for name, text in {**places, "sjwk": world.sjwk()}.items():
            if name == place:
                continue
            offered = {"status": None, place: text}
            refused(installer, ("RoleNotAllowed", "TypMismatch", "HeaderNotAllowed"), lambda: release.offer(**offered))
    assert installer.state()["phase"] == "idle"


def test_a_sjwk_in_a_sjwk_is_refused(world, installer):
    release = Release(world, installer)
    header = {"alg": "ES256", "typ": "fleetseal-signing-key+jws", "sjwk": world.sjwk()}
    nested = jws(world.publisher, header, compact(world.publisher.jwk(kid="publisher-1", alg="ES256")))
    refused_order(installer, "HeaderNotAllowed", release, manifestSignature=world.manifest_signature(release.manifest, sjwk=nested))


@pytest.mark.parametrize("number", ["9007199254740992", "1e3", "-1", "1.0", "01", "-0", "true", "\"1\""])
def test_numbers_of_an_order_are_exact(world, installer, number):
    release = Release(world, installer, sequence=1)
    payload = jws_parts(release.order)[1].decode().replace('"sequence":1', '"sequence":' + number)
    header = {"alg": "ES256", "typ": "fleetseal-order+jws", "sjwk": world.sjwk(world.director, "director-1")}
    refused_order(installer, ("JsonNumberInvalid", "ValueOutOfRange", "MemberTypeWrong", "JsonInvalid", "JsonMalformed"), release, order=jws(world.director, header, payload))


def test_doubled_members_are_refused_however_they_are_spelt(world, installer):
    release = Release(world, installer)
    header = {"alg": "ES256", "typ": "fleetseal-order+jws", "sjwk": world.sjwk(world.director, "director-1")}
    payload = jws_parts(release.order)[1].decode()
    for doubled in ('"deviceId":"dev-2",' , '"device\\u0049d":"dev-2",'):
        order = jws(world.director, header, payload.replace("{", "{" + doubled, 1))
        refused_order(installer, "JsonDuplicateMember", release, order=order)


# --- replay, mix and match ----------------------------------------------------------------------------------------------------


def test_genuine_old_documents_do_not_come_back(world, installer):
    first = Release(world, installer, b"one")
    first.install()
    old_status, old_package = first.status, world.package(2)
    installer.offer(packages=[old_package, world.package(3)])
    second = Release(world, installer, b"two", counter=2, version="1.1.0")
    second.status = world.status(version=30, package_version=3)
    second.install()
    refused(installer, "StatusReplayed", lambda: installer.offer(status=old_status))
    refused(installer, "PackageStepInvalid", lambda: installer.offer(packages=[old_package]))
    refused(installer, "PackageStepInvalid", lambda: installer.offer(packages=[world.package(1)]))
    refused(installer, "OrderReplayed", lambda: first.offer(status=None))
    mixed = Release(world, installer, b"one", manifest=first.manifest, signature=first.signature, sequence=40)
    refused(installer, "RollbackRefused", lambda: mixed.offer(status=None))
    refused(installer, "ManifestHashMismatch", lambda: mixed.offer(status=None, manifest=second.documents()["manifest"], manifestSignature=second.signature))


def test_an_order_survives_no_cancel_and_no_restart_revives_it(world, installer):
    release = waiting(world, installer)
    cancel = world.order(installer.DEVICE, release.manifest, [], None, sequence=8, action="cancel")
    installer.offer(order=cancel)
    assert installer.state()["phase"] == "idle"
    kill(installer)
    installer.start()
    installer.offer(order=cancel)
    refused(installer, "OrderCancelled", lambda: release.offer(status=None))


def test_an_old_status_with_a_nonce_answers_no_later_boot(world, installer):
    nonce = installer.state()["statusNonce"]
    answer = world.status(version=5, nonce=nonce)
    kill(installer)
    installer.start()
    assert installer.state()["statusNonce"] != nonce
    installer.offer(status=answer)
    assert "statusNonce" in installer.state()


def test_a_status_without_the_nonce_does_not_set_the_clock(world, installer):
    for nonce in (None, b64u(bytes(16)), b64u(unb64u(installer.state()["statusNonce"])[:15])):
        world.status_version += 1
        installer.offer(status=world.status(version=world.status_version, nonce=nonce))
        assert "statusNonce" in installer.state()


def test_a_refused_nonce_status_does_not_set_the_clock(world, installer):
    nonce = installer.state()["statusNonce"]
    forged = world.status(nonce=nonce, key=Key.p256(), issued=world.now + DAY, expires=world.now + DAY + 60)
    refused(installer, "SignatureInvalid", lambda: installer.offer(status=forged))
    late = world.status(nonce=nonce, issued=world.now + 301 * DAY, expires=world.now + 301 * DAY + 60)
    refused(installer, "PackageExpired", lambda: installer.offer(status=late))
    assert installer.state()["statusNonce"] == nonce


def test_the_floor_does_not_pass_the_end_of_the_package(world, installer):
    """A thief with the director key cannot make the time run out for later packages."""
    world.listings["director-1"]["notBefore"] = world.now - 60
    installer.offer(packages=[world.package(2, expires=world.now + 20 * DAY)])
    far = world.now + 300 * DAY
    sent = world.status(version=3, package_version=1, packageSha256=installer_package_hash(installer, 1), issued=far, expires=far + 60)
    try:
        installer.offer(status=sent)
    except Refused:
        pass
    floor = json.loads(json.loads(installer.trust_bytes()))["timeFloor"]
    assert floor <= world.now + 20 * DAY


def installer_package_hash(installer, version):
    state = json.loads(json.loads(installer.trust_bytes()))
    return next(item["sha256"] for item in state["packageHashes"] if item["version"] == version)


def test_a_status_that_names_other_bytes_of_a_package_is_refused(world, installer):
    refused(installer, "PackageStepInvalid", lambda: installer.offer(status=world.status(packageSha256=b64u(bytes(32)))))
    refused(installer, "PackageVersionTooLow", lambda: installer.offer(status=world.status(package_version=2)))


def test_an_epoch_that_no_package_names_is_refused(world, installer):
    for epoch, code in ((0, "StatusReplayed"), (2, "PackageVersionTooLow"), (2**53 - 1, "PackageVersionTooLow")):
        refused(installer, code, lambda: installer.offer(status=world.status(epoch=epoch)))


def test_a_postdated_order_is_refused(world, installer):
    release = Release(world, installer, issued=world.now + 2 * DAY, expires=world.now + 20 * DAY)
    refused_order(installer, "OrderExpired", release)


def test_the_end_of_the_director_key_ends_its_orders(world, installer):
    world.listings["director-1"] = world.listing(world.director, "director", [], before=-20 * DAY, after=-DAY)
    installer.offer(packages=[world.package(2)])
    refused(installer, "SigningKeyExpired", lambda: installer.offer(status=world.status(package_version=2)))


def test_a_key_disabled_while_the_order_waits_stops_the_switch(world, installer):
    release = waiting(world, installer)
    active = installer.active_slot()
    world.disabled_keys = [{"alg": "SHA256", "hash": b64u(world.publisher.disabled_hash())}]
    installer.offer(packages=[world.package(2)])
    nonce = installer.state()["statusNonce"]
    installer.offer(status=world.status(version=90, package_version=2, nonce=nonce, issued=world.now + 7200, expires=world.now + 10800))
    state = installer.wait_idle()
    assert state["lastCode"] == "DisallowedSigningKey" and installer.active_slot() == active
    assert release.offer(status=None)["wanted"] == []


def test_a_withdrawal_while_the_order_waits_stops_the_switch(world, installer):
    release = waiting(world, installer)
    active = installer.active_slot()
    nonce = installer.state()["statusNonce"]
    installer.offer(status=world.status(version=90, nonce=nonce, issued=world.now + 7200, expires=world.now + 10800,
                                        withdrawn=[b64u(sha256(release.manifest))]))
    assert installer.wait_idle()["lastCode"] == "Withdrawn" and installer.active_slot() == active


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


# --- the handler `file` ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", ["../escape", "/etc/passwd", "..", ".", ".old-app.conf", "a/b", "", "a\u0000b", "x" * 65])
def test_a_target_stays_below_the_prefix(world, installer, target):
    release = Release(world, installer, b"conf", manifest=file_manifest(world, target))
    refused_order(installer, ("IdInvalid", "HandlerFailed", "TextInvalid", "ValueOutOfRange"), release)


def test_links_below_the_prefix_are_replaced_and_not_followed(world, installer, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    for name in ("app.conf", ".new-app.conf", ".old-app.conf"):
        os.symlink(victim, os.path.join(installer.files, name))
    Release(world, installer, b"conf", manifest=file_manifest(world, "app.conf")).install()
    assert victim.read_text() == "untouched"
    path = os.path.join(installer.files, "app.conf")
    assert not os.path.islink(path) and open(path, "rb").read() == b"conf"


def test_a_link_in_place_of_a_slot_is_not_followed(world, installer, tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("untouched")
    slot = os.path.join(installer.folder, "slots", "b.img")
    os.unlink(slot)
    os.symlink(victim, slot)
    with pytest.raises(Refused):
        Release(world, installer).install()
    assert victim.read_text() == "untouched" and installer.active_slot() == "a"


def test_one_file_or_target_twice_is_refused(world, installer):
    step = {"handler": "fleetseal/slot:1", "files": [FILE_ID]}
    for steps in ([step, step], [step, {"handler": "fleetseal/self:1", "files": [FILE_ID]}], [{**step, "handlerProperties": {"x": "y"}}], [{**step, "handler": "fleetseal/script:1"}]):
        release = Release(world, installer, b"x", manifest=world.manifest(b"x", instructions={"steps": steps}))
        refused_order(installer, ("HandlerFailed", "RoleNotAllowed", "HandlerUnknown"), release)


# --- a taken-over agent ---------------------------------------------------------------------------------------------------


def descriptors(tmp_path):
    regular = tmp_path / "regular"
    regular.write_bytes(b"x" * 100)
    left, right = socket.socketpair()
    master, slave = os.openpty()
    return {"directory": os.open(str(tmp_path), os.O_RDONLY), "zero": os.open("/dev/zero", os.O_RDONLY), "regular": os.open(regular, os.O_RDWR),
            "socket": left.detach(), "socket end": right.detach(), "tty": slave, "tty master": master}


def test_only_a_pipe_that_can_be_read_is_content(world, installer, tmp_path):
    release = Release(world, installer)
    release.offer()
    request = {"verb": "offer-content", "fileId": release.file_id, "sealedSha256": release.sealed_sha256}
    for name, descriptor in descriptors(tmp_path).items():
        with pytest.raises(Refused) as caught:
            installer.ask(request, descriptor)
        assert caught.value.code in ("InvalidArgument", "StorageFailed", "PermissionDenied", "IoFailed", "Internal"), (name, caught.value)
        os.close(descriptor)
    with pytest.raises(Refused):
        installer.ask(request)
    installer.send_content(release.file_id, release.sealed_sha256, release.sealed)
    assert "lastCode" not in installer.wait_idle()


def test_content_before_documents_or_of_another_file_is_not_taken(world, installer):
    release = Release(world, installer)
    refused(installer, "Conflict", lambda: installer.send_content(release.file_id, release.sealed_sha256, release.sealed))
    release.offer()
    before = installer.fingerprint()
    for file_id, sealed_sha256 in (("f" + "0" * 15 + "2", release.sealed_sha256), (release.file_id, b64u(bytes(32)))):
        with pytest.raises(Refused) as caught:
            installer.send_content(file_id, sealed_sha256, release.sealed)
        assert caught.value.code == "FileNotInManifest"
    assert installer.fingerprint() == before


def test_an_endless_stream_ends_at_the_signed_size(world, installer):
    release = Release(world, installer)
    release.offer()
    with pytest.raises(Refused) as caught:
        installer.send_content(release.file_id, release.sealed_sha256, release.sealed + bytes(1 << 20))
    assert caught.value.code == "FileTooLarge" and installer.active_slot() == "a"
    assert os.path.getsize(os.path.join(installer.folder, "slots", "b.img")) <= len(release.content)


def test_two_streams_are_one_and_a_slow_one_can_be_aborted(world, installer):
    release = Release(world, installer, os.urandom(100_000))
    release.offer()
    read_end, write_end = os.pipe()
    first = installer.channel()
    first.send({"verb": "offer-content", "fileId": release.file_id, "sealedSha256": release.sealed_sha256}, read_end)
    os.close(read_end)
    os.write(write_end, release.sealed[:5000])
    assert installer.state(waitMs=5000, phase="accepted")["phase"] == "receiving"
    with pytest.raises(Refused) as caught:
        installer.send_content(release.file_id, release.sealed_sha256, release.sealed)
    assert caught.value.code == "Busy"
    later = Release(world, installer, b"two", counter=2, version="1.1.0")
    with pytest.raises(Refused) as caught:
        later.offer()
    assert caught.value.code == "Busy"
    assert installer.ask({"verb": "abort-before-switch"})["ok"]["phase"] == "idle"
    assert first.receive()["error"]["code"] == "Cancelled"
    os.close(write_end)
    first.close()
    assert installer.active_slot() == "a"
    with pytest.raises(Refused):
        installer.ask({"verb": "abort-before-switch"})


def test_a_flood_of_connections_and_half_messages_takes_nothing_away(world, installer):
    half = []
    for number in range(24):
        channel = installer.channel()
        channel.socket.sendall(struct.pack(">I", 4 * 1024 * 1024) + b"{" * (number + 1))
        half.append(channel)
    for channel in half:
        channel.close()
    for size in (4 * 1024 * 1024 + 1, 2**32 - 1):
        channel = installer.channel()
        channel.socket.sendall(struct.pack(">I", size))
        assert channel.receive()["error"]["code"] == "DocumentTooLarge"
        channel.close()
    assert "lastCode" not in Release(world, installer).install()


def test_a_flood_of_descriptors_is_refused(world, installer):
    pipes = [os.pipe() for _ in range(8)]
    channel = installer.channel()
    message = b'{"verb":"state"}'
    socket.send_fds(channel.socket, [struct.pack(">I", len(message)) + message], [read for read, _ in pipes])
    with pytest.raises((EOFError, ConnectionResetError)):
        channel.receive()
    before = len(os.listdir(f"/proc/{installer.process.pid}/fd"))
    for _ in range(20):
        with pytest.raises(Refused):
            installer.ask({"verb": "state", "x": 1}, pipes[0][0])
    assert len(os.listdir(f"/proc/{installer.process.pid}/fd")) <= before + 4
    for ends in pipes:
        os.close(ends[0])
        os.close(ends[1])


def test_receipts_are_neither_dropped_unshown_nor_crowded_out_by_repeats(world, installer):
    for _ in range(40):
        with pytest.raises(Refused):
            installer.offer(order="x")
    installer.ask({"verb": "state", "acknowledged": 2**53 - 1})
    receipts = [json.loads(jws_parts(text)[1]) for text in installer.state()["receipts"]]
    assert len(receipts) == 1 and receipts[0]["count"] == 40
    state = Release(world, installer).install()
    last = json.loads(jws_parts(state["receipts"][-1])[1])
    assert last["outcome"] == "installed" and last["previous"] == b64u(sha256(state["receipts"][-2]))


def test_full_receipts_hold_orders_back_but_lose_none(world, installer):
    for number in range(256):
        with pytest.raises(Refused):
            installer.offer(order=f"x{number}")
    release = Release(world, installer)
    installer.offer(status=release.status)
    with pytest.raises(Refused) as caught:
        release.offer(status=None)
    assert caught.value.code == "LimitExceeded"
    shown = 0
    while shown < 256:
        receipts = installer.state()["receipts"]
        shown = json.loads(jws_parts(receipts[-1])[1])["number"]
        installer.state(acknowledged=shown)
    assert "lastCode" not in release.install(status=None)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to give files away")
def test_provisioning_of_another_owner_is_not_believed(world, installer):
    installer.stop()
    os.chown(os.path.join(installer.folder, "provisioning", "package.json"), 61005, 61005)
    with pytest.raises(AssertionError, match="ConfigInvalid"):
        installer.start()


# --- power cut ----------------------------------------------------------------------------------------------------------------


def test_a_kill_while_content_streams_leaves_nothing_half_installed(world, installer):
    release = Release(world, installer, os.urandom(200_000))
    release.offer()
    read_end, write_end = os.pipe()
    channel = installer.channel()
    channel.send({"verb": "offer-content", "fileId": release.file_id, "sealedSha256": release.sealed_sha256}, read_end)
    os.close(read_end)
    os.write(write_end, release.sealed[:60_000])
    assert installer.state(waitMs=5000, phase="accepted")["phase"] == "receiving"
    kill(installer)
    os.close(write_end)
    channel.close()
    installer.start()
    state = installer.state()
    assert installer.active_slot() == "a" and state["wanted"] and "installed" not in state
    installer.send_content(release.file_id, release.sealed_sha256, release.sealed)
    assert "lastCode" not in installer.wait_idle()
    assert installer.slot_bytes("b", 200_000) == release.content


def test_a_kill_while_the_order_waits_runs_it_once(world, installer):
    release = waiting(world, installer)
    kill(installer)
    installer.start()
    assert installer.state()["phase"] == "installed"
    open_window(world, installer)
    state = installer.wait_idle()
    assert state["installed"]["releaseCounter"] == 1 and len(state["receipts"]) == 1
    before = installer.fingerprint()
    release.offer(status=None)
    assert installer.wait_idle() and installer.fingerprint() == before and len(installer.state()["receipts"]) == 1


@pytest.mark.parametrize("delay", range(6))
def test_a_kill_around_the_switch_ends_in_one_whole_version(world, installer, delay):
    release = Release(world, installer, b"one" * 1000)
    release.offer()
    feeder = threading.Thread(target=lambda: swallow(lambda: installer.send_content(release.file_id, release.sealed_sha256, release.sealed)))
    feeder.start()
    for _ in range(delay):
        swallow(installer.state)
    kill(installer)
    feeder.join()
    installer.start()
    if installer.state()["wanted"]:
        installer.send_content(release.file_id, release.sealed_sha256, release.sealed)
    state = installer.wait_idle()
    assert state["installed"]["releaseCounter"] == 1 and installer.active_slot() == "b"
    assert [json.loads(jws_parts(text)[1])["outcome"] for text in state["receipts"]] == ["installed"]


def swallow(action):
    try:
        action()
    except (EOFError, OSError, Refused):
        pass
