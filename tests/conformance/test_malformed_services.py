"""Row S1.4 on the organisation's side: malformed input on the signer's socket, the device API and the admin API of a real
lab. Each gets its stable code, no server error, and signer and server are the same processes afterwards.
"""
import http.client
import json
import os
import re
import socket
import ssl
from urllib.parse import urlsplit

import pytest

import malformed
from documents import b64, b64u, compact
from lab import Lab
from taken_over import Refused, TakenOverServer, new_id

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: a lab, and the server's user on the signer's socket")

SHA = b64u(bytes(32))
with open(os.path.join(os.path.dirname(__file__), "..", "..", "src", "base", "error_codes.inc"), encoding="utf-8") as table:
    ERROR_CODES = set(re.findall(r"^FLEETSEAL_ERROR_CODE\(\d+, (\w+),", table.read(), re.MULTILINE))


@pytest.fixture(scope="module")
def lab():
    made = Lab(devices=1)
    yield made
    made.down()


@pytest.fixture(scope="module")
def server(lab):
    return TakenOverServer(lab)


def pids(lab):
    with open(os.path.join(lab.folder, "org", "run", "pids.json")) as file:
        return json.load(file)


@pytest.fixture(scope="module", autouse=True)
def same_processes(lab):
    before = pids(lab)
    assert before["server"] > 0 and before["signer"] > 0, before
    yield
    assert pids(lab) == before
    for pid in before.values():
        os.kill(pid, 0)


def named(cases):
    return [pytest.param(*case[1:], id=case[0]) for case in cases]


# --- the signer's socket --------------------------------------------------------------------------------------------------


VERBS = {
    "submit-request": {"verb": "submit-request", "request": "a.b.c", "manifest": "e30"},
    "approve": {"verb": "approve", "approval": "a.b.c"},
    "show-request": {"verb": "show-request", "requestId": "r"},
    "register-change": {"verb": "register-change", "jws": ["a.b.c"]},
    "person-certificate": {"verb": "person-certificate", "csr": "MAA"},
    "enrol": {"verb": "enrol", "deviceId": "d", "csr": "MAA", "proof": "a.b.c", "remote": "x"},
    "reenrol": {"verb": "reenrol", "deviceId": "d", "csr": "MAA", "current": "MAA"},
    "prepare-import": {"verb": "prepare-import", "manifestSha256": SHA},
    "plan": {"verb": "plan", "plan": "a.b.c"},
    "orders": {"verb": "orders", "planId": "p", "devices": ["d"]},
    "receipts": {"verb": "receipts", "receipts": ["a.b.c"]},
    "revoke": {"verb": "revoke", "revocation": "a.b.c"},
    "publish-package": {"verb": "publish-package", "package": "{}"},
    "packages": {"verb": "packages", "from": 1},
}


def refused_by_signer(server, data, codes):
    before = server.fingerprint()
    with server.connect() as connection:
        with pytest.raises(Refused) as caught:
            connection.ask(data)
        assert caught.value.code in codes, (caught.value, codes)
        assert connection.ask({"verb": "hello"})["organisation"] == "acme"
    assert server.fingerprint() == before


@pytest.mark.parametrize("make,codes", named(malformed.texts()))
def test_S1_4_the_signer_refuses_a_malformed_message(server, make, codes):
    refused_by_signer(server, make({"verb": "show-request", "requestId": "r"}), codes)


@pytest.mark.parametrize("verb,make,codes", [
    pytest.param(verb, make, codes, id=f"{verb} {name}") for verb, message in VERBS.items()
    for name, make, codes in malformed.members(message, {"proof"})])
def test_S1_4_the_signer_refuses_a_member_that_is_missing_or_of_another_type(server, verb, make, codes):
    refused_by_signer(server, make(VERBS[verb]), codes + ("InvalidArgument", "MemberUnknown"))


@pytest.mark.parametrize("text", malformed.PATHS, ids=ascii)
@pytest.mark.parametrize("verb,member", [("show-request", "requestId"), ("enrol", "deviceId"), ("orders", "planId")])
def test_S1_4_X10_the_signer_refuses_path_characters_in_ids(server, verb, member, text):
    refused_by_signer(server, compact({**VERBS[verb], member: text}).encode(), ("IdInvalid",))


@pytest.mark.parametrize("text", [text for _, text in malformed.base64_texts()], ids=[name for name, _ in malformed.base64_texts()])
def test_S1_4_a_hash_has_one_spelling_for_the_signer(server, text):
    refused_by_signer(server, compact({**VERBS["prepare-import"], "manifestSha256": text}).encode(), ("Base64Invalid",))


@pytest.mark.parametrize("case", range(len(list(malformed.compact_texts("e30.e30.AAAA")))),
                         ids=[name for name, _, _ in malformed.compact_texts("e30.e30.AAAA")])
def test_S1_4_a_request_has_one_form_for_the_signer(server, case):
    manifest = server.manifest(b"firmware", "9.9.9")
    _, text, codes = list(malformed.compact_texts(server.request(manifest)))[case]
    message = {"verb": "submit-request", "request": text, "manifest": b64u(manifest)}
    refused_by_signer(server, compact(message).encode(), codes)


def person_payloads():
    right = {"requestId": "r", "kind": "manifest", "product": "acme/pump", "manifestSha256": SHA, "delivery": "sealed",
             "audience": "urn:fleetseal:acme", "requester": "publisher", "nonce": b64u(bytes(16)), "issued": 1, "expires": 2}
    for name, make, codes in malformed.texts():
        yield name, make(right), codes if make(right) else ("JwsMalformed",)
    for name, make, codes in malformed.members(right):
        yield name, make(right), codes + ("ValueOutOfRange", "TextInvalid", "IdInvalid", "MemberUnknown")


@pytest.mark.parametrize("payload,codes", named(person_payloads()))
def test_S1_4_the_signer_refuses_a_malformed_request_though_a_publisher_signed_it(server, payload, codes):
    manifest = server.manifest(b"firmware", "9.9.9")
    request = server.person("publisher").sign("request", Exact(payload))
    message = {"verb": "submit-request", "request": request, "manifest": b64u(manifest)}
    refused_by_signer(server, compact(message).encode(), codes + ("DocumentTooLarge", "ValueOutOfRange"))


class Exact(str):
    """A payload that is no text, for those who encode it."""

    def __new__(cls, data):
        made = super().__new__(cls, "")
        made.data = data
        return made

    def encode(self, *_):
        return self.data


# --- the server's APIs ----------------------------------------------------------------------------------------------------


def refused_by_server(answer, codes, statuses=range(400, 500)):
    status, headers, data = answer
    assert status in statuses, (status, data[:300])
    assert headers["Content-Type"] == "application/problem+json", headers
    problem = json.loads(data)
    assert problem["code"] in ERROR_CODES and problem["type"] == "urn:fleetseal:error:" + problem["code"]
    assert problem["status"] == status and problem["requestId"] and problem["advice"]
    assert codes is None or problem["code"] in codes, (problem, codes)


CHECK_IN = {"deviceId": "dev-1", "generation": 1, "packageVersion": 1, "status": {"epoch": 1, "version": 1},
            "order": {"epoch": 1, "sequence": 1}, "checkpoint": {"origin": "log.acme", "size": 1},
            "installed": {"product": "acme/pump", "releaseCounter": 1, "manifestSha256": SHA}, "phase": "idle", "agentVersion": "1"}
CHECK_IN_OPTIONAL = {"status", "order", "checkpoint", "installed"}
JSON = {"Content-Type": "application/json"}


def check_in(lab, data):
    return lab.as_device("dev-1", "POST", "/device/v1/check-in", data, JSON)


@pytest.mark.parametrize("make,codes", named(malformed.texts()))
def test_S1_4_the_device_api_refuses_a_malformed_check_in(lab, make, codes):
    refused_by_server(check_in(lab, make(CHECK_IN)), codes + ("DocumentTooLarge",))


@pytest.mark.parametrize("make,codes", named(malformed.members(CHECK_IN, CHECK_IN_OPTIONAL)))
def test_S1_4_the_device_api_refuses_a_member_that_is_missing_or_of_another_type(lab, make, codes):
    refused_by_server(check_in(lab, make(CHECK_IN)), codes + ("MemberUnknown", "MemberMissing"))


@pytest.mark.parametrize("text", malformed.PATHS, ids=ascii)
@pytest.mark.parametrize("member", ["deviceId", "phase"])
def test_S1_4_X10_the_device_api_refuses_path_characters_in_ids(lab, member, text):
    refused_by_server(check_in(lab, compact({**CHECK_IN, member: text}).encode()), ("IdInvalid", "TextInvalid", "ValueOutOfRange"))


@pytest.mark.parametrize("changes", [{"generation": 0}, {"generation": -1}, {"packageVersion": -1}, {"generation": 2**53}, {"deviceId": "dev-2"},
                                     {"status": {"epoch": -1, "version": 1}}, {"status": {"epoch": 1}}, {"order": {"epoch": 1, "sequence": 1, "x": 1}},
                                     {"checkpoint": {"origin": "", "size": -1}}, {"installed": {"product": "pump", "releaseCounter": 1, "manifestSha256": SHA}},
                                     {"installed": {"product": "acme/pump", "releaseCounter": 1, "manifestSha256": b64(bytes(32))}},
                                     {"agentVersion": "x" * 65}, {"agentVersion": "\u0000"}, {"phase": "x" * 65}], ids=compact)
def test_S1_4_the_device_api_refuses_values_out_of_range(lab, changes):
    refused_by_server(check_in(lab, compact({**CHECK_IN, **changes}).encode()), None)


@pytest.mark.parametrize("make,codes", named(malformed.texts()))
def test_S1_4_the_device_api_refuses_malformed_receipts(lab, make, codes):
    data = make({"receipts": ["a.b.c"]})
    refused_by_server(lab.as_device("dev-1", "POST", "/device/v1/receipts", data, JSON), codes + ("DocumentTooLarge",))


@pytest.mark.parametrize("body", [{"receipts": []}, {"receipts": ["a.b.c"] * 257}, {"receipts": "a.b.c"}, {"receipts": [5]}, {"receipts": [""]},
                                  {"receipts": None}, {"receipts": ["x" * 200_000]}], ids=lambda body: compact(body)[:40])
def test_S1_4_the_device_api_refuses_receipts_out_of_range(lab, body):
    refused_by_server(lab.as_device("dev-1", "POST", "/device/v1/receipts", compact(body).encode(), JSON), None)


EST = [b"", b"\0", b"MAA", b"MAA=\n\n\n=", b"!" * 100, b"A" * 65_537, b"\x30\x80\x00\x00", b"\x30\x84\xff\xff\xff\xff", b"\x30" * 1000,
       b"-----BEGIN CERTIFICATE REQUEST-----\nMAA=\n", b"-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n", b64(bytes(2000)).encode(),
       b"\xff\xfe", b"<html>", b"{}"]


@pytest.mark.parametrize("body", EST, ids=lambda body: ascii(body[:24]))
@pytest.mark.parametrize("path", ["simpleenroll", "simplereenroll"])
def test_S1_4_est_refuses_what_is_no_request(lab, path, body):
    headers = {"Content-Type": "application/pkcs10", "Authorization": "Basic " + b64(b"dev-9:secret")}
    refused_by_server(lab.as_device("dev-1", "POST", "/.well-known/est/" + path, body, headers),
                      ("Base64Invalid", "PemInvalid", "DerInvalid", "DocumentTooLarge", "KeyInvalid", "SignatureInvalid"))


@pytest.mark.parametrize("header", ["", "Basic", "Basic ", "Basic !!!", "Bearer abc", "Basic " + b64(b"no colon"), "Basic " + b64(b"../x:code"),
                                    "Basic " + b64(b"dev-1\0:code"), "Basic " + b64(b":"), "Basic " + b64(b"dev-9:" + b"x" * 9000)], ids=lambda text: text[:20])
def test_S1_4_X10_est_refuses_malformed_credentials(lab, header):
    headers = {"Content-Type": "application/pkcs10", "Authorization": header}
    refused_by_server(lab.as_device("dev-1", "POST", "/.well-known/est/simpleenroll", b"MAA=", headers), None)


BODIES = {
    "/admin/v1/requests": ("publisher", "POST", {"request": "a.b.c", "manifest": "e30"}),
    "/admin/v1/requests/r/approvals": ("approver1", "POST", {"approval": "a.b.c"}),
    "/admin/v1/register-changes": ("operator", "POST", {"jws": ["a.b.c"]}),
    "/admin/v1/person-certificates": ("operator", "POST", {"csr": "MAA"}),
    "/admin/v1/revocations": ("operator", "POST", {"revocation": "a.b.c"}),
    "/admin/v1/packages": ("operator", "POST", {"package": "{}"}),
    "/admin/v1/plans": ("operator", "POST", {"plan": "a.b.c"}),
    "/admin/v1/groups": ("operator", "POST", {"name": "g", "description": "d"}),
    "/admin/v1/groups/g/members": ("operator", "PUT", {"members": ["d"]}),
}
# These may stand before the body is looked at: the role, and the object that the path names.
BEFORE_THE_BODY = ("PermissionDenied", "RoleMissing", "NotFound", "DocumentTooLarge")


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize("make,codes", named(malformed.texts()))
def test_S1_4_the_admin_api_refuses_a_malformed_body(lab, path, make, codes):
    person, method, body = BODIES[path]
    refused_by_server(lab.as_person(person, method, path, make(body), JSON), codes + BEFORE_THE_BODY)


@pytest.mark.parametrize("path,make,codes", [
    pytest.param(path, make, codes, id=f"{path} {name}") for path, (_, _, body) in BODIES.items()
    for name, make, codes in malformed.members(body, {"description"})])
def test_S1_4_the_admin_api_refuses_a_member_that_is_missing_or_of_another_type(lab, path, make, codes):
    person, method, body = BODIES[path]
    refused_by_server(lab.as_person(person, method, path, make(body), JSON), codes + BEFORE_THE_BODY)


@pytest.mark.parametrize("segment", ["..", "%2e%2e", ".%2e", "a%2fb", "a%5cb", "a%00b", "a%0d%0aX-Y:z", "%c3%a9", "%ff", "%", "%zz", "a%20b", "a;b",
                                     "x" * 65, "x" * 5000, "*", "'", "%27%20OR%201=1", "$(x)"])
@pytest.mark.parametrize("path", ["/admin/v1/requests/{}", "/admin/v1/updates/{}", "/admin/v1/updates/{}/documents", "/admin/v1/rollouts/{}",
                                  "/admin/v1/devices/{}", "/admin/v1/devices/{}/timeline", "/admin/v1/groups/{}"])
def test_S1_4_X10_path_characters_in_the_admin_api_name_nothing(lab, path, segment):
    refused_by_server(lab.as_person("operator", "GET", path.format(segment)), None)


@pytest.mark.parametrize("path", ["/content/v1/..", "/content/v1/%2e%2e%2fserver.db", "/content/v1/" + "A" * 64, "/content/v1/" + "a" * 63,
                                  "/content/v1/" + "g" * 64, "/content/v1/", "/log/../server.db", "/log/%2e%2e/signer/signer.db", "/log/tile/0/..",
                                  "/log/tile/x/000", "/log/tile/64/000", "/log/tile/0/000.p/0", "/log/checkpoint/", "/log/lock", "//", "/%2f"])
def test_S1_4_X10_no_path_leads_out_of_content_and_log(lab, path):
    refused_by_server(lab.as_device("dev-1", "GET", path), None)


@pytest.mark.parametrize("query", ["limit=0", "limit=1001", "limit=-1", "limit=x", "limit=1&limit=2", "limit=1e3", "limit=" + "9" * 40, "cursor=%00",
                                   "cursor=%0a", "=1", "&", "limit=%", "a" * 5000])
@pytest.mark.parametrize("path", ["/admin/v1/devices", "/admin/v1/updates"])
def test_S1_4_the_admin_api_refuses_malformed_queries(lab, path, query):
    refused_by_server(lab.as_person("operator", "GET", path + "?" + query), None)


HEADS = [b"GARBAGE\r\n\r\n", b"GET /healthz HTTP/1.0\r\nHost: a\r\n\r\n", b"GET /healthz HTTP/2.0\r\nHost: a\r\n\r\n", b"GET /healthz HTTP/1.1\r\n\r\n",
         b"GET /healthz HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", b"GET http://a/healthz HTTP/1.1\r\nHost: a\r\n\r\n", b"GET * HTTP/1.1\r\nHost: a\r\n\r\n",
         b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", b"GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n",
         b"GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", b"GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n",
         b"POST /device/v1/check-in HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
         b"POST /device/v1/check-in HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n",
         b"GET /healthz HTTP/1.1\r\nHost : a\r\n\r\n", b"GET /healthz HTTP/1.1\r\nHost: a\r\nX\0Y: a\r\n\r\n",
         b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", b"GET /healthz HTTP/1.1\r\nHost: a\r\nX: " + b"y" * 20_000 + b"\r\n\r\n",
         b"GET /healthz HTTP/1.1\r\nHost: a\r\n" + b"X: y\r\n" * 5000 + b"\r\n", b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
         b"POST /device/v1/check-in HTTP/1.1\r\nHost: a\r\nExpect: a pony\r\nContent-Length: 2\r\n\r\n{}", b"\x00" * 100, b"\xff" * 100,
         b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"GET /healthz HTTP/1.1\nHost: a\n\nGET /x"]


@pytest.mark.parametrize("head", HEADS, ids=lambda head: ascii(head[:50]) + str(len(head)))
def test_S1_4_a_malformed_head_is_refused(lab, head):
    url, device = urlsplit(lab.info["device_url"]), lab.device("dev-1")
    with socket.create_connection((url.hostname, url.port), timeout=30) as plain, \
            lab.context(cert=device["cert"], key=device["key"]).wrap_socket(plain, server_hostname=url.hostname) as connection:
        connection.sendall(head)
        try:
            answer = http.client.HTTPResponse(connection)
            answer.begin()
            status = answer.status
            code = json.loads(answer.read())["code"]
        except (http.client.HTTPException, ConnectionError, ssl.SSLError):
            return  # closed without a word, which is an answer to what is no HTTP
    assert status in (400, 404, 405, 413, 414, 417, 431, 501, 505), status
    assert code in ERROR_CODES


def test_S1_4_a_media_type_that_is_not_taken_is_refused(lab):
    for media in ("text/plain", "application/xml", "", "application/json; charset=utf-16", "application/jsonx"):
        answer = lab.as_device("dev-1", "POST", "/device/v1/check-in", compact(CHECK_IN).encode(), {"Content-Type": media})
        assert answer[0] < 500
        if answer[0] != 200:
            refused_by_server(answer, ("MediaTypeUnsupported",))


def test_S1_4_after_all_of_it_work_goes_on(lab, server):
    status, _, data = check_in(lab, compact({name: value for name, value in CHECK_IN.items() if name not in CHECK_IN_OPTIONAL}).encode())
    assert status == 200, data
    path = lab.path("firmware.img", b"x" * 1000)
    lab.submit("1.0.0", path)
    assert server.ask("hello")["organisation"] == "acme"
    assert new_id("x")
