"""Root ceremonies from the command line: files passed from holder to holder, without network."""
import base64
import hashlib
import json
import os
import shutil
import subprocess

import pytest

from ceremony import USAGE, Ceremony, jwk, write
from crash import scratch
from documents import World
from lab import BIN

SOFTHSM = "/usr/lib/softhsm/libsofthsm2.so"


@pytest.fixture(scope="module")
def organisation():
    """An organisation that nobody runs: what is done on files needs no more. Its users must be able to pass through the folders above."""
    home = scratch("fleetseal-ceremony-")
    data = os.path.join(home, "org")
    done = subprocess.run([os.path.join(BIN, "fleetseal"), "init", "--data", data, "--organisation", "acme", "--product", "acme/pump"],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    yield data
    shutil.rmtree(home)


@pytest.fixture
def ceremony(organisation, tmp_path):
    return Ceremony(organisation, tmp_path)


def publisher(ceremony):
    return next(kid for kid, listing in ceremony.protected(1)["signingKeys"].items() if listing["role"] == "publisher")


def test_two_holders_renew_with_one_command_each(ceremony):
    target = ceremony.package(2)
    place = ("--folder", ceremony.roots, "--passphrase-file", ceremony.passphrase, "-o", target)
    first = ceremony.good("package", "--renew", ceremony.package(), "--root", "root-1", *place)
    assert not first["isComplete"] and first["signatures"][0]["notSignedBy"] == ["root-2", "root-3"]
    second = ceremony.good("package", "--draft", target, "--root", "root-2", *place)
    assert second["isComplete"] and second["signedBy"] == ["root-1", "root-2"]
    old, new = ceremony.protected(1), ceremony.protected(2)
    assert new["expires"] - new["published"] == old["expires"] - old["published"] and new["published"] > old["published"]
    for kid, listing in new["signingKeys"].items():
        assert listing["notAfter"] > old["signingKeys"][kid]["notAfter"] and listing["thumbprint"] == old["signingKeys"][kid]["thumbprint"]
    assert ceremony.good("show", target, "--previous", ceremony.package(1))["isComplete"]


def test_a_partly_signed_package_says_whose_signature_is_missing(ceremony):
    ceremony.draft("raise-epoch")
    answer = ceremony.sign("root-2")
    assert not answer["isComplete"]
    for count in answer["signatures"]:
        assert count["needed"] == 2 and count["signedBy"] == ["root-2"] and count["notSignedBy"] == ["root-1", "root-3"]
    shown = ceremony.words("show", ceremony.package(2), "--previous", ceremony.package(1))
    assert "1 of 2 needed (root-2); 1 more of: root-1, root-3" in shown
    assert "director epoch 1 becomes 2" in shown


def test_words_tell_what_is_trusted_before_and_after(ceremony):
    added = ceremony.new_root("root-4")
    done = subprocess.run([os.path.join(BIN, "fleetseal"), "root", "rotate", "--package", ceremony.package(), "--add-root", added,
                           "--remove-root", "root-1", "--min-counter", "acme/pump=7", "-o", ceremony.package(2)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    before, after = done.stdout.index("BEFORE"), done.stdout.index("AFTER")
    assert before < after < done.stdout.index("CHANGES") < done.stdout.index("THINK ABOUT")
    for line in ("root root-1 is removed", "root root-4 is added, thumbprint ", "lowest release counter of acme/pump becomes 7",
                 "! devices refuse signing keys that root root-1 vouches for", " days left", "publisher for acme/pump"):
        assert line in done.stdout, line


def test_a_change_needs_the_threshold_of_the_old_and_of_the_new_roots(ceremony):
    added = [ceremony.new_root(kid) for kid in ("root-4", "root-5")]
    ceremony.draft("rotate", "--add-root", added[0], "--add-root", added[1], "--remove-root", "root-1", "--remove-root", "root-2")
    assert not ceremony.sign("root-4", "root-5")["isComplete"], "new roots alone are strangers to devices"
    assert not ceremony.sign("root-3")["isComplete"]
    assert ceremony.sign("root-1")["isComplete"], "an old root that goes still counts for the old package"


def test_drafts_that_could_never_become_a_step_are_refused(ceremony):
    out = ("--package", ceremony.package(), "-o", ceremony.package(2))
    ceremony.refused("InvalidArgument", "rotate", "--threshold", "1", *out, exit_code=USAGE)
    ceremony.refused("PackageStepInvalid", "rotate", "--threshold", "4", *out)
    error = ceremony.refused("PackageStepInvalid", "rotate", "--disable-root", "root-1", "--disable-root", "root-2", *out)
    assert "1 roots stay enabled and 2 must sign" in error["detail"]
    ceremony.refused("PackageStepInvalid", "rotate", "--renew", "--days", "401", *out)
    key = write(os.path.join(ceremony.folder, "key.json"), jwk("publisher-9"))
    listing = ("--add-key", key, "--product", "acme/pump")
    ceremony.refused("PackageStepInvalid", "rotate", *listing, "--role", "publisher", "--key-days", "401", *out)
    ceremony.refused("PackageStepInvalid", "rotate", *listing, "--role", "director", "--key-days", "36", *out)
    ceremony.refused("KeyPurposeWrong", "rotate", *listing, "--role", "artefact", *out)
    root = os.path.join(ceremony.roots, "root-2.pub.json")
    ceremony.refused("PackageStepInvalid", "rotate", "--add-key", root, "--product", "acme/pump", "--role", "publisher", *out)
    ceremony.refused("AlreadyExists", "rotate", "--add-root", root, *out)
    ceremony.refused("NotFound", "disable-root", "root-9", *out)
    ceremony.refused("NotFound", "disable-key", "publisher-9", *out)
    ceremony.refused("InvalidArgument", "rotate", *out, exit_code=USAGE)
    assert not os.path.exists(ceremony.package(2)), "a refusal writes nothing"


def test_an_artefact_key_is_neither_listed_nor_vouched_for(ceremony):
    key = jwk("uboot-1")
    digest = base64.urlsafe_b64encode(hashlib.sha256(b"any").digest()).rstrip(b"=").decode()
    file = write(os.path.join(ceremony.folder, "artefact.json"), {"kid": "uboot-1", "role": "artefact", "products": ["acme/pump"],
                                                                  "thumbprint": digest, "jwk": key})
    ceremony.refused("KeyPurposeWrong", "sign-key", "--folder", ceremony.roots, "--root", "root-1", "--key", file, "--passphrase-file",
                     ceremony.passphrase, "-o", os.path.join(ceremony.folder, "sjwk"))
    assert not os.path.exists(os.path.join(ceremony.folder, "sjwk"))


def test_the_last_spare_root_is_warned_of(ceremony):
    answer = ceremony.draft("disable-root", "root-3")
    assert any("only 2 roots are enabled and all of them must sign" in danger for danger in answer["dangers"])
    assert ceremony.protected(2)["disabledRootKeys"] == ["root-3"]
    ceremony.sign("root-1")
    # What its own roots have not signed is nothing to compare with.
    ceremony.refused("PackageStepInvalid", "package", "--draft", ceremony.package(2), "--previous", ceremony.package(2), "--folder", ceremony.roots,
                     "--root", "root-2", "--passphrase-file", ceremony.passphrase, "-o", ceremony.package(2))


def test_a_draft_that_was_edited_or_lost_its_transcript_is_refused(ceremony):
    ceremony.draft("disable-key", publisher(ceremony))
    ceremony.sign("root-1")
    target = ceremony.package(2)
    place = ("--draft", target, "--folder", ceremony.roots, "--root", "root-2", "--passphrase-file", ceremony.passphrase, "-o", target)
    with open(target) as file:
        text = file.read()
    with open(target, "w") as file:
        file.write(text.replace('"threshold":2', '"threshold":3'))
    ceremony.refused("Conflict", "package", *place)
    with open(target, "w") as file:
        file.write(text)
    transcript = os.path.join(ceremony.folder, "root-package-2.transcript.json")
    with open(transcript) as file:
        steps = json.load(file)
    assert steps["draft"]["changes"][0].startswith("signing key publisher-") and steps["signatures"][0]["by"] == "holder of root-1"
    os.rename(transcript, transcript + ".away")
    ceremony.refused("NotFound", "package", *place)
    os.rename(transcript + ".away", transcript)
    assert ceremony.sign("root-2")["isComplete"]


def test_a_root_whose_signature_would_not_count_does_not_sign(ceremony):
    ceremony.new_root("root-9")
    ceremony.draft("raise-epoch")
    target = ceremony.package(2)
    ceremony.refused("UnknownRootKid", "package", "--draft", target, "--folder", ceremony.roots, "--root", "root-9", "--passphrase-file",
                     ceremony.passphrase, "-o", target)


@pytest.mark.skipif(not os.path.exists(SOFTHSM), reason="softhsm2 is not installed")
def test_roots_on_tokens_sign_like_roots_in_files(ceremony, monkeypatch):
    tokens = os.path.join(ceremony.folder, "tokens")
    os.mkdir(tokens)
    configuration = os.path.join(ceremony.folder, "softhsm2.conf")
    with open(configuration, "w") as file:
        file.write(f"directories.tokendir = {tokens}\nlog.level = ERROR\n")
    pin = os.path.join(ceremony.folder, "pin")
    with open(os.open(pin, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
        file.write("1234\n")
    monkeypatch.setenv("SOFTHSM2_CONF", configuration)
    subprocess.run(["softhsm2-util", "--init-token", "--free", "--label", "ada", "--so-pin", "12345678", "--pin", "1234"], check=True,
                   capture_output=True)
    uri = f"pkcs11:token=ada?module-path={SOFTHSM}&pin-source={pin}"
    ceremony.refused("InvalidArgument", "create", "--folder", os.path.join(ceremony.folder, "x"), "--pkcs11",
                     f"pkcs11:token=ada?module-path={SOFTHSM}&pin-value=1234", exit_code=USAGE)
    own = os.path.join(ceremony.folder, "ada")
    ceremony.good("create", "--folder", own, "--prefix", "ada", "--count", "1", "--pkcs11", uri)
    assert sorted(os.listdir(own)) == ["ada.pub.json", "ada.uri", "roots.json"], "the key stays on its token"
    ceremony.draft("rotate", "--add-root", os.path.join(own, "ada.pub.json"), "--remove-root", "root-3", "--threshold", "3")
    assert not ceremony.sign("ada", folder=own)["isComplete"]
    assert ceremony.finish("root-1", "root-2")["isComplete"]


def shows_another_history(ceremony, tmp_path, version):
    """A draft beside a previous package of strangers, made so that a holder's own root would count in it."""
    world = World()
    os.makedirs(tmp_path / "shown", exist_ok=True)
    stranger = os.path.join(str(tmp_path), "shown", f"root-package-{version}.json")
    with open(stranger, "w") as file:
        file.write(world.package(version))
    draft = os.path.join(str(tmp_path), "shown", f"root-package-{version + 1}.json")
    ceremony.good("rotate", "--package", stranger, "--add-root", os.path.join(ceremony.roots, "root-9.pub.json"), "-o", draft)
    return draft


def test_a_holder_signs_only_what_follows_from_the_package_that_the_root_knew(ceremony, tmp_path):
    ceremony.new_root("root-9")
    ceremony.draft("rotate", "--add-root", os.path.join(ceremony.roots, "root-9.pub.json"))
    ceremony.finish("root-1", "root-2")
    ceremony.draft("raise-epoch")
    ceremony.sign("root-9")
    for version in (1, 2, 3):
        draft = shows_another_history(ceremony, tmp_path, version)
        error = ceremony.refused("PackageStepInvalid", "package", "--draft", draft, "--folder", ceremony.roots, "--root", "root-9",
                                 "--passphrase-file", ceremony.passphrase, "-o", draft)
        assert "these roots last built on version 2" in error["detail"]
        with open(draft) as file:
            assert json.load(file)["signaturesExt"] == [], "nothing was signed"
    assert ceremony.sign("root-1")["isComplete"], "the true one goes on"


def test_a_holder_who_missed_packages_sees_each_step(ceremony, tmp_path):
    absent = os.path.join(str(tmp_path), "absent")
    shutil.copytree(ceremony.roots, absent)
    for _ in range(2):
        ceremony.draft("raise-epoch")
        ceremony.finish("root-1", "root-2")
    ceremony.draft("raise-epoch")
    hidden = ceremony.package(2) + ".away"
    os.rename(ceremony.package(2), hidden)
    error = ceremony.refused("PackageStepInvalid", "package", "--draft", ceremony.package(4), "--folder", absent, "--root", "root-3",
                             "--passphrase-file", ceremony.passphrase, "-o", ceremony.package(4))
    assert "root-package-2.json is needed" in error["detail"]
    os.rename(hidden, ceremony.package(2))
    assert not ceremony.sign("root-3", folder=absent)["isComplete"]
    with open(os.path.join(absent, "known-package.json")) as file:
        assert json.load(file)["protected"]["version"] == 3


def test_a_root_that_knows_no_package_yet_is_told_what_to_compare(ceremony):
    ceremony.new_root("root-9")
    own = os.path.join(ceremony.folder, "root-9")
    ceremony.draft("rotate", "--add-root", os.path.join(ceremony.roots, "root-9.pub.json"))
    draft = ceremony.package(2)
    done = subprocess.run([os.path.join(BIN, "fleetseal"), "root", "package", "--draft", draft, "--folder", own, "--passphrase-file",
                           ceremony.passphrase, "-o", draft], capture_output=True, text=True)
    assert done.returncode == 0 and "these roots have built on no package yet" in done.stderr, done.stderr
    with open(os.path.join(own, "known-package.json")) as file, open(ceremony.package(1)) as first:
        assert file.read() == first.read()
