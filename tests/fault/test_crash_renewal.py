"""Crash matrices of what certifies a server: `fleetseal-signer --renew-server`, `--cross-sign`, `fleetseal-server --take-certificate`.

Killed or failed at any call that changes a file, the server has the old certificate or the new one, whole; a certificate that left
the signer is on its record, and the log continues what it was. Whatever happened, the same command again ends well.
"""
import contextlib
import json
import os
import shutil
import sqlite3
import subprocess

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from ceremony import Ceremony
from commands import run, visit_all
from crash import IS_ROOT, Shim, copy_tree, scratch
from documents import b64u
from recorded import Tree
from services import USERS
from test_crash_recover import Asked, Signer

USER = USERS["server"] if IS_ROOT else None


class Renewal(Signer):
    """An organisation that was just made: its signer and its server are stopped."""
    PARTS = ("signer", "log", "server")

    def __init__(self, folder):
        super().__init__(folder)
        self.server_config = os.path.join(self.home, "server", "server.toml")
        self.tls = os.path.join(self.home, "server", "tls")
        self.present = self.hand_over("present.crt", self.read("server.crt"))

    def read(self, name):
        with open(os.path.join(self.tls, name)) as file:
            return file.read()

    def hand_over(self, name, text):
        """A file for a program, in a folder that its user passes through."""
        path = os.path.join(self.home, "run", name)
        with open(path, "w") as file:
            file.write(text)
        return path

    def take(self, file, environment=None):
        return run("fleetseal-server", "--config", self.server_config, "--take-certificate", file, environment=environment, user=USER)

    def rows(self, query):
        with contextlib.closing(sqlite3.connect(os.path.join(self.home, "signer", "signer.db"))) as database:
            return database.execute(query).fetchall()

    def certificates(self):
        return [record["certificateSha256"] for record in self.records_of("certificate") if record["kind"] == "server"]


@pytest.fixture(scope="module")
def renewal():
    folder = scratch("fleetseal-crash-renewal-")
    made = Renewal(folder)
    made.keep("fresh")
    yield made
    shutil.rmtree(folder)


def fingerprint(pem):
    return b64u(x509.load_pem_x509_certificate(pem.encode()).fingerprint(hashes.SHA256()))


def test_crash_matrix_of_a_server_certificate_that_is_issued(renewal):
    renewal.go_back("fresh")
    before, first = Tree(renewal.log), renewal.certificates()
    old = renewal.read("server.crt")

    def act(environment=None):
        return renewal.run("--renew-server", renewal.present, environment=environment)

    def check_released(done):
        """It is on the log and on the signer's own record: it can be renewed in its turn."""
        issued = json.loads(done.stdout)
        assert issued["certificateSha256"] == fingerprint(issued["certificate"]) == renewal.certificates()[-1]
        again = renewal.run("--renew-server", renewal.hand_over("issued.crt", issued["certificate"]))
        assert again.returncode == 0, again.stderr

    def check_point(done, where):
        try:
            made = renewal.certificates()
            Tree(renewal.log).check_extends(before)
            assert made[:len(first)] == first and len(made) <= len(first) + 1, made
            if done.returncode == 0:
                check_released(done)
            more = act()
            assert more.returncode == 0, more.stderr
            check_released(more)
            Tree(renewal.log).check_extends(before)
            assert renewal.read("server.crt") == old
        except BaseException:
            print(where)
            raise

    shim = Shim(renewal.folder, renewal.home)
    visit_all(shim, "signer --renew-server", lambda: renewal.go_back("fresh"), act, check_point, share=8, least=12)
    shim.close()


@pytest.fixture
def next_ca(renewal):
    """A server CA that the newest root-key package lists; the signer is stopped again."""
    renewal.go_back("fresh")
    file = os.path.join(renewal.home, "run", "ca.crt")
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-noenc", "-keyout", os.path.join(renewal.folder, "ca.key"),
                    "-out", file, "-days", "3650", "-subj", "/CN=acme server CA 2"], check=True, capture_output=True)
    os.makedirs(os.path.join(renewal.folder, "holders"))
    roots = Ceremony(renewal.home, os.path.join(renewal.folder, "holders"))
    roots.draft("rotate", "--add-server-ca", file)
    roots.finish("root-1", "root-2")
    with Asked(renewal, renewal.asked_config()) as asked, open(roots.package()) as package:
        assert "ok" in asked.ask({"verb": "publish-package", "package": package.read()})
    renewal.keep("listed")
    return file


def test_crash_matrix_of_a_ca_that_is_cross_signed(renewal, next_ca):
    before = Tree(renewal.log)

    def act(environment=None):
        return renewal.run("--cross-sign", next_ca, environment=environment)

    def made():
        return [record["certificateSha256"] for record in renewal.records_of("certificate") if record["kind"] == "server-ca"]

    def check_released(done):
        """It is on the log, and its row in the database: both or neither."""
        issued = json.loads(done.stdout)
        assert issued["certificateSha256"] == fingerprint(issued["certificate"]) == made()[-1]
        rows = renewal.rows("SELECT sha256 FROM certificates WHERE kind = 'server-ca' ORDER BY log_index")
        assert [row for row, in rows] == made()

    def check_point(done, where):
        try:
            Tree(renewal.log).check_extends(before)
            assert len(made()) <= 1, made()
            if done.returncode == 0:
                check_released(done)
            more = act()
            assert more.returncode == 0, more.stderr
            check_released(more)
            Tree(renewal.log).check_extends(before)
        except BaseException:
            print(where)
            raise

    shim = Shim(renewal.folder, renewal.home)
    visit_all(shim, "signer --cross-sign", lambda: renewal.go_back("listed"), act, check_point, share=8, least=12)
    shim.close()


def test_crash_matrix_of_a_server_certificate_that_is_taken(renewal):
    renewal.go_back("fresh")
    issued = renewal.run("--renew-server", renewal.present)
    assert issued.returncode == 0, issued.stderr
    file = renewal.hand_over("next.crt", json.loads(issued.stdout)["certificate"])
    old, key = renewal.read("server.crt"), renewal.read("server.key")
    with open(file) as opened:
        new = opened.read()
    part = os.path.join(renewal.folder, "fresh", "server")

    def check_point(done, where):
        try:
            assert renewal.read("server.crt") in ((new,) if done.returncode == 0 else (old, new))
            again = renewal.take(file)
            assert again.returncode == 0, again.stderr
            assert renewal.read("server.crt") == new and renewal.read("server.key") == key
            facts = os.stat(os.path.join(renewal.tls, "server.crt"))
            assert facts.st_mode & 0o7777 == 0o644 and facts.st_uid == (USER or os.getuid())
        except BaseException:
            print(where)
            raise

    shim = Shim(renewal.folder, renewal.home)
    visit_all(shim, "server --take-certificate", lambda: copy_tree(part, os.path.join(renewal.home, "server")),
              lambda environment: renewal.take(file, environment), check_point, share=1, least=4)
    shim.close()
