"""SIGKILL at random moments while rollouts run: 20 of each program in `./dev test`, 200 in `./dev soak`.

A real lab with three devices; its supervisors start again what was killed. One release after the other is submitted,
approved, uploaded and rolled out; every call of the command line is repeated until it gets an answer. The seed is printed;
FLEETSEAL_SEED repeats its choices.
"""
import hashlib
import json
import os
import random
import sqlite3
import threading
import time

import pytest

from crash import IS_FULL
from lab import Lab
from recorded import Tree

KILLS_EACH = int(os.environ.get("FLEETSEAL_KILLS", "200" if IS_FULL else "20"))
DEVICES = ("dev-1", "dev-2", "dev-3")
ROUND_SECONDS = 240
IMAGE_BYTES = 3 * 1024 * 1024


class Killer(threading.Thread):
    """Kills a program chosen at random, waits a random moment, and so on, until each had its share."""

    def __init__(self, lab, seed):
        super().__init__(daemon=True)
        self.lab = lab
        self.random = random.Random(seed)
        self.left = {name: KILLS_EACH for name in ("server", "signer", "sealer", "agent", "installer")}
        self.due = {}  # for each name the process that runs, and when it may be killed
        self.pause = threading.Event()
        self.is_stopped = False
        self.error = None

    def pid_of(self, name):
        file = "org/run/pids.json" if name in ("server", "signer", "sealer") else "devices/pids.json"
        with open(os.path.join(self.lab.folder, file)) as opened:
            return json.load(opened).get(name, 0)

    def kill_one(self):
        kind = self.random.choice([kind for kind, count in self.left.items() if count])
        name = f"{self.random.choice(DEVICES)}.{kind}" if kind in ("agent", "installer") else kind
        pid = self.pid_of(name)
        if self.due.get(name, (0, 0))[0] != pid:
            # Some live a moment, some long enough for their supervisor to think well of them.
            self.due[name] = pid, time.monotonic() + self.random.uniform(0, 4)
        if pid == 0 or time.monotonic() < self.due[name][1]:
            return
        self.due[name] = pid, float("inf")
        try:
            os.kill(pid, 9)
        except ProcessLookupError:
            return
        self.left[kind] -= 1

    def run(self):
        try:
            while not self.is_stopped and any(self.left.values()):
                self.pause.wait(self.random.uniform(0, 0.2))
                self.kill_one()
        except Exception as error:  # shown by the test
            self.error = error


class Fleet:
    def __init__(self):
        self.lab = Lab(devices=3, is_populated=True)
        self.seen = [self.tree()]
        self.deadline = 0

    def tree(self):
        return Tree(os.path.join(self.lab.folder, "org", "log"))

    def note_checkpoint(self):
        """Only the size and root that were public at this moment; compared at the end."""
        with open(os.path.join(self.lab.folder, "org", "log", "checkpoint")) as file:
            lines = file.read().split("\n")
        if (int(lines[1]), lines[2]) != (self.seen[-1].size, self.seen[-1].root):
            self.seen.append(Seen(lines[0], int(lines[1]), lines[2]))

    def until(self, what, action):
        """Repeats `action` until it answers something; nothing may take longer than a round."""
        pause = threading.Event()
        while True:
            answer = action()
            self.note_checkpoint()
            if answer is not None:
                return answer
            assert time.monotonic() < self.deadline, f"in vain: {what}: {self.last}\n{self.lab.logs()}"
            pause.wait(0.1)

    last = None

    def command(self, *arguments, also=()):
        """The answer of a command, repeated while somebody is dead. `also`: refusals that say it was done before."""

        def once():
            outcome = self.lab.run(*arguments, timeout=60)
            self.last = outcome.output + outcome.error
            if outcome.code == 0:
                return outcome.json
            if outcome.code == 3 and outcome.refusal in also:
                return {"refusal": outcome.refusal}
            assert outcome.code != 2, self.last
            return None

        return self.until(" ".join(arguments), once)

    def submit(self, version, path):
        answer = self.command("update", "submit", "--product", "acme/pump", "--version", version, "--compatible", "manufacturer=acme,model=pump-1",
                              "--file", path, also=("VersionExists", "AlreadyExists", "Conflict"))
        if "refusal" not in answer:
            return answer["id"], answer["requestId"]
        # The answer to the first attempt was lost.
        update = next(row for row in self.command("update", "list")["updates"] if row["version"] == version)
        return update["id"], update["requestId"]

    def release(self, version, content):
        path = self.lab.path(f"pump-{version}.img", content)
        update, request = self.submit(version, path)
        for approver in ("approver1", "approver2"):
            self.command("approval", "approve", request, "--as", approver, also=("ApprovedTwice", "Conflict"))
        self.command("update", "import", update, path)
        plan = self.command("rollout", "plan", "--update", update, *(part for device in DEVICES for part in ("--device", device)))["planId"]
        self.command("rollout", "start", plan, also=("Conflict", "AlreadyExists"))
        return update, plan

    def wait_installed(self, plan):
        def once():
            rollout = self.command("rollout", "show", plan)
            states = {device["id"]: device.get("code") or device["state"] for device in rollout["devices"]}
            self.last = str(states)
            return states if all(state == "installed" for state in states.values()) else None

        return self.until("rollout " + plan, once)

    def check_devices(self, content):
        for device in DEVICES:
            with open(self.lab.active_image(device), "rb") as file:
                assert file.read(len(content)) == content, device

    def check_receipts(self):
        """The signer's own record: every number of every device once, from the first to the last."""
        database = sqlite3.connect(f"file:{self.lab.folder}/org/signer/signer.db?mode=ro", uri=True)
        for device in DEVICES:
            rows = database.execute("SELECT number, compact FROM receipts WHERE device_id = ? ORDER BY number", (device,)).fetchall()
            assert [number for number, _ in rows] == list(range(1, len(rows) + 1)), device
            before = bytes(32)
            for _, compact in rows:
                payload = json.loads(decode(compact.split(".")[1]))
                assert decode(payload["previous"]) == before, device
                before = hashlib.sha256(compact.encode()).digest()
        database.close()

    def check_log(self):
        self.command("audit", "verify")
        last = self.tree()
        for seen in self.seen:
            last.check_extends(seen)
        orders = last.records("order")
        assert len({(order["device"], order["sequence"]) for order in orders}) == len(orders)


class Seen:
    def __init__(self, origin, size, root):
        self.origin, self.size, self.root = origin, size, root


def decode(text):
    import base64
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


@pytest.fixture
def fleet():
    made = Fleet()
    yield made
    made.lab.down()


def test_S0_20_X7_kills_at_random_moments_lose_nothing_and_leave_nothing_half_installed(fleet):
    seed = int(os.environ.get("FLEETSEAL_SEED", random.randrange(1 << 32)))
    print(f"seed {seed}, {KILLS_EACH} kills of each program")
    killer = Killer(fleet.lab, seed)
    killer.start()
    rounds = 0
    while killer.is_alive() or rounds == 0:
        rounds += 1
        fleet.deadline = time.monotonic() + ROUND_SECONDS
        content = random.Random(seed + rounds).randbytes(IMAGE_BYTES)
        update, plan = fleet.release(f"2.{rounds}.0", content)
        fleet.wait_installed(plan)
        fleet.check_devices(content)
        print(f"round {rounds}: installed; kills left {killer.left}", flush=True)
    killer.join()
    assert killer.error is None
    assert not any(killer.left.values()), killer.left
    # Everybody is alive again: one more release without a kill, and then the books.
    fleet.deadline = time.monotonic() + ROUND_SECONDS
    content = random.Random(seed).randbytes(IMAGE_BYTES)
    update, plan = fleet.release("3.0.0", content)
    fleet.wait_installed(plan)
    fleet.check_devices(content)
    fleet.check_receipts()
    fleet.check_log()
    print(f"{rounds} rounds, {sum(KILLS_EACH for _ in killer.left)} kills, {len(fleet.seen)} checkpoints seen")
