"""Crash matrices of the signer and the sealer: every verb that writes, killed or failed at every call that changes a file.

A matrix replays one recorded message on the data as it was before it. Afterwards, without the shim: the signer starts,
whatever it had answered is there, the same message again ends well, nothing is answered in two ways, and the log is whole
and continues every checkpoint that was seen.
"""
import json
import os
import time

import pytest

from recorded import RecordedLab, ask_socket
from replay import Case, good, run
from taken_over import DAY, TakenOverServer

VERBS = ("submit-request", "approve", "register-change", "person-certificate", "enrol", "prepare-import", "complete-import", "plan", "orders", "receipts",
         "revoke")
# What a message that was carried out before may be answered when it comes again.
DONE_BEFORE = {"approve": ("ApprovedTwice", "RequestNotWaiting"), "register-change": ("SequenceWrong",), "enrol": ("EnrolmentCodeUsed",), "revoke": ("ReplayDetected",)}
IDEMPOTENT = ("submit-request", "orders", "plan", "prepare-import", "complete-import", "revoke")


@pytest.fixture(scope="module")
def recorded():
    made = RecordedLab(VERBS)
    made.services.start()
    lab = made.lab
    lab.good("user", "add", "extra", "--role", "auditor")
    code = lab.good("device", "allow", "dev-2", "--product", "acme/pump", "--property", "manufacturer=acme", "--property", "model=pump-1")
    made.clone_device("dev-2", code["code"])
    assert made.device_cycle("dev-2").returncode == 0
    path = lab.path("a.img", os.urandom(100_000))
    update = lab.release("1.0.0", path)
    lab.roll_out(update, "dev-1")
    assert made.device_cycle().returncode == 0
    lab.good("device", "suspend", "dev-1", "--reason", "test")
    waiting_submit = [step for step in made.steps if step.verb == "submit-request"][-1]
    none_needed = {"policyId": "policy-none", "product": "acme/pump", "approvals": 0, "delivery": "sealed", "environments": ["production"],
                   "reviewBy": int(time.time()) + DAY}
    change = TakenOverServer(lab).change([{"action": "set-policy", "policy": none_needed}])
    assert "ok" in ask_socket(made.signer_socket, json.dumps({"verb": "register-change", "jws": [change]}).encode())
    lab.submit("2.0.0", path)
    made.pre_approved = made.steps.pop()
    assert made.pre_approved.answer["ok"]["state"] == "signed" and waiting_submit.answer["ok"]["state"] == "waiting"
    made.services.stop()
    assert {step.verb for step in made.steps} == set(VERBS)
    yield made
    made.close()


class VerbCase(Case):
    def __init__(self, verb):
        self.verb, self.done_before, self.is_repeated = verb, DONE_BEFORE.get(verb, ()), verb in IDEMPOTENT

    def check_answers(self, first, again):
        super().check_answers(first, again)
        if self.verb == "receipts" and good(first):
            assert again["ok"] == {"results": [{"accepted": True}]}


@pytest.mark.parametrize("verb", VERBS)
def test_S0_23_crash_matrix_of_the_signer(recorded, verb):
    step = [step for step in recorded.steps if step.verb == verb][-1]
    run(recorded, step, "signer", VerbCase(verb), share=12)


def test_S0_3_crash_matrix_of_a_signature_that_needs_no_approval(recorded):
    """Request, signature, their records and rows: one transaction."""
    run(recorded, recorded.pre_approved, "signer", VerbCase("submit-request"), share=6)


def test_crash_matrix_of_the_sealers_update_keys(recorded):
    step = next(step for step in recorded.steps if step.verb == "prepare-import")
    run(recorded, step, "sealer", VerbCase("prepare-import"), share=1)
