"""A piece of work of people or of a device, with one program killed or failed at a call; then everybody is started again and the
work is done once more, to its right end."""
import os

from crash import COUNT, FATAL, KILLED, Matrix, Shim
from recorded import RecordedLab, Tree


class Command:
    """A command of a person; done again it may also be refused with a code that says it was done."""

    def __init__(self, lab, *arguments, also=()):
        self.lab, self.arguments, self.also = lab, arguments, also
        self.name = " ".join(arguments[:2])

    def __call__(self, environment=None):
        return self.lab.run(*self.arguments, timeout=120)

    def is_good(self, outcome):
        return outcome.code == 0 or (outcome.code == 3 and outcome.refusal in self.also)


class Cycle:
    """A check-in of a device with whatever follows; the agent may be the one that is hit."""
    name = "check-in"

    def __init__(self, recorded, device="dev-1"):
        self.recorded, self.device = recorded, device

    def __call__(self, environment=None):
        return self.recorded.device_cycle(self.device, environment=environment)

    def is_good(self, outcome):
        return outcome.returncode == 0


class Scene:
    """A lab, and its data before each piece of work."""

    def __init__(self):
        self.recorded = recorded = RecordedLab(())
        recorded.services.start()
        self.lab = recorded.lab
        self.works = {}

    def add(self, name, action, check):
        self.works[name] = (self.recorded.keep(name), action, check)

    def close(self):
        self.recorded.close()


class Runner:
    def __init__(self, scene, name, victim):
        self.recorded, self.services = scene.recorded, scene.recorded.services
        self.folder, self.action, self.check = scene.works[name]
        self.name, self.victim = name, victim
        devices = os.path.join(self.recorded.lab.folder, "devices")
        watched = os.path.join(devices, self.action.device, "agent") if victim == "agent" else os.path.join(self.recorded.org, victim)
        self.shim = Shim(self.recorded.folder, watched)

    def interrupted(self, mode, at, error):
        """True if the program was killed."""
        self.recorded.go_back(self.folder)
        environment = self.environment()
        for name in ("sealer", "signer", "server"):
            self.services.start(name, environment=environment if name == self.victim else None)
        self.shim.arm(mode, at, error)
        self.outcome = outcome = self.action(environment if self.victim == "agent" else None)
        if self.victim == "agent":
            return outcome.returncode in KILLED
        process = self.services.running[self.victim]
        process.terminate()  # its end writes too
        ended = process.wait(60)
        del self.services.running[self.victim]
        return ended in KILLED

    def environment(self):
        """With the shim, and in the time of the others."""
        environment, common = self.shim.environment(), self.services.environment
        preloaded = [part["LD_PRELOAD"] for part in (environment, common) if "LD_PRELOAD" in part]
        return {**environment, **common, "LD_PRELOAD": ":".join(preloaded)}

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
            assert self.action.is_good(self.outcome), vars(self.outcome)
            count = self.shim.count
            matrix = Matrix(f"{self.victim}: {self.name} ({count} calls)", max(1, min(share, count // 2)))
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
