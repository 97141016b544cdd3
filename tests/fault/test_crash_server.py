"""Crash matrices of the server's database, sealed content, the sealer's update keys and the agent's downloads.

Each does one piece of work of people or of a device, with one program killed or failed at every call that changes a file
of its own; then everybody is started again and the work is done once more, to its right end.
"""
import hashlib
import os

import pytest

from work import Command, Cycle, Runner, Scene

IMAGE = hashlib.shake_256(b"image").digest(700_000)


class Update(Scene):
    """One update from its upload to the device that runs it."""

    def __init__(self):
        super().__init__()
        recorded, lab = self.recorded, self.lab
        self.path = lab.path("a.img", IMAGE)
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


@pytest.fixture(scope="module")
def scene():
    made = Update()
    yield made
    made.close()


@pytest.mark.parametrize("name, victim, share", [
    ("groups", "server", 4), ("upload", "server", 12), ("upload", "sealer", 3), ("rollout", "server", 6), ("check-in", "server", 8),
    ("check-in", "agent", 12)])
def test_X8_crash_matrix(scene, name, victim, share):
    Runner(scene, name, victim).run(share)
