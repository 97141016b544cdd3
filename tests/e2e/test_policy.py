"""Signing policies on a lab: set by the security quorum, shown, tried out; and every refusal."""
import json
import os
import subprocess

import pytest

from documents import b64u, compact, sha256
from lab import BIN, PRODUCT, Lab

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
    told = lab.good("user", "set-security", "--person", "security", "--person", "second", "--quorum", "2", "--as", "security")
    assert told["before"] == {"people": ["security"], "quorum": 1} and told["after"] == {"people": ["second", "security"], "quorum": 2}
    before = policy(lab)
    lab.refused("QuorumNotReached", "policy", "set", "--product", PRODUCT, "--approvals", "1", "--as", "security")
    assert policy(lab) == before
    lab.good("policy", "set", "--product", PRODUCT, "--approvals", "1", "--as", "security", "--also-signed-by", os.path.normpath(folder))
    assert policy(lab)["approvals"] == 1
    submitted = lab.submit("1.3.0", lab.path("four.img", b"four" * 100), "--as", "publisher")
    assert lab.good("approval", "approve", submitted["requestId"], "--as", "approver1")["state"] == "signed"


def people(lab):
    return {person["id"]: person for person in lab.good("user", "list")["people"]}


def test_the_security_team_is_set_shown_and_left(lab):
    """Follows the test before: two of two keys decide."""
    folder = os.path.join(os.path.dirname(lab.info["identities"]["security"]["cert"]), "..", "second")
    both = ("--as", "security", "--also-signed-by", os.path.normpath(folder))
    two = ("--person", "security", "--person", "second")
    for arguments in ((*two, "--quorum", "0"), (*two, "--quorum", "3"), (*two, *two, "--quorum", "2"), (*two, "--quorum", "2")):
        outcome = lab.run("user", "set-security", *arguments, *both)
        assert outcome.code == 2 and outcome.refusal == "InvalidArgument", outcome.output
    lab.good("user", "add", "third", "--role", "security", *both)
    lab.refused("PersonUnknown", "user", "set-security", *two, "--person", "nobody", "--quorum", "2", *both)
    lab.refused("RoleMissing", "user", "set-security", *two, "--person", "operator", "--quorum", "2", *both)
    three = (*two, "--person", "third", "--quorum", "2")
    lab.refused("QuorumNotReached", "user", "set-security", *three, "--as", "security")
    # One alone takes no key of the team away, and the last two of a quorum of two cannot go; the answers say what to do.
    outcome = lab.run("user", "revoke", "second", "--reason", "left", "--as", "security")
    assert outcome.code == 3 and outcome.refusal == "QuorumNotReached" and "--also-signed-by" in outcome.json["error"]["advice"], outcome.output
    outcome = lab.run("user", "revoke", "second", "--reason", "left", *both)
    assert outcome.code == 3 and outcome.refusal == "Conflict" and "user set-security" in outcome.json["error"]["advice"], outcome.output
    assert people(lab)["second"]["state"] == "active"
    outcome = lab.run("user", "set-security", *three, *both)
    assert outcome.code == 0 and "warning" not in outcome.error, outcome.error
    listed = people(lab)
    assert {name for name, person in listed.items() if person["securityKey"]} == {"security", "second", "third"}
    assert lab.good("user", "list")["securityQuorum"] == 2
    # One of three may go, and his key with him.
    lab.refused("QuorumNotReached", "user", "revoke", "third", "--reason", "left", "--as", "security")
    outcome = lab.run("user", "revoke", "third", "--reason", "left", *both)
    assert outcome.code == 0 and "one lost key locks the register" in outcome.error, outcome.error
    assert not people(lab)["third"]["securityKey"]
    lab.refused("PersonRevoked", "user", "set-security", *three, *both)
    outcome = lab.run("user", "set-security", "--person", "security", "--quorum", "1", *both)
    assert outcome.code == 0 and "whoever has one security key alone" in outcome.error, outcome.error
    lab.good("user", "revoke", "second", "--reason", "left", "--as", "security")
    shown = subprocess.run([os.path.join(BIN, "fleetseal"), "user", "list"], env=lab.environment, capture_output=True, text=True, check=True).stdout
    assert "1 of 1 security keys decides: security" in shown and "SECURITY KEY" in shown, shown
    report = json.loads(lab.run("doctor", "--data", os.path.join(lab.folder, "org")).output)
    assert [finding["level"] for finding in report["findings"] if finding["where"] == "register"] == ["warning"], report
