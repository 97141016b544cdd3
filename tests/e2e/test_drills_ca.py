"""docs/operations/lost-ca-key.md, run as printed: the server CA is stolen and changed; and what thieves of the other CAs get."""
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
from lab import Lab
from runbook import Runbook
from services import restart_agent, wait_until
from stolen import org, signer_key

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to run the programs as their users")


@pytest.fixture(scope="module")
def lab():
    made = Lab(devices=2, is_populated=True)
    yield made
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


def agent_log(lab):
    with open(os.path.join(lab.folder, "logs", "dev-1-agent.log")) as file:
        return file.read()


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
        book = Runbook(lab, "docs/operations/lost-ca-key.md", {"SHA256-OF-THE-OLD-CA": b64u(old.fingerprint(hashes.SHA256()))})
        book.run("authority")
        book.run("list")
        for device in ("dev-1", "dev-2"):
            wait_until(lambda name=device: json.loads(lab.trust(name)["package"])["protected"]["version"] == 2, "package 2")
        server_tls = os.path.join(org(lab), "server", "tls")
        shutil.copy(os.path.join(server_tls, "server.key"), book.path("server.key"))
        book.run("certify")
        book.run("people")
        with open(book.path("server.crt")) as made, open(os.path.join(server_tls, "server.crt"), "w") as used:
            used.write(made.read())
        restart_server(lab)
        book.run("drop")
        book.done()
        for device in ("dev-1", "dev-2"):
            wait_until(lambda name=device: json.loads(lab.trust(name)["package"])["protected"]["version"] == 3, "package 3")
        # Everything goes on under the new CA.
        update = lab.release("2.0.0", lab.path("two.img", b"two" * 5000))
        assert lab.watch(lab.roll_out(update, "dev-1", "dev-2")) == {"dev-1": "installed", "dev-2": "installed"}
        # Afterwards the old CA is refused.
        asked, said = impostor.asked, len(agent_log(lab))
        restart_agent(lab, "dev-1", impostor.port)
        wait_until(lambda: impostor.refused and "TlsFailed" in agent_log(lab)[said:], "the device that refuses the impostor")
        assert impostor.asked == asked
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
