"""docs/operations/lost-ca-key.md, run as printed: the server CA is stolen and changed while a device sleeps; and what thieves of the other CAs get."""
import datetime
import http.client
import ipaddress
import json
import os
import re
import shutil
import signal
import socket
import ssl
import threading

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from documents import Key, b64u, compact
from e2e.test_backup import Running, fleetseal, good, stop_organisation
from lab import Lab
from runbook import Runbook
from services import restart_agent, wait_until
from stolen import org, signer_key

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to run the programs as their users")


@pytest.fixture(scope="module")
def lab():
    made = Lab(devices=2, is_populated=True)
    made.running = None  # the organisation's programs after a stop
    yield made
    if made.running:
        made.running.stop()
    made.down()


def read_certificate(path):
    with open(path, "rb") as file:
        return x509.load_pem_x509_certificate(file.read())


def issue(ca_key, ca, key, usage, alternative, name):
    now = datetime.datetime.utcnow()
    return (x509.CertificateBuilder().subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])).issuer_name(ca.subject)
            .public_key(key.public).serial_number(x509.random_serial_number()).not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=30)).add_extension(x509.BasicConstraints(False, None), True)
            .add_extension(x509.KeyUsage(True, False, False, False, False, False, False, False, False), True)
            .add_extension(x509.ExtendedKeyUsage([usage]), False).add_extension(x509.SubjectAlternativeName([alternative]), False)
            .sign(ca_key.private, hashes.SHA256()))


def save(folder, name, certificate, key):
    paths = os.path.join(str(folder), name + ".crt"), os.path.join(str(folder), name + ".key")
    with open(paths[0], "wb") as file:
        file.write(certificate.public_bytes(serialization.Encoding.PEM))
    with open(paths[1], "wb") as file:
        file.write(key.private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()))
    return paths


class Impostor:
    """Listens as the server, with a certificate of the stolen CA; counts the devices that talk to it."""

    def __init__(self, certificate, key):
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(certificate, key)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.asked, self.refused = 0, 0
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            try:
                with self.context.wrap_socket(client, server_side=True) as talking:
                    self.asked += bool(talking.recv(1000))
            except OSError:
                self.refused += 1

    def close(self):
        self.listener.close()


def agent_log(lab, device="dev-1"):
    with open(os.path.join(lab.folder, "logs", device + "-agent.log")) as file:
        return file.read()


def package_of(lab, device):
    return json.loads(lab.trust(device)["package"])["protected"]["version"]


def wait_for_package(lab, device, version):
    wait_until(lambda: package_of(lab, device) == version, f"package {version} on {device}")


def put(path, text):
    """In the place of a file, whose owner and mode stay."""
    with open(path, "w") as file:
        file.write(text)


def shakes_hands(lab, url, ca):
    """Whether somebody who knows that CA alone finds the server there."""
    host, port = re.match(r"https://(.+):(\d+)$", lab.info[url]).groups()
    context = ssl.create_default_context(cafile=ca)
    try:
        with socket.create_connection((host, int(port)), timeout=30) as plain, context.wrap_socket(plain, server_hostname=host):
            return True
    except ssl.SSLCertVerificationError:
        return False


def restart_server(lab):
    """The lab's supervisor starts it again."""
    before = lab.status()["pids"]["server"]
    os.kill(before, signal.SIGTERM)
    wait_until(lambda: lab.status()["pids"]["server"] not in (0, before), "the server's next start")
    wait_until(lambda: lab.run("device", "list").code == 0, "the server")


def test_drill_lost_server_ca_key(lab, tmp_path):
    _, stolen = signer_key(lab, "server-ca")
    old = read_certificate(lab.info["server_ca"])
    assert old.extensions.get_extension_for_class(x509.BasicConstraints).value.path_length == 1, "it may cross-sign its successor"
    mine = Key.p256()
    certificate = issue(stolen, old, mine, ExtendedKeyUsageOID.SERVER_AUTH, x509.IPAddress(ipaddress.ip_address("127.0.0.1")), "impostor")
    impostor = Impostor(*save(tmp_path, "impostor", certificate, mine))
    port = int(lab.info["device_url"].rsplit(":", 1)[1])
    try:
        # Yields: a device that is led there talks to the thief.
        restart_agent(lab, "dev-1", impostor.port)
        wait_until(lambda: impostor.asked, "the device that talks to the impostor")
        restart_agent(lab, "dev-1", port)
        book = Runbook(lab, "docs/operations/lost-ca-key.md",
                       {"SHA256-OF-THE-OLD-CA": b64u(old.fingerprint(hashes.SHA256())), "/var/lib/fleetseal": org(lab)})
        server_tls = os.path.join(org(lab), "server", "tls", "server.crt")
        book.run("authority")
        with lab.held_agent("dev-2"):  # which sleeps through everything
            book.run("list")
            wait_for_package(lab, "dev-1", 2)
            shutil.copy(os.path.join(os.path.dirname(server_tls), "server.key"), book.path("server.key"))
            book.run("certify")
            with open(book.path("server.crt")) as made:
                alone = made.read()
            cross_sign = ["tls", "cross-sign", "--data", org(lab), "--ca", book.path("ca.crt"), "-o", book.path("too-early.crt")]
            code, answer, _ = fleetseal(*cross_sign)
            assert code == 3 and answer["error"]["code"] == "Busy" and "stop the signer" in answer["error"]["advice"], answer
            assert not os.path.exists(book.path("too-early.crt"))
            stop_organisation(lab)
            said = book.run("cross")
            assert "vouches for the new one until " + old.not_valid_after.strftime("%Y-%m-%d %H:%M:%S") in said, said
            with open(book.path("server.crt")) as made:
                chain = made.read()
            assert chain.startswith(alone) and chain.count("BEGIN CERTIFICATE") == 2
            book.run("people")
            put(server_tls, alone)
            lab.running = Running(org(lab))
            assert lab.running.line
            book.run("drop")
            book.done()
            wait_for_package(lab, "dev-1", 3)
            assert package_of(lab, "dev-2") == 1
            asleep = len(agent_log(lab, "dev-2"))
        # Without the old CA's word it does not find the server.
        wait_until(lambda: "TlsFailed" in agent_log(lab, "dev-2")[asleep:], "the device that does not find the server")
        assert not shakes_hands(lab, "device_url", lab.info["server_ca"]) and package_of(lab, "dev-2") == 1
        put(server_tls, chain)
        restart_server(lab)
        for url in ("device_url", "admin_url"):
            assert shakes_hands(lab, url, lab.info["server_ca"]) and shakes_hands(lab, url, book.path("ca.crt"))
        wait_for_package(lab, "dev-2", 3)
        assert good("doctor", "--data", org(lab))["problems"] == 0
        # Everything goes on under the new CA.
        update = lab.release("2.0.0", lab.path("two.img", b"two" * 5000))
        assert lab.watch(lab.roll_out(update, "dev-1", "dev-2")) == {"dev-1": "installed", "dev-2": "installed"}
        # Afterwards the old CA is refused.
        for device in ("dev-1", "dev-2"):
            asked, refused, said = impostor.asked, impostor.refused, len(agent_log(lab, device))
            restart_agent(lab, device, impostor.port)
            wait_until(lambda: impostor.refused > refused and "TlsFailed" in agent_log(lab, device)[said:], "the device that refuses the impostor")  # pylint: disable=cell-var-from-loop
            assert impostor.asked == asked
            restart_agent(lab, device, port)
    finally:
        impostor.close()


def test_theft_of_the_device_ca_gives_nobody_a_device(lab, tmp_path):
    _, stolen = signer_key(lab, "device-ca")
    ca = read_certificate(lab.info["device_ca"])
    mine = Key.p256()
    uri = x509.UniformResourceIdentifier("urn:fleetseal:acme:device:dev-2")
    pair = save(tmp_path, "device", issue(stolen, ca, mine, ExtendedKeyUsageOID.CLIENT_AUTH, uri, "dev-2"), mine)
    request = {"deviceId": "dev-2", "generation": 1, "packageVersion": 1, "phase": "idle", "agentVersion": "thief"}
    context = lab.context(ca=os.path.join(lab.folder, "org", "identities", "operator", "server-ca.crt"))
    context.load_cert_chain(*pair)
    assert code_of(lab.info["device_url"], context, "/device/v1/check-in", request) == "CertificateInvalid"
    assert code_of(lab.info["device_url"], context, "/device/v1/receipts", {"receipts": ["a.b.c"]}) == "CertificateInvalid"


def test_theft_of_the_people_ca_gives_nobody_a_person(lab, tmp_path):
    _, stolen = signer_key(lab, "people-ca")
    ca = read_certificate(lab.info["people_ca"])
    mine = Key.p256()
    uri = x509.UniformResourceIdentifier("urn:fleetseal:acme:person:security")
    pair = save(tmp_path, "person", issue(stolen, ca, mine, ExtendedKeyUsageOID.CLIENT_AUTH, uri, "security"), mine)
    context = lab.context(ca=os.path.join(lab.folder, "org", "identities", "operator", "server-ca.crt"))
    context.load_cert_chain(*pair)
    assert code_of(lab.info["admin_url"], context, "/admin/v1/packages", {"package": "{}"}) == "CertificateInvalid"
    assert code_of(lab.info["admin_url"], context, "/admin/v1/devices", None) == "CertificateInvalid"


def code_of(url, context, path, body):
    """How a server refuses whoever has such a certificate."""
    host, port = re.match(r"https://(.+):(\d+)$", url).groups()
    connection = http.client.HTTPSConnection(host, int(port), context=context, timeout=30)
    try:
        if body is None:
            connection.request("GET", path)
        else:
            connection.request("POST", path, compact(body), {"Content-Type": "application/json"})
        response = connection.getresponse()
        data = response.read()
        assert response.status in (401, 403), (response.status, data)
        return json.loads(data)["code"]
    finally:
        connection.close()
