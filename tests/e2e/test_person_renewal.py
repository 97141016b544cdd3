"""docs/operations/certificates.md, "People": a person's certificate is renewed for the same name and key, and for no other."""
import base64
import json
import os
import shutil

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

import clock
from documents import Key, b64u
from e2e.test_backup import Running, fleetseal, good
from e2e.test_drills_ca import read_certificate
from e2e.test_drills_client_cas import DAY, Programs, cas_of, fingerprint, is_by, request_of, start, stop
from lab import Lab
from stolen import org

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to run the programs as their users")


@pytest.fixture(scope="module")
def lab():
    made = Lab(devices=1)
    made.running = None  # the organisation's programs after a stop
    yield made
    if made.running:
        made.running.stop()
    made.down()


def certificate_of(lab, name):
    return read_certificate(lab.info["identities"][name]["cert"])


def public_key(certificate):
    return certificate.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def names_of(certificate):
    return certificate.subject, certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value


def ask(lab, person, key, name):
    """As `person`, for whoever has that key."""
    der = base64.b64decode(request_of(key, name))
    status, _, body = lab.as_person(person, "POST", "/admin/v1/person-certificates", {"csr": b64u(der)})
    return status, json.loads(body)


def key_of(lab, name):
    with open(lab.info["identities"][name]["key"], "rb") as file:
        return serialization.load_pem_private_key(file.read(), None)


def test_everybody_renews_their_own(lab):
    for name in ("operator", "publisher", "approver1", "security"):
        old = certificate_of(lab, name)
        made = lab.good("user", "renew", "--as", name)
        new = certificate_of(lab, name)
        assert read_certificate(lab.info["identities"][name]["cert"] + ".old") == old
        assert fingerprint(new) != fingerprint(old) and made["id"] == name
        assert public_key(new) == public_key(old) and names_of(new) == names_of(old) and new.not_valid_after >= old.not_valid_after
        lab.good("device", "list", "--as", name)
        leaves = [entry["leaf"] for entry in lab.good("audit", "query", "--from", "0", "--limit", "500")["entries"]]
        assert sum(fingerprint(new) in leaf for leaf in leaves) == 1
    report = good("doctor", "--data", org(lab))
    for one in report["expiries"]:
        name = one["what"].removeprefix("certificate of ")
        assert name == one["what"] or one["renew"] == f"fleetseal user renew --as {name} (certificates.md)"
    outcome = lab.run("user", "renew")
    assert outcome.code == 2 and "--as: say whose" in outcome.output, "there are several"


def test_a_person_renews_once_a_day_and_the_security_team_at_will(lab):
    before = certificate_of(lab, "operator")
    lab.refused("LimitExceeded", "user", "renew", "--as", "operator")
    assert certificate_of(lab, "operator") == before
    for _ in range(2):
        lab.good("user", "renew", "--as", "security")
        certify(lab, "operator")


def test_a_certificate_for_another_name_takes_no_place(lab):
    """The register knows the key under another name than the one that was asked for."""
    folder = lab.environment["FLEETSEAL_IDENTITIES"]
    with open(os.path.join(folder, "security", "identity.toml")) as file:
        text = file.read()
    shutil.copytree(os.path.join(folder, "security"), os.path.join(folder, "renamed"))
    path = os.path.join(folder, "renamed", "person.crt")
    try:
        with open(os.path.join(folder, "renamed", "identity.toml"), "w") as file:
            file.write(text.replace('"security"', '"renamed"', 1))
        before = read_certificate(path)
        assert lab.run("user", "renew", "--as", "renamed").refusal == "ProtocolError"
        request = lab.path("renamed.csr", b"")
        lab.good("user", "renew", "--as", "renamed", "--request", request)
        assert lab.run("user", "certify", request, "-o", path, "--as", "security").refusal == "ProtocolError"
        assert read_certificate(path) == before
    finally:
        shutil.rmtree(os.path.join(folder, "renamed"))


def test_nobody_renews_for_another_but_the_security_team(lab):
    for key in (key_of(lab, "security"), key_of(lab, "approver1"), Key.p256().private):
        status, answer = ask(lab, "operator", key, "operator")
        assert (status, answer["code"]) == (403, "RoleMissing"), answer
    status, answer = ask(lab, "security", Key.p256().private, "operator")
    assert answer["code"] == "PersonUnknown", (status, answer)
    status, answer = ask(lab, "security", key_of(lab, "operator"), "security")
    assert (status, answer["id"]) == (200, "operator"), "the register says whose key it is"


def test_a_revoked_person_renews_nothing(lab):
    lab.good("user", "add", "vera", "--role", "operator")
    vera = os.path.join(lab.environment["FLEETSEAL_IDENTITIES"], "vera")
    lab.good("user", "revoke", "vera", "--reason", "left")
    before = read_certificate(os.path.join(vera, "person.crt"))
    lab.refused("PersonRevoked", "user", "renew", "--as", "vera")
    request = lab.path("vera.csr", b"")
    lab.good("user", "renew", "--as", "vera", "--request", request)
    lab.refused("PersonRevoked", "user", "certify", request, "-o", lab.path("vera.crt", b""))
    lab.refused("Busy", "user", "renew", "--as", "vera", "--data", org(lab))
    stop(lab)
    lab.refused("PersonRevoked", "user", "renew", "--as", "vera", "--data", org(lab))
    start(lab)
    assert read_certificate(os.path.join(vera, "person.crt")) == before


def test_people_come_back_after_their_ca_was_dropped(lab):
    stop(lab)
    good("ca", "replace", "--data", org(lab), "--kind", "people", "--drop-old", "--as", "security", "--yes", env=lab.environment)
    new, = cas_of(lab, "people_ca")
    start_without_asking(lab)
    assert lab.run("device", "list", "--as", "operator").code != 0
    stop(lab)
    lab.good("user", "renew", "--data", org(lab), "--as", "security")
    assert is_by(certificate_of(lab, "security"), new)
    start_without_asking(lab)
    lab.good("device", "list", "--as", "security")
    certify(lab, "operator")
    assert is_by(certificate_of(lab, "operator"), new)
    lab.good("device", "list", "--as", "operator")


def start_without_asking(lab):
    """Nobody is let in who could ask whether it runs."""
    lab.running = Running(org(lab))
    assert lab.running.line, lab.logs()


def certify(lab, name):
    request = os.path.join(lab.folder, name + ".csr")
    lab.good("user", "renew", "--as", name, "--request", request)
    lab.good("user", "certify", request, "-o", lab.info["identities"][name]["cert"], "--as", "security")


def test_an_ended_certificate_is_renewed_by_others(lab, tmp_path):
    """95 days later: the security team's own has ended too, so the first one is made on the signer's machine."""
    stop(lab)
    for folder in (tmp_path.parent.parent, tmp_path.parent, tmp_path):
        os.chmod(folder, 0o755)
    environment = clock.shifted(tmp_path, 95 * DAY)
    ended = certificate_of(lab, "operator")
    today = dict(lab.environment)
    lab.environment.update(environment)
    later = Programs(lab, environment)
    try:
        for name in ("operator", "security"):
            code, answer, _ = fleetseal("user", "renew", "--as", name, env=lab.environment)
            assert code != 0 and "--request" in answer["error"]["advice"] and answer["error"]["code"] == "TlsFailed", answer
        later.stop()
        lab.good("user", "renew", "--data", org(lab), "--as", "security")
        later.start()
        certify(lab, "operator")
        assert public_key(certificate_of(lab, "operator")) == public_key(ended)
        lab.good("device", "list", "--as", "operator")
    finally:
        later.stop()
        lab.environment = today


def test_how_it_is_said(lab):
    for words in (["--date", "2027-01-31"], ["--data", org(lab), "--request", "x"]):
        code, answer, _ = fleetseal("user", "renew", *words, env=lab.environment)
        assert code == 2 and answer["error"]["code"] == "InvalidArgument", answer
