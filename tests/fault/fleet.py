"""Three devices that get one release after the other while programs die: what people do is repeated until it is answered."""
import base64
import hashlib
import json
import os
import sqlite3
import threading
import time

from recorded import Tree

DEVICES = ("dev-1", "dev-2", "dev-3")


class Fleet:
    def __init__(self, lab):
        self.lab = lab
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
        update = self.until("the update " + version, lambda: self.known(version))
        return update["id"], update["requestId"]

    def known(self, version):
        return next((row for row in self.command("update", "list")["updates"] if row["version"] == version), None)

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
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
