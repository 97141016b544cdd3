"""Trust model section 9, "resumption re-checks status": a TLS session of before is no pass for a device that has been shut out since."""
import base64
import http.client
import json
import os
import socket
from urllib.parse import urlsplit

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from lab import Lab

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to run the programs as their users")


@pytest.fixture(scope="module")
def lab():
    made = Lab(devices=2, is_populated=True)
    yield made
    made.down()


class Resuming:
    """A device's connections by hand: each in the session of the one before, without a certificate shown again."""

    def __init__(self, lab, name):
        self.lab, self.name, self.session = lab, name, None
        device = lab.device(name)
        # One context: a session belongs to the one that made it.
        self.context = lab.context(cert=device["cert"], key=device["key"])

    def ask(self, method, path, body=None):
        """(status, code or body, whether the session of before was taken up)."""
        parts = urlsplit(self.lab.info["device_url"])
        raw = socket.create_connection((parts.hostname, parts.port), 30)
        with self.context.wrap_socket(raw, server_hostname=parts.hostname, session=self.session) as tls:
            text = json.dumps(body).encode() if isinstance(body, dict) else body or b""
            kind = "application/json" if isinstance(body, dict) else "application/pkcs10"
            head = f"{method} {path} HTTP/1.1\r\nHost: {parts.hostname}\r\nConnection: close\r\n"
            if body is not None:
                head += f"Content-Type: {kind}\r\nContent-Length: {len(text)}\r\n"
            tls.sendall(head.encode() + b"\r\n" + text)
            response = http.client.HTTPResponse(tls, method=method)
            response.begin()
            answer = response.read()
            self.session = tls.session or self.session
            is_reused = tls.session_reused
        is_problem = response.getheader("Content-Type", "").startswith("application/problem+json")
        return response.status, json.loads(answer).get("code") if is_problem else answer, is_reused


def csr():
    key = ec.generate_private_key(ec.SECP256R1())
    return x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.DER)


ROUTES = (("POST", "/device/v1/check-in", {}), ("GET", "/content/v1/{sealed}", None), ("POST", "/device/v1/receipts", {"receipts": ["a.b.c"]}),
          ("POST", "/.well-known/est/simplereenroll", base64.b64encode(csr())))


def answers(device, sealed):
    """What each route that is for devices only says, in resumed sessions."""
    said = []
    for method, path, body in ROUTES:
        status, code, is_reused = device.ask(method, path.format(sealed=sealed), body)
        assert is_reused, path
        said.append((status, code))
    return said


@pytest.mark.parametrize("name, verb, code", [("dev-1", "suspend", "DeviceSuspended"), ("dev-2", "revoke", "DeviceRevoked")])
def test_S0_3_a_resumed_session_of_a_device_that_was_shut_out_gets_nothing(lab, name, verb, code):
    update = lab.release("2.0.0" if verb == "suspend" else "3.0.0", lab.path(verb + ".bin", os.urandom(100_000)))
    sealed = base64.urlsafe_b64decode(lab.good("update", "show", update)["files"][0]["sealedSha256"] + "=").hex()
    with lab.held_agent(name):
        lab.roll_out(update, name)
        device = Resuming(lab, name)
        status, content, is_reused = device.ask("GET", f"/content/v1/{sealed}")
        assert (status, is_reused) == (200, False)
        # Resumed while it may: the session alone carries the identity.
        assert device.ask("GET", f"/content/v1/{sealed}") == (200, content, True)
        before = answers(device, sealed)
        assert before[0] == (400, "MemberMissing") and code not in {code for _, code in before}
        lab.good("device", verb, name, "--reason", "a test")
        # Without asking the signer anew: at once. What needs no identity is not kept from it.
        assert answers(device, sealed) == [(403, code)] * len(ROUTES)
        assert device.ask("GET", "/device/v1/status")[0] == 200
        if verb == "suspend":
            lab.good("device", "resume", name, "--reason", "a test")
            assert device.ask("GET", f"/content/v1/{sealed}") == (200, content, True)
