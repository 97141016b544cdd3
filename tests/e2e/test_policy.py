"""Signing policies on a lab: set by the security quorum, shown, tried out; and every refusal."""
import json
import os
import time

import pytest
from cryptography.hazmat.primitives import serialization

from documents import Key, b64u, compact, sha256
from lab import PRODUCT, Lab
from taken_over import Person, new_id, nonce

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to run the programs as their users")


@pytest.fixture(scope="module")
def lab():
    made = Lab(devices=1)
    yield made
    made.down()


def policy(lab, product=PRODUCT):
    (one,) = lab.good("policy", "show", product)["policies"]
    return one


def check(lab, *arguments):
    """(exit code, answer)"""
    outcome = lab.run("policy", "check", *arguments)
    return outcome.code, json.loads(outcome.output)


def test_a_policy_is_shown_with_its_hash(lab):
    one = policy(lab)
    assert (one["product"], one["approvals"], one["isOverdue"]) == (PRODUCT, 2, False)
    text = {name: one[name] for name in ("policyId", "product", "approvals", "delivery", "environments", "reviewBy")}
    assert one["policySha256"] == b64u(sha256(compact(text)))
    assert one in lab.good("policy", "show")["policies"]
    lab.refused("PolicyMissing", "policy", "show", "acme/nothing")


def test_what_is_not_named_stays_and_the_change_is_on_the_log(lab):
    before = policy(lab)
    changes = len(lab.good("audit", "query", "--type", "register-change", "--limit", "1000")["entries"])
    lab.good("policy", "set", "--product", PRODUCT, "--review-by", "2099-12-31")
    after = policy(lab)
    assert {**after, "reviewBy": 0, "policySha256": ""} == {**before, "reviewBy": 0, "policySha256": ""}
    assert after["reviewBy"] == 4102358400 and after["policySha256"] != before["policySha256"]
    assert len(lab.good("audit", "query", "--type", "register-change", "--limit", "1000")["entries"]) == changes + 1
    lab.good("policy", "set", "--product", PRODUCT, "--environment", "production", "--environment", "staging")
    assert policy(lab)["environments"] == ["production", "staging"]


def test_only_the_security_team_sets_a_policy(lab):
    before = policy(lab)
    for name in ("publisher", "operator", "approver1"):
        outcome = lab.run("policy", "set", "--product", PRODUCT, "--approvals", "0", "--as", name)
        assert outcome.code == 3 and outcome.refusal in ("RoleMissing", "QuorumNotReached"), outcome.output
    assert policy(lab) == before


def test_S1_6_what_is_out_of_range_or_unknown_is_refused(lab):
    before = policy(lab)
    for arguments in (["--approvals", "17"], ["--approvals", "-1"], ["--delivery", "carrier-pigeon"], ["--review-by", "2001-01-01"],
                      ["--review-by", "tomorrow"], ["--environment", "no spaces"], []):
        outcome = lab.run("policy", "set", "--product", PRODUCT, *arguments)
        assert outcome.code == 2, (arguments, outcome.output, outcome.error)
    lab.refused("ProductNotAllowed", "policy", "set", "--product", "acme/nothing", "--approvals", "1", "--environment", "production",
                "--review-by", "2099-01-01")
    assert policy(lab) == before


def test_a_request_made_under_the_old_policy_is_not_signed(lab):
    submitted = lab.submit("1.0.0", lab.path("one.img", b"one" * 100))
    lab.good("approval", "approve", submitted["requestId"], "--as", "approver1")
    lab.good("policy", "set", "--product", PRODUCT, "--review-by", "2098-12-31")
    lab.refused("ApprovalMismatch", "approval", "approve", submitted["requestId"], "--as", "approver2")
    code, answer = check(lab, submitted["requestId"], "--person", "approver2")
    assert code == 3 and answer["refusal"]["code"] == "ApprovalMismatch", answer
    lab.good("approval", "reject", submitted["requestId"], "--as", "approver2")


def test_a_dry_run_says_what_is_missing_and_who_may_not(lab):
    code, answer = check(lab, "--product", PRODUCT)
    assert code == 0 and (answer["needed"], answer["missing"]) == (2, 2) and {"approver1", "approver2"} <= set(answer["approvers"])
    submitted = lab.submit("1.1.0", lab.path("two.img", b"two" * 100))
    request = submitted["requestId"]
    before = lab.good("approval", "show", request)
    for person, expected in (("publisher", "RoleMissing"), ("operator", "RoleMissing"), ("nobody", "PersonUnknown"), ("approver1", None)):
        code, answer = check(lab, request, "--person", person)
        assert code == (3 if expected else 0), answer
        assert answer.get("refusal", {}).get("code") == expected
    assert lab.good("approval", "show", request) == before, "nothing was signed or sent"
    lab.good("approval", "approve", request, "--as", "approver1")
    code, answer = check(lab, request, "--person", "approver1")
    assert code == 3 and answer["refusal"]["code"] == "ApprovedTwice"
    assert (answer["approved"], answer["missing"]) == (["approver1"], 1) and "approver1" not in answer["approvers"]
    lab.good("approval", "approve", request, "--as", "approver2")
    code, answer = check(lab, request)
    assert code == 3 and answer["refusal"]["code"] == "Conflict"
    for arguments in ([], [request, "--product", PRODUCT]):
        assert lab.run("policy", "check", *arguments).code == 2
    lab.refused("NotFound", "policy", "check", "request-none")


def test_a_dry_run_knows_what_the_signer_says_of_the_requester(lab):
    """Somebody with both roles: the dry run and the signer give the same code."""
    lab.good("user", "add", "both", "--role", "publisher", "--role", "approver")
    submitted = lab.submit("1.2.0", lab.path("three.img", b"three" * 100), "--as", "both")
    code, answer = check(lab, submitted["requestId"], "--person", "both")
    assert code == 3 and answer["refusal"]["code"] == "SelfApproval" and "both" not in answer["approvers"]
    lab.refused("SelfApproval", "approval", "approve", submitted["requestId"], "--as", "both")
    lab.good("user", "revoke", "both", "--reason", "left")
    code, answer = check(lab, "--product", PRODUCT, "--person", "both")
    assert code == 3 and answer["refusal"]["code"] == "PersonRevoked"


def test_more_approvals_than_approvers_is_told(lab):
    outcome = lab.run("policy", "set", "--product", PRODUCT, "--approvals", "5")
    assert outcome.code == 0 and "warning: 5 approvals are needed, and 2 people may approve" in outcome.error, outcome.error
    code, answer = check(lab, "--product", PRODUCT)
    assert code == 3 and answer["refusal"]["code"] == "ApprovalsMissing"
    lab.good("policy", "set", "--product", PRODUCT, "--approvals", "2")


def test_a_quorum_that_is_not_reached_changes_nothing(lab):
    """With two of two security keys, one signature is not enough; two are."""
    lab.good("user", "add", "second", "--role", "security")
    folder = os.path.join(os.path.dirname(lab.info["identities"]["security"]["cert"]), "..", "second")
    keys = [public_jwk(lab, name) for name in ("security", "second")]
    change_security(lab, keys, 2)
    before = policy(lab)
    lab.refused("QuorumNotReached", "policy", "set", "--product", PRODUCT, "--approvals", "1", "--as", "security")
    assert policy(lab) == before
    lab.good("policy", "set", "--product", PRODUCT, "--approvals", "1", "--as", "security", "--also-signed-by", os.path.normpath(folder))
    assert policy(lab)["approvals"] == 1
    submitted = lab.submit("1.3.0", lab.path("four.img", b"four" * 100), "--as", "publisher")
    assert lab.good("approval", "approve", submitted["requestId"], "--as", "approver1")["state"] == "signed"


def key_of(lab, name):
    folder = os.path.dirname(lab.info["identities"]["security"]["key"])
    with open(os.path.join(os.path.dirname(folder), name, "person.key"), "rb") as file:
        return Key(serialization.load_pem_private_key(file.read(), None))


def public_jwk(lab, name):
    return key_of(lab, name).jwk()


def change_security(lab, keys, quorum):
    sequence = json.loads(lab.as_person("security", "GET", "/admin/v1/people")[2])["sequence"] + 1
    change = {"changeId": new_id("change"), "sequence": sequence, "changes": [{"action": "set-security", "keys": keys, "quorum": quorum}],
              "nonce": nonce(), "issued": int(time.time())}
    signed = Person("security", key_of(lab, "security")).sign("register-change", change)
    status, _, body = lab.as_person("security", "POST", "/admin/v1/register-changes", {"jws": [signed]})
    assert status == 200, body
