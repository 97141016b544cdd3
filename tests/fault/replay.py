"""A recorded message, again and again: the program that takes it is killed or failed at a chosen call, started again, asked again.

What holds after every point: the signer starts, what it had answered is there, the same message again ends well, nothing is
answered in two ways, and the log is whole and continues every checkpoint that was seen.
"""
import glob
import json
import os

from crash import COUNT, FATAL, KILLED, Matrix, Shim
from documents import b64u, sha256
from recorded import Tree, ask_socket

# Their rows are committed with their records: whatever happens, a document has one record at most.
RECORDED_ONCE = ("request", "approval", "manifest-signature")


def good(answer):
    return answer is not None and "ok" in answer


class Case:
    """What may be answered to a message that comes again, and what the log may hold then."""
    # Codes that say that it was carried out before.
    done_before = ()
    # Whether what was answered once is answered for ever.
    is_repeated = True
    recorded_once = RECORDED_ONCE

    def check_answers(self, first, again):
        if "error" in again:
            assert again["error"]["code"] in self.done_before, again
        elif good(first) and self.is_repeated:
            assert again == first

    def check_records(self, tree):
        """One sequence, one order; one release counter, one manifest. A record may stand twice, when its answer was never given."""
        orders = tree.records("order")
        assert len({record["sequence"] for record in orders}) == len({record["jwsSha256"] for record in orders}), orders
        for kind in self.recorded_once:
            hashes = [record["jwsSha256"] for record in tree.records(kind)]
            assert len(set(hashes)) == len(hashes), (kind, hashes)
        releases = tree.records("manifest-signature")
        assert len({record["releaseCounter"] for record in releases}) == len(releases), releases
        assert len({record["releaseCounter"] for record in releases}) == len({record["manifestSha256"] for record in releases}), releases

    def check_running(self, replay, answers):
        """The signer runs, and was asked three times; the first answer is None if it was killed before it gave one."""

    def check_log(self, tree, answers):
        """The log at the end of it all."""


def records_of(tree, kind, document):
    """The places of a document's records on the log."""
    digest = b64u(sha256(document))
    return [index for index, leaf in enumerate(map(json.loads, tree.leaves)) if leaf["type"] == kind and leaf["jwsSha256"] == digest]


def trees(folder):
    """Every log of a signer: the first one, and those that followed it."""
    paths = [folder] + glob.glob(os.path.join(folder, "origins", "*"))
    return {path: Tree(path) for path in paths if os.path.exists(os.path.join(path, "checkpoint"))}


def check_extend(now, earlier, folder, earlier_folder):
    for path, tree in earlier.items():
        now[folder + path[len(earlier_folder):]].check_extends(tree)


class Replay:
    """One step, again and again; `victim` is the program that the shim watches."""

    def __init__(self, recorded, step, victim, case):
        self.recorded, self.step, self.victim, self.case = recorded, step, victim, case
        self.services = recorded.services
        self.shim = Shim(recorded.folder, recorded.org)
        self.log = os.path.join(recorded.org, "log")
        self.earlier_log = os.path.join(step.folder, "log")
        self.earlier = trees(self.earlier_log)

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

    def ask(self, message=None):
        """The recorded message, or another one of words that are given."""
        return ask_socket(self.recorded.signer_socket, json.dumps(message).encode() if message else self.step.message)

    def visit(self, mode, at, error):
        first = self.interrupted(mode, at, error)
        # A log writes in batches, so calls differ a little from time to time: the last ones may not come.
        assert (self.ended in KILLED) == (self.shim.fired > 0 and mode in FATAL), (self.ended, self.shim.fired)
        at_the_end = trees(self.log)
        check_extend(at_the_end, self.earlier, self.log, self.earlier_log)
        self.services.start("sealer", "signer")
        again = self.ask()
        third = self.ask()
        answers = [first, again, third]
        self.case.check_running(self, answers)
        self.services.stop("signer", "sealer")
        last = trees(self.log)
        check_extend(last, at_the_end, self.log, self.log)
        self.case.check_answers(first, again)
        self.case.check_answers(again, third)
        self.case.check_records(last[self.log])
        self.case.check_log(last[self.log], answers)


def run(recorded, step, victim, case, share):
    replay = Replay(recorded, step, victim, case)
    try:
        answer = replay.interrupted(COUNT, 0, 0)
        assert good(answer), answer
        count = replay.shim.count
        matrix = Matrix(f"{victim}, {step.name} ({count} calls)", max(1, min(share, count // 2)))
        for mode, at, error in matrix.plan(count, halves=5, failures=5):
            try:
                replay.visit(mode, at, error)
            except BaseException:
                print(f"{step.name}: mode {mode} at {at} of {count} errno {error}: {replay.shim.last}")
                print(recorded.services.log_text("signer")[-3000:])
                raise
        matrix.done(least=max(1, count // (2 * matrix.share)))
    finally:
        replay.close()
