"""docs/operations/lost-root.md for an organisation made with --adu-readable: one RSA root is gone. Our devices go on; readers by Azure's rules go on only
if they were built without it, and only where it is not listed any more."""
import glob
import json
import os
import shutil

import pytest

from adu_reader import Reader, Refused
from lab import Lab
from test_adu import ours, parts, read, theirs


@pytest.fixture(scope="module")
def lab():
    made = Lab(devices=1, more=["--adu-readable"])
    yield made
    made.down()


class Holders:
    """Of the roots that are left: what is lost is on nobody's disk any more."""

    def __init__(self, lab, folder):
        self.lab, self.folder = lab, str(folder)
        self.offline = os.path.join(lab.folder, "org", "offline")
        self.roots = os.path.join(self.folder, "roots")
        shutil.copytree(os.path.join(self.offline, "roots"), self.roots)
        os.remove(os.path.join(self.roots, "root-1.key"))
        shutil.copy(os.path.join(self.offline, "root-package-1.json"), self.folder)
        self.secret = ("--passphrase-file", os.path.join(self.offline, "passphrase"))

    def path(self, *names):
        return os.path.join(self.folder, *names)

    def done(self, *arguments):
        outcome = self.lab.run(*arguments)
        assert outcome.code == 0, outcome.output + outcome.error
        return outcome

    def draft(self, *changes):
        os.makedirs(self.path("two"), exist_ok=True)
        target = self.path("two", "root-package-2.json")
        for old in glob.glob(self.path("two", "*")):
            os.remove(old)
        self.done("root", "rotate", "--package", self.path("root-package-1.json"), *changes, "-o", target)
        shutil.copy(self.path("root-package-1.json"), self.path("two"))
        return target

    def sign(self, target, *signers):
        """Each a folder and a root in it. Returns what the last one was told."""
        for folder, root in signers:
            outcome = self.done("root", "package", "--draft", target, "--folder", folder, "--root", root, *self.secret, "-o", target)
        return outcome


def roots_json(lab, path, kids):
    found = {}
    for file in glob.glob(os.path.join(lab.folder, "org/offline/roots/*.pub.json")):
        jwk = json.loads(read(file))
        if jwk["kid"] in kids:
            found[jwk["kid"]] = {"n": jwk["n"], "e": 65537}
    assert sorted(found) == sorted(kids)
    with open(path, "w", encoding="utf-8") as out:
        json.dump(found, out)
    return str(path)


def test_an_organisation_for_azure_style_readers_that_loses_a_root(lab, tmp_path):
    holders = Holders(lab, tmp_path / "holders")
    every = roots_json(lab, tmp_path / "every.json", ["root-1", "root-2", "root-3"])
    left = roots_json(lab, tmp_path / "left.json", ["root-2", "root-3"])
    first = lab.release("1.0.0", lab.path("one.img", b"one" * 1000))
    lab.good("update", "show", first, "--documents", str(tmp_path / "first"))
    _, manifest, signature = parts(tmp_path / "first")
    field = Reader.with_roots(read(every))  # in the field since before the loss
    assert theirs(field, read(holders.path("root-package-1.json")), read(manifest), read(signature)) == "good"

    # Disabled, it stays listed: our devices take the step, no such reader does, whatever is compiled into it.
    new = holders.path("root-4")
    holders.done("root", "create", "--folder", new, "--prefix", "root-4", "--count", "1", "--algorithm", "RS256", *holders.secret)
    joins = ("--add-root", os.path.join(new, "root-4.pub.json"))
    target = holders.draft("--disable-root", "root-1", *joins)
    said = holders.sign(target, (holders.roots, "root-2"), (holders.roots, "root-3"), (new, "root-4"))
    assert said.json["isComplete"] and json.loads(read(target))["signatures"] == []
    assert ours(None, holders.path("root-package-1.json"), target, more=["--adu-readable"])[0] == 0
    for roots in (every, left):
        assert theirs(Reader.with_roots(read(roots)), read(target), read(manifest), read(signature)) != "good"
        assert ours(roots, target)[0] == 3

    # Removed: every root that is listed signs, so a reader that was built without the lost one takes it.
    target = holders.draft("--remove-root", "root-1", *joins)
    said = holders.sign(target, (holders.roots, "root-2"), (holders.roots, "root-3"), (new, "root-4"))
    assert said.json["isComplete"] and len(json.loads(read(target))["signatures"]) == 3
    Reader.with_roots(read(left)).take_package(read(target))
    assert ours(left, target)[0] == 0
    with pytest.raises(Refused, match="SignatureMissing"):
        field.take_package(read(target))
    assert ours(every, target)[0] == 3

    # Our own device takes the step and what comes after it, under the word of a root that is left.
    words = []
    for sjwk in sorted(glob.glob(os.path.join(holders.offline, "sjwk", "*.jws"))):
        word = holders.path(os.path.basename(sjwk))
        holders.done("root", "sign-key", "--folder", holders.roots, "--root", "root-2", "--key", sjwk, *holders.secret, "--standard-modulus", "-o", word)
        words += ["--sjwk", word]
    lab.good("root", "publish", target, *words, "--as", "security")
    lab.good("update", "resign", "--all")
    second = lab.release("2.0.0", lab.path("two.img", b"two" * 1000))
    assert lab.watch(lab.roll_out(second, "dev-1")) == {"dev-1": "installed"}
    assert json.loads(lab.trust()["package"])["protected"]["version"] == 2
    lab.good("update", "show", second, "--documents", str(tmp_path / "second"), "--device", "dev-1")
    package, manifest, late = parts(tmp_path / "second")
    assert theirs(Reader.with_roots(read(left)), read(package), read(manifest), read(late)) == "good"
    assert ours(left, package, manifest, late)[0] == 0
    assert ours(None, tmp_path / "second", more=["--adu-readable"])[0] == 0

    # A reader from before stays at its package: it reads on, by the keys of that time, the word of the lost root included.
    assert field.protected["version"] == 1
    assert field.verify_signature(read(late))[1] and field.verify_signature(read(signature))[1]
    assert ours(left, package, tmp_path / "first" / "manifest.json", signature) == (3, ["ok", "UnknownRootKid"])
