"""Crash matrices of the signer and the sealer: every verb that writes, killed or failed at every call that changes a file.

A matrix replays one recorded message on the data as it was before it. Afterwards, without the shim: the signer starts,
whatever it had answered is there, the same message again ends well, nothing is answered in two ways, and the log is whole
and continues every checkpoint that was seen.
"""
import os

import pytest

from crash import COUNT, FATAL, KILLED, Matrix, Shim
from recorded import RecordedLab, Tree, ask_socket

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
    made.services.stop()
    assert {step.verb for step in made.steps} == set(VERBS)
    yield made
    made.close()


class Replay:
    """One step, again and again; `victim` is the program that the shim watches."""

    def __init__(self, recorded, step, victim):
        self.recorded, self.step, self.victim = recorded, step, victim
        self.services = recorded.services
        self.shim = Shim(recorded.folder, recorded.org)
        self.earlier = Tree(os.path.join(step.folder, "log"))

    def close(self):
        self.services.kill()
        self.shim.close()

    def interrupted(self, mode, at, error):
        """The answer that came before the end, if any."""
        self.services.kill()
        self.recorded.restore(self.step)
        for name in ("sealer", "signer"):
            self.services.start(name, environment=self.shim.environment() if name == self.victim else None)
        process = self.services.running[self.victim]
        self.shim.arm(mode, at, error)
        answer = self.ask()
        process.terminate()  # its end writes too
        self.ended = process.wait(60)
        self.services.kill()
        return answer

    def ask(self):
        return ask_socket(self.recorded.signer_socket, self.step.message)

    def visit(self, mode, at, error):
        first = self.interrupted(mode, at, error)
        # A log writes in batches, so calls differ a little from time to time: the last ones may not come.
        assert (self.ended in KILLED) == (self.shim.fired > 0 and mode in FATAL), (self.ended, self.shim.fired)
        log = os.path.join(self.recorded.org, "log")
        at_the_end = Tree(log)
        at_the_end.check_extends(self.earlier)
        self.services.start("sealer", "signer")
        again = self.ask()
        third = self.ask()
        self.services.stop("signer", "sealer")
        last = Tree(log)
        last.check_extends(at_the_end)
        self.check_answers(first, again)
        self.check_answers(again, third)
        self.check_records(last)

    def check_answers(self, first, again):
        verb = self.step.verb
        was_done = first is not None and "ok" in first
        if "error" in again:
            assert again["error"]["code"] in DONE_BEFORE.get(verb, ()), again
        elif was_done and verb in IDEMPOTENT:
            assert again == first
        elif verb == "receipts":
            assert again["ok"] == {"results": [{"accepted": True}]}

    def check_records(self, tree):
        """One sequence, one order; one release counter, one manifest. A record may stand twice, when its answer was never given."""
        orders = tree.records("order")
        assert len({record["sequence"] for record in orders}) == len({record["jwsSha256"] for record in orders}), orders
        releases = tree.records("manifest-signature")
        assert len({record["releaseCounter"] for record in releases}) == len({record["manifestSha256"] for record in releases}), releases


def run(recorded, step, victim, share):
    replay = Replay(recorded, step, victim)
    try:
        answer = replay.interrupted(COUNT, 0, 0)
        assert answer and "ok" in answer, answer
        count = replay.shim.count
        matrix = Matrix(f"{victim}, {step.verb} ({count} calls)", share)
        for mode, at, error in matrix.plan(count, halves=5, failures=5):
            try:
                replay.visit(mode, at, error)
            except BaseException:
                print(f"{step.verb}: mode {mode} at {at} of {count} errno {error}: {replay.shim.last}")
                print(recorded.services.log_text("signer")[-3000:])
                raise
        matrix.done(least=count // (2 * matrix.share))
        return matrix.points
    finally:
        replay.close()


@pytest.mark.parametrize("verb", VERBS)
def test_S0_23_crash_matrix_of_the_signer(recorded, verb):
    step = [step for step in recorded.steps if step.verb == verb][-1]
    run(recorded, step, "signer", share=12)


def test_crash_matrix_of_the_sealers_update_keys(recorded):
    step = next(step for step in recorded.steps if step.verb == "prepare-import")
    run(recorded, step, "sealer", share=1)
