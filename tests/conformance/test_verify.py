"""`fleetseal verify`: every kind of document, told by content alone; nothing is called good that was not judged."""
import json
import os
import re
import shlex
import shutil
import subprocess
import time
from calendar import timegm

import pytest

import corpus
import documents
import sources
from corpus_world import NOW
from documents import DAY, Key, World, b64u, compact, jws

BIN = os.environ["FLEETSEAL_BIN"]
EXAMPLES = os.path.join(sources.ROOT, "docs/protocol/examples")
AZURE = os.path.join(os.environ["FLEETSEAL_VECTORS"], "adu")
PEOPLE = ["request", "approval", "plan", "revocation", "register-change", "register-change-people"]


def example(name, mode="r"):
    with open(os.path.join(EXAMPLES, name), mode) as file:
        return file.read()


TAKEN = str(json.loads(example("facts.json"))["taken"])


def verify(*arguments, cwd=None):
    done = subprocess.run([os.path.join(BIN, "fleetseal"), "verify", *map(str, arguments), "--json"], capture_output=True, text=True,
                          stdin=subprocess.DEVNULL, cwd=cwd)
    return done.returncode, json.loads(done.stdout)


def outcomes(verdict):
    return [(finding["document"], finding["outcome"]) for finding in verdict["findings"]]


def codes(verdict):
    return [finding["code"] for finding in verdict["findings"] if "code" in finding]


def texts(links):
    for link in links:
        yield link["text"]
        yield from texts(link.get("next", []))


def write_set(folder, world):
    """Everything that a device needs for an update, and the order."""
    folder.mkdir(exist_ok=True)
    manifest = world.manifest(b"content")
    signature = world.manifest_signature(manifest)
    index = world.log_signature(signature, manifest)
    files = {"manifest.json": manifest, "manifest.jws": signature, "log.proof": world.log.proof(index), "checkpoint": world.log.checkpoint(),
             "root-package-1.json": world.package(), "status.jws": world.status()}
    for name, text in files.items():
        (folder / name).write_text(text)
    return files


@pytest.fixture
def world():
    return World()


# --- the kinds -----------------------------------------------------------------------------------------------------------------


def test_S0_15_the_tree_names_keys_dates_and_log_position(world, tmp_path):
    write_set(tmp_path / "set", world)
    code, verdict = verify(tmp_path / "set", "--trusted-package", tmp_path / "set/root-package-1.json")
    assert code == 0 and verdict["verdict"] == "trusted" and verdict["trusted"], verdict
    found = {finding["document"]: list(texts(finding.get("chain", []))) for finding in verdict["findings"]}
    assert any(text.startswith("root root-1") for text in found["manifest"])
    assert any("publisher-1" in text and b64u(world.publisher.thumbprint()) in text and "listed 20" in text for text in found["manifest"])
    assert any(re.match(r"record \d+: manifest signature", text) for text in found["log"]) and any("log.acme" in text for text in found["log"])
    assert "checkpoint" in found


def test_S1_37_S1_38_S1_50_the_verdict_says_that_nobody_named_where_trust_starts(world, tmp_path):
    """A forger can make a package and documents that fit each other: only the reader knows which package is the one."""
    files = write_set(tmp_path / "set", world)
    sha256 = world.package_sha256()
    for named in (False, True):
        anchor = ["--trusted-package", tmp_path / "set/root-package-1.json"] if named else []
        words = "trusted" if named else f"trusted from root-key package 1, SHA-256 {sha256}, which you did not name"
        code, verdict = verify(tmp_path / "set", *anchor)
        assert code == 0 and verdict["verdict"] == words and verdict["trusted"] is named, verdict
        assert verdict["trustStartsAt"] == {"version": 1, "sha256": sha256, "isNamed": named}
        done = subprocess.run([os.path.join(BIN, "fleetseal"), "verify", str(tmp_path / "set"), *map(str, anchor)], capture_output=True, text=True)
        assert done.stdout.splitlines()[-1] == words
    (tmp_path / "set" / "status.jws").write_text(files["status.jws"][:-1])
    code, verdict = verify(tmp_path / "set")
    assert code == 3 and verdict["verdict"] == "refused" and not verdict["trusted"]


def test_a_document_is_told_by_its_content_and_not_by_its_name(world, tmp_path):
    write_set(tmp_path / "set", world)
    for number, name in enumerate(sorted(os.listdir(tmp_path / "set"))):
        os.rename(tmp_path / "set" / name, tmp_path / "set" / f"{number}.bin")
    code, verdict = verify(tmp_path / "set")
    assert code == 0, verdict


def test_a_lone_signing_key_permit_trust_state_and_sealed_file_are_judged(tmp_path):
    package = os.path.join(EXAMPLES, "update/root-package-1.json")
    for name, document in (("sjwk/publisher.jws", "signing key"), ("device/trust-state.json", "trust state")):
        code, verdict = verify(os.path.join(EXAMPLES, name), "--trusted-package", package, "--as-of", TAKEN)
        assert code == 0 and (document, "ok") in outcomes(verdict), verdict
    code, verdict = verify(os.path.join(EXAMPLES, "permit"), "--as-of", TAKEN)
    assert code == 0 and ("permit", "ok") in outcomes(verdict), verdict
    shutil.copytree(os.path.join(EXAMPLES, "update"), tmp_path / "set")
    sealed = bytes.fromhex(example("sealed/file.hex").strip())
    (tmp_path / "set" / "file").write_bytes(sealed)
    code, verdict = verify(tmp_path / "set", "--as-of", TAKEN)
    assert code == 0 and ("sealed file", "ok") in outcomes(verdict), verdict
    (tmp_path / "set" / "file").write_bytes(sealed + b"x")
    assert codes(verify(tmp_path / "set", "--as-of", TAKEN)[1]) == ["Truncated"]
    (tmp_path / "set" / "file").write_bytes(sealed[:-1] + b"x")
    code, verdict = verify(tmp_path / "set", "--as-of", TAKEN)
    assert code == 3 and verdict["verdict"] == "not judged"


@pytest.mark.parametrize("name", ["people/" + name for name in PEOPLE] + ["device/receipt", "device/enrolment", "device/device-keys"])
def test_a_document_of_a_person_or_device_is_good_only_under_a_given_key(name, tmp_path):
    path = os.path.join(EXAMPLES, name + ".jws")
    keys = os.path.join(EXAMPLES, "people/keys.json")
    code, verdict = verify(path)
    assert code == 3 and verdict["verdict"] == "not judged" and "--key" in verdict["findings"][0]["detail"], verdict
    kid = documents.jws_parts(example(name + ".jws"))[0]["kid"]
    assert any(kid in text for text in texts(verdict["findings"][0]["chain"]))
    if name == "device/device-keys":
        keys = tmp_path / "key.json"
        keys.write_text(compact(json.loads(documents.jws_parts(example(name + ".jws"))[1])["receiptKey"]))
    code, verdict = verify(path, "--key", keys, "--as-of", TAKEN)
    assert code == 0 and verdict["verdict"] == "trusted", verdict
    changed = example(name + ".jws")
    changed = changed[:-6] + ("AAAAAA" if not changed.endswith("AAAAAA") else "BBBBBA")
    (tmp_path / "changed").write_text(changed)
    code, verdict = verify(tmp_path / "changed", "--key", keys)
    assert code == 3 and codes(verdict) == ["SignatureInvalid"], verdict


@pytest.mark.parametrize("name, refusal", [("request", "ApprovalExpired"), ("approval", "ApprovalExpired"), ("plan", "PlanExpired"),
                                           ("revocation", None), ("register-change", None)])
def test_a_document_of_a_person_is_judged_at_the_time_named(name, refusal):
    path, keys = os.path.join(EXAMPLES, f"people/{name}.jws"), os.path.join(EXAMPLES, "people/keys.json")
    words = json.loads(documents.jws_parts(example(f"people/{name}.jws"))[1])
    early = verify(path, "--key", keys, "--as-of", words["issued"] - 301)
    assert early[0] == 3 and codes(early[1]) == [refusal or "ApprovalExpired"], early
    assert verify(path, "--key", keys, "--as-of", words["issued"] - 300)[0] == 0
    if refusal:
        assert verify(path, "--key", keys, "--as-of", words["expires"] - 1)[0] == 0
        late = verify(path, "--key", keys, "--as-of", words["expires"])
        assert late[0] == 3 and codes(late[1]) == [refusal] and "--as-of" in late[1]["findings"][0]["detail"], late


def replacement(world, signers=("root-1", "root-2"), **changes):
    """A security replacement as it goes from holder to holder."""
    people = [{"id": "tess", "key": Key.p256().jwk()}]
    payload = compact({"changeId": "change-1", "organisation": "acme", "packageVersion": 1, "packageSha256": world.package_sha256(), "sequence": 4,
                       "people": people, "quorum": 1, "issued": world.now, "expires": world.now + DAY, **changes})
    header = lambda kid: {"alg": "ES256", "kid": kid, "typ": "fleetseal-security-replacement+jws"}  # noqa: E731
    return {"payload": payload, "jws": [jws(world.roots[kid], header(kid), payload) for kid in signers]}


def test_a_security_replacement_is_judged_by_the_roots_of_the_package(world, tmp_path):
    (tmp_path / "root-package-1.json").write_text(world.package())
    file = tmp_path / "security.json"

    def judged(document, as_of=world.now):
        file.write_text(document if isinstance(document, str) else compact(document))
        code, verdict = verify(tmp_path, "--as-of", as_of)
        finding = next(one for one in verdict["findings"] if one["document"] == "security replacement")
        assert (code == 0) == (finding["outcome"] == "ok"), verdict
        return finding.get("code", "ok")
    good = replacement(world)
    assert judged(good) == "ok"
    assert judged(good, world.now + DAY) == "ApprovalExpired"
    assert judged(replacement(world, signers=("root-1",))) == "QuorumNotReached"
    assert judged(replacement(world, signers=("root-1", "root-1"))) == "QuorumNotReached"
    assert judged(good["jws"][0]) == "QuorumNotReached"  # one signature alone
    assert judged(replacement(world, packageVersion=2)) == "Conflict"
    assert judged({**good, "payload": good["payload"].replace("tess", "jess")}) == "SignatureInvalid"
    assert judged({**good, "more": 1}) == "MemberUnknown"
    damaged = good["jws"][1][:-6] + ("AAAAAA" if not good["jws"][1].endswith("AAAAAA") else "BBBBBA")
    assert judged({**good, "jws": [good["jws"][0], damaged]}) == "SignatureInvalid"
    halt = {"haltId": b64u(b"0" * 16), "logSize": 5, "sequenceFloor": 6, "adoptLog": False, "quarantine": []}
    assert judged(replacement(world, continueAfterRestore=halt)) == "ok"


def test_a_key_under_a_name_that_is_not_its_thumbprint_is_refused(tmp_path):
    keys = json.loads(example("people/keys.json"))
    names = list(keys)
    (tmp_path / "keys.json").write_text(compact({names[0]: keys[names[1]]}))
    done = subprocess.run([os.path.join(BIN, "fleetseal"), "verify", os.path.join(EXAMPLES, "people/request.jws"), "--key",
                           str(tmp_path / "keys.json"), "--json"], capture_output=True, text=True)
    assert done.returncode == 3 and "KeyInvalid" in done.stdout


# --- what is not good ----------------------------------------------------------------------------------------------------------


def test_a_file_that_is_no_document_of_ours_keeps_the_folder_from_being_trusted(world, tmp_path):
    write_set(tmp_path / "set", world)
    (tmp_path / "set" / "notes.txt").write_text("all is well")
    code, verdict = verify(tmp_path / "set")
    assert code == 3 and verdict["verdict"] == "not judged" and not verdict["trusted"]


@pytest.mark.parametrize("text, code", [
    ("ey.ey.ey", "JwsMalformed"), ("eyJ", "JwsMalformed"), ('{"protected":{}', "JsonInvalid"), ('{"protected":1,"protected":1}', "JsonDuplicateMember"),
    ("a\n\n\u2014 x y\n", "Base64Invalid")])
def test_what_cannot_be_read_is_refused_beside_good_documents(world, tmp_path, text, code):
    write_set(tmp_path / "set", world)
    (tmp_path / "set" / "z").write_text(text)
    exit_code, verdict = verify(tmp_path / "set")
    assert exit_code == 3 and verdict["verdict"] == "refused" and codes(verdict), verdict
    assert codes(verdict)[0] in (code, "Base64Invalid", "TextInvalid"), verdict


def test_S1_32_a_newline_after_a_signed_document_is_refused(world, tmp_path):
    files = write_set(tmp_path / "set", world)
    (tmp_path / "set" / "status.jws").write_text(files["status.jws"] + "\n")
    assert verify(tmp_path / "set")[0] == 3


def test_another_typ_is_refused(world, tmp_path):
    write_set(tmp_path / "set", world)
    key = Key.p256()
    (tmp_path / "set" / "x").write_text(jws(key, {"alg": "ES256", "typ": "fleetseal-statos+jws", "kid": key.kid()}, "{}"))
    code, verdict = verify(tmp_path / "set")
    assert code == 3 and codes(verdict) == ["TypMismatch"]


def test_S1_53_each_document_of_a_kind_is_judged(world, tmp_path):
    """A status by another key beside the good one."""
    write_set(tmp_path / "set", world)
    (tmp_path / "set" / "a.jws").write_text(world.status(version=7, key=Key.p256()))
    code, verdict = verify(tmp_path / "set")
    assert code == 3 and codes(verdict) == ["SignatureInvalid"]
    assert sorted(outcome for document, outcome in outcomes(verdict) if document == "status") == ["ok", "refused"]


def test_two_manifests_are_each_judged_with_their_own_signature_and_proof(world, tmp_path):
    folder = tmp_path / "set"
    write_set(folder, world)
    second = world.manifest(b"other", version="2.0.0")
    signature = world.manifest_signature(second, counter=2)
    index = world.log_signature(signature, second, counter=2)
    for name, text in {"two.json": second, "two.jws": signature, "two.proof": world.log.proof(index)}.items():
        (folder / name).write_text(text)
    (folder / "checkpoint").unlink()
    code, verdict = verify(folder)
    assert code == 0 and outcomes(verdict).count(("manifest", "ok")) == 2 and outcomes(verdict).count(("log", "ok")) == 2, verdict
    (folder / "two.proof").unlink()
    assert codes(verify(folder)[1]) == ["LogProofMissing"]


def test_S1_37_a_checkpoint_and_a_proof_of_another_log_key_are_refused(world, tmp_path):
    write_set(tmp_path / "set", world)
    other = documents.Log("log.acme")
    other.append("{}")
    (tmp_path / "set" / "checkpoint").write_text(other.checkpoint())
    code, verdict = verify(tmp_path / "set")
    assert code == 3 and codes(verdict), verdict


def test_S1_29_listings_are_judged_at_the_time_named(world, tmp_path):
    write_set(tmp_path / "set", world)
    (tmp_path / "set" / "status.jws").unlink()
    assert verify(tmp_path / "set", "--as-of", world.now)[0] == 0
    assert "SigningKeyExpired" in codes(verify(tmp_path / "set", "--as-of", world.now + 31 * DAY)[1])
    assert "PackageExpired" in codes(verify(tmp_path / "set", "--as-of", world.now + 301 * DAY)[1])
    as_text = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(world.now + 31 * DAY))
    assert "SigningKeyExpired" in codes(verify(tmp_path / "set", "--as-of", as_text)[1])
    done = subprocess.run([os.path.join(BIN, "fleetseal"), "verify", str(tmp_path), "--as-of", "soon"], capture_output=True, text=True)
    assert done.returncode == 2


def test_text_of_documents_cannot_command_the_terminal_or_pass_for_a_finding(world, tmp_path):
    folder = tmp_path / "set"
    write_set(folder, world)
    (folder / "x\x1b[31m\nok          manifest").write_text("nothing")
    member = "x\\u001b[2J\\nok          order"
    (folder / "bad.json").write_text('{"protected":{"' + member + '":1},"signatures":[],"signaturesExt":[]}')
    done = subprocess.run([os.path.join(BIN, "fleetseal"), "verify", str(folder)], capture_output=True, text=True)
    assert done.returncode == 3
    assert "\x1b" not in done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert not any(line.startswith("ok          order") for line in lines), done.stdout
    assert not any(line.startswith("ok          manifest") and "manifest.jws" not in line for line in lines), done.stdout


def test_without_a_package_only_documents_of_people_can_be_judged(world, tmp_path):
    (tmp_path / "status.jws").write_text(world.status())
    code, verdict = verify(tmp_path / "status.jws")
    assert code == 3 and codes(verdict) == ["TrustStateMissing"]


# --- the help ------------------------------------------------------------------------------------------------------------------


def help_examples():
    done = subprocess.run([os.path.join(BIN, "fleetseal"), "verify", "--help"], capture_output=True, text=True)
    return re.findall(r"^\s+(fleetseal verify .*)$", done.stdout, re.M)


def test_the_examples_of_the_help_work_as_printed(tmp_path, monkeypatch):
    examples = help_examples()
    assert len(examples) >= 4
    for number, line in enumerate(examples):
        folder = tmp_path / str(number)
        folder.mkdir()
        as_of = re.search(r"--as-of (\S+)", line)
        if as_of:
            monkeypatch.setattr(time, "time", lambda: timegm(time.strptime(as_of.group(1), "%Y-%m-%dT%H:%M:%SZ")))
        files = write_set(folder / "documents", World())
        monkeypatch.undo()
        shutil.copy(os.path.join(AZURE, "hardcoded-root-keys.prod.json"), folder / "roots.json")
        shutil.copy(os.path.join(AZURE, "rootkeypackages/prod-rootkeys.json"), folder / "root-key-package.json")
        shutil.copy(os.path.join(AZURE, "manifests/jws-00.txt"), folder / "manifest.jws")
        for name in ("people/revocation.jws", "device/receipt.jws", "people/keys.json"):
            shutil.copy(os.path.join(EXAMPLES, name), folder / os.path.basename(name))
        (folder / "root-package-1.json").write_text(files["root-package-1.json"])
        if "--device" in line:
            shutil.rmtree(folder / "documents")
            shutil.copytree(os.path.join(corpus.FOLDER, "controls/install"), folder / "documents", ignore=shutil.ignore_patterns("c*.json"))
            for name in ("trust-state.json", "device.json"):
                shutil.copy(os.path.join(corpus.FOLDER, "bases/fresh", name), folder / name)
        done = subprocess.run([os.path.join(BIN, "fleetseal"), *shlex.split(line)[1:]], cwd=folder, capture_output=True, text=True)
        last = done.stdout.splitlines()[-1]
        assert done.returncode == 0 and (last == "trusted" or last.endswith("which you did not name")), line + done.stdout + done.stderr


# --- orders without their device ---------------------------------------------------------------------------------------------------


ALONE = ["mixed/withdrawn", "order/lives-too-long", "order/issued-ahead", "order/package-higher", "order/epoch-lower", "order/epoch-higher", "order/expired",
         "order/window-past", "order/deadline-past", "permit/to-other", "permit/device-other", "permit/plan-other", "permit/expired"]
WITH_MANIFEST = ["order/contents-size-more", "order/content-key-missing", "order/contents-none", "permit/product-other", "permit/below-least"]


@pytest.mark.parametrize("path, has_manifest", [(path, False) for path in ALONE] + [(path, True) for path in ALONE + WITH_MANIFEST],
                         ids=lambda value: value if isinstance(value, str) else "with-manifest" if value else "alone")
def test_an_order_is_refused_for_all_that_can_be_known_without_its_device(path, has_manifest, tmp_path):
    """With the code that every device gives."""
    case = corpus.Case(path)
    state = json.loads(corpus.read_text(f"bases/{case.base}/trust-state.json"))
    (tmp_path / "package").write_text(state["package"])
    status = "bases/status-10.jws" if case.base == "fresh" else "bases/lived/3/status.jws"
    slots = ["order", "manifest", "manifestSignature", "logProof"] if has_manifest else ["order"]
    for slot in slots:
        (tmp_path / slot).write_text(corpus.read_text(case.documents[slot]))
    (tmp_path / "status").write_text(corpus.read_text(status))
    code, verdict = verify(tmp_path, "--as-of", case.now)
    found = [finding["code"] for finding in verdict["findings"] if finding["document"] == "order" and "code" in finding]
    assert code == 3 and found == [case.refused["code"]], verdict


# --- in a device's place -----------------------------------------------------------------------------------------------------------


def as_device(*arguments, base="fresh", now=NOW):
    folder = os.path.join(corpus.FOLDER, "bases", base)
    return verify("--device", os.path.join(folder, "device.json"), "--trust-state", os.path.join(folder, "trust-state.json"), "--as-of", now, *arguments)


def control(name, folder):
    """The documents of a control of the refusal corpus, as files."""
    shutil.copytree(os.path.join(corpus.FOLDER, "controls", name), folder, ignore=shutil.ignore_patterns("c*.json"))
    return folder


def test_a_folder_is_judged_as_a_device_would(tmp_path):
    """All three refusal codes and what is kept are the corpus's work (test_refusals.py); here: files in place of a message."""
    folder = control("package-and-install", tmp_path / "set")
    code, verdict = as_device(folder)
    assert code == 0 and verdict["trusted"] and verdict["device"]["accepted"] == ["package 2", "status", "order"], verdict
    assert outcomes(verdict) == [("root-key package 2", "ok"), ("status", "ok"), ("order", "ok")]
    order = verdict["findings"][2]
    assert "acme/pump 4.0.0" in order["detail"] and any("publisher-1" in text for text in texts(order["chain"]))
    code, verdict = as_device(folder, now=NOW + 3600)
    assert code == 3 and verdict["device"]["accepted"] == ["package 2"] and verdict["device"]["refusal"]["code"] == "StatusExpired"
    assert outcomes(verdict) == [("root-key package 2", "ok"), ("status", "refused"), ("order", "not judged")]


def test_a_device_is_given_one_order_at_a_time_and_nothing_is_passed_over(tmp_path):
    folder = control("install", tmp_path / "set")
    shutil.copy(folder / "order.jws", folder / "second.jws")
    assert as_device(folder)[1]["error"]["code"] == "InvalidArgument"
    (folder / "second.jws").unlink()
    shutil.copy(os.path.join(EXAMPLES, "device/receipt.jws"), folder / "receipt.jws")
    code, verdict = as_device(folder)
    assert code == 3 and ("receipt", "not judged") in outcomes(verdict) and not verdict["trusted"]
    (folder / "receipt.jws").unlink()
    (folder / "order.jws").unlink()
    code, verdict = as_device(folder)
    assert code == 3 and outcomes(verdict) == [("manifest", "not judged")], verdict


def test_a_package_that_the_device_knows_is_no_step(tmp_path):
    shutil.copy(os.path.join(corpus.FOLDER, "bases/package-1.json"), tmp_path / "package-1.json")
    code, verdict = as_device(tmp_path / "package-1.json")
    assert code == 0 and verdict["device"]["accepted"] == [] and "knows it already" in verdict["findings"][0]["detail"]


def test_S1_57_a_trust_state_that_no_device_can_have_judges_nothing(tmp_path):
    text = corpus.read_text("bases/lived/trust-state.json")
    changed = text.replace('"highWater":3', '"highWater":2')
    assert changed != text
    (tmp_path / "state").write_text(changed)
    folder = os.path.join(corpus.FOLDER, "bases/lived")
    code, answer = verify("--device", os.path.join(folder, "device.json"), "--trust-state", tmp_path / "state", os.path.join(corpus.FOLDER, "controls/lived-status"))
    assert code == 3 and answer["error"]["code"] == "PackageStepInvalid", answer


@pytest.mark.parametrize("arguments", [["--device", "D"], ["--trust-state", "S"], ["--offer", "D", "--adu-readable"], ["--device", "D", "--trust-state", "S", "--trusted-package", "P", "D"],
                                       ["--device", "D", "--trust-state", "S", "--adu-readable", "D"], ["--device", "D", "--trust-state", "S"],
                                       ["--device", "D", "--trust-state", "S", "--offer", "D", "D"], []], ids=" ".join)
def test_options_that_do_not_belong_together_are_wrong_usage(arguments, tmp_path):
    places = {"D": "bases/fresh/device.json", "S": "bases/fresh/trust-state.json", "P": "bases/package-1.json"}
    done = subprocess.run([os.path.join(BIN, "fleetseal"), "verify", *[os.path.join(corpus.FOLDER, places[one]) if one in places else one for one in arguments]],
                          capture_output=True, text=True)
    assert done.returncode == 2, done.stdout + done.stderr
