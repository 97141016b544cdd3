"""Thieves of one key, other spellings, confusions and replays: what documents can be made to do.

Each attack ends with its code, or without an outcome, and changes nothing: trust state, slots, boot choice and files are
byte for byte what they were, and the installer still takes what is right.
"""
import json

import pytest

from attacks import ORDER_OF_P256, kill, refused, refused_order, waiting
import documents
from documents import DAY, Key, b64u, compact, jws, jws_parts, sha256, unb64u
from installer import Refused, Release


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
