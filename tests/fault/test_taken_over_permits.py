"""A taken-over server and downgrade permits (S0.4, X2): it makes none, alters none, and swaps none.

It has what it has in test_taken_over_server.py: every document that passed through it, and no person's key.
"""
import json
import os
import time

import pytest

from documents import Key, b64u, compact, jws, jws_parts, sha256
from taken_over import DAY, Person, Refused, TakenOverServer
from test_taken_over_server import flipped, refused, with_payload

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to act as the server's user")
STRANGER = Person("approver2", Key.p256())


@pytest.fixture(scope="module")
def server(lab):
    return TakenOverServer(lab)


@pytest.fixture(scope="module")
def releases(lab, server):
    """dev-1 and dev-2 have the newer one."""
    update = lab.release("1.9.0", lab.path("newer.img", b"newer" * 1000))
    assert set(lab.watch(lab.roll_out(update, "dev-1", "dev-2")).values()) == {"installed"}
    counters = {row["id"]: row["releaseCounter"] for row in lab.good("update", "list")["updates"]}
    old = lab.info["update"]["id"]
    return (counters[update], b64u(bytes.fromhex(update))), (counters[old], b64u(bytes.fromhex(old)))


@pytest.fixture(scope="module")
def waiting(server, releases):
    """A genuine request for dev-3 that waits for two approvals."""
    return server.ask("request-permit", request=server.permit_request(*releases, deviceIds=["dev-3"]))


def granted(server, releases, **changes):
    asked = server.ask("request-permit", request=server.permit_request(*releases, **changes))
    for approver in ("approver1", "approver2"):
        answer = server.ask("approve-permit", approval=server.permit_approval(asked, approver))
    assert answer["state"] == "signed"
    return answer


def order_words(server, plan_id, device):
    row = server.ask("orders", planId=plan_id, devices=[device])["orders"][0]
    return row["order"], json.loads(jws_parts(row["order"])[1])


def test_S0_4_a_permit_is_asked_for_by_a_publisher(server, releases):
    newer, older = releases
    genuine = server.permit_request(newer, older)
    known = server.person("publisher").key.kid()
    now = int(time.time())
    attempts = [
        ("PersonUnknown", server.permit_request(newer, older, person=Person("publisher", Key.p256()))),
        ("SignatureInvalid", STRANGER.sign("request", json.loads(jws_parts(genuine)[1]), kid=known)),
        ("RoleMissing", server.permit_request(newer, older, "operator")),
        ("RoleMissing", server.permit_request(newer, older, "approver1")),
        ("PermissionDenied", server.permit_request(newer, older, requester="approver1")),
        (("SignatureInvalid", "Base64Invalid"), flipped(genuine)),
        ("SignatureInvalid", with_payload(genuine, deviceIds=["dev-2"])),
        ("SignatureInvalid", with_payload(genuine, permitExpires=now + 80 * DAY)),
        ("ApprovalExpired", server.permit_request(newer, older, permitExpires=now + 91 * DAY)),
        ("ApprovalExpired", server.permit_request(newer, older, expires=now + 30 * DAY)),
        ("AudienceMismatch", server.permit_request(newer, older, audience="urn:fleetseal:other")),
        ("PermitInvalid", server.permit_request(older, newer)),
        ("PermitInvalid", server.permit_request((newer[0] + 1, newer[1]), older)),
        ("UpdateNotSigned", server.permit_request((newer[0], b64u(bytes(32))), older)),
        ("DeviceUnknown", server.permit_request(newer, older, deviceIds=["dev-9"])),
        ("NotFound", server.permit_request(newer, older, deviceIds=None, planId="plan-none")),
        ("MemberMissing", server.permit_request(newer, older, deviceIds=None)),
        ("MemberMissing", server.permit_request(newer, older, planId="plan-none")),
        ("ValueOutOfRange", server.permit_request(newer, older, deviceIds=[])),
        ("ValueOutOfRange", server.permit_request(newer, older, kind="manifest")),
        ("TypMismatch", server.person("publisher").sign("permit", json.loads(jws_parts(genuine)[1]))),
    ]
    for code, request in attempts:
        refused(server, code, "request-permit", request=request)
    refused(server, "TypMismatch", "approve-permit", approval=genuine)
    refused(server, "MemberUnknown", "request-permit", request=genuine, payload="{}")


def test_S0_4_nothing_but_two_approvers_words_about_this_permit_signs_it(server, waiting):
    zeros = b64u(bytes(32))
    genuine = server.permit_approval(waiting, "approver1")
    attempts = [
        ("PersonUnknown", server.permit_approval(waiting, "approver2", STRANGER)),
        ("RoleMissing", server.permit_approval(waiting, "publisher")),
        ("RoleMissing", server.permit_approval(waiting, "operator")),
        ("ApprovalMismatch", server.permit_approval(waiting, "approver1", payloadSha256=zeros)),
        ("ApprovalMismatch", server.permit_approval(waiting, "approver1", keyThumbprint=zeros)),
        ("ApprovalMismatch", server.permit_approval(waiting, "approver1", policySha256=zeros)),
        ("ApprovalMismatch", server.permit_approval(waiting, "approver1", typ="fleetseal-manifest+jws")),
        ("NotFound", server.permit_approval(waiting, "approver1", requestId="permit-other")),
        ("SignatureInvalid", with_payload(server.permit_approval(waiting, "approver1", decision="reject"), decision="approve")),
        ("SignatureInvalid", with_payload(genuine, requestId="permit-other")),
    ]
    for code, approval in attempts:
        refused(server, code, "approve-permit", approval=approval)
    refused(server, "NotFound", "approve", approval=genuine)
    assert server.ask("approve-permit", approval=genuine)["approved"] == ["approver1"]
    refused(server, "ApprovedTwice", "approve-permit", approval=server.permit_approval(waiting, "approver1"))
    shown = server.ask("show-permit", permitId=waiting["permitId"])
    assert shown["state"] == "waiting" and "permit" not in shown


def test_S0_4_approvals_of_one_permit_or_release_count_for_no_other(server, lab, releases):
    first = server.ask("request-permit", request=server.permit_request(*releases, deviceIds=["dev-3"]))
    second = server.ask("request-permit", request=server.permit_request(*releases, deviceIds=["dev-3"]))
    approval = server.permit_approval(first, "approver1")
    server.ask("approve-permit", approval=approval)
    refused(server, "ApprovalMismatch", "approve-permit",
            approval=server.permit_approval({**first, "permitId": second["permitId"]}, "approver1"))
    manifest = server.manifest(b"a release", "8.0.0")
    submitted = server.ask("submit-request", request=server.request(manifest), manifest=b64u(manifest))
    refused(server, "NotFound", "approve-permit", approval=server.approval(submitted, "approver1"))
    refused(server, "NotFound", "approve", approval=server.permit_approval(second, "approver1"))


def test_X2_an_order_carries_the_permit_of_its_own_plan_and_device_only(server, releases):
    newer, older = releases
    plan_id, plan = server.plan(older[1], countMax=5)
    server.ask("plan", plan=plan)
    permit = granted(server, releases, deviceIds=None, planId=plan_id)["permit"]
    named = granted(server, releases, deviceIds=["dev-2"])["permit"]
    other_id, other = server.plan(older[1], countMax=5)
    server.ask("plan", plan=other)
    assert order_words(server, plan_id, "dev-1")[1]["permit"] == permit
    assert "permit" not in order_words(server, other_id, "dev-1")[1]
    assert order_words(server, other_id, "dev-2")[1]["permit"] == named
    # Nothing lets the server say which.
    refused(server, "MemberUnknown", "orders", planId=other_id, devices=["dev-1"], permit=permit)


def test_X2_a_permit_that_is_put_into_an_order_or_altered_is_refused_by_the_device(server, lab, releases, tmp_path):
    newer, older = releases
    plan_id, plan = server.plan(older[1], devices=["dev-1"])
    server.ask("plan", plan=plan)
    foreign = granted(server, releases, deviceIds=["dev-2"])["permit"]
    compact_order, words = order_words(server, plan_id, "dev-1")
    assert "permit" not in words
    header = jws_parts(compact_order)[0]
    folder = str(tmp_path / "documents")
    lab.good("update", "show", lab.info["update"]["id"], "--documents", folder)
    mine = Key.p256()
    own = jws(mine, {**jws_parts(foreign)[0]}, compact({**json.loads(jws_parts(foreign)[1]), "deviceIds": ["dev-1"]}))
    for code, order in (("SignatureInvalid", with_payload(compact_order, permit=foreign)),
                        ("SignatureInvalid", with_payload(compact_order, permit=with_payload(foreign, deviceIds=["dev-1"]))),
                        ("SignatureInvalid", jws(mine, header, compact({**words, "permit": own})))):
        with open(os.path.join(folder, "order.jws"), "w") as file:
            file.write(order)
        before = {name: value for name, value in lab.trust("dev-1").items() if name not in ("status", "timeFloor", "checkpoints")}
        outcome = lab.run("lab", "offer", "--dir", lab.folder, "--device", "dev-1", "--documents", folder)
        assert outcome.code == 3 and outcome.refusal == code, outcome.output
        after = {name: value for name, value in lab.trust("dev-1").items() if name not in ("status", "timeFloor", "checkpoints")}
        assert after == before


def test_S0_4_a_permit_is_on_the_log_before_it_is_shown(server, lab, releases):
    answer = granted(server, releases, deviceIds=["dev-3"])
    leaf = json.loads(lab.good("audit", "query", "--from", str(answer["logIndex"]), "--limit", "1")["entries"][0]["leaf"])
    assert (leaf["type"], leaf["permitId"], leaf["jwsSha256"]) == ("permit", answer["permitId"], b64u(sha256(answer["permit"])))
    with pytest.raises(Refused):
        server.ask("sign-permit", payload=answer["payload"])
