"""Crash matrices of what replaces a CA of clients: `fleetseal-signer --replace-ca`, `fleetseal-server --take-device-cas` (ADR 0015).

Killed or failed at any call that changes a file, the signer issues by the old CA or by the new one, and what issues is on its record;
the server's file is the old one or the new, whole. Whatever happened, the same command again ends well, and no decision is spent.
"""
import json
import os
import shutil

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from commands import run, visit_all
from crash import IS_ROOT, Shim, copy_tree, scratch
from documents import b64u
from recorded import Tree
from services import USERS
from test_crash_recover import Signer

USER = USERS["server"] if IS_ROOT else None


class Organisation(Signer):
    """It was just made: its signer and its server are stopped."""
    PARTS = ("signer", "log", "server")

    def __init__(self, folder):
        super().__init__(folder)
        self.server_config = os.path.join(self.home, "server", "server.toml")
        self.keys = os.path.join(self.home, "signer", "keys", "ca")

    def cas(self):
        done = self.run("--show-cas")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)["cas"]

    def key_of(self, certificates):
        """The file of the key of the first of them."""
        key = x509.load_pem_x509_certificate(certificates.encode()).public_key()
        digest = hashes.Hash(hashes.SHA256())
        digest.update(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo))
        return os.path.join(self.keys, "device-ca-" + digest.finalize().hex()[:16] + ".json")

    def take(self, file, environment=None):
        return run("fleetseal-server", "--config", self.server_config, "--take-device-cas", file, environment=environment, user=USER)

    def server_file(self):
        with open(os.path.join(self.home, "server", "ca", "device.crt")) as file:
            return file.read()

    def decision(self, is_dropped=False):
        words = {"action": "replace-ca", "kind": "device", "previousSha256": self.cas()["device"]["certificateSha256"], "dropOld": is_dropped}
        return self.write("decision.json", self.change(words))


@pytest.fixture(scope="module")
def org():
    folder = scratch("fleetseal-crash-client-cas-")
    made = Organisation(folder)
    made.state()  # the first start of a signer writes its database
    made.keep("fresh")
    yield made
    shutil.rmtree(folder)


def fingerprint(pem):
    return b64u(x509.load_pem_x509_certificate(pem.encode()).fingerprint(hashes.SHA256()))


@pytest.mark.parametrize("is_lost", [False, True])
def test_crash_matrix_of_a_ca_that_is_replaced(org, is_lost):
    org.go_back("fresh")
    name = "lost" if is_lost else "there"
    old = org.cas()["device"]
    old_key = org.key_of(old["certificates"])
    if is_lost:
        os.remove(old_key)
    org.keep(name)
    decision = org.decision(is_dropped=is_lost)
    before = Tree(org.log)

    def act(environment=None):
        return org.run("--replace-ca", decision, environment=environment)

    def made():
        return [record["certificateSha256"] for record in org.records_of("certificate") if record["kind"] == "device-ca"]

    def check_new(answer):
        shown = org.cas()["device"]
        assert shown["hasKey"] and shown["number"] == 2 and shown["certificates"] == answer["certificates"]
        assert made() == [answer["certificateSha256"]] == [shown["certificateSha256"]] == [fingerprint(answer["certificates"])]
        assert not os.path.exists(old_key) and os.path.exists(org.key_of(answer["certificates"]))
        assert (old["certificates"] in answer["certificates"]) == (not is_lost)

    def check_point(done, where):
        try:
            Tree(org.log).check_extends(before)
            if done.returncode == 0:
                check_new(json.loads(done.stdout))
            had_record = made()
            shown = org.cas()["device"]
            # The row of a record that is durable, and not in the log's files yet, holds: whoever opens the log writes them first.
            assert shown["number"] == 2 or had_record == []
            if shown["number"] == 1:
                assert shown == {**old, "hasKey": not is_lost} and os.path.exists(old_key) != is_lost
            answers = []
            for _ in range(2):
                again = act()
                assert again.returncode == 0, again.stderr
                answers.append(json.loads(again.stdout))
            assert answers[0] == answers[1] and (done.returncode != 0 or answers[0] == json.loads(done.stdout))
            check_new(answers[0])
            assert shown["number"] == 1 or shown["certificateSha256"] == answers[0]["certificateSha256"]
            Tree(org.log).check_extends(before)
        except BaseException:
            print(where)
            raise

    shim = Shim(org.folder, org.home)
    visit_all(shim, f"signer --replace-ca, key {name}", lambda: org.go_back(name), act, check_point, share=8, least=12)
    shim.close()


def test_crash_matrix_of_cas_that_are_taken(org):
    org.go_back("fresh")
    made = org.run("--replace-ca", org.decision())
    assert made.returncode == 0, made.stderr
    new, old = json.loads(made.stdout)["certificates"], org.server_file()
    file = os.path.join(org.home, "run", "device.crt")
    with open(file, "w") as opened:
        opened.write(new)
    part = os.path.join(org.folder, "fresh", "server")

    def check_point(done, where):
        try:
            assert org.server_file() in ((new,) if done.returncode == 0 else (old, new))
            again = org.take(file)
            assert again.returncode == 0, again.stderr
            assert org.server_file() == new
            facts = os.stat(os.path.join(org.home, "server", "ca", "device.crt"))
            assert facts.st_mode & 0o7777 == 0o644 and facts.st_uid == (USER or os.getuid())
        except BaseException:
            print(where)
            raise

    shim = Shim(org.folder, org.home)
    visit_all(shim, "server --take-device-cas", lambda: copy_tree(part, os.path.join(org.home, "server")),
              lambda environment: org.take(file, environment), check_point, share=1, least=4)
    shim.close()
