"""Crash matrices of the server's database, sealed content, the sealer's update keys and the agent's downloads.

Each does one piece of work of people or of a device, with one program killed or failed at every call that changes a file
of its own; then everybody is started again and the work is done once more, to its right end.
"""
import hashlib
import os

import pytest

from crash import COUNT, FATAL, KILLED, Matrix, Shim
from recorded import RecordedLab, Tree

IMAGE = hashlib.shake_256(b"image").digest(700_000)


class Work:
    """A piece of work: what is done, on which data, which program is hit, and how the end is told."""

    def __init__(self, recorded, folder, action, check, repeated=()):
        self.recorded, self.folder, self.action, self.check, self.repeated = recorded, folder, action, check, repeated


class Command:
    """A command of a person; done again it may also be refused with a code that says it was done."""

    def __init__(self, lab, *arguments, also=()):
        self.lab, self.arguments, self.also = lab, arguments, also

    def __call__(self, environment=None):
        return self.lab.run(*self.arguments, timeout=120)

    def is_good(self, outcome):
        return outcome.code == 0 or (outcome.code == 3 and outcome.refusal in self.also)


class Cycle:
    """A check-in of dev-1 with whatever follows; the agent may be the one that is hit."""

    def __init__(self, recorded):
        self.recorded = recorded

    def __call__(self, environment=None):
        return self.recorded.device_cycle(environment=environment)

    def is_good(self, outcome):
        return outcome.returncode == 0


class Scene:
    def __init__(self):
        self.recorded = recorded = RecordedLab(())
        recorded.services.start()
        self.lab = lab = recorded.lab
        self.path = lab.path("a.img", IMAGE)
        self.works = {}
        self.add("groups", Command(lab, "group", "create", "line-1", also=("AlreadyExists",)), self.check_group)
        lab.good("group", "create", "line-2")
        self.update = lab.submit("1.0.0", self.path)
        lab.approve(self.update)
        self.add("upload", Command(lab, "update", "import", self.update["id"], self.path), self.check_content)
        lab.good("update", "import", self.update["id"], self.path)
        self.plan = lab.plan(self.update["id"], "dev-1")
        self.add("rollout", Command(lab, "rollout", "start", self.plan, also=("Conflict",)), self.check_rollout)
        lab.good("rollout", "start", self.plan)
        self.add("check-in", Cycle(recorded), self.check_installed)

    def add(self, name, action, check):
        self.works[name] = (self.recorded.keep(name), action, check)

    def check_group(self):
        assert [group["name"] for group in self.lab.good("group", "list")["groups"]] == ["line-1"]

    def check_content(self):
        """Deployable, and every object is what its name says; nothing half-written is left."""
        update = self.lab.good("update", "show", self.update["id"])
        assert update["state"] == "deployable"
        content = os.path.join(self.recorded.org, "server", "content")
        assert os.listdir(os.path.join(content, "incoming")) == []
        for folder, _, names in os.walk(content):
            for name in names:
                if len(name) == 64:
                    with open(os.path.join(folder, name), "rb") as file:
                        assert hashlib.sha256(file.read()).hexdigest() == name

    def check_rollout(self):
        """The order is there for the device, which carries it out."""
        assert self.recorded.device_cycle().returncode == 0
        self.check_installed()

    def check_installed(self):
        rollout = self.lab.good("rollout", "show", self.plan)
        assert [(device["id"], device["state"]) for device in rollout["devices"]] == [("dev-1", "installed")]
        with open(self.lab.active_image(), "rb") as file:
            assert file.read(len(IMAGE)) == IMAGE
        work = os.path.join(self.lab.folder, "devices", "dev-1", "agent", "work")
        assert [name for name in os.listdir(work) if len(name) >= 64] == []

    def close(self):
        self.recorded.close()


@pytest.fixture(scope="module")
def scene():
    made = Scene()
    yield made
    made.close()


class Runner:
    def __init__(self, scene, name, victim):
        self.scene, self.recorded, self.services = scene, scene.recorded, scene.recorded.services
        self.folder, self.action, self.check = scene.works[name]
        self.victim = victim
        watched = os.path.join(self.recorded.lab.folder, "devices", "dev-1", "agent") if victim == "agent" else os.path.join(self.recorded.org, victim)
        self.shim = Shim(self.recorded.folder, watched)

    def interrupted(self, mode, at, error):
        """True if the program was killed."""
        self.recorded.go_back(self.folder)
        for name in ("sealer", "signer", "server"):
            self.services.start(name, environment=self.shim.environment() if name == self.victim else None)
        environment = self.shim.environment() if self.victim == "agent" else None
        self.shim.arm(mode, at, error)
        outcome = self.action(environment)
        if self.victim == "agent":
            return outcome.returncode in KILLED
        process = self.services.running[self.victim]
        process.terminate()  # its end writes too
        ended = process.wait(60)
        del self.services.running[self.victim]
        return ended in KILLED

    def visit(self, mode, at, error):
        was_killed = self.interrupted(mode, at, error)
        # The calls of a server differ a little from time to time: the last ones may not come.
        assert was_killed == (self.shim.fired > 0 and mode in FATAL)
        log = os.path.join(self.recorded.org, "log")
        before = Tree(log)
        self.services.stop()
        self.services.start()
        outcome = self.action()
        assert self.action.is_good(outcome), vars(outcome)
        self.check()
        self.services.stop()
        Tree(log).check_extends(before)

    def run(self, share):
        try:
            self.interrupted(COUNT, 0, 0)
            count = self.shim.count
            matrix = Matrix(f"{self.victim}: {self.action.__class__.__name__} ({count} calls)", share)
            for mode, at, error in matrix.plan(count, halves=5, failures=5):
                try:
                    self.visit(mode, at, error)
                except BaseException:
                    print(f"{self.victim}: mode {mode} at {at} of {count} errno {error}: {self.shim.last}")
                    print(self.services.log_text("server")[-2000:])
                    raise
            matrix.done(least=max(1, count // (2 * matrix.share)))
        finally:
            self.services.kill()
            self.shim.close()


@pytest.mark.parametrize("name, victim, share", [
    ("groups", "server", 4), ("upload", "server", 12), ("upload", "sealer", 3), ("rollout", "server", 6), ("check-in", "server", 8),
    ("check-in", "agent", 12)])
def test_X7_crash_matrix(scene, name, victim, share):
    Runner(scene, name, victim).run(share)
