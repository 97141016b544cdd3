"""docs/how-to/rotate-keys.md on a lab: director and publisher are rotated, the old ones retired, stored updates live on."""
import os
import sqlite3

import pytest

from lab import Lab

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to run the programs as their users")


@pytest.fixture(scope="module")
def lab():
    made = Lab(devices=1)
    yield made
    made.down()


class Roots:
    """Whoever holds the roots: files in, files out."""

    def __init__(self, lab):
        self.lab = lab
        self.offline = os.path.join(lab.folder, "org", "offline")
        self.version = 1
        self.keys = ["--folder", os.path.join(self.offline, "roots"), "--passphrase-file", os.path.join(self.offline, "passphrase")]

    def package(self, version=None):
        return os.path.join(self.offline, f"root-package-{version or self.version}.json")

    def done(self, *arguments):
        outcome = self.lab.run(*arguments)
        assert outcome.code == 0, f"{arguments}: {outcome.output}{outcome.error}{self.lab.logs()}"

    def list_key(self, key, *changes):
        """The sjwk of the key and a published package that lists it."""
        sjwk = key.replace(".json", ".jws")
        following = self.package(self.version + 1)
        self.done("root", "sign-key", *self.keys, "--root", "root-1", "--key", key, "-o", sjwk)
        self.done("root", "rotate", "--package", self.package(), "--add-key", key, *changes, "-o", following)
        self.done("root", "package", *self.keys, "--draft", following, "-o", following)
        self.version += 1
        self.done("root", "publish", following, "--sjwk", sjwk)


@pytest.fixture(scope="module")
def roots(lab):
    return Roots(lab)


def keys(lab, role):
    return [key for key in lab.good("key", "list")["keys"] if key["role"] == role]


def running(lab):
    with open(lab.active_image(), "rb") as file:
        return file.read(16)


def in_use(lab, role):
    (key,) = [key["kid"] for key in keys(lab, role) if key["inUse"]]
    return key


def test_s1_18_a_director_is_rotated_and_devices_follow(lab, roots):
    old = in_use(lab, "director")
    file = os.path.join(lab.folder, "director.json")
    made = lab.good("key", "rotate", "director", "--package", roots.package(), "-o", file)
    assert made["state"] == "waiting" and in_use(lab, "director") == old
    roots.list_key(file)
    assert in_use(lab, "director") == made["kid"]
    lab.good("key", "retire", old)
    assert [key["state"] for key in keys(lab, "director") if key["kid"] == old] == ["retired"]
    assert not any(name.startswith(old) for _, _, names in os.walk(os.path.join(lab.folder, "org", "signer")) for name in names)
    update = lab.release("1.0.0", lab.path("one.img", b"one" * 1000))
    lab.watch(lab.roll_out(update, "dev-1"))
    assert running(lab).startswith(b"one"), "installed by an order of the new director"


def test_a_stored_update_outlives_its_publisher_key(lab, roots):
    old = in_use(lab, "publisher")
    update = lab.release("2.0.0", lab.path("two.img", b"two" * 1000))
    file = os.path.join(lab.folder, "publisher.json")
    made = lab.good("key", "rotate", old, "--package", roots.package(), "-o", file)
    roots.list_key(file, "--remove-key", old)
    assert in_use(lab, "publisher") == made["kid"]
    assert any("update resign --all" in text for text in lab.good("key", "list")["warnings"])
    lies_about_a_name(lab, update)
    lab.good("update", "resign", "--all")
    assert {key["kid"]: key["releases"] for key in keys(lab, "publisher")} == {old: 0, made["kid"]: 2}
    lab.watch(lab.roll_out(update, "dev-1"))
    assert running(lab).startswith(b"two"), "with the signature of the new key and the approvals of before"
    lab.good("key", "retire", old)


def lies_about_a_name(lab, update):
    """A server that calls one update by the name of another gets no signature for it (people sign the manifest's hash)."""
    database = os.path.join(lab.folder, "org", "server", "server.db")

    def rename(version):
        with sqlite3.connect(database, timeout=30) as connection:
            assert connection.execute("UPDATE updates SET version = ? WHERE manifest_sha256 = ?", (version, update)).rowcount == 1
        connection.close()
    rename("9.9.9")
    try:
        for verb in (("update", "resign", "acme/pump@9.9.9"), ("update", "resign", "--all"), ("update", "resign", update),
                     ("rollout", "plan", "--update", "acme/pump@9.9.9", "--device", "dev-1"),
                     ("update", "withdraw", "acme/pump@9.9.9", "--reason", "test")):
            lab.refused("ManifestHashMismatch", *verb)
    finally:
        rename("2.0.0")


def test_a_listed_key_that_no_root_signed_is_warned_of_until_one_has(lab, roots):
    file = os.path.join(lab.folder, "valve.json")
    made = lab.good("key", "create", "--role", "publisher", "--product", "acme/pump", "--package", roots.package(), "-o", file)
    sjwk, following = file.replace(".json", ".jws"), roots.package(roots.version + 1)
    roots.done("root", "sign-key", *roots.keys, "--root", "root-1", "--key", file, "-o", sjwk)
    roots.done("root", "rotate", "--package", roots.package(), "--add-key", file, "-o", following)
    roots.done("root", "package", *roots.keys, "--draft", following, "-o", following)
    roots.version += 1
    (warning,) = [text for text in lab.good("root", "publish", following)["warnings"] if made["kid"] in text]
    assert "is listed, signs nothing yet" in warning and f"fleetseal key accept {made['kid']}.jws" in warning, warning
    assert warning in lab.good("key", "list")["warnings"]
    lab.good("key", "accept", sjwk)
    assert not any(made["kid"] in text for text in lab.good("key", "list")["warnings"])


def test_a_key_file_is_written_only_for_a_key_that_the_log_has_on_record(lab, roots):
    old = [key["kid"] for key in keys(lab, "publisher") if "changeId" not in key][0]
    lab.refused("LogProofMissing", "key", "show", old, "--package", roots.package(), "-o", os.path.join(lab.folder, "old.json"))
    assert not os.path.exists(os.path.join(lab.folder, "old.json"))
