"""Row S1.4: malformed input on the installer's socket. Each gets its stable code; the installer is the same process, idle,
and what it knows and has installed is byte for byte what it was.

Beside messages (where the whole state folder stays) there are documents, among them ones that the true director or the
true roots have signed: what is refused there leaves a receipt and nothing else.
"""
import hashlib
import json
import os
import socket
import struct

import pytest

import malformed
from documents import World, b64, b64u, compact, jws_parts, sha256
from installer import Installer, Refused, Release

SHA = b64u(bytes(32))
TOO_LONG = ("DocumentTooLarge", "ValueOutOfRange")  # by the document's own bound, or by that of the message's member
MESSAGES = {
    "state": {"verb": "state", "waitMs": 1, "phase": "accepted", "acknowledged": 0},
    "identify": {"verb": "identify", "csrSha256": SHA},
    "offer-content": {"verb": "offer-content", "fileId": "f1", "sealedSha256": SHA},
    "offer-documents": {"verb": "offer-documents", "packages": [], "status": "a.b.c", "order": "a.b.c", "manifest": "e30",
                        "manifestSignature": "a.b.c", "logProof": "x", "consistency": [SHA]},
    "abort": {"verb": "abort"},
}
OPTIONAL = {"waitMs", "phase", "acknowledged", "status", "order", "manifest", "manifestSignature", "logProof", "consistency", "packages"}


@pytest.fixture(scope="module")
def world():
    return World()


@pytest.fixture(scope="module")
def installer(world, tmp_path_factory):
    device = Installer(world, tmp_path_factory.mktemp("malformed"))
    device.first_pid = device.process.pid
    yield device
    device.stop()


@pytest.fixture(scope="module")
def release(world, installer):
    made = Release(world, installer)
    installer.offer(status=made.status)
    return made


def everything(installer):
    """Every file of the installer but its log."""
    parts = {}
    for top in (installer.folder, installer.files):
        for folder, _, files in os.walk(top):
            for file in files:
                path = os.path.join(folder, file)
                if file.endswith((".log", ".sock")) or os.path.getsize(path) > 1_000_000:
                    continue
                with open(path, "rb") as handle:
                    parts[path] = hashlib.sha256(handle.read()).hexdigest()
    return parts


def is_well(installer):
    assert installer.process.poll() is None and installer.process.pid == installer.first_pid, installer.log_text()[-2000:]
    state = installer.state()
    assert state["phase"] == "idle"
    return state


def refused_message(installer, data, codes):
    before = everything(installer)
    with pytest.raises(Refused) as caught:
        installer.ask(data)
    assert caught.value.code in codes, (caught.value, codes)
    assert everything(installer) == before
    is_well(installer)


def refused_offer(installer, codes, **documents):
    before = installer.fingerprint()
    with pytest.raises(Refused) as caught:
        installer.offer(**documents)
    assert caught.value.code in codes, (caught.value, codes)
    assert installer.fingerprint() == before
    receipts = is_well(installer)["receipts"]
    if receipts:  # there is room for so many only, until a server has them
        installer.state(acknowledged=json.loads(jws_parts(receipts[-1])[1])["number"])


class Exact(bytes):
    """A manifest that is no text."""

    def encode(self):
        return self

    def __bool__(self):
        return True


def named(cases):
    return [pytest.param(*case[1:], id=case[0]) for case in cases]


# --- messages -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make,codes", named(malformed.texts()))
def test_S1_4_a_malformed_message_is_refused(installer, make, codes):
    refused_message(installer, make(MESSAGES["identify"]), codes)


@pytest.mark.parametrize("verb,make,codes", [
    pytest.param(verb, make, codes, id=f"{verb} {name}") for verb, message in MESSAGES.items()
    for name, make, codes in malformed.members(message, OPTIONAL)])
def test_S1_4_a_member_that_is_missing_or_of_another_type_is_refused(installer, verb, make, codes):
    refused_message(installer, make(MESSAGES[verb]), codes + ("InvalidArgument", "MemberUnknown"))


@pytest.mark.parametrize("text", [text for _, text in malformed.base64_texts()], ids=[name for name, _ in malformed.base64_texts()])
@pytest.mark.parametrize("verb,member", [("identify", "csrSha256"), ("offer-content", "sealedSha256")])
def test_S1_4_a_hash_has_one_spelling(installer, verb, member, text):
    refused_message(installer, compact({**MESSAGES[verb], member: text}).encode(), ("Base64Invalid",))


@pytest.mark.parametrize("text", malformed.PATHS, ids=ascii)
def test_S1_4_X10_path_characters_in_a_file_id_are_refused(installer, text):
    refused_message(installer, compact({**MESSAGES["offer-content"], "fileId": text}).encode(), ("IdInvalid",))


@pytest.mark.parametrize("changes,codes", [
    ({"verb": "offer"}, ("Unsupported",)), ({"verb": ""}, ("Unsupported",)), ({"verb": "STATE"}, ("Unsupported",)),
    ({"verb": "state\u0000"}, ("Unsupported",)), ({"verb": "x" * 100_000}, ("Unsupported", "ValueOutOfRange")),
    ({"verb": "state", "waitMs": -1}, ("ValueOutOfRange",)), ({"verb": "state", "waitMs": 30_001}, ("ValueOutOfRange",)),
    ({"verb": "state", "waitMs": 2**53 - 1}, ("ValueOutOfRange",)), ({"verb": "state", "phase": "sleeping"}, ("ValueOutOfRange",)),
    ({"verb": "state", "acknowledged": -1}, ("ValueOutOfRange",)),
    ({"verb": "offer-documents", "packages": ["{}"] * 65}, ("LimitExceeded", "ValueOutOfRange")),
    ({"verb": "offer-documents", "packages": [1]}, ("MemberTypeWrong",)),
    ({"verb": "offer-documents", "packages": [], "consistency": [SHA] * 1000}, ("LimitExceeded", "ValueOutOfRange")),
    ({"verb": "offer-documents", "packages": [], "consistency": ["x"]}, ("Base64Invalid",)),
    ({"verb": "offer-documents", "packages": [], "manifest": "e30="}, ("Base64Invalid",)),
    ({"verb": "offer-content", "fileId": "f1", "sealedSha256": SHA}, ("InvalidArgument",)),
], ids=lambda value: compact(value)[:60] if isinstance(value, dict) else "-")
def test_S1_4_a_value_out_of_range_is_refused(installer, changes, codes):
    refused_message(installer, compact(changes).encode(), codes)


@pytest.mark.parametrize("documents", [{"packages": ["x" * (256 * 1024 + 1)]}, {"status": "x" * (128 * 1024 + 1)}], ids=["package", "status"])
def test_S1_4_a_document_above_its_size_is_refused_as_that_document(installer, documents):
    refused_offer(installer, ("DocumentTooLarge",), **documents)


@pytest.mark.parametrize("frame", [
    b"\xff\xff\xff\xff{}", struct.pack(">I", 4 * 1024 * 1024 + 1) + b"{}", b"\x00\x00\x00\x05{}", b"\x00", b"", b"GET / HTTP/1.1\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01", struct.pack("<I", 14) + b'{"verb":"abort"}'], ids=["4 GiB", "a byte above the bound", "short", "half a length",
                                                                                   "nothing", "HTTP", "TLS", "the other byte order"])
def test_S1_4_a_frame_that_is_none_ends_its_connection_only(installer, frame):
    before = everything(installer)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(60)
        connection.connect(os.path.join(installer.folder, "installer.sock"))
        connection.sendall(frame)
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        try:
            while piece := connection.recv(65536):
                answer += piece
        except ConnectionResetError:
            pass  # it does not read what cannot be a message
    assert not answer or json.loads(answer[4:])["error"]["code"] == "DocumentTooLarge"
    assert everything(installer) == before
    is_well(installer)


def test_S1_4_a_message_at_the_bound_is_read_and_one_of_zero_bytes_is_refused(installer):
    refused_message(installer, b" " * (4 * 1024 * 1024), ("JsonInvalid",))
    refused_message(installer, b"", ("JsonInvalid",))


# --- documents ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("document", ["status", "order", "manifestSignature"])
@pytest.mark.parametrize("case", range(len(list(malformed.compact_texts("e30.e30.AAAA")))),
                         ids=[name for name, _, _ in malformed.compact_texts("e30.e30.AAAA")])
def test_S1_4_a_document_has_one_form(installer, release, document, case):
    documents = release.documents(status=None)
    right = {"status": release.status, **documents}[document]
    _, text, codes = list(malformed.compact_texts(right))[case]
    if document == "status":
        documents = {}
    refused_offer(installer, codes, **{**documents, document: text})


def director_payloads(right):
    """Payloads that the true director signs."""
    for name, make, codes in malformed.texts():
        yield name, make(right), codes if make(right) else ("JwsMalformed",)
    for name, make, codes in malformed.members(right, {"nonce", "contentKey", "window", "deadline", "permit"}, ()):
        yield name, make(right), codes + ("ValueOutOfRange", "MemberUnknown", "TextInvalid", "IdInvalid")


RIGHT_STATUS = {"epoch": 1, "version": 900, "issued": 1, "expires": 2, "packageVersion": 1, "packageSha256": SHA, "withdrawn": [], "newest": {}}
RIGHT_ORDER = {"orderId": "o", "action": "install", "deviceId": "dev-1", "generation": 1, "epoch": 1, "sequence": 5, "issued": 1,
               "expires": 2, "packageVersion": 1, "planId": "p", "manifestSha256": SHA, "contents": [], "contentKey": "x", "reboot": "now"}


def signed(world, typ, payload):
    from documents import jws
    header = {"alg": "ES256", "typ": f"fleetseal-{typ}+jws", "sjwk": world.sjwk(world.director, "director-1")}
    return jws(world.director, header, payload)


@pytest.mark.parametrize("payload,codes", named(director_payloads(RIGHT_STATUS)))
def test_S1_4_a_malformed_status_is_refused_though_the_director_signed_it(world, installer, payload, codes):
    refused_offer(installer, codes + TOO_LONG, status=signed(world, "status", payload))


@pytest.mark.parametrize("payload,codes", named(director_payloads(RIGHT_ORDER)))
def test_S1_4_a_malformed_order_is_refused_though_the_director_signed_it(world, installer, release, payload, codes):
    refused_offer(installer, codes + TOO_LONG,
                  **release.documents(status=None, order=signed(world, "order", payload)))


@pytest.mark.parametrize("member", ["orderId", "deviceId", "planId"])
@pytest.mark.parametrize("text", malformed.PATHS, ids=ascii)
def test_S1_4_X10_path_characters_in_an_order_are_refused(world, installer, release, member, text):
    payload = json.loads(jws_parts(release.order)[1])
    order = signed(world, "order", compact({**payload, member: text}))
    refused_offer(installer, ("IdInvalid",), **release.documents(status=None, order=order))


@pytest.mark.parametrize("text", malformed.PATHS, ids=ascii)
def test_S1_4_X10_path_characters_in_a_key_id_are_refused(world, installer, release, text):
    for sjwk in (world.sjwk(kid=text), world.sjwk(header={"alg": "ES256", "kid": text, "typ": "fleetseal-signing-key+jws"})):
        signature = world.manifest_signature(release.manifest, sjwk=sjwk)
        refused_offer(installer, ("IdInvalid", "UnknownRootKid"), **release.documents(status=None, manifestSignature=signature))


@pytest.mark.parametrize("text", malformed.PATHS, ids=ascii)
def test_S1_4_X10_path_characters_in_a_manifest_are_refused(world, installer, text):
    """Signed by the publisher, logged, ordered: file names, file ids and handlers are ids still."""
    content = b"firmware"
    right = json.loads(world.manifest(content))
    file_id = next(iter(right["files"]))
    file = right["files"][file_id]
    for changes in ({"files": {file_id: {**file, "fileName": text}}},
                    {"files": {text: file}, "instructions": {"steps": [{"handler": "fleetseal/slot:1", "files": [text]}]}},
                    {"updateId": {**right["updateId"], "name": text}}):
        made = Release(world, installer, content, manifest=compact({**right, **changes}), sequence=5)
        refused_offer(installer, ("IdInvalid", "TextInvalid", "ValueOutOfRange", "ProductNotAllowed"), **made.documents(status=None))


@pytest.mark.parametrize("make,codes", named(malformed.texts()))
def test_S1_4_a_malformed_manifest_is_refused_though_it_is_signed_and_logged(world, installer, make, codes):
    manifest = Exact(make(json.loads(world.manifest(b"firmware"))))
    made = Release(world, installer, b"firmware", manifest=manifest, sequence=5)
    refused_offer(installer, codes + ("DocumentTooLarge", "FormatVersionUnknown", "ValueOutOfRange", "Base64Invalid"),
                  **made.documents(status=None))


@pytest.mark.parametrize("make,codes", named(malformed.texts()))
def test_S1_4_a_malformed_package_is_refused(world, installer, make, codes):
    # Bad UTF-8 cannot come this way: the message that carries the package would be the one that is refused.
    package = make(json.loads(world.package(2))).decode("latin-1")
    refused_offer(installer, codes + ("DocumentTooLarge", "TextInvalid", "MemberUnknown", "MemberTypeWrong"), packages=[package])


@pytest.mark.parametrize("changes,codes", [
    ({"version": 0}, ("ValueOutOfRange", "PackageStepInvalid")), ({"version": 3}, ("PackageStepInvalid",)),
    ({"threshold": 0}, ("ValueOutOfRange",)), ({"rootKeysExt": {}}, ("ValueOutOfRange", "PackageStepInvalid")),
    ({"rootKeysExt": {"root-1": {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}}}, ("KeyInvalid", "Base64Invalid")),
    ({"rootKeysExt": {"../root": {}}}, ("IdInvalid", "TextInvalid", "MemberMissing")),
    ({"disabledRootKeys": ["a b"]}, ("IdInvalid", "TextInvalid")), ({"disabledSigningKeys": ["AA"]}, ("Base64Invalid", "MemberTypeWrong")),
    ({"minCounter": {"acme:pump": -1}}, ("ValueOutOfRange",)), ({"minCounter": {"acme/pump": 1}}, ("TextInvalid", "IdInvalid")),
    ({"serverCAs": ["AA=="]}, ("Base64Invalid", "DerInvalid", "TextInvalid")), ({"expires": 0}, ("ValueOutOfRange", "PackageStepInvalid")),
], ids=lambda value: compact(value)[:60] if isinstance(value, dict) else "-")
def test_S1_4_a_package_out_of_range_is_refused_though_the_roots_signed_it(world, installer, changes, codes):
    version = changes.get("version", 2)
    package = world.package(version, **{name: value for name, value in changes.items() if name != "version"})
    refused_offer(installer, codes, packages=[package])


@pytest.mark.parametrize("case", ["empty", "no blank line", "another version", "CRLF", "a hash too long", "a negative index", "an index of text",
                                  "64 hashes", "an index with a zero", "no leaf", "a NUL", "not UTF-8"])
def test_S1_4_a_malformed_log_proof_is_refused(installer, release, case):
    right = release.proof
    index = f"index {release.index}"
    proof = {"empty": "", "no blank line": right.replace("\n\n", "\n", 1), "another version": right.replace("@v1", "@v2", 1),
             "CRLF": right.replace("\n", "\r\n"), "a hash too long": right.replace(index, index + "\n" + b64(bytes(33))),
             "a negative index": right.replace(index, "index -1"), "an index of text": right.replace(index, "index x"),
             "64 hashes": right.replace(index, index + ("\n" + b64(bytes(32))) * 64), "an index with a zero": right.replace(index, index.replace(" ", " 0")),
             "no leaf": right.replace("extra ", "extro "), "a NUL": right.replace("index", "ind\u0000ex"), "not UTF-8": right + "\u00ff"}[case]
    refused_offer(installer, ("LogProofMissing", "TextInvalid", "FormatVersionUnknown", "Base64Invalid", "ValueOutOfRange", "LimitExceeded",
                              "Truncated", "MemberMissing"), **release.documents(status=None, logProof=proof))


def test_S1_4_after_all_of_it_a_good_update_is_installed(world, installer):
    good = Release(world, installer, b"good firmware", counter=9, version="9.0.0", sequence=2000)
    good.install()
    assert installer.process.pid == installer.first_pid
    state = is_well(installer)
    assert state["installed"]["releaseCounter"] == 9 and sha256(good.manifest) == sha256(good.manifest)
