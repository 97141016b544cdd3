"""docs/operations/certificates.md: the server's certificate is renewed before it ends, or after it has, for the same key and names;
what is refused changes no byte."""
import datetime
import ipaddress
import json
import os
import shutil
import ssl
import subprocess
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import ExtendedKeyUsageOID

import clock
from crash import copy_tree, scratch
from documents import Key, b64u
from e2e.test_backup import Running, data_of, fleetseal, good, stop_organisation
from e2e.test_drills_ca import issue, read_certificate
from fault.commands import contents, run
from lab import Lab
from runbook import Runbook
from services import USERS
from stolen import signer_key

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to run the programs as their users")
DAY = 86400


def certificate_file(home):
    return os.path.join(home, "server", "tls", "server.crt")


def names_of(certificate):
    return sorted(str(name.value) for name in certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value)


def public_key(certificate):
    return certificate.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def fingerprint(certificate):
    return b64u(certificate.fingerprint(hashes.SHA256()))


# --- a lab: devices and people before and after ---

@pytest.fixture(scope="module")
def lab():
    made = Lab(devices=1)
    yield made
    made.down()


def shown_by(lab, url):
    """The certificate that a server shows to whoever connects."""
    parts = urlsplit(lab.info[url])
    return x509.load_pem_x509_certificate(ssl.get_server_certificate((parts.hostname, parts.port), ca_certs=lab.info["server_ca"]).encode())


def everybody_connects(lab, version):
    """A person releases, a device installs, and both judge the server by its CA."""
    update = lab.release(version, lab.path(f"{version}.img", version.encode() * 5000))
    assert lab.watch(lab.roll_out(update, "dev-1")) == {"dev-1": "installed"}, lab.logs()


def test_devices_and_people_go_on_when_the_certificate_is_renewed(lab):
    home, file = data_of(lab), certificate_file(data_of(lab))
    old = read_certificate(file)
    everybody_connects(lab, "1.0.0")
    before = open(file).read()
    code, answer, _ = fleetseal("tls", "renew", "--data", home)
    assert code == 3 and answer["error"]["code"] == "Busy" and "stop the signer" in answer["error"]["advice"], answer
    assert open(file).read() == before
    stop_organisation(lab)
    book = Runbook(lab, "docs/operations/certificates.md", {"/var/lib/fleetseal": home})
    said = book.run("renew")
    book.done()
    new = read_certificate(file)
    assert "until " + new.not_valid_after.strftime("%Y-%m-%d %H:%M:%S") in said and "systemctl restart fleetseal-server" in said, said
    assert fingerprint(new) != fingerprint(old) and public_key(new) == public_key(old) and names_of(new) == names_of(old)
    assert new.issuer == old.issuer and new.not_valid_after > old.not_valid_after
    facts = os.stat(file)
    assert (facts.st_mode & 0o7777, facts.st_uid) == (0o644, USERS["server"])
    assert not os.path.exists(os.path.join(home, "run", "handed-over"))
    running = Running(home)
    try:
        assert running.line
        assert fingerprint(shown_by(lab, "device_url")) == fingerprint(shown_by(lab, "admin_url")) == fingerprint(new)
        everybody_connects(lab, "2.0.0")
        audited = lab.good("audit", "verify")
        status, _, body = lab.as_person("security", "GET", f"/admin/v1/audit?from=0&limit={audited['size']}")
        assert status == 200, body
        leaves = [json.loads(entry["leaf"]) for entry in json.loads(body)["entries"]]
        issued = [leaf["certificateSha256"] for leaf in leaves if leaf["type"] == "certificate" and leaf["kind"] == "server"]
        assert issued == [fingerprint(old), fingerprint(new)]
        # The old one is good until it ends.
        running.stop()
        shutil.copy2(file, file + ".new")
        with open(file, "w") as used:
            used.write(before)
        running = Running(home)
        assert running.line and fingerprint(shown_by(lab, "device_url")) == fingerprint(old)
        everybody_connects(lab, "3.0.0")
        os.remove(file + ".new")
    finally:
        running.stop()


# --- an organisation that was just made: the dates, and what is refused ---

class Organisation:
    """Nobody runs; each test has it as it was made."""
    PARTS = ("signer", "log", "server", "run")

    def __init__(self, folder, name="org"):
        self.folder, self.home = folder, os.path.join(folder, name)
        good("init", "--organisation", "acme", "--data", self.home, "--product", "acme/pump", "--name", "127.0.0.1", "--name", "localhost")
        self.file = certificate_file(self.home)
        content = os.path.join(self.home, "server", "content")  # which the server makes when it starts
        os.mkdir(content, 0o700)
        os.chown(content, USERS["server"], USERS["server"])
        good("recover", "show", "--data", self.home)  # the first start of a signer writes its database
        for part in self.PARTS:
            copy_tree(os.path.join(self.home, part), os.path.join(folder, "fresh", part)) if name == "org" else None

    def go_back(self):
        for part in self.PARTS:
            copy_tree(os.path.join(self.folder, "fresh", part), os.path.join(self.home, part))

    def put(self, certificate):
        """In the place of the server's."""
        with open(self.file, "wb") as file:
            file.write(certificate.public_bytes(serialization.Encoding.PEM))

    def hand_over(self, name, certificate):
        path = os.path.join(self.home, "run", name)
        with open(path, "wb") as file:
            file.write(certificate.public_bytes(serialization.Encoding.PEM))
        return path

    def server_key(self):
        with open(os.path.join(self.home, "server", "tls", "server.key"), "rb") as file:
            return Key(serialization.load_pem_private_key(file.read(), None))

    def log_size(self):
        with open(os.path.join(self.home, "log", "checkpoint")) as file:
            return int(file.read().split("\n")[1])

    def refuses(self, code, *more, environment=None, verb="renew"):
        """With that code, and not one byte of the organisation is another."""
        before = contents(self.home)
        _, answer, error = fleetseal("tls", verb, "--data", self.home, *more, env=environment)
        assert answer.get("error", {}).get("code") == code, f"{answer} {error}"
        after = contents(self.home)
        assert [path for path in {*before, *after} if before.get(path) != after.get(path)] == []
        return answer["error"]


@pytest.fixture(scope="module")
def made():
    folder = scratch("fleetseal-renewal-")
    os.mkdir(os.path.join(folder, "fresh"))
    yield Organisation(folder)
    shutil.rmtree(folder)


@pytest.fixture
def org(made):
    made.go_back()
    return made


def renew(home, *more, environment=None):
    return good("tls", "renew", "--data", home, *more, env=environment)


def shifted(tmp_path, days):
    os.chmod(tmp_path.parent.parent, 0o755)
    os.chmod(tmp_path.parent, 0o755)
    os.chmod(tmp_path, 0o755)
    return {**os.environ, **clock.shifted(tmp_path, int(days * DAY))}


def of_server_certificate(report, kind, name):
    return [one for one in report[kind] if one[name].endswith("tls/server.crt")]


def test_the_doctor_names_the_verb_before_the_end_and_after_it(org, tmp_path):
    _, report, _ = fleetseal("doctor", "--data", org.home)
    assert of_server_certificate(report, "findings", "where") == []
    assert of_server_certificate(report, "expiries", "what")[0]["renew"] == "fleetseal tls renew (certificates.md)"
    for days, level, what in ((385.5, "warning", "ends in 9 days"), (396, "problem", "has ended")):
        environment = shifted(tmp_path, days)
        _, report, _ = fleetseal("doctor", "--data", org.home, env=environment)
        finding, = of_server_certificate(report, "findings", "where")
        assert (finding["level"], finding["what"], finding["advice"]) == (level, what, "fleetseal tls renew (certificates.md)")
    renew(org.home, environment=environment)
    _, report, _ = fleetseal("doctor", "--data", org.home, env=environment)
    assert of_server_certificate(report, "findings", "where") == []


def test_beyond_the_life_of_the_package_the_date_is_asked_for(org, tmp_path):
    environment = shifted(tmp_path, 401)
    today = datetime.datetime.utcnow() + datetime.timedelta(days=401)
    org.refuses("PackageExpired", environment=environment)
    org.refuses("InvalidArgument", "--date", (today - datetime.timedelta(days=2)).strftime("%Y-%m-%d"), environment=environment)
    renew(org.home, "--date", today.strftime("%Y-%m-%d"), environment=environment)
    assert read_certificate(org.file).not_valid_after > today + datetime.timedelta(days=394)


def test_a_halted_signer_renews_nothing(org):
    mark = os.path.join(org.home, "signer", "restored")
    with open(mark, "w") as file:
        file.write("{}\n")
    os.chown(mark, USERS["signer"], USERS["signer"])
    assert good("recover", "show", "--data", org.home)["isHalted"]
    org.refuses("SignerHalted")


def test_a_certificate_of_another_organisation_is_not_renewed(org):
    other = Organisation(org.folder, "other")
    try:
        for name in ("server.crt", "server.key"):
            shutil.copy2(os.path.join(other.home, "server", "tls", name), os.path.join(org.home, "server", "tls", name))
        assert "lost-ca-key.md" in org.refuses("CertificateInvalid")["advice"]
    finally:
        shutil.rmtree(other.home)


class Thief:
    """Has the server CA's own key (stolen.py looks for an organisation where a lab has it)."""

    def __init__(self, org):
        _, self.key = signer_key(org, "server-ca")
        self.ca = read_certificate(os.path.join(org.home, "server", "ca", "server.crt"))

    def certificate(self, key, name, usage=ExtendedKeyUsageOID.SERVER_AUTH):
        return issue(self.key, self.ca, key, usage, name, "acme server")


def test_a_certificate_that_is_on_no_record_is_not_renewed(org):
    thief = Thief(org)
    local = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    for key, name in ((org.server_key(), x509.DNSName("evil.example")), (Key.p256(), local), (org.server_key(), local)):
        org.put(thief.certificate(key, name))
        org.refuses("CertificateInvalid")


def test_the_server_takes_no_other_names_key_or_ca(org):
    thief = Thief(org)
    config = os.path.join(org.home, "server", "server.toml")
    other = Key.p256()
    for certificate in (thief.certificate(org.server_key(), x509.DNSName("evil.example")),
                        thief.certificate(other, x509.IPAddress(ipaddress.ip_address("127.0.0.1"))),
                        issue(other, thief.ca, org.server_key(), ExtendedKeyUsageOID.SERVER_AUTH, x509.DNSName("localhost"), "acme server")):
        file = org.hand_over("next.crt", certificate)
        before = contents(org.home)
        done = run("fleetseal-server", "--config", config, "--take-certificate", file, user=USERS["server"])
        assert done.returncode == 3 and "CertificateInvalid" in done.stderr, done.stderr
        assert contents(org.home) == before


def test_a_disk_that_cannot_be_written_changes_nothing(org):
    size = org.log_size()
    tls = os.path.dirname(org.file)
    os.chmod(tls, 0o500)
    assert "write into" in org.refuses("StorageFailed")["detail"]
    assert org.log_size() == size, "nothing is issued that cannot be kept"
    os.chmod(tls, 0o700)
    for part in ("signer", "log"):
        folders = [os.path.join(org.home, part)] + [os.path.join(parent, name) for parent, names, _ in os.walk(os.path.join(org.home, part)) for name in names]
        modes = {folder: os.stat(folder).st_mode for folder in folders}
        for folder in folders:
            os.chmod(folder, 0o500)
        org.refuses("StorageFailed")
        for folder, mode in modes.items():
            os.chmod(folder, mode & 0o7777)
    renew(org.home)
    assert org.log_size() == size + 1


def test_only_a_listed_ca_is_cross_signed(org, tmp_path):
    """The whole way is the drill in test_drills_ca.py."""
    own = os.path.join(org.home, "server", "ca", "server.crt")
    made = str(tmp_path / "ca.crt")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-keyout", str(tmp_path / "ca.key"), "-out", made,
                    "-days", "3650", "-subj", "/CN=acme server CA 2"], check=True, capture_output=True)
    output = str(tmp_path / "cross.crt")
    for code, ca, advice in (("Conflict", made, "--add-server-ca"), ("CertificateInvalid", own, "lost-ca-key.md"), ("CertificateInvalid", org.file, "lost-ca-key.md")):
        assert advice in org.refuses(code, "--ca", ca, "-o", output, verb="cross-sign")["advice"]
    org.refuses("NotFound", "--ca", made + ".gone", "-o", output, verb="cross-sign")
    assert not os.path.exists(output)
    error = org.refuses("NotFound", "--ca", made, "-o", str(tmp_path / "no" / "cross.crt"), verb="cross-sign")
    assert "write into" in error["detail"], "before the signer is asked"


def test_programs_say_how_they_are_used(org):
    for program, words in (("fleetseal-signer", ["--date", "2027-01-31"]), ("fleetseal-signer", ["--renew-server", "x", "--check"]),
                           ("fleetseal-signer", ["--cross-sign", "x", "--renew-server", "x"]),
                           ("fleetseal-server", ["--show-certificate", "--check"]), ("fleetseal-server", ["--take-certificate"])):
        done = run(program, "--config", os.path.join(org.home, "signer", "signer.toml"), *words)
        assert done.returncode == 2 and "usage:" in done.stderr, done.stderr
    done = subprocess.run([os.path.join(os.environ["FLEETSEAL_BIN"], "fleetseal"), "tls", "renew", "--data", org.folder], capture_output=True, text=True)
    assert done.returncode != 0 and "holds no organisation" in done.stderr and "fleetseal init" in done.stderr
