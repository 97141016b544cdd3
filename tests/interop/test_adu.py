"""Azure-readable documents: an independent reader by the published rules agrees with `fleetseal verify --profile adu`.

On the genuine published vectors, and on documents of a real lab made with --adu-readable, over a rotated package.
"""
import base64
import glob
import json
import os
import shutil
import subprocess

import pytest

from adu_reader import Reader, Refused, unb64u
from lab import BIN, Lab

VECTORS = os.path.join(os.environ["FLEETSEAL_VECTORS"], "adu")
FLEETSEAL = os.path.join(BIN, "fleetseal")


def read(*path):
    with open(os.path.join(*path), encoding="utf-8") as file:
        return file.read()


def ours(roots, *paths, more=("--profile", "adu")):
    roots = ["--roots", str(roots)] if "adu" in more else []
    done = subprocess.run([FLEETSEAL, "verify", *more, *roots, *map(str, paths), "--json"], capture_output=True, text=True)
    return done.returncode, [finding.get("code", finding["outcome"]) for finding in json.loads(done.stdout)["findings"]]


def theirs(reader, package, manifest, signature):
    try:
        reader.take_package(package)
        if manifest is None:
            reader.verify_signature(signature)
        else:
            reader.verify_manifest(manifest, signature)
        return "good"
    except Refused as refused:
        return refused.outcome


# --- the vectors ---------------------------------------------------------------------------------------------------------------

ROOTS = os.path.join(VECTORS, "hardcoded-root-keys.prod.json")
PACKAGE = os.path.join(VECTORS, "rootkeypackages/prod-rootkeys.json")


@pytest.mark.parametrize("package", ["prod-rootkeys.json", "jws_utils-testrootkeypkg.json"])
@pytest.mark.parametrize("signature", ["jws-00.txt", "jws-01.txt"])
def test_S1_46_both_readers_take_the_published_documents(package, signature):
    paths = os.path.join(VECTORS, "rootkeypackages", package), os.path.join(VECTORS, "manifests", signature)
    assert theirs(Reader.with_roots(read(ROOTS)), read(paths[0]), None, read(paths[1])) == "good"
    assert ours(ROOTS, *paths)[0] == 0


def test_both_readers_find_the_manifest_that_its_publishers_edited():
    path = os.path.join(VECTORS, "manifests/updateActionForActionBundle.json")
    message = json.loads(read(path))
    assert theirs(Reader.with_roots(read(ROOTS)), read(PACKAGE), message["updateManifest"], message["updateManifestSignature"]) == "ManifestHashMismatch"
    assert ours(ROOTS, PACKAGE, path) == (3, ["ok", "ManifestHashMismatch"])


@pytest.mark.parametrize("package", ["disabledRootKeyProd.json", "disabledSigningKeyProd.json"])
def test_both_readers_refuse_packages_without_a_real_signature(package):
    path = os.path.join(VECTORS, "rootkeypackages", package)
    assert theirs(Reader.with_roots(read(ROOTS)), read(path), None, "") != "good"
    assert ours(ROOTS, path)[0] == 3


# --- a real organisation -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def lab():
    lab = Lab(devices=1, more=["--adu-readable"])
    yield lab
    lab.down()


@pytest.fixture(scope="module")
def made(lab, tmp_path_factory):
    """Documents of a release before and after the package was rotated."""
    folder = tmp_path_factory.mktemp("adu")
    roots = {}
    for path in sorted(glob.glob(os.path.join(lab.folder, "org/offline/roots/*.pub.json"))):
        jwk = json.loads(read(path))
        roots[jwk["kid"]] = {"n": jwk["n"], "e": 65537}
    assert len(roots) == 3
    (folder / "roots.json").write_text(json.dumps(roots))
    update = lab.release("1.0.0", lab.path("one.img", b"one" * 1000))
    assert lab.watch(lab.roll_out(update, "dev-1")) == {"dev-1": "installed"}
    (folder / "first.id").write_text(update)
    lab.good("update", "show", update, "--documents", str(folder / "first"), "--device", "dev-1")
    return folder


def parts(folder):
    package = max(glob.glob(os.path.join(folder, "root-package-*.json")))
    return package, os.path.join(folder, "manifest.json"), os.path.join(folder, "manifest.jws")


def test_S1_47_an_outsider_reads_our_package_signature_and_manifest(made):
    package, manifest, signature = parts(made / "first")
    assert theirs(Reader.with_roots(read(made, "roots.json")), read(package), read(manifest), read(signature)) == "good"
    assert ours(made / "roots.json", package, manifest, signature)[0] == 0
    header = json.loads(unb64u(read(signature).split(".")[0]))
    jwk = json.loads(unb64u(header["sjwk"].split(".")[1]))
    assert header["alg"] == jwk["alg"] == "RS256" and jwk["e"] == "AQAB"
    assert len(base64.b64decode(jwk["n"], validate=True)) == 384


def test_our_own_rules_trust_the_same_documents_when_told_how_they_are_written(made):
    assert ours(None, made / "first", more=["--adu-readable"])[0] == 0
    code, findings = ours(None, made / "first", more=[])
    assert code == 3 and "Base64Invalid" in findings


def test_a_device_installs_it_by_the_whole_trust_model(lab, made):
    """Azure's rules know no rollback, no log and no order: the device does."""
    second = lab.release("2.0.0", lab.path("two.img", b"two" * 1000))
    assert lab.watch(lab.roll_out(second, "dev-1")) == {"dev-1": "installed"}
    assert lab.watch(lab.roll_out(read(made, "first.id"), "dev-1")) == {"dev-1": "RollbackRefused"}


def changes(text):
    """What the rules must refuse, by name."""
    document = json.loads(text)
    protected, signatures = document["protected"], document["signatures"]

    def with_(**more):
        return json.dumps({**document, **more}, separators=(",", ":"))

    yield "swapped places", with_(signatures=[signatures[1], signatures[0], *signatures[2:]])
    yield "one signature short", with_(signatures=signatures[:-1])
    yield "no signatures", with_(signatures=[])
    yield "a later version", with_(protected={**protected, "version": protected["version"] + 1})
    yield "reordered members", with_(protected=dict(reversed(protected.items())))
    yield "a root disabled", with_(protected={**protected, "disabledRootKeys": ["root-1"]})
    yield "a member more", with_(protected={**protected, "more": 1})


def test_both_readers_refuse_the_same_changes_of_our_package(made, tmp_path):
    package, manifest, signature = parts(made / "first")
    for name, changed in changes(read(package)):
        (tmp_path / "package").write_text(changed)
        assert theirs(Reader.with_roots(read(made, "roots.json")), changed, read(manifest), read(signature)) != "good", name
        assert ours(made / "roots.json", tmp_path / "package")[0] == 3, name


def test_white_space_in_our_package_changes_nothing_for_either(made, tmp_path):
    package, manifest, signature = parts(made / "first")
    (tmp_path / "package").write_text(json.dumps(json.loads(read(package)), indent=3))
    assert theirs(Reader.with_roots(read(made, "roots.json")), read(tmp_path / "package"), read(manifest), read(signature)) == "good"
    assert ours(made / "roots.json", tmp_path / "package", manifest, signature)[0] == 0


def test_S1_30_both_refuse_a_manifest_with_a_blank_more_and_a_signature_with_one_character_changed(made, tmp_path):
    package, manifest, signature = parts(made / "first")
    (tmp_path / "manifest").write_text(read(manifest) + " ")
    text = read(signature)
    (tmp_path / "signature").write_text(text[:-9] + ("A" if text[-9] != "A" else "B") + text[-8:])
    for paths in ((tmp_path / "manifest", signature), (manifest, tmp_path / "signature")):
        assert theirs(Reader.with_roots(read(made, "roots.json")), read(package), *map(read, paths)) != "good"
        assert ours(made / "roots.json", package, *paths)[0] == 3


def test_S1_39_a_rotated_package_is_read_by_both_and_taken_by_the_device(lab, made):
    """Every root signs the next package too, each at its own place; the device takes it as a step of ours."""
    offline = os.path.join(lab.folder, "org/offline")
    first, second = os.path.join(offline, "root-package-1.json"), str(made / "root-package-2.json")
    secret = os.path.join(offline, "passphrase")
    lab.good("root", "package", "--renew", first, "--folder", os.path.join(offline, "roots"), "--passphrase-file", secret, "-o", second)
    reader = Reader.with_roots(read(made, "roots.json"))
    _, manifest, signature = parts(made / "first")
    assert theirs(reader, read(second), read(manifest), read(signature)) == "good"
    assert ours(made / "roots.json", second, manifest, signature)[0] == 0
    assert ours(None, first, second, more=["--adu-readable"])[0] == 0
    # Alone in its folder: without the transcript of the ceremony, which is another test's.
    (made / "publish").mkdir()
    shutil.copy(second, made / "publish")
    lab.good("root", "publish", str(made / "publish" / "root-package-2.json"), "--as", "security")
    third = lab.release("3.0.0", lab.path("three.img", b"three" * 1000))
    assert lab.watch(lab.roll_out(third, "dev-1")) == {"dev-1": "installed"}
    lab.good("update", "show", third, "--documents", str(made / "third"), "--device", "dev-1")
    package, manifest, signature = parts(made / "third")
    assert json.loads(read(package))["protected"]["version"] == 2
    assert theirs(Reader.with_roots(read(made, "roots.json")), read(package), read(manifest), read(signature)) == "good"
