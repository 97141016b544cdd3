"""SIGKILL at random moments while rollouts run: 20 of each program in `./dev test`, 200 in `./dev soak`.

A real lab with three devices; its supervisors start again what was killed. One release after the other is submitted,
approved, uploaded and rolled out; every call of the command line is repeated until it gets an answer. The seed is printed;
FLEETSEAL_SEED repeats its choices.
"""
import json
import os
import random
import threading
import time

import pytest

from crash import IS_FULL
from fleet import DEVICES, Fleet
from lab import Lab

KILLS_EACH = int(os.environ.get("FLEETSEAL_KILLS", "200" if IS_FULL else "20"))
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


@pytest.fixture
def fleet():
    made = Fleet(Lab(devices=3, is_populated=True))
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
