"""Crash matrices of the server when people decide about a rollout that runs: pause, resume, cancel, and an update that is withdrawn.

Killed or failed at every call that changes a file of the server, the same command again ends well, and the device does what was
decided last.
"""
import os

import pytest

from work import Command, Runner, Scene

OLD, NEW = os.urandom(30_000), os.urandom(40_000)


class Decisions(Scene):
    """dev-1 runs the old release and has an order for the new one, which it has not fetched."""

    def __init__(self):
        super().__init__()
        lab = self.lab
        self.roll_out("1.0.0", OLD)
        assert self.recorded.device_cycle().returncode == 0
        self.plan = self.roll_out("2.0.0", NEW)
        self.add("pause", Command(lab, "rollout", "pause", self.plan, "--reason", "a test"), self.check_paused)
        self.add("cancel", Command(lab, "rollout", "cancel", self.plan, "--reason", "a test"), self.check_cancelled)
        self.add("withdraw", Command(lab, "update", "withdraw", self.update, "--reason", "a test", also=("Conflict",)), self.check_cancelled)
        lab.good("rollout", "pause", self.plan, "--reason", "a test")
        self.add("resume", Command(lab, "rollout", "resume", self.plan, "--reason", "a test"), self.check_installed)

    def roll_out(self, version, content):
        self.update = self.lab.release(version, self.lab.path(version + ".img", content))
        return self.lab.roll_out(self.update, "dev-1")

    def told(self):
        """State of the rollout and of the device in it."""
        rollout = self.lab.good("rollout", "show", self.plan)
        (device,) = rollout["devices"]
        return rollout["state"], device["state"]

    def runs(self):
        with open(self.lab.active_image(), "rb") as file:
            return file.read(len(NEW))

    def cycle(self):
        done = self.recorded.device_cycle()
        assert done.returncode == 0, done.stdout + done.stderr

    def check_paused(self):
        self.cycle()
        assert self.told()[0] == "paused" and self.runs().startswith(OLD)

    def check_cancelled(self):
        assert self.told()[0] in ("cancelling", "cancelled")
        self.cycle()
        assert self.told() == ("cancelled", "cancelled") and self.runs().startswith(OLD)

    def check_installed(self):
        self.cycle()
        assert self.told()[1] == "installed" and self.runs() == NEW


@pytest.fixture(scope="module")
def decisions():
    made = Decisions()
    yield made
    made.close()


@pytest.mark.parametrize("name", ["pause", "resume", "cancel", "withdraw"])
def test_crash_matrix_of_a_decision_about_a_rollout(decisions, name):
    Runner(decisions, name, "server").run(share=6)
