"""docs/operations/lost-client-ca.md, run as printed: the keys of device CA and people CA are lost, devices and people go on, and
who had copied the old keys gets nothing."""
import base64
import os
import re
import shutil
import ssl

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

import clock
from documents import Key, b64u
from e2e.test_backup import Running, fleetseal, good, stop_organisation
from e2e.test_drills_ca import code_of, issue, read_certificate, save, wait_for_package
from lab import Lab
from runbook import Runbook
from services import USERS, Services, restart_device, wait_until
from stolen import org, signer_key

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to run the programs as their users")
DAY = 86400
EST = "/.well-known/est/"


@pytest.fixture(scope="module")
def lab():
    made = Lab(devices=2, is_populated=True)
    made.running = None  # the organisation's programs after a stop
    yield made
    if made.running:
        made.running.stop()
    made.down()


@pytest.fixture(scope="module")
def book(lab):
    return Runbook(lab, "docs/operations/lost-client-ca.md", {"/var/lib/fleetseal": org(lab)})


def stop(lab):
    if lab.running:
        lab.running.stop()
        lab.running = None
    else:
        stop_organisation(lab)


def start(lab):
    lab.running = Running(org(lab))
    assert lab.running.line, lab.logs()
    wait_until(lambda: lab.run("device", "list").code == 0, "the server")


def fingerprint(certificate):
    return b64u(certificate.fingerprint(hashes.SHA256()))


def cas_of(lab, name):
    """The certificates of the server's file."""
    with open(lab.info[name]) as file:
        blocks = re.findall("-----BEGIN.+?END CERTIFICATE-----\n", file.read(), re.S)
    return [x509.load_pem_x509_certificate(block.encode()) for block in blocks]


def lose(lab, purpose):
    """The key's file; a thief has a copy of what was in it."""
    kid, key = signer_key(lab, purpose)
    os.remove(os.path.join(org(lab), "signer", "keys", "ca", kid + ".json"))
    return key


def is_by(certificate, ca):
    try:
        ca.public_key().verify(certificate.signature, certificate.tbs_certificate_bytes, ec.ECDSA(certificate.signature_hash_algorithm))
        return certificate.issuer == ca.subject
    except InvalidSignature:
        return False


def request_of(key, name):
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
    return base64.encodebytes(request.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)).decode()


def issued(status, body):
    assert status == 200, body
    made, = pkcs7.load_der_pkcs7_certificates(base64.b64decode(body))
    return made


def renew(lab, name):
    """As the device's agent does, with its own key and certificate."""
    with open(lab.device(name)["key"], "rb") as file:
        key = serialization.load_pem_private_key(file.read(), None)
    status, _, body = lab.as_device(name, "POST", EST + "simplereenroll", request_of(key, name), {"Content-Type": "application/pkcs10"})
    return issued(status, body)


def give(lab, name, certificate):
    """To the device's agent."""
    with open(lab.device(name)["cert"], "wb") as file:
        file.write(certificate.public_bytes(serialization.Encoding.PEM))
    restart_device(lab, name, "agent")


def enrol(lab, name):
    """A new device, as a plain EST client."""
    allowed = lab.good("device", "allow", name, "--product", "acme/pump", "--environment", "test", "--est-code", "--yes")
    word = base64.b64encode(f"{name}:{allowed['code']}".encode()).decode()
    status, _, body = lab.request(lab.info["device_url"], "POST", EST + "simpleenroll", request_of(Key.p256().private, name),
                                  headers={"Content-Type": "application/pkcs10", "Authorization": "Basic " + word})
    return issued(status, body)


def everybody_goes_on(lab, version):
    update = lab.release(version, lab.path(version + ".img", version.encode() * 5000))
    assert lab.watch(lab.roll_out(update, "dev-1", "dev-2")) == {"dev-1": "installed", "dev-2": "installed"}, lab.logs()


def thief_of(lab, tmp_path, old_key, old, kind, name):
    """A certificate by the old CA, for the thief's own key."""
    mine = Key.p256()
    uri = x509.UniformResourceIdentifier(f"urn:fleetseal:acme:{kind}:{name}")
    pair = save(tmp_path, name, issue(old_key, old, mine, ExtendedKeyUsageOID.CLIENT_AUTH, uri, name), mine)
    context = lab.context()
    context.load_cert_chain(*pair)
    return context


def test_drill_lost_device_ca_key(lab, book, tmp_path):
    old = read_certificate(lab.info["device_ca"])
    code, answer, _ = fleetseal("ca", "replace", "--data", org(lab), "--kind", "device", "--as", "security", "--yes", env=lab.environment)
    assert code == 3 and answer["error"]["code"] == "Busy" and "stop the signer" in answer["error"]["advice"], answer
    stop(lab)
    stolen = lose(lab, "device-ca")
    broken = Running(org(lab))
    broken.stop()
    with open(org(lab) + ".run.log") as file:
        assert not broken.line and "lost-client-ca.md" in file.read()
    _, report, _ = fleetseal("doctor", "--data", org(lab))
    finding, = [one for one in report["findings"] if one["where"] == "device CA"]
    assert finding["level"] == "problem" and "fleetseal ca replace" in finding["advice"], finding
    shown = good("ca", "replace", "--data", org(lab), "--kind", "device", "--as", "security", env=lab.environment)
    assert not shown["isSigned"] and not shown["hasKey"] and cas_of(lab, "device_ca") == [old], "only looked at"
    said = book.run("device")
    new, kept = cas_of(lab, "device_ca")
    assert kept == old and fingerprint(new) in said and new.public_key() != old.public_key()
    facts = os.stat(lab.info["device_ca"])
    assert (facts.st_mode & 0o7777, facts.st_uid) == (0o644, USERS["server"])
    assert not os.path.exists(os.path.join(org(lab), "run", "handed-over"))
    start(lab)
    # Devices with certificates of the old CA go on; whatever is issued is of the new one.
    everybody_goes_on(lab, "2.0.0")
    assert is_by(enrol(lab, "dev-9"), new)
    renewed = renew(lab, "dev-1")
    assert is_by(renewed, new) and not is_by(renewed, old)
    give(lab, "dev-1", renewed)
    everybody_goes_on(lab, "3.0.0")
    _, _, body = lab.request(lab.info["device_url"], "GET", EST + "cacerts")
    assert {old, new} <= set(pkcs7.load_der_pkcs7_certificates(base64.b64decode(body)))
    # A thief of the old key is nobody.
    context = thief_of(lab, tmp_path, stolen, old, "device", "dev-2")
    check_in = {"deviceId": "dev-2", "generation": 1, "packageVersion": 1, "phase": "idle", "agentVersion": "thief"}
    assert code_of(lab.info["device_url"], context, "/device/v1/check-in", check_in) == "CertificateInvalid"
    leaves = [entry["leaf"] for entry in lab.good("audit", "query", "--from", "0", "--limit", "500")["entries"]]
    assert sum(fingerprint(new) in leaf and "device-ca" in leaf for leaf in leaves) == 1
    lab.good("audit", "verify")


def test_drill_lost_people_ca_key(lab, book, tmp_path):
    old = read_certificate(lab.info["people_ca"])
    stop(lab)
    stolen = lose(lab, "people-ca")
    book.run("people")
    new, kept = cas_of(lab, "people_ca")
    assert kept == old
    start(lab)
    everybody_goes_on(lab, "4.0.0")  # submitted, approved and rolled out by people with certificates of the old CA
    lab.good("user", "add", "nora", "--role", "operator")
    nora = read_certificate(os.path.join(lab.environment["FLEETSEAL_IDENTITIES"], "nora", "person.crt"))
    assert is_by(nora, new) and not is_by(nora, old)
    lab.good("device", "list", "--as", "nora")
    context = thief_of(lab, tmp_path, stolen, old, "person", "security")
    assert code_of(lab.info["admin_url"], context, "/admin/v1/packages", {"package": "{}"}) == "CertificateInvalid"
    assert code_of(lab.info["admin_url"], context, "/admin/v1/devices", None) == "CertificateInvalid"


def test_the_new_ca_is_listed(lab, book):
    book.run("list")
    wait_for_package(lab, "dev-1", 2)
    listed = lab.trust("dev-1")["package"]
    for ca in cas_of(lab, "device_ca"):
        assert b64u(ca.public_bytes(serialization.Encoding.DER)) in listed
    report = good("doctor", "--data", org(lab))
    assert report["problems"] == 0, report
    ends = {one["what"]: one["renew"] for one in report["expiries"]}
    assert {"device CA", "people CA", "device CA before it (acme device-ca)", "people CA before it (acme people-ca)"} <= set(ends), ends


def test_a_server_without_its_new_file_only_delays(lab):
    """As if the command had been cut off between the signer and the server."""
    new, old = cas_of(lab, "device_ca")
    stop(lab)
    shutil.copy2(lab.info["device_ca"], lab.info["device_ca"] + ".kept")
    with open(lab.info["device_ca"], "wb") as file:
        file.write(old.public_bytes(serialization.Encoding.PEM))
    start(lab)
    with pytest.raises((ssl.SSLError, ConnectionError)):
        lab.as_device("dev-1", "GET", "/device/v1/status")
    assert lab.as_device("dev-2", "GET", "/device/v1/status")[0] == 200
    _, report, _ = fleetseal("doctor", "--data", org(lab))
    finding, = [one for one in report["findings"] if one["where"].endswith("ca/device.crt")]
    assert "lacks the present device-ca" in finding["what"] and "fleetseal ca replace" in finding["advice"]
    stop(lab)
    replace = ["ca", "replace", "--data", org(lab), "--kind", "device", "--yes"]
    shown = good(*replace[:-1])
    assert not shown["isSameAtServer"] and "wouldSign" not in shown
    made = good(*replace)  # without an identity: nobody signs again
    assert made["isReplaced"] is False and made["isHandedOver"]
    assert made["certificateSha256"] == fingerprint(new) and cas_of(lab, "device_ca") == [new, old]
    with open(lab.info["device_ca"], "rb") as file, open(lab.info["device_ca"] + ".kept", "rb") as kept:
        assert file.read() == kept.read()
    os.remove(lab.info["device_ca"] + ".kept")
    # One that does not count, beside those that do: the doctor tells, the command takes it off.
    extra = read_certificate(lab.info["people_ca"])
    with open(lab.info["device_ca"], "ab") as file:
        file.write(extra.public_bytes(serialization.Encoding.PEM))
    _, report, _ = fleetseal("doctor", "--data", org(lab))
    finding, = [one for one in report["findings"] if one["where"] == "server, CAs of kind device"]
    assert fingerprint(extra) in finding["what"]
    assert good(*replace)["isReplaced"] is False and cas_of(lab, "device_ca") == [new, old]
    assert good("doctor", "--data", org(lab))["problems"] == 0
    start(lab)
    everybody_goes_on(lab, "5.0.0")


def test_a_dropped_ca_is_refused_in_the_handshake(lab, book):
    earlier = cas_of(lab, "device_ca")
    stop(lab)
    book.run("drop")
    book.done()
    new, = cas_of(lab, "device_ca")
    assert new not in earlier
    start(lab)
    for name in ("dev-1", "dev-2"):  # of the first CA and of the second
        with pytest.raises((ssl.SSLError, ConnectionError)):
            lab.as_device(name, "POST", EST + "simplereenroll", "", {"Content-Type": "application/pkcs10"})
    assert is_by(enrol(lab, "dev-10"), new)
    # What is left to a device that was cut off.
    assert is_by(enrol(lab, "dev-2"), new)
    lab.good("device", "list")


def test_what_the_server_says_stands_for_no_decision(tmp_path):
    """Its file is another, of a CA that was never replaced; then the signer comes from before a drop, beside the present file."""
    lab = Lab(devices=0)
    lab.running = None
    device = ("ca", "replace", "--data", org(lab), "--kind", "device", "--as", "security", "--yes")
    try:
        stop(lab)
        first = read_certificate(lab.info["device_ca"])
        with open(lab.info["people_ca"]) as other, open(lab.info["device_ca"], "a") as file:
            file.write(other.read())
        made = good(*device, env=lab.environment)
        assert made["isReplaced"] and made["number"] == 2, "nobody decided on the first one"
        shutil.copy2(lab.info["people_ca"], lab.info["device_ca"])
        for folder in (tmp_path.parent.parent, tmp_path.parent, tmp_path):
            os.chmod(folder, 0o755)
        key, backup = str(tmp_path / "backup.key"), str(tmp_path / "acme.backup")
        good("backup", "--new-key", key)
        made = good(*device, "--drop-old", env=lab.environment)
        second, = cas_of(lab, "device_ca")
        assert made["isReplaced"] and made["number"] == 3 and second != first
        good("backup", "--data", org(lab), "--key", key, "-o", backup)
        # Cut off before the hand-over, and then dropped: what is asked for is done.
        good(*device, env=lab.environment)
        with open(lab.info["device_ca"], "wb") as file:
            file.write(second.public_bytes(serialization.Encoding.PEM))
        made = good(*device, "--drop-old", env=lab.environment)
        third, = cas_of(lab, "device_ca")
        assert made["isReplaced"] and made["number"] == 5 and third not in (first, second)
        restored = str(tmp_path / "restored")
        good("restore", backup, "--key", key, "--data", restored)
        again = ("ca", "replace", "--data", restored, *device[4:])
        os.remove(restored + "/server/ca/device.crt")
        assert fleetseal(*again, env=lab.environment)[1]["error"]["code"] == "SignerHalted"
        assert not os.path.exists(restored + "/server/ca/device.crt"), "nothing was handed over"
        shutil.copy2(lab.info["device_ca"], restored + "/server/ca/device.crt")
        for words in ((), ("--drop-old",)):
            code, answer, _ = fleetseal(*again, *words, env=lab.environment)
            assert code == 3 and answer["error"]["code"] == "SignerHalted", answer
        good("recover", "continue", "--data", restored, "--as", "security", "--yes", env=lab.environment)
        made = good(*again, env=lab.environment)
        assert made["isReplaced"] and made["number"] == 4, "a dropped one is not brought back by the file alone"
        made = good(*again, "--drop-old", env=lab.environment)
        assert made["isReplaced"] and made["number"] == 5
        with open(restored + "/server/ca/device.crt", "rb") as file:
            only = x509.load_pem_x509_certificate(file.read())
        assert only not in (first, second, third)
    finally:
        lab.down()


class Programs(Services):
    """Signer, sealer and server of an organisation that is stopped, in another environment."""

    def __init__(self, lab, environment):  # pylint: disable=super-init-not-called
        self.lab, self.org, self.running, self.environment = lab, org(lab), {}, environment
        self.start()


def test_an_ended_certificate_of_the_old_ca_is_renewed(tmp_path):
    """95 days later; the lab's agent has today's clock, and is not asked."""
    lab = Lab(devices=1)
    lab.running = None
    try:
        stop(lab)
        old = read_certificate(lab.info["device_ca"])
        good("ca", "replace", "--data", org(lab), "--kind", "device", "--as", "security", "--yes", env=lab.environment)
        new, _ = cas_of(lab, "device_ca")
        assert is_by(read_certificate(lab.device("dev-1")["cert"]), old)
        for folder in (tmp_path.parent.parent, tmp_path.parent, tmp_path):
            os.chmod(folder, 0o755)
        later = Programs(lab, clock.shifted(tmp_path, 95 * DAY))
        try:
            status, _, body = lab.as_device("dev-1", "POST", "/device/v1/check-in", {})
            assert status == 403 and b"CertificateExpired" in body, body
            assert is_by(renew(lab, "dev-1"), new)
        finally:
            later.stop()
    finally:
        lab.down()
