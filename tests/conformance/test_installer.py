"""The real installer against documents made by an independent implementation.

Each refusal is one check of trust model section 8, in order; after it trust state, slots and boot choice are byte for byte
what they were (invariant I1), and the installer still takes the right documents.
"""
import json
import os

import pytest

from documents import DAY, Key, b64, b64u, compact, jwe, jws, jws_parts, open_sealed, seal, sha256, unb64u, verify_es256
from installer import Refused, Release


def refused(installer, code, action):
    before = installer.fingerprint()
    with pytest.raises(Refused) as caught:
        action()
    assert caught.value.code == code, caught.value
    assert installer.fingerprint() == before


def refused_after_status(world, installer, code, release, **changes):
    """The status before the order is accepted in its own transaction, so it is offered first."""
    installer.offer(status=release.status)
    refused(installer, code, lambda: release.offer(status=None, **changes))


def test_S0_6_S1_27_installs_what_is_right_and_sends_a_receipt(world, installer):
    content = os.urandom(200_000)
    release = Release(world, installer, content)
    state = release.install()
    assert "lastCode" not in state
    active = installer.active_slot()
    assert active == "b"
    assert installer.slot_bytes(active, len(content)) == content
    header, payload, signature = jws_parts(state["receipts"][-1])
    receipt = json.loads(payload)
    assert receipt["outcome"] == "installed" and receipt["deviceId"] == "dev-1"
    assert receipt["manifestSha256"] == b64u(sha256(release.manifest))
    assert receipt["publisherKey"] == world.publisher.kid() and receipt["directorKey"] == world.director.kid()
    assert receipt["files"] == [{"fileId": release.file_id, "sha256": b64u(sha256(content))}]
    signing_input = state["receipts"][-1].rsplit(".", 1)[0].encode()
    assert header["typ"] == "fleetseal-receipt+jws"
    assert verify_es256(installer.receipt_key(), signing_input, signature)
    assert state["installed"]["releaseCounter"] == 1


def test_S1_25_the_log_shows_root_then_signing_key_then_manifest(world, installer):
    Release(world, installer).install()
    lines = [json.loads(line) for line in installer.log_text().splitlines()]
    verified = [(line["event"], line["rootKey"], line["signingKey"]) for line in lines if "rootKey" in line]
    assert verified == [("order.verified", "root-1", "director-1"), ("manifest.verified", "root-1", "publisher-1")]
    names = list(next(line for line in lines if line["event"] == "manifest.verified"))
    assert names.index("rootKey") < names.index("signingKey") < names.index("manifestSha256")


def test_a_second_release_goes_into_the_other_slot(world, installer):
    Release(world, installer, b"one").install()
    Release(world, installer, b"two!", counter=2, version="1.1.0").install()
    assert installer.active_slot() == "a"
    assert installer.slot_bytes("a", 4) == b"two!"
    assert installer.slot_bytes("b", 3) == b"one"


# --- 2 sizes, strict JSON --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("message", [
    b"", b"{", b"[]", b"null", b'{"verb":"state","verb":"state"}', b'{"verb":"no-such-verb"}', b'{"verb":"state","x":1}',
    b'{"verb":"offer-documents"}', b'{"verb":"offer-documents","packages":7}', b'{"verb":"state","waitMs":1.5}',
    b'{"verb":"\xff"}', b'{"verb":"state"} ', b"[" * 100, b'{"verb":"offer-documents","packages":[],"order":5}',
])
def test_S1_4_check_2_malformed_messages_are_refused(world, installer, message):
    before = installer.fingerprint()
    channel = installer.channel()
    try:
        channel.send(message)
        answer = channel.receive()
        assert "error" in answer or message.endswith(b" "), answer
    except EOFError:
        pass
    finally:
        channel.close()
    assert installer.fingerprint() == before
    assert installer.state()["phase"] == "idle"


def test_S1_16_check_2_an_oversized_document_is_refused(world, installer):
    release = Release(world, installer)
    padded = release.manifest[:-1] + ',"description":"' + "x" * 70_000 + '"}'
    with pytest.raises((Refused, EOFError)):
        release.offer(manifest=b64u(padded.encode()))
    assert installer.state()["phase"] == "idle"


# --- 3 package steps -------------------------------------------------------------------------------------------------------


def step(world, version=2, **arguments):
    return world.package(version, **arguments)


def test_check_3_a_good_step_is_taken(world, installer):
    assert installer.offer(packages=[step(world)])["accepted"]
    assert installer.state()["packageVersion"] == 2


@pytest.mark.parametrize("case", ["too few roots", "one root twice", "version skipped", "same version other bytes", "foreign roots",
                                  "disabled root counts", "epoch falls", "changed after signing"])
def test_S1_47_check_3_a_bad_step_is_refused(world, installer, case):
    if case == "too few roots":
        package = step(world, signers=("root-1",))
    elif case == "one root twice":
        package = step(world, signers=("root-1", "root-1"))
    elif case == "version skipped":
        package = world.package(3)
    elif case == "same version other bytes":
        package = world.package(1, published=world.now - 61)
    elif case == "foreign roots":
        package = step(world, keys={"root-1": Key.p256(), "root-2": Key.p256()})
    elif case == "disabled root counts":
        package = step(world, disabledRootKeys=["root-1"])
    elif case == "epoch falls":
        package = step(world, directorEpoch=0)
    else:
        package = step(world).replace('"directorEpoch":1', '"directorEpoch":2')
    with pytest.raises(Refused) as caught:
        before = installer.fingerprint()
        installer.offer(packages=[package])
    assert caught.value.code in ("PackageStepInvalid", "AlreadyExists"), caught.value
    assert installer.fingerprint() == before


def test_X1_check_3_an_expired_package_installs_nothing(world, installer):
    release = Release(world, installer)
    installer.offer(packages=[step(world, published=world.now - 300 * DAY, expires=world.now - DAY)])
    refused(installer, "PackageExpired", release.offer)


# --- 4 status --------------------------------------------------------------------------------------------------------------


def test_check_4_without_a_status_nothing_is_installed(world, installer):
    release = Release(world, installer)
    refused(installer, "StatusExpired", lambda: release.offer(status=None))


def test_X1_check_4_an_expired_status_is_refused(world, installer):
    refused(installer, "StatusExpired", lambda: installer.offer(status=world.status(issued=world.now - 7200, expires=world.now - 3600)))


def test_X2_check_4_an_older_status_is_refused(world, installer):
    installer.offer(status=world.status(version=5))
    refused(installer, "StatusReplayed", lambda: installer.offer(status=world.status(version=4)))
    refused(installer, "StatusReplayed", lambda: installer.offer(status=world.status(version=5, issued=world.now - 4)))


def test_check_4_a_status_that_lives_too_long_is_refused(world, installer):
    with pytest.raises(Refused):
        installer.offer(status=world.status(issued=world.now - 5, expires=world.now + 2 * DAY))


@pytest.mark.parametrize("case,code", [
    ("by the publisher", "RoleNotAllowed"), ("changed", "SignatureInvalid"), ("other typ", "TypMismatch"),
    ("kid instead of sjwk", None), ("by a foreign key", "SignatureInvalid")])
def test_check_4_a_status_of_another_signer_is_refused(world, installer, case, code):
    status = world.status()
    if case == "by the publisher":
        status = world.status(key=world.publisher, header={"alg": "ES256", "typ": "fleetseal-status+jws", "sjwk": world.sjwk()})
    elif case == "changed":
        header, payload, signature = status.split(".")
        status = ".".join([header, b64u(unb64u(payload).replace(b'"version":1', b'"version":9')), signature])
    elif case == "other typ":
        status = world.status(header={"alg": "ES256", "typ": "fleetseal-order+jws", "sjwk": world.sjwk(world.director, "director-1")})
    elif case == "kid instead of sjwk":
        status = world.status(header={"alg": "ES256", "typ": "fleetseal-status+jws", "kid": "director-1"})
    else:
        status = world.status(key=Key.p256())
    before = installer.fingerprint()
    with pytest.raises(Refused) as caught:
        installer.offer(status=status)
    assert code is None or caught.value.code == code, caught.value
    assert installer.fingerprint() == before


# --- 5 order ---------------------------------------------------------------------------------------------------------------


def test_S0_10_X5_check_5_the_order_of_another_device_is_refused(world, installer):
    refused_after_status(world, installer, "OrderNotForThisDevice", Release(world, installer, device="dev-2"))


def test_check_5_another_generation_is_refused(world, installer):
    refused_after_status(world, installer, "OrderNotForThisDevice", Release(world, installer, generation=2))


def test_check_5_an_expired_order_is_refused(world, installer):
    release = Release(world, installer, issued=world.now - 7200, expires=world.now - 3600)
    refused_after_status(world, installer, "OrderExpired", release)


def test_check_5_an_order_that_lives_too_long_is_refused(world, installer):
    release = Release(world, installer, expires=world.now + 31 * DAY)
    installer.offer(status=release.status)
    with pytest.raises(Refused):
        release.offer(status=None)


def test_X4_check_5_an_order_by_the_publisher_is_refused(world, installer):
    header = {"alg": "ES256", "typ": "fleetseal-order+jws", "sjwk": world.sjwk()}
    refused_after_status(world, installer, "RoleNotAllowed", Release(world, installer, key=world.publisher, header=header))


def test_S0_4_check_5_a_changed_order_is_refused(world, installer):
    release = Release(world, installer)
    header, payload, signature = release.order.split(".")
    changed = ".".join([header, b64u(unb64u(payload).replace(b'"reboot":"now"', b'"reboot":"later"')), signature])
    refused_after_status(world, installer, "SignatureInvalid", release, order=changed)


def test_X7_check_5_an_older_order_and_other_bytes_under_its_number_are_refused(world, installer):
    first = Release(world, installer, b"one", sequence=7)
    first.install()
    older = Release(world, installer, b"two", counter=2, version="1.1.0", sequence=6)
    refused_after_status(world, installer, "OrderReplayed", older)
    other = Release(world, installer, b"two", counter=2, version="1.1.0", sequence=7)
    refused_after_status(world, installer, "OrderReplayed", other)


def test_X7_check_5_the_same_order_again_runs_nothing_twice(world, installer):
    release = Release(world, installer, b"one")
    release.install()
    before = installer.fingerprint()
    count = len(installer.state()["receipts"])
    answer = release.offer()
    assert answer["wanted"] == []
    assert installer.wait_idle()["phase"] == "idle"
    assert installer.fingerprint() == before
    assert len(installer.state()["receipts"]) == count


def test_S2_22_S2_48_a_content_key_for_another_device_does_not_open(world, installer):
    release = Release(world, installer)
    manifest_hash = sha256(release.manifest)
    stranger = Key.p256()
    wrong_keys = {
        "other device's key": jwe(stranger.public, release.update_key, {"deviceId": "dev-1", "generation": 1, "manifestSha256": b64u(manifest_hash)}),
        "other device's name": jwe(installer.encryption_key(), release.update_key, {"deviceId": "dev-2", "generation": 1, "manifestSha256": b64u(manifest_hash)}),
        "other manifest": jwe(installer.encryption_key(), release.update_key, {"deviceId": "dev-1", "generation": 1, "manifestSha256": b64u(bytes(32))}),
    }
    slot_before = installer.fingerprint()
    for number, content_key in enumerate(wrong_keys.values(), start=2):
        wrong = Release(world, installer, release.content, manifest=release.manifest, signature=release.signature, sequence=number * 10,
                        content_key=content_key)
        with pytest.raises(Refused) as caught:
            wrong.install()
        assert caught.value.code == "DecryptFailed"
        assert installer.active_slot() == "a"
    assert {path: value for path, value in installer.fingerprint().items() if "/boot/" in path} == {
        path: value for path, value in slot_before.items() if "/boot/" in path}


# --- 6 manifest ------------------------------------------------------------------------------------------------------------


def test_S1_18_S1_26_check_6_each_signature_counts_alone(world, installer):
    release = Release(world, installer)
    installer.offer(status=release.status)
    stranger = Key.p256()
    only_outer = world.manifest_signature(release.manifest, sjwk=world.sjwk(root_key=stranger))
    only_inner = world.manifest_signature(release.manifest, key=stranger, sjwk=world.sjwk())
    other_message = world.manifest_signature(release.manifest, sjwk=world.sjwk(world.director, "director-1"))
    for signature in (only_outer, only_inner, other_message):
        with pytest.raises(Refused) as caught:
            release.offer(status=None, manifestSignature=signature)
        assert caught.value.code in ("SignatureInvalid", "RoleNotAllowed", "SigningKeyNotListed"), caught.value
    assert installer.state()["phase"] == "idle"


@pytest.mark.parametrize("item", ["value", "alg", "signing key", "its signature", "root id", "its alg"])
@pytest.mark.parametrize("kind", ["missing", "altered"])
def test_S1_24_check_6_each_of_the_six_items_must_be_there_and_right(world, installer, item, kind):
    release = Release(world, installer)
    is_missing = kind == "missing"
    header = {"alg": "ES256", "typ": "fleetseal-manifest+jws", "sjwk": world.sjwk()}
    inner_header = {"alg": "ES256", "kid": "root-1", "typ": "fleetseal-signing-key+jws"}
    inner_payload = world.publisher.jwk(kid="publisher-1", alg="ES256")
    signature = world.manifest_signature(release.manifest)
    if item == "value":
        head, payload, _ = signature.split(".")
        signature = f"{head}.{payload}." + ("" if is_missing else b64u(bytes(64)))
    elif item == "alg":
        header = {"typ": header["typ"], "sjwk": header["sjwk"]} if is_missing else {**header, "alg": "ES384"}
        signature = world.manifest_signature(release.manifest, header=header)
    elif item == "signing key":
        inner_payload = {name: value for name, value in inner_payload.items() if name != "x"} if is_missing else {**inner_payload, "x": b64u(bytes(32))}
        signature = world.manifest_signature(release.manifest, sjwk=world.sjwk(payload=inner_payload))
    elif item == "its signature":
        head, payload, _ = world.sjwk().split(".")
        signature = world.manifest_signature(release.manifest, sjwk=f"{head}.{payload}." + ("" if is_missing else b64u(bytes(64))))
    elif item == "root id":
        inner_header = {"alg": "ES256", "typ": inner_header["typ"]} if is_missing else {**inner_header, "kid": "root-9"}
        signature = world.manifest_signature(release.manifest, sjwk=world.sjwk(header=inner_header))
    else:
        inner_header = {"kid": "root-1", "typ": inner_header["typ"]} if is_missing else {**inner_header, "alg": "RS256"}
        signature = world.manifest_signature(release.manifest, sjwk=world.sjwk(header=inner_header))
    installer.offer(status=release.status)
    before = installer.fingerprint()
    with pytest.raises(Refused):
        release.offer(status=None, manifestSignature=signature)
    assert installer.fingerprint() == before
    assert release.offer(status=None)["phase"] == "accepted"


def test_S1_23_check_6_a_bare_jwk_or_kid_is_refused(world, installer):
    release = Release(world, installer)
    installer.offer(status=release.status)
    for header in ({"alg": "ES256", "typ": "fleetseal-manifest+jws", "kid": "publisher-1"},
                   {"alg": "ES256", "typ": "fleetseal-manifest+jws", "jwk": world.publisher.jwk()},
                   {"alg": "ES256", "typ": "fleetseal-manifest+jws", "sjwk": world.sjwk(), "jwk": world.publisher.jwk()},
                   {"alg": "ES256", "typ": "fleetseal-manifest+jws", "sjwk": world.sjwk(), "crit": ["sjwk"]},
                   {"alg": "none", "typ": "fleetseal-manifest+jws", "sjwk": world.sjwk()},
                   {"alg": "HS256", "typ": "fleetseal-manifest+jws", "sjwk": world.sjwk()}):
        signature = world.manifest_signature(release.manifest, header=header)
        before = installer.fingerprint()
        with pytest.raises(Refused) as caught:
            release.offer(status=None, manifestSignature=signature)
        assert caught.value.code in ("HeaderNotAllowed", "AlgorithmNotAllowed", "MemberMissing"), caught.value
        assert installer.fingerprint() == before


def test_S1_44_check_6_a_disabled_root_and_a_disabled_signing_key_are_refused(world, installer):
    release = Release(world, installer)
    world.disabled_roots = ["root-1"]
    director_sjwk = world.sjwk(world.director, "director-1", root="root-2")
    installer.offer(packages=[world.package(2, signers=("root-1", "root-2", "root-3"))])
    status = world.status(version=9, package_version=2, header={"alg": "ES256", "typ": "fleetseal-status+jws", "sjwk": director_sjwk})
    installer.offer(status=status)
    order_header = {"alg": "ES256", "typ": "fleetseal-order+jws", "sjwk": director_sjwk}
    again = Release(world, installer, sequence=50, manifest=release.manifest, signature=release.signature, header=order_header)
    refused(installer, "DisallowedRootKid", lambda: again.offer(status=None))
    world.disabled_keys = [{"alg": "SHA256", "hash": b64u(world.publisher.disabled_hash())}]
    installer.offer(packages=[world.package(3, signers=("root-2", "root-3"))])
    status = world.status(version=10, package_version=3, header={"alg": "ES256", "typ": "fleetseal-status+jws", "sjwk": director_sjwk})
    installer.offer(status=status)
    fresh = world.manifest_signature(release.manifest, sjwk=world.sjwk(root="root-2"))
    last = Release(world, installer, sequence=60, manifest=release.manifest, signature=fresh, header=order_header)
    refused(installer, "DisallowedSigningKey", lambda: last.offer(status=None))


def test_check_6_an_unlisted_key_and_a_key_of_another_product_are_refused(world, installer):
    release = Release(world, installer)
    installer.offer(status=release.status)
    stranger = Key.p256()
    unlisted = world.manifest_signature(release.manifest, key=stranger, sjwk=world.sjwk(stranger, "publisher-9"))
    refused(installer, "SigningKeyNotListed", lambda: release.offer(status=None, manifestSignature=unlisted))
    borrowed = world.manifest_signature(release.manifest, key=stranger, sjwk=world.sjwk(stranger, "publisher-1"))
    refused(installer, "SigningKeyNotListed", lambda: release.offer(status=None, manifestSignature=borrowed))
    foreign = world.manifest_signature(release.manifest, product="acme/valve")
    refused(installer, "ProductNotAllowed", lambda: release.offer(status=None, manifestSignature=foreign))


def test_S1_30_check_6_one_changed_byte_of_the_manifest_is_seen(world, installer):
    release = Release(world, installer)
    installer.offer(status=release.status)
    for changed in (release.manifest.replace('"5"', '"4"'), release.manifest.replace(":", ": ", 1),
                    release.manifest.replace("pump.img", "pump\\u002eimg"), release.manifest + " "):
        refused(installer, "ManifestHashMismatch", lambda: release.offer(status=None, manifest=b64u(changed.encode())))


def test_check_6_a_withdrawn_manifest_is_refused(world, installer):
    release = Release(world, installer)
    installer.offer(status=world.status(version=20, withdrawn=[b64u(sha256(release.manifest))]))
    refused(installer, "Withdrawn", lambda: release.offer(status=None))


def test_check_6_the_manifest_of_another_organisation_is_refused(world, installer):
    release = Release(world, installer)
    installer.offer(status=release.status)
    foreign = world.manifest_signature(release.manifest, audience="urn:fleetseal:other")
    refused(installer, "AudienceMismatch", lambda: release.offer(status=None, manifestSignature=foreign))


# --- 7 counter -------------------------------------------------------------------------------------------------------------


def test_X2_check_7_an_older_release_is_refused(world, installer):
    Release(world, installer, b"one", counter=1).install()
    Release(world, installer, b"two", counter=2, version="1.1.0").install()
    old = Release(world, installer, b"one", counter=1, sequence=30)
    refused_after_status(world, installer, "RollbackRefused", status_at(old, world, 30))


def status_at(release, world, version):
    release.status = world.status(version=version)
    return release


def test_check_7_the_same_counter_with_another_manifest_is_refused(world, installer):
    Release(world, installer, b"one", counter=1).install()
    other = Release(world, installer, b"other", counter=1, version="1.0.1", sequence=31)
    refused_after_status(world, installer, "RollbackRefused", status_at(other, world, 31))


def test_check_7_below_the_package_minimum_is_refused(world, installer):
    release = Release(world, installer)
    world.min_counter = {"acme:pump": 5}
    installer.offer(packages=[world.package(2)])
    installer.offer(status=world.status(version=40, package_version=2))
    refused(installer, "RollbackRefused", lambda: release.offer(status=None))


# --- 8 compatibility, delivery ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("compatibility", [[{"manufacturer": "acme", "model": "pump-2"}], [{"manufacturer": "other", "model": "pump-1"}],
                                           [{"manufacturer": "acme", "model": "pump-1", "board": "b"}]])
def test_S0_10_X5_check_8_an_update_for_another_model_is_refused(world, installer, compatibility):
    manifest = world.manifest(b"x", compatibility=compatibility)
    refused_after_status(world, installer, "NotCompatible", Release(world, installer, b"x", manifest=manifest))


def test_S0_10_X5_check_8_an_update_for_another_component_is_refused(world, installer):
    manifest = world.manifest(b"x", component="modem")
    refused_after_status(world, installer, "NotCompatible", Release(world, installer, b"x", manifest=manifest))


def test_check_8_another_delivery_is_refused(world, installer):
    manifest = world.manifest(b"x")
    signature = world.manifest_signature(manifest, delivery="clear")
    refused_after_status(world, installer, "DeliveryNotAllowed", Release(world, installer, b"x", manifest=manifest, signature=signature))


# --- 9 log -----------------------------------------------------------------------------------------------------------------


def test_check_9_without_a_log_record_nothing_is_installed(world, installer):
    refused_after_status(world, installer, "LogProofMissing", Release(world, installer, is_logged=False))


def test_check_9_the_record_of_another_signature_proves_nothing(world, installer):
    release = Release(world, installer)
    other = Release(world, installer, b"other", counter=2, version="1.1.0")
    refused_after_status(world, installer, "LogProofMissing", release, logProof=other.proof)


def test_check_9_a_leaf_of_another_type_proves_nothing(world, installer):
    release = Release(world, installer, is_logged=False)
    index = world.log_signature(release.signature, release.manifest, type="request")
    refused_after_status(world, installer, "LogProofMissing", release, logProof=world.log.proof(index))


def test_check_9_a_checkpoint_of_another_key_is_refused(world, installer):
    release = Release(world, installer)
    world.log.key = Key.ed25519()
    refused_after_status(world, installer, "LogProofMissing", release, logProof=world.log.proof(release.index))


def test_check_9_another_history_is_refused(world, installer):
    Release(world, installer, b"one").install()
    world.log.leaves[0] = b'{"type":"state","time":2}'
    forked = Release(world, installer, b"two", counter=2, version="1.1.0")
    refused_after_status(world, installer, "LogForked", forked)


# --- 11 files --------------------------------------------------------------------------------------------------------------


def tampered(release, case):
    sealed = bytearray(release.sealed)
    if case == "header":
        sealed[20] ^= 1
    elif case == "first byte":
        sealed[40] ^= 1
    elif case == "middle":
        sealed[40 + 70_000] ^= 1
    elif case == "tag":
        sealed[-1] ^= 1
    elif case == "segment dropped":
        del sealed[40:40 + 65536 + 16]
    elif case == "segments swapped":
        sealed[40:40 + 65552], sealed[40 + 65552:40 + 2 * 65552] = sealed[40 + 65552:40 + 2 * 65552], sealed[40:40 + 65552]
    elif case == "bytes appended":
        sealed += b"x" * 100
    return bytes(sealed)


@pytest.mark.parametrize("case", ["header", "first byte", "middle", "tag", "segment dropped", "segments swapped", "bytes appended"])
def test_S0_7_check_11_changed_content_is_refused(world, installer, case):
    release = Release(world, installer, os.urandom(3 * 65536 + 17))
    release.offer()
    boot = installer.active_slot()
    with pytest.raises(Refused) as caught:
        installer.send_content(release.file_id, release.sealed_sha256, tampered(release, case))
    assert caught.value.code in ("DecryptFailed", "FileTooLarge", "FileHashMismatch", "Truncated", "TrailingData"), caught.value
    assert installer.wait_idle()["phase"] == "idle"
    assert installer.active_slot() == boot
    receipt = json.loads(jws_parts(installer.state()["receipts"][-1])[1])
    assert receipt["outcome"] == "refused"


def test_S0_7_check_11_a_short_stream_is_no_outcome_and_the_whole_one_still_installs(world, installer):
    release = Release(world, installer, os.urandom(100_000))
    release.offer()
    before = installer.trust_bytes()
    with pytest.raises(Refused) as caught:
        installer.send_content(release.file_id, release.sealed_sha256, release.sealed[:-100])
    assert caught.value.code == "Truncated"
    assert installer.active_slot() == "a" and installer.trust_bytes() == before
    installer.send_content(release.file_id, release.sealed_sha256, release.sealed)
    assert "lastCode" not in installer.wait_idle()
    assert installer.active_slot() == "b"


def test_S1_13_check_11_content_sealed_rightly_but_with_another_hash_is_refused(world, installer):
    release = Release(world, installer, b"right content")
    wrong = seal(b"wrong content", release.update_key, sha256(release.manifest), release.file_id)
    contents = [{"fileId": release.file_id, "sealedSha256": b64u(sha256(wrong)), "sealedSize": len(wrong)}]
    again = Release(world, installer, b"right content", manifest=release.manifest, signature=release.signature, sequence=5,
                    contents=contents, content_key=release.content_key)
    again.offer()
    with pytest.raises(Refused) as caught:
        installer.send_content(release.file_id, b64u(sha256(wrong)), wrong)
    assert caught.value.code == "FileHashMismatch"
    assert installer.active_slot() == "a"


def test_S1_14_check_11_every_listed_hash_must_match(world, installer):
    import hashlib
    content = b"content"
    file_id = "f" + "0" * 15 + "1"
    for hashes, code in (({"sha256": b64(sha256(content)), "sha512": b64(hashlib.sha512(b"other").digest())}, "FileHashMismatch"),
                         ({"sha1": b64(hashlib.sha1(content).digest())}, None)):
        manifest = world.manifest(content, files={file_id: {"fileName": "pump.img", "sizeInBytes": len(content), "hashes": hashes}})
        with pytest.raises(Refused) as caught:
            Release(world, installer, content, manifest=manifest, sequence=len(world.log.leaves)).install()
        assert code is None or caught.value.code == code
        assert installer.active_slot() == "a"


def test_our_sealed_format_opens_again(world, installer):
    release = Release(world, installer, os.urandom(100_000))
    assert open_sealed(release.sealed, release.update_key, sha256(release.manifest), release.file_id) == release.content


# --- 13 boot, health, commit or back ---------------------------------------------------------------------------------------


def test_S3_15_check_13_an_unhealthy_version_is_rolled_back(world, tmp_path):
    from installer import Installer
    installer = Installer(world, tmp_path, health='! grep -qa BAD "$1"')
    try:
        Release(world, installer, b"good version").install()
        state = Release(world, installer, b"BAD version", counter=2, version="1.1.0").install()
        assert state["lastCode"] == "HealthCheckFailed"
        assert state["installed"]["releaseCounter"] == 1
        assert installer.active_slot() == "b" and installer.slot_bytes("b", 12) == b"good version"
        assert json.loads(jws_parts(state["receipts"][-1])[1])["outcome"] == "rolled-back"
    finally:
        installer.stop()


def test_receipts_are_a_chain(world, installer):
    Release(world, installer, b"one").install()
    with pytest.raises(Refused):
        Release(world, installer, device="dev-9", sequence=9).offer()
    Release(world, installer, b"two", counter=2, version="1.1.0", sequence=20).install()
    receipts = installer.state()["receipts"]
    previous, number = bytes(32), 0
    for compact_receipt in receipts:
        receipt = json.loads(jws_parts(compact_receipt)[1])
        assert receipt["previous"] == b64u(previous) and receipt["number"] == number + 1
        previous, number = sha256(compact_receipt), number + 1
    assert number >= 3


def test_RS256_keys_install_too(tmp_path):
    from documents import World
    from installer import Installer
    world = World()
    world.publisher, world.director = Key.rsa(), Key.rsa(3072)
    world.listings = {"publisher-1": world.listing(world.publisher, "publisher", [world.product]),
                      "director-1": world.listing(world.director, "director", [])}
    installer = Installer(world, tmp_path)
    try:
        assert "lastCode" not in Release(world, installer, b"rsa").install()
    finally:
        installer.stop()
