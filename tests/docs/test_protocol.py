"""docs/protocol: the examples verify, with our program and with an independent one, and the tables name what the parsers read."""
import base64
import json
import os
import re
import shutil
import struct
import subprocess
import sys

import pytest
import sources
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from documents import b64, compact, jws_parts, leaf_hash, node_hash, sha256, split_point, unb64u, verify_es256

BIN = os.environ["FLEETSEAL_BIN"]
PROTOCOL = os.path.join(sources.ROOT, "docs/protocol")
EXAMPLES = os.path.join(PROTOCOL, "examples")
PEOPLE = "src/manifest/person_documents.cc"

# Page: (sources, functions or None for the whole file, members that no reader names in quotes, examples).
PAGES = {
    "root-package": (["src/manifest/root_package.cc"],
                     ["ParseProtected", "ReadRoots", "ParseRsaRoot", "ReadDisabledSigningKeys", "ParseListing", "ReadListings", "ParseLog",
                      "ReadLogs", "ReadMinCounters", "ReadSignatures", "RootPackageDocument::Parse"], [], ["update/root-package-1.json"]),
    "manifest": (["src/manifest/update_manifest.cc", "src/manifest/manifest_parts.cc"],
                 ["UpdateManifest::Parse", "ReadUpdateId", "ReadCompatibility", "ParseFile", "ReadHashes", "ReadFiles", "ParseStep", "ReadSteps"],
                 ["target", "handlerProperties"], ["update/manifest.json"]),
    "manifest-signature": (["src/manifest/manifest_signature.cc"], ["ManifestSignature::Parse"], [], ["update/manifest.jws"]),
    "status": (["src/manifest/status.cc"], ["StatusDocument::Parse"], [], ["update/status.jws"]),
    "order": (["src/manifest/order.cc", "src/manifest/common.cc"], ["Order::Parse", "ParseContent", "ParseWindow"], [],
              ["update/order.jws", "cancel/order.jws"]),
    "permit": (["src/manifest/permit.cc"], ["Permit::Parse", "ReadPoint", "ReadScope"], ["from", "to"], ["permit/permit.jws"]),
    "request": ([PEOPLE], ["SignRequest::Parse"], [], ["people/request.jws"]),
    "approval": ([PEOPLE], ["Approval::Parse"], [], ["people/approval.jws"]),
    "plan": ([PEOPLE, "src/manifest/common.cc"], ["Plan::Parse", "ParseWindow"], [], ["people/plan.jws"]),
    "security-replacement": (["src/manifest/security_replacement.cc"], ["SecurityReplacement::Parse", "ReadPerson"], [], []),
    "revocation": ([PEOPLE], ["Revocation::Parse"], [], ["people/revocation.jws"]),
    "receipt": (["src/manifest/receipt.cc"], ["Receipt::Parse", "ReadFiles", "ReadPhases"], [], ["device/receipt.jws"]),
    "trust-state": (["src/trust/state.cc"], None, [], ["device/trust-state.json"]),
    "device-api": (["src/api/device/messages.cc"], None, [], []),
    "installer-socket": (["src/api/installer/messages.cc"], ["ParseInstallerRequest", "ParseState", "ParseOfferDocuments", "ReadPhase"], [], []),
}
# Names that our readers use for themselves, and no document has.
INTERNAL = {"set"}


def example(name):
    with open(os.path.join(EXAMPLES, name), encoding="utf-8") as file:
        return file.read()


def facts():
    return json.loads(example("facts.json"))


def tables(text):
    """[(cells of the head, rows)]"""
    found = []
    for block in re.findall(r"(?:^\|.*\n)+", text, re.M):
        lines = block.splitlines()
        head = [cell.strip() for cell in lines[0].split("|")[1:-1]]
        found.append((head, sources.rows(block)))
    return found


def members(page, head="Member"):
    """{path: (is optional, type)} of all tables of a page with that head."""
    found = {}
    for cells, rows in tables(sources.page(f"protocol/{page}.md")):
        if cells[0] != head:
            continue
        for row in rows:
            for word, mark in re.findall(r"`([^`]+)`(\??)", row[0]):
                found[word] = (bool(mark), row[1])
    assert found, page
    return found


def words(paths):
    """Every member name in these paths; {kid} stands for any name and [] for each element."""
    return {part for path in paths for part in re.sub(r"\{[^}]*\}", "", path).replace("[]", "").split(".") if part}


@pytest.mark.parametrize("page", PAGES)
def test_the_table_names_every_member_that_is_read_and_no_other(page):
    patterns, functions, more, _ = PAGES[page]
    text = sources.read(*patterns)
    if functions:
        expected = sources.names(text, *functions)
    else:
        expected = set(sources.METHOD.findall(text)) | {name for pair in sources.HELPER.findall(text) for name in pair if name}
        # Answers of the device API are built and parsed there; "error" is not among them.
    expected = (expected | set(more)) - INTERNAL
    assert words(members(page)) == expected


def test_the_import_manifest_is_described_as_it_is_read():
    text = sources.read("src/manifest/import_manifest.cc", "src/manifest/manifest_parts.cc")
    expected = sources.names(text, "ImportManifest::Parse", "ParseImportFile", "ParseImportStep", "ReadImportFiles", "ReadImportSteps",
                             "ReadUpdateId") | {"handlerProperties", "relatedFiles", "downloadHandler", "properties", "compatibility"}
    assert words(members("manifest", "Import member")) == expected


def test_the_request_for_a_permit_is_described_as_it_is_read():
    text = sources.read("src/manifest/permit.cc")
    expected = sources.names(text, "PermitRequest::Parse", "ReadPoint", "ReadScope") | {"from", "to"}
    assert words(members("request", "Permit member")) == expected


def test_the_proof_of_a_receipt_is_described_as_it_is_read():
    expected = sources.names(sources.read("src/manifest/receipt_proof.cc"), "ReceiptProof::Parse")
    assert words(members("receipt", "Proof member")) == expected


def test_the_register_change_is_described_as_it_is_read():
    text = sources.read("src/manifest/register_change.cc", "src/manifest/policy.cc")
    functions = re.findall(r"^Result<Change> (Parse\w+)\(", text, re.M) + ["ReadContinue"]
    assert len(functions) >= 5
    changes = sources.names(text, "Policy::Parse", *functions)
    assert words(members("register-change", "Member of a change")) == changes - {"action"} | {"products"}
    assert words(members("register-change")) == sources.names(text, "RegisterChange::Parse") | {"action"}


def test_the_answers_of_the_installer_are_described_as_they_are_read():
    text = sources.read("src/api/installer/messages.cc")
    # Two functions have this name; the second one reads answers.
    answers = text[text.index("BuildStateAnswer"):]
    expected = sources.names(text, "StateFromAnswer", "ProofFromAnswer", "OfferFromAnswer", "PhaseFromAnswer", "ReadWanted", "ReadPhase")
    expected |= sources.names(answers, "ReadCheckpoint", "ReadInstalled", "ReadServerCas", "ReadAlarms") | {"statusEpoch", "statusVersion", "orderEpoch", "orderSequence"}
    assert words(members("installer-socket", "Member of an answer")) == expected


def test_the_log_page_names_the_members_of_every_record():
    text = sources.read("src/manifest/log_leaf.cc", "src/manifest/log_change_leaf.cc")
    expected = set(re.findall(r'Set\("(\w+)"', text)) | set(re.findall(r'return "(\w+Id)";', text))
    described = {}
    for row in tables(sources.page("protocol/log.md"))[0][1]:
        described[sources.codes(row[0])[0]] = sources.codes(row[2])
    assert set(described) == expected
    for line in example("log/leaves.jsonl").splitlines():
        leaf = json.loads(line)
        for name in leaf:
            assert row_is_of(described[name], leaf["type"]), (name, leaf["type"])


def row_is_of(types, type_):
    return not types or type_ in types


def decoded(name):
    """What a page shows of an example: the payload of a JWS, or the JSON."""
    text = example(name)
    return json.loads(jws_parts(text.strip())[1]) if name.endswith(".jws") else json.loads(text)


def paths(value, prefix=""):
    if isinstance(value, dict):
        for name, inner in value.items():
            name = name.replace(".", "_")  # a log's origin, as the key of a map
            yield f"{prefix}{name}"
            yield from paths(inner, f"{prefix}{name}.")
    if isinstance(value, list):
        for inner in value:
            yield from paths(inner, prefix[:-1] + "[].")


def is_described(path, table):
    for pattern, (_, kind) in table.items():
        form = "".join("[^.]+" if part.startswith("{") else re.escape(part) for part in re.split(r"(\{[^}]*\})", pattern))
        if re.fullmatch(form, path) or re.fullmatch(form + (r"(\[\])?\..*" if "JWK" in kind or kind.startswith("{") else ""), path):
            return True
        # What holds a described member is described by it.
        pieces = form.split(r"\.")
        if any(re.fullmatch(r"\.".join(pieces[:count]).removesuffix(r"\[\]"), path) for count in range(1, len(pieces))):
            return True
        if re.fullmatch(form.rsplit("[^.]+", 1)[0].removesuffix(r"\."), path) and "{" in pattern:
            return True
    return False


@pytest.mark.parametrize("page", [page for page in PAGES if PAGES[page][3]])
def test_what_the_examples_hold_is_in_the_table_and_what_the_table_demands_is_in_the_examples(page):
    table = members(page)
    for name in PAGES[page][3]:
        value = decoded(name)
        for path in paths(value):
            assert is_described(path, table), path
        for path, (is_optional, _) in table.items():
            if not is_optional and re.fullmatch(r"\w+", path):
                assert path in value, path


def test_the_pages_show_the_examples_as_they_lie_there():
    done = subprocess.run([sys.executable, "-B", os.path.join(sources.ROOT, "tools/make_examples.py"), "--check"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_codes_on_the_pages_exist_and_every_trust_decision_is_on_one():
    known = dict(re.findall(r"FLEETSEAL_ERROR_CODE\((\d+), (\w+),", sources.read("src/base/error_codes.inc")))
    known = {name: int(number) for number, name in known.items()}
    text = "".join(sources.page(f"protocol/{name}") for name in os.listdir(PROTOCOL) if name.endswith(".md"))
    for cells, rows in tables(text):
        if "Refused with" in cells:
            at = cells.index("Refused with")
            for row in rows:
                for code in sources.codes(row[at]):
                    assert code in known or code == "minCounter", row
    shown = set(sources.codes(re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)))
    assert not {name for name, number in known.items() if 200 <= number < 300} - shown


# --- the examples themselves -------------------------------------------------------------------------------------------------


def verify(folder, *more):
    return subprocess.run([os.path.join(BIN, "fleetseal"), "verify", folder, "--as-of", str(facts()["taken"]), *more, "--json"],
                          capture_output=True, text=True)


@pytest.mark.parametrize("folder, kinds", [("update", {"status", "manifest", "log", "order"}), ("cancel", {"status", "order"})])
def test_fleetseal_verify_trusts_the_examples(folder, kinds):
    done = verify(os.path.join(EXAMPLES, folder))
    assert done.returncode == 0, done.stdout + done.stderr
    assert kinds <= {finding["document"] for finding in json.loads(done.stdout)["findings"] if finding["outcome"] == "ok"}


def test_fleetseal_verify_refuses_an_example_with_one_character_changed(tmp_path):
    shutil.copytree(os.path.join(EXAMPLES, "update"), tmp_path / "update")
    text = example("update/order.jws")
    at = len(text) - 20
    (tmp_path / "update" / "order.jws").write_text(text[:at] + ("A" if text[at] != "A" else "B") + text[at + 1:])
    done = verify(str(tmp_path / "update"))
    assert done.returncode == 3 and "SignatureInvalid" in done.stdout


def public_of(jwk):
    if jwk["kty"] == "OKP":
        return ed25519.Ed25519PublicKey.from_public_bytes(unb64u(jwk["x"]))
    x, y = (int.from_bytes(unb64u(jwk[part]), "big") for part in "xy")
    return ec.EllipticCurvePublicNumbers(x, y, ec.SECP256R1()).public_key()


def check_signature(text, jwk):
    text = text.strip()
    header, payload, signature = jws_parts(text)
    signed = text.rsplit(".", 1)[0].encode()
    if header["alg"] == "EdDSA":
        public_of(jwk).verify(signature, signed)
    else:
        assert header["alg"] == "ES256" and verify_es256(public_of(jwk), signed, signature)
    return header, json.loads(payload)


def check_package(name):
    package = json.loads(example(name))
    # The tokens of `protected`, which our writers put without white space.
    signed = compact(package["protected"]).encode()
    assert signed.decode() in example(name)
    good = {one["kid"] for one in package["signaturesExt"]
            if verify_es256(public_of(package["protected"]["rootKeysExt"][one["kid"]]), signed, unb64u(one["sig"]))}
    assert len(good) >= package["protected"]["threshold"]
    return package["protected"]


@pytest.mark.parametrize("name, package, role", [
    ("update/manifest.jws", "update/root-package-1.json", "publisher"), ("update/status.jws", "update/root-package-1.json", "director"),
    ("update/order.jws", "update/root-package-1.json", "director"), ("cancel/order.jws", "cancel/root-package-1.json", "director"),
    ("permit/permit.jws", "permit/root-package-1.json", "publisher")])
def test_documents_of_listed_keys_verify_independently(name, package, role):
    protected = check_package(package)
    header = jws_parts(example(name).strip())[0]
    assert set(header) == {"alg", "typ", "sjwk"}
    root, key = check_signature(header["sjwk"], protected["rootKeysExt"][jws_parts(header["sjwk"])[0]["kid"]])
    assert set(root) == {"alg", "kid", "typ"} and root["typ"] == "fleetseal-signing-key+jws"
    assert protected["signingKeys"][key["kid"]]["role"] == role
    check_signature(example(name), key)


@pytest.mark.parametrize("name", ["people/request.jws", "people/approval.jws", "people/plan.jws", "people/revocation.jws",
                                  "people/register-change.jws", "people/register-change-people.jws", "device/receipt.jws",
                                  "device/enrolment.jws"])
def test_documents_of_people_and_devices_verify_independently(name):
    keys = json.loads(example("people/keys.json"))
    header = jws_parts(example(name).strip())[0]
    assert set(header) == {"alg", "typ", "kid"}
    check_signature(example(name), keys[header["kid"]])


def test_device_keys_are_signed_by_the_receipt_key_that_they_name():
    text = example("device/device-keys.jws")
    check_signature(text, json.loads(jws_parts(text)[1])["receiptKey"])
    assert json.loads(jws_parts(example("device/enrolment.jws"))[1])["keys"] == text


def root_of(leaf, index, size, path):
    """RFC 9162 section 2.1.3.2, by the shape of the tree."""
    if size == 1:
        assert not path
        return leaf
    point = split_point(size)
    if index < point:
        return node_hash(root_of(leaf, index, point, path[:-1]), path[-1])
    return node_hash(path[-1], root_of(leaf, index - point, size - point, path[:-1]))


def test_the_log_proof_leads_from_the_signature_to_the_signed_root():
    proof, note = example("update/log.proof").split("\n\n", 1)
    lines = proof.splitlines()
    leaf = base64.b64decode(lines[1].removeprefix("extra "))
    assert json.loads(leaf)["jwsSha256"] == base64.urlsafe_b64encode(sha256(example("update/manifest.jws").strip())).rstrip(b"=").decode()
    body, signature = note.split("\n\n")
    origin, size, root = body.splitlines()
    path = [base64.b64decode(line) for line in lines[3:]]
    assert b64(root_of(leaf_hash(leaf), int(lines[2].removeprefix("index ")), int(size), path)) == root
    log = json.loads(example("update/root-package-1.json"))["protected"]["logs"][0]
    assert log["origin"] == origin
    key = unb64u(log["vkeys"][0].split("+", 2)[2])
    blob = base64.b64decode(signature.split()[2])
    ed25519.Ed25519PublicKey.from_public_bytes(key[1:]).verify(blob[4:], (body + "\n").encode())


def test_the_documents_of_the_update_name_one_another():
    manifest = example("update/manifest.json")
    order, signature = decoded("update/order.jws"), decoded("update/manifest.jws")
    assert signature["sha256"] == b64(sha256(manifest))
    assert unb64u(order["manifestSha256"]) == sha256(manifest)
    sealed = bytes.fromhex(example("sealed/file.hex").strip())
    plain = json.loads(manifest)["files"][order["contents"][0]["fileId"]]["sizeInBytes"]
    assert unb64u(order["contents"][0]["sealedSha256"]) == sha256(sealed)
    assert order["contents"][0]["sealedSize"] == len(sealed) == 40 + plain + 16
    assert struct.unpack(">8sIIQ", sealed[:24]) == (b"FLTSEAL\0", 1, 65536, plain)
    assert order["contentKey"] == example("sealed/content-key.jwe")
    key = json.loads(unb64u(order["contentKey"].split(".")[0]))
    assert set(key) == {"alg", "enc", "epk", "deviceId", "generation", "manifestSha256"}
    receipt = decoded("device/receipt.jws")
    assert (receipt["orderId"], receipt["outcome"]) == (order["orderId"], "installed")
