"""The server's database is PostgreSQL, and its processes are killed while rollouts run: 20 times in `./dev test`, 200 in `./dev soak`.

The server goes on with whatever comes back, without a restart of its own. Nothing that it had answered is lost, and every device
ends with the newest release. The seed is printed; FLEETSEAL_SEED repeats its choices.
"""
import os
import random
import threading
import time

import pytest

from crash import IS_FULL
from fleet import DEVICES, Fleet
from lab import Lab
from postgresql import Postgresql
from services import Services, wait_until

KILLS = int(os.environ.get("FLEETSEAL_KILLS", "200" if IS_FULL else "20"))
ROUND_SECONDS = 240
IMAGE_BYTES = 200_000


class Killer(threading.Thread):
    """Kills one backend (PostgreSQL then ends all of them and recovers by itself), or the postmaster (it is started again)."""

    def __init__(self, database, seed):
        super().__init__(daemon=True)
        self.database, self.random = database, random.Random(seed)
        self.left = {"backend": KILLS - KILLS // 2, "postmaster": KILLS // 2}
        self.pause = threading.Event()
        self.error = None

    def kill_one(self):
        kind = self.random.choice([kind for kind, count in self.left.items() if count])
        if kind == "backend":
            backends = self.database.backends()
            if not backends:
                return
            os.kill(self.random.choice(backends), 9)
        else:
            self.database.kill()
            self.pause.wait(self.random.uniform(0, 0.3))
            self.database.start()
        self.left[kind] -= 1
        wait_until(self.database.answers, "PostgreSQL after a kill")

    def run(self):
        try:
            while any(self.left.values()):
                self.pause.wait(self.random.uniform(0, 1.5))
                self.kill_one()
        except Exception as error:  # shown by the test
            self.error = error


class Scene:
    def __init__(self):
        self.lab = Lab(devices=3)
        self.database = Postgresql()
        self.services = Services(self.lab)
        with open(self.services.config("server"), "r+") as file:
            lines = [line for line in file.read().splitlines() if not line.startswith("database ")]
            file.seek(0)
            file.truncate()
            file.write(f'database = "{self.database.url}"\n' + "\n".join(lines) + "\n")
        self.services.start()
        self.fleet = Fleet(self.lab)

    def close(self):
        self.services.kill()
        self.lab.down()
        self.database.close()


@pytest.fixture
def scene():
    made = Scene()
    yield made
    made.close()


def test_S0_20_kills_of_postgresql_lose_nothing_and_the_server_goes_on(scene):
    seed = int(os.environ.get("FLEETSEAL_SEED", random.randrange(1 << 32)))
    print(f"seed {seed}, {KILLS} kills of PostgreSQL")
    fleet = scene.fleet
    killer = Killer(scene.database, seed)
    killer.start()
    plans, updates, groups, rounds = [], [], [], 0
    while killer.is_alive() or rounds == 0:
        rounds += 1
        fleet.deadline = time.monotonic() + ROUND_SECONDS
        fleet.command("group", "create", f"group-{rounds}", also=("AlreadyExists",))
        groups.append(f"group-{rounds}")
        content = random.Random(seed + rounds).randbytes(IMAGE_BYTES)
        update, plan = fleet.release(f"2.{rounds}.0", content)
        updates.append(update)
        plans.append(plan)
        fleet.wait_installed(plan)
        fleet.check_devices(content)
        print(f"round {rounds}: installed; kills left {killer.left}", flush=True)
    killer.join()
    assert killer.error is None and not any(killer.left.values()), (killer.error, killer.left)
    fleet.deadline = time.monotonic() + ROUND_SECONDS
    assert [group["name"] for group in fleet.command("group", "list")["groups"]] == sorted(groups)
    states = {row["id"]: row["state"] for row in fleet.command("update", "list")["updates"]}
    assert states == {update: "deployable" for update in updates}
    for plan in plans:
        rows = fleet.command("rollout", "show", plan)["devices"]
        assert {row["id"]: row["state"] for row in rows} == {device: "installed" for device in DEVICES}, plan
    fleet.check_receipts()
    fleet.check_log()
    server = scene.services.running["server"]
    assert server.poll() is None, scene.services.log_text("server")[-2000:]
    print(f"postgresql: {rounds} rounds, {KILLS} kills, {len(fleet.seen)} checkpoints seen")
