"""A taken-over server on the sockets of signer and sealer (S0.4): every verb, with what such a server has or can make.

It has its user, its certificate, its memory and every document that passed through it; it has no person's, device's,
root's or signer's key. Each attempt ends with its code, and the signer's tables, the log and the sealer's records are
what they were.
"""
import concurrent.futures
import json
import os
import struct
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from documents import Key, b64u, compact, jws, jws_parts, sha256, unb64u
from taken_over import DAY, EnrollingDevice, Person, Refused, TakenOverServer, make_csr, nonce

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to act as the server's user")
STRANGER = Person("approver2", Key.p256())


@pytest.fixture(scope="module")
def server(lab):
    return TakenOverServer(lab)


@pytest.fixture(scope="module")
def waiting(server):
    """A genuine request that waits for two approvals."""
    manifest = server.manifest(b"wanted", "5.0.0")
    request = server.request(manifest)
    answer = server.ask("submit-request", request=request, manifest=b64u(manifest))
    return {**answer, "request": request, "manifest": manifest}


def refused(server, codes, verb, **members):
    codes = (codes,) if isinstance(codes, str) else codes
    before = server.fingerprint()
    with pytest.raises(Refused) as caught:
        server.ask(verb, **members)
    assert caught.value.code in codes, caught.value
    assert server.fingerprint() == before


def flipped(text):
    """The same document with one letter of its payload changed."""
    header, payload, signature = text.split(".")
    middle = len(payload) // 2
    return ".".join((header, payload[:middle] + ("A" if payload[middle] != "A" else "B") + payload[middle + 1:], signature))


def with_payload(text, **changes):
    """A genuine signature over other words."""
    header, _, signature = text.split(".")
    payload = json.loads(jws_parts(text)[1])
    return ".".join((header, b64u(compact({**payload, **changes}).encode()), signature))


# --- releases -------------------------------------------------------------------------------------------------------------


def test_S0_4_a_request_of_nobody_is_not_taken(server):
    manifest = server.manifest(b"mine", "6.0.0")
    stranger = Person("publisher", Key.p256())
    known = server.person("publisher").key.kid()
    genuine = server.request(manifest)
    attempts = [
        ("PersonUnknown", server.request(manifest, person=stranger)),
        ("SignatureInvalid", stranger.sign("request", json.loads(jws_parts(genuine)[1]), kid=known)),
        ("RoleMissing", server.request(manifest, "operator")),
        ("RoleMissing", server.request(manifest, "approver1")),
        ("PermissionDenied", server.request(manifest, requester="approver1")),
        (("SignatureInvalid", "Base64Invalid"), flipped(genuine)),
        ("SignatureInvalid", with_payload(genuine, product="acme/other")),
        (("JwsMalformed", "SignatureInvalid"), genuine[:-10]),
        ("JwsMalformed", genuine.rsplit(".", 1)[0]),
        ("ApprovalExpired", server.request(manifest, issued=int(time.time()) - 2 * DAY, expires=int(time.time()) - DAY)),
        ("ApprovalExpired", server.request(manifest, issued=int(time.time()) + DAY, expires=int(time.time()) + 2 * DAY)),
        ("ApprovalExpired", server.request(manifest, expires=int(time.time()) + 30 * DAY)),
        ("AudienceMismatch", server.request(manifest, audience="urn:fleetseal:other")),
        ("DeliveryNotAllowed", server.request(manifest, delivery="clear")),
        ("TypMismatch", server.person("publisher").sign("plan", json.loads(jws_parts(genuine)[1]))),
    ]
    for code, request in attempts:
        refused(server, code, "submit-request", request=request, manifest=b64u(manifest))
    # The publisher's signature is over this manifest and no other.
    for other in (server.manifest(b"evil", "6.0.0"), manifest[:-1] + b" }"):
        refused(server, ("ManifestHashMismatch", "JsonInvalid"), "submit-request", request=genuine, manifest=b64u(other))


def test_S0_4_a_version_and_a_request_id_mean_one_thing(server, waiting):
    again = server.ask("submit-request", request=waiting["request"], manifest=b64u(waiting["manifest"]))
    assert again["payload"] == waiting["payload"]
    other = server.manifest(b"another content", "5.0.0")
    refused(server, "VersionExists", "submit-request", request=server.request(other), manifest=b64u(other))
    refused(server, "AlreadyExists", "submit-request", manifest=b64u(other),
            request=server.request(other, requestId=waiting["requestId"]))
    old = server.manifest(b"old", "0.1.0")
    refused(server, "VersionTooLow", "submit-request", request=server.request(old), manifest=b64u(old))
    used = json.loads(jws_parts(waiting["request"])[1])["nonce"]
    fresh = server.manifest(b"fresh", "6.1.0")
    refused(server, "NonceReplayed", "submit-request", request=server.request(fresh, nonce=used), manifest=b64u(fresh))


def test_S0_4_nothing_but_two_approvers_words_about_these_bytes_releases(server, waiting):
    zeros = b64u(bytes(32))
    now = int(time.time())
    genuine = server.approval(waiting, "approver1")
    attempts = [
        ("PersonUnknown", server.approval(waiting, "approver2", STRANGER)),
        ("SignatureInvalid", STRANGER.sign("approval", jws_parts(genuine)[1].decode(), kid=server.person("approver1").key.kid())),
        ("RoleMissing", server.approval(waiting, "publisher")),
        ("RoleMissing", server.approval(waiting, "operator")),
        ("PermissionDenied", server.person("approver1").sign("approval", {**json.loads(jws_parts(genuine)[1]), "approver": "approver2"})),
        ("ApprovalMismatch", server.approval(waiting, "approver1", payloadSha256=zeros)),
        ("ApprovalMismatch", server.approval(waiting, "approver1", keyThumbprint=zeros)),
        ("ApprovalMismatch", server.approval(waiting, "approver1", policySha256=zeros)),
        (("ApprovalMismatch", "ValueOutOfRange"), server.approval(waiting, "approver1", typ="fleetseal-order+jws")),
        ("NotFound", server.approval(waiting, "approver1", requestId="request-other")),
        ("ApprovalExpired", server.approval(waiting, "approver1", issued=now - 2 * DAY, expires=now - DAY)),
        ("ApprovalExpired", server.approval(waiting, "approver1", issued=now + DAY, expires=now + 2 * DAY)),
        ("ApprovalExpired", server.approval(waiting, "approver1", expires=now + 30 * DAY)),
        ("SignatureInvalid", with_payload(server.approval(waiting, "approver1", decision="reject"), decision="approve")),
        ("SignatureInvalid", with_payload(genuine, requestId="request-other")),
        (("JwsMalformed", "SignatureInvalid"), genuine[:-6]),
    ]
    for code, approval in attempts:
        refused(server, code, "approve", approval=approval)
    assert server.ask("approve", approval=genuine)["state"] == "waiting"
    # One person is one, however often and under whatever nonce.
    assert server.ask("approve", approval=genuine)["approved"] == 1
    refused(server, "ApprovedTwice", "approve", approval=server.approval(waiting, "approver1"))
    refused(server, ("ApprovedTwice", "NonceReplayed"), "approve",
            approval=server.approval(waiting, "approver1", nonce=json.loads(jws_parts(genuine)[1])["nonce"]))
    shown = server.ask("show-request", requestId=waiting["requestId"])
    assert shown["state"] == "waiting" and "manifestSignature" not in shown
    refused(server, "UpdateNotSigned", "log-index", manifestSha256=b64u(sha256(waiting["manifest"])))


def test_S0_4_the_requester_is_not_an_approver_under_another_role(server):
    """A person with both roles; the register does not help."""
    both = Person("both", Key.p256())
    add = {"action": "add-person", "id": "both", "roles": ["publisher", "approver"], "products": ["acme/pump"], "key": both.key.jwk()}
    server.ask("register-change", jws=[server.change([add])])
    manifest = server.manifest(b"both", "7.0.0")
    submitted = server.ask("submit-request", request=server.request(manifest, "both", both), manifest=b64u(manifest))
    refused(server, "SelfApproval", "approve", approval=server.approval(submitted, "both", both))
    twin = {"action": "add-person", "id": "twin", "roles": ["approver"], "products": ["*"], "key": both.key.jwk()}
    refused(server, "KeyAlreadyUsed", "register-change", jws=[server.change([twin])])


# --- register -------------------------------------------------------------------------------------------------------------


def test_S0_4_the_register_changes_only_by_its_security_keys(server):
    mine = Person("mallory", Key.p256())
    add = {"action": "add-person", "id": "mallory", "roles": ["approver", "security"], "products": ["*"], "key": mine.key.jwk()}
    policy = {"action": "set-policy", "policy": {"policyId": "policy-none", "product": "acme/pump", "approvals": 0, "delivery": "sealed",
                                                 "environments": ["production"], "reviewBy": int(time.time()) + DAY}}
    security = {"action": "set-security", "people": ["operator"], "quorum": 1}
    known = server.person("security").key.kid()
    genuine = server.change([{"action": "revoke-person", "id": "approver2"}])
    for one in (add, policy, security, {"action": "revoke-person", "id": "security"}):
        refused(server, "QuorumNotReached", "register-change", jws=[server.change([one], person=mine)])
        refused(server, "SignatureInvalid", "register-change",
                jws=[mine.sign("register-change", jws_parts(server.change([one]))[1].decode(), kid=known)])
        refused(server, "QuorumNotReached", "register-change", jws=[server.change([one], "operator")])
        refused(server, "SignatureInvalid", "register-change", jws=[with_payload(genuine, changes=[one])])
        refused(server, "QuorumNotReached", "register-change", jws=[genuine, server.change([one], person=mine)])
    refused(server, "QuorumNotReached", "register-change", jws=[])
    stale = server.next_sequence() - 1
    for sequence in (stale, stale + 2, 0):
        refused(server, "Conflict", "register-change", jws=[server.change([add], sequence=sequence)])
    refused(server, "ApprovalExpired", "register-change", jws=[server.change([add], issued=int(time.time()) - 40 * DAY)])
    for name, csr_key in (("mallory", mine.key), ("approver1", Key.p256())):
        refused(server, "PersonUnknown", "person-certificate", csr=b64u(make_csr(name, csr_key)))


def test_S0_4_a_register_change_sent_again_does_nothing_again(server):
    person = Person("short", Key.p256())
    add = {"action": "add-person", "id": "short", "roles": ["auditor"], "products": ["*"], "key": person.key.jwk()}
    added = server.change([add])
    server.ask("register-change", jws=[added])
    server.ask("register-change", jws=[server.change([{"action": "revoke-person", "id": "short"}])])
    before = server.fingerprint()
    server.ask("register-change", jws=[added])
    assert server.fingerprint() == before
    state = {row["id"]: row["state"] for row in server.ask("people")["people"]}
    assert state["short"] == "revoked"
    refused(server, "PersonRevoked", "submit-request", manifest=b64u(b"{}"),
            request=server.request(b"{}", "short", person))


@pytest.mark.parametrize("way", ("register-change", "revocation"))
def test_S0_4_the_stolen_key_of_a_revoked_security_person_decides_nothing(server, way):
    thief = Person(f"stolen-{way}", Key.p256())
    add = {"action": "add-person", "id": thief.name, "roles": ["security"], "products": ["*"], "key": thief.key.jwk()}
    team = {"action": "set-security", "people": ["security", thief.name], "quorum": 1}
    server.ask("register-change", jws=[server.change([add, team])])
    # With the key in the team, the server does what it likes with the register ...
    other = Person(f"other-{way}", Key.p256())
    more = {"action": "add-person", "id": other.name, "roles": ["security"], "products": ["*"], "key": other.key.jwk()}
    server.ask("register-change", jws=[server.change([more], person=thief)])
    if way == "revocation":
        server.ask("revoke", revocation=server.revocation("person", thief.name, "revoke", "security"))
    else:
        server.ask("register-change", jws=[server.change([{"action": "revoke-person", "id": thief.name}])])
    counting = {row["id"] for row in server.ask("people")["people"] if row["securityKey"]}
    assert counting == {"security"}
    # ... and nothing from the revocation on.
    policy = {"action": "set-policy", "policy": {"policyId": "policy-none", "product": "acme/pump", "approvals": 0, "delivery": "sealed",
                                                 "environments": ["production"], "reviewBy": int(time.time()) + DAY}}
    mallory = {"action": "add-person", "id": "mallory", "roles": ["approver"], "products": ["*"], "key": Key.p256().jwk()}
    create = {"action": "create-key", "role": "director", "products": [], "alg": "ES256"}
    for one in (policy, mallory, create, {"action": "set-security", "people": [other.name], "quorum": 1},
                {"action": "revoke-person", "id": "security"}):
        refused(server, "QuorumNotReached", "register-change", jws=[server.change([one], person=thief)])
    refused(server, "PersonRevoked", "revoke", revocation=server.revocation("person", "security", "revoke", thief.name, thief))
    # A person with the role, and without a key that counts, revokes nobody whom the quorum needs.
    refused(server, "Conflict", "revoke", revocation=server.revocation("person", "security", "revoke", other.name, other))
    refused(server, "Conflict", "register-change", jws=[server.change([{"action": "revoke-person", "id": "security"}])])
    server.ask("register-change", jws=[server.change([{"action": "set-security", "people": ["security"], "quorum": 1},
                                                      {"action": "revoke-person", "id": other.name}])])


def test_S0_4_nobody_takes_anything_back_but_who_may(server):
    mine = Person("operator", Key.p256())
    update = server.signed_update()
    for kind, subject, action in (("device", "dev-1", "revoke"), ("person", "approver1", "revoke"), ("manifest", update, "withdraw"),
                                  ("device", "dev-1", "resume")):
        refused(server, "PersonUnknown", "revoke", revocation=server.revocation(kind, subject, action, "operator", mine))
        refused(server, "RoleMissing", "revoke", revocation=server.revocation(kind, subject, action, "auditor"))
        genuine = server.revocation("device", "dev-2", "suspend", "operator")
        refused(server, "SignatureInvalid", "revoke", revocation=with_payload(genuine, kind=kind, subject=subject, action=action))
    refused(server, "RoleMissing", "revoke", revocation=server.revocation("person", "approver1", "revoke", "operator"))
    refused(server, "ApprovalExpired", "revoke",
            revocation=server.revocation("device", "dev-1", "revoke", "operator", issued=int(time.time()) - 40 * DAY))


def test_S0_4_a_suspension_is_not_undone_by_older_documents(server):
    suspend = server.revocation("device", "dev-3", "suspend", "operator")
    resume = server.revocation("device", "dev-3", "resume", "operator")
    for document in (suspend, resume):
        server.ask("revoke", revocation=document)
    server.ask("revoke", revocation=server.revocation("device", "dev-3", "suspend", "operator"))
    before = server.fingerprint()
    server.ask("revoke", revocation=resume)  # replayed: known, and done long ago
    assert server.fingerprint() == before
    state = {row["id"]: row["state"] for row in server.ask("devices")["devices"]}
    assert state["dev-3"] == "suspended"
    server.ask("revoke", revocation=server.revocation("device", "dev-3", "resume", "operator"))


def test_S0_4_packages_come_from_the_roots(server):
    text = server.ask("packages", **{"from": 1})["packages"][-1]
    package = json.loads(text)
    mine = Key.p256()
    protected = {**package["protected"], "version": package["protected"]["version"] + 1}
    kid, entry = next(iter(protected["signingKeys"].items()))
    protected["signingKeys"] = {**protected["signingKeys"], "mine": {**entry, "thumbprint": b64u(mine.thumbprint())}}
    signed = compact(protected)
    for signatures in ([], package["signaturesExt"], [{"kid": name, "alg": "ES256", "sig": b64u(mine.sign(signed))} for name in protected["rootKeysExt"]]):
        refused(server, ("PackageStepInvalid", "SignatureInvalid"), "publish-package",
                package='{"protected":' + signed + ',"signatures":[],"signaturesExt":' + compact(signatures) + "}")
    same = compact({**package["protected"], "expires": package["protected"]["expires"] + 1})
    refused(server, ("PackageStepInvalid", "SignatureInvalid"), "publish-package",
            package='{"protected":' + same + ',"signatures":[],"signaturesExt":' + compact(package["signaturesExt"]) + "}")
    assert server.ask("publish-package", package=text)["version"] == package["protected"]["version"]


# --- devices --------------------------------------------------------------------------------------------------------------


def enrol(server, device, codes, **members):
    members = {"deviceId": device.name, "csr": b64u(device.csr), "remote": "192.0.2.1", **members}
    refused(server, codes, "enrol", **members)


def test_S0_4_an_enrolment_registers_the_keys_that_the_code_proved(server):
    device, other = EnrollingDevice("new-1"), EnrollingDevice("new-2")
    server.allow(device)
    server.allow(other)
    mine = EnrollingDevice("new-1", code="a" * 26)
    enrol(server, device, "EnrolmentRefused", code="a" * 26)
    enrol(server, device, "EnrolmentRefused", code=other.code)
    enrol(server, device, "CodeWithoutKeys", code=device.code)
    enrol(server, device, "EnrolmentRefused", proof=mine.proof())
    enrol(server, device, "EnrolmentRefused", proof=mine.proof(kid=device.enrolment_key().kid()))
    enrol(server, device, "EnrolmentRefused", proof=other.proof())
    enrol(server, device, "EnrolmentRefused", proof=with_payload(device.proof(), keys=mine.keys()))
    # The proof is bound to the request, the request to the identity key: keys of one's own do not fit in.
    enrol(server, device, "EnrolmentRefused", proof=device.proof(), csr=b64u(mine.csr))
    enrol(server, device, "EnrolmentRefused", proof=device.proof(keys=device.keys(deviceId="new-2")))
    enrol(server, device, "EnrolmentRefused", proof=device.proof(keys=device.keys(generation=2)))
    enrol(server, device, "SignatureInvalid", proof=device.proof(keys=with_payload(device.keys(), encryptionKey=mine.encryption.jwk())))
    enrol(server, device, "KeyAlreadyUsed", proof=device.proof(keys=device.keys(encryptionKey=device.receipt.jwk())))
    enrol(server, device, "EnrolmentRefused", proof=device.proof(), deviceId="new-2")
    enrol(server, device, "EnrolmentRefused", proof=device.proof(), deviceId="never-allowed")
    enrol(server, device, "InvalidArgument")
    enrol(server, device, "EnrolmentRefused", proof=device.proof(), deviceId="dev-1")
    members = {"deviceId": device.name, "csr": b64u(device.csr), "remote": "192.0.2.1", "proof": device.proof()}
    first = server.ask("enrol", **members)
    before = server.fingerprint()
    assert server.ask("enrol", **members) == first
    assert server.fingerprint() == before
    enrol(server, device, "EnrolmentRefused", proof=device.proof(), csr=b64u(mine.csr))
    again = EnrollingDevice("new-1", code=device.code)
    enrol(server, again, "EnrolmentCodeUsed", proof=again.proof())
    certificate = x509.load_der_x509_certificate(unb64u(first["certificate"]))
    assert certificate.public_key().public_numbers() == device.identity.public.public_numbers()


def test_S0_4_a_key_belongs_to_one_device(server):
    thief = EnrollingDevice("thief-1")
    server.allow(thief)
    victim = EnrollingDevice("victim-1")
    server.allow(victim)
    server.ask("enrol", deviceId=victim.name, csr=b64u(victim.csr), remote="x", proof=victim.proof())
    for name in ("identity", "receipt", "encryption"):
        copy = EnrollingDevice("thief-1", code=thief.code)
        setattr(copy, name, getattr(victim, name))
        copy.csr = make_csr("thief-1", copy.identity)
        enrol(server, copy, "KeyAlreadyUsed", proof=copy.proof())


def test_S0_4_a_renewal_keeps_the_key(server, lab):
    with open(lab.device("dev-1")["cert"], "rb") as file:
        certificate = x509.load_pem_x509_certificate(file.read())
    with open(lab.device("dev-1")["key"], "rb") as file:
        key = Key(serialization.load_pem_private_key(file.read(), None))
    with open(lab.device("dev-2")["cert"], "rb") as file:
        other = x509.load_pem_x509_certificate(file.read())
    with open(lab.info["identities"]["operator"]["cert"], "rb") as file:
        person = x509.load_pem_x509_certificate(file.read())

    def der(one):
        return b64u(one.public_bytes(serialization.Encoding.DER))

    mine = Key.p256()
    forged = (x509.CertificateBuilder().subject_name(certificate.subject).issuer_name(certificate.issuer).public_key(mine.public)
              .serial_number(7).not_valid_before(certificate.not_valid_before).not_valid_after(certificate.not_valid_after))
    for extension in certificate.extensions:
        forged = forged.add_extension(extension.value, extension.critical)
    forged = forged.sign(mine.private, certificate.signature_hash_algorithm)
    csr, mine_csr = b64u(make_csr("dev-1", key)), b64u(make_csr("dev-1", mine))
    refused(server, "EnrolmentRefused", "reenrol", deviceId="dev-1", csr=mine_csr, current=der(certificate))
    refused(server, "DeviceIdMismatch", "reenrol", deviceId="dev-1", csr=csr, current=der(other))
    refused(server, "DeviceIdMismatch", "reenrol", deviceId="dev-2", csr=csr, current=der(certificate))
    refused(server, "CertificateInvalid", "reenrol", deviceId="dev-1", csr=mine_csr, current=der(forged))
    refused(server, ("CertificateInvalid", "DeviceIdMismatch"), "reenrol", deviceId="dev-1", csr=csr, current=der(person))
    refused(server, "DeviceIdMismatch", "reenrol", deviceId="dev-1", csr=b64u(make_csr("dev-2", key)), current=der(certificate))
    refused(server, "DeviceUnknown", "reenrol", deviceId="dev-77", csr=csr, current=der(certificate))


def test_S0_4_receipts_are_the_devices_own(server, lab):
    genuine = server.rows("SELECT compact FROM receipts WHERE device_id = 'dev-1' ORDER BY number")[-1][0]
    header, payload, _ = jws_parts(genuine)
    following = {**json.loads(payload), "number": json.loads(payload)["number"] + 1, "previous": b64u(sha256(genuine))}
    mine = Key.p256()
    # A receipt with s in its upper form verifies too, but is not taken for another one.
    raw = jws_parts(genuine)[2]
    order = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
    upper = genuine.rsplit(".", 1)[0] + "." + b64u(raw[:32] + (order - int.from_bytes(raw[32:], "big")).to_bytes(32, "big"))
    attempts = [
        ("ReceiptInvalid", jws(mine, {**header, "kid": mine.kid()}, compact(following))),
        ("SignatureInvalid", jws(mine, header, compact(following))),
        ("SignatureInvalid", with_payload(genuine, outcome="failed")),
        (("ReceiptInvalid", "SignatureInvalid"), with_payload(genuine, deviceId="dev-2")),
        ("ReceiptInvalid", upper),
        ("JwsMalformed", genuine.rsplit(".", 1)[0]),
        ("DeviceUnknown", with_payload(genuine, deviceId="dev-99")),
        ("TypMismatch", server.approval({"requestId": "r", "payloadSha256": "x", "keyThumbprint": "x", "policySha256": "x"}, "approver1")),
    ]
    before = server.fingerprint()
    for codes, receipt in attempts:
        result = server.ask("receipts", receipts=[receipt])["results"][0]
        assert not result["accepted"] and result["code"] in ((codes,) if isinstance(codes, str) else codes), result
    assert server.ask("receipts", receipts=[genuine])["results"] == [{"accepted": True}]
    assert server.fingerprint() == before
    assert {row["id"]: row["state"] for row in server.ask("devices")["devices"]}["dev-1"] == "active"


# --- orders and content keys ----------------------------------------------------------------------------------------------


def test_S0_4_a_plan_is_an_operators_word(server):
    update = server.signed_update()
    mine = Person("operator", Key.p256())
    now = int(time.time())
    _, genuine = server.plan(update, devices=["dev-1"])
    attempts = [
        ("PersonUnknown", server.plan(update, person=mine, devices=["dev-1"])[1]),
        ("RoleMissing", server.plan(update, "approver1", devices=["dev-1"])[1]),
        ("PermissionDenied", server.plan(update, operator="publisher", devices=["dev-1"])[1]),
        ("SignatureInvalid", with_payload(genuine, devices=["dev-1", "dev-2"])),
        ("SignatureInvalid", with_payload(genuine, manifestSha256=b64u(bytes(32)))),
        ("PlanExpired", server.plan(update, devices=["dev-1"], issued=now - 2 * DAY, expires=now - DAY)[1]),
        ("PlanExpired", server.plan(update, devices=["dev-1"], expires=now + 365 * DAY)[1]),
        ("UpdateNotSigned", server.plan(b64u(bytes(32)), devices=["dev-1"])[1]),
        ("DeviceUnknown", server.plan(update, devices=["dev-99"])[1]),
        (("ProductMismatch", "PlanInvalid"), server.plan(update, environment="test", devices=["dev-1"])[1]),
        ("PlanInvalid", server.plan(update, environment="elsewhere", countMax=5)[1]),
        (("RoleMissing", "ProductMismatch"), server.plan(update, product="acme/other", devices=["dev-1"])[1]),
        ("TypMismatch", server.request(b"{}", "operator")),
    ]
    for code, plan in attempts:
        refused(server, code, "plan", plan=plan)


def test_S0_4_orders_stay_inside_the_plan(server):
    update = server.signed_update()
    plan_id, plan = server.plan(update, devices=["dev-1"])
    refused(server, "NotFound", "orders", planId=plan_id, devices=["dev-1"])
    server.ask("plan", plan=plan)
    before = server.fingerprint()
    for name, code in (("dev-2", "PlanInvalid"), ("dev-99", "DeviceUnknown")):
        answer = server.ask("orders", planId=plan_id, devices=[name])["orders"]
        assert [(row["deviceId"], row["error"]["code"], "order" in row) for row in answer] == [(name, code, False)]
    assert server.fingerprint() == before
    refused(server, "InvalidArgument", "orders", planId=plan_id, devices=["dev-1", "dev-1"])
    first = server.ask("orders", planId=plan_id, devices=["dev-1"])["orders"][0]
    before = server.fingerprint()
    assert server.ask("orders", planId=plan_id, devices=["dev-1"])["orders"][0] == first
    assert server.fingerprint() == before
    refused(server, "MemberUnknown", "orders", planId=plan_id, devices=["dev-1"], encryptionKey=Key.p256().jwk())


def test_S0_4_a_content_key_is_wrapped_for_the_registered_device_only(server, lab):
    update = server.signed_update()
    plan_id, plan = server.plan(update, devices=["dev-1"])
    server.ask("plan", plan=plan)
    order = json.loads(jws_parts(server.ask("orders", planId=plan_id, devices=["dev-1"])["orders"][0]["order"])[1])
    header = json.loads(unb64u(order["contentKey"].split(".")[0]))
    assert (header["deviceId"], header["generation"], header["manifestSha256"]) == ("dev-1", 1, update)
    # Neither verb of the sealer that knows keys answers to this user, and a device without keys gets no order.
    with server.connect("wrap") as connection, pytest.raises(Refused) as caught:
        connection.ask({"verb": "wrap", "manifestSha256": update,
                        "devices": [{"deviceId": "dev-1", "generation": 1, "encryptionKey": Key.p256().jwk()}]})
    assert caught.value.code == "PermissionDenied"
    with server.connect("wrap") as connection, pytest.raises(Refused) as caught:
        connection.ask({"verb": "expect", "manifestSha256": b64u(bytes(32)), "files": []})
    assert caught.value.code == "PermissionDenied"
    plain = EnrollingDevice("plain-1")
    server.allow(plain, estCode=True)
    server.ask("enrol", deviceId="plain-1", csr=b64u(plain.csr), remote="x", code=plain.code)
    plan_id, plan = server.plan(update, devices=["plain-1"])
    server.ask("plan", plan=plan)
    answer = server.ask("orders", planId=plan_id, devices=["plain-1"])["orders"][0]
    assert answer["error"]["code"] == "CodeWithoutKeys" and "order" not in answer


def test_S0_4_asking_in_parallel_gives_no_more_orders_than_the_plan_has(server):
    plan_id, plan = server.plan(server.signed_update(), countMax=1)
    server.ask("plan", plan=plan)
    before = server.log_size()
    connections = [server.connect() for _ in range(6)]

    def ask(number):
        return connections[number].ask({"verb": "orders", "planId": plan_id, "devices": [f"dev-{1 + number % 3}"]})["orders"][0]

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        answers = list(pool.map(ask, range(6)))
    for connection in connections:
        connection.socket.close()
    ordered = {row["deviceId"] for row in answers if "order" in row}
    assert len(ordered) == 1 and server.log_size() == before + 1
    assert {row["error"]["code"] for row in answers if "error" in row} == {"PlanExhausted"}
    together = server.ask("orders", planId=plan_id, devices=["dev-1", "dev-2", "dev-3"])["orders"]
    assert {row["deviceId"] for row in together if "order" in row} == ordered


def test_S0_4_a_cancelled_plan_orders_nothing(server):
    plan_id, plan = server.plan(server.signed_update(), countMax=3)
    server.ask("plan", plan=plan)
    server.ask("revoke", revocation=server.revocation("plan", plan_id, "cancel", "operator"))
    refused(server, "PlanInvalid", "orders", planId=plan_id, devices=["dev-1"])
    before = server.fingerprint()
    server.ask("plan", plan=plan)  # the same words again take nothing back
    assert server.fingerprint() == before
    refused(server, "PlanInvalid", "orders", planId=plan_id, devices=["dev-1"])


# --- content --------------------------------------------------------------------------------------------------------------


def seal(server, manifest_sha256, file_id, content, size=None):
    with server.connect("seal") as connection:
        connection.ask({"verb": "seal", "manifestSha256": manifest_sha256, "fileId": file_id, "plainSize": len(content) if size is None else size})
        sealed = b""
        for start in list(range(0, len(content), 65536)) + [None]:
            connection.send_frame(b"" if start is None else content[start:start + 65536])
            length = struct.unpack(">I", connection.exact(4))[0]
            if length == 0xFFFFFFFF:
                connection.receive()
            sealed += connection.exact(length)
        return sealed, connection.receive()


def test_S0_4_the_sealer_seals_what_a_signed_manifest_names(server, lab, waiting):
    with open(lab.info["update"]["file"], "rb") as file:
        content = file.read()
    update = server.signed_update()
    file_id = server.ask("prepare-import", manifestSha256=update)["files"][0]["fileId"]
    wrong = bytes([content[0] ^ 1]) + content[1:]
    unsigned = b64u(sha256(waiting["manifest"]))
    before = server.fingerprint()
    for codes, arguments in (("FileNotInManifest", (b64u(bytes(32)), file_id, content)), ("FileNotInManifest", (unsigned, "f" + "0" * 15 + "1", b"wanted")),
                             ("FileNotInManifest", (update, "f" + "9" * 16, content)), ("FileTooLarge", (update, file_id, content + b"x")),
                             ("FileHashMismatch", (update, file_id, content[:-1])), ("FileHashMismatch", (update, file_id, wrong)),
                             ("FileHashMismatch", (update, file_id, content[:-1], len(content))),
                             ("FileTooLarge", (update, file_id, content + b"x" * 70000, len(content)))):
        with pytest.raises(Refused) as caught:
            seal(server, *arguments)
        assert caught.value.code == codes, (codes, caught.value)
    assert server.fingerprint() == before
    for verb in ("prepare-import", "complete-import"):
        refused(server, "UpdateNotSigned", verb, manifestSha256=unsigned)


# --- the wire -------------------------------------------------------------------------------------------------------------


def test_S0_4_no_verb_signs_what_the_caller_brings(server):
    before = server.fingerprint()
    for message in (b"", b"{", b"[]", b"null", b'{"verb":"sign","digest":"' + b"A" * 43 + b'"}', b'{"verb":"status","verb":"hello"}', b"\xff\xfe",
                    b'{"verb":1}', b'{"verb":"create"}', b'{"verb":"adopt"}', b'{"verb":"' + b"a" * 70000 + b'"}', b"{" * 5000,
                    b'{"verb":"orders","planId":"../../etc","devices":[]}', b'{"verb":"packages","from":-1}', b'{"verb":"packages","from":1e3}',
                    b'{"verb":"devices","limit":100000000}', b'{"verb":"receipts","receipts":' + compact(["x"] * 257).encode() + b"}",
                    b'{"verb":"status","nonce":"' + b"A" * 400 + b'"}'):
        with server.connect() as connection, pytest.raises(Refused):
            connection.ask(message)
    for size in (2**32 - 1, 4 * 1024 * 1024 + 1):
        with server.connect() as connection, pytest.raises((Refused, EOFError, ConnectionResetError)):
            connection.socket.sendall(struct.pack(">I", size))
            connection.receive()
    assert server.fingerprint() == before
    assert server.ask("hello")["organisation"] == "acme"


def test_S0_4_half_messages_on_every_connection_hold_nobody_up(server):
    """The signer answers whoever asks whole questions while others of the server's connections say nothing."""
    half = [server.connect() for _ in range(8)]
    for connection in half:
        connection.socket.sendall(struct.pack(">I", 1000) + b"{")
    assert server.ask("hello")["organisation"] == "acme"
    for connection in half:
        connection.socket.close()


def test_S0_4_a_status_is_only_ever_newer(server):
    first, second = (json.loads(jws_parts(server.ask("status", nonce=nonce())["status"])[1]) for _ in range(2))
    assert second["version"] > first["version"] and second["expires"] - second["issued"] <= DAY
    assert first["withdrawn"] == second["withdrawn"]


# --- what its user can reach ----------------------------------------------------------------------------------------------

def test_S0_4_afterwards_the_honest_way_still_works_and_the_log_is_whole(server, lab):
    content = b"honest"
    manifest = server.manifest(content, "8.0.0")
    submitted = server.ask("submit-request", request=server.request(manifest), manifest=b64u(manifest))
    for approver in ("approver1", "approver2"):
        answer = server.ask("approve", approval=server.approval(submitted, approver))
    assert answer["state"] == "signed"
    update = b64u(sha256(manifest))
    server.ask("prepare-import", manifestSha256=update)
    seal(server, update, "f" + "0" * 15 + "1", content)
    assert server.ask("complete-import", manifestSha256=update)["contents"][0]["fileId"] == "f" + "0" * 15 + "1"
    assert lab.run("audit", "verify").code == 0
