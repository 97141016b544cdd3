"""Pause, cancel, suspend and revoke while a device downloads: real processes, a slow line, a large file."""
import hashlib
import json
import os
import signal
import threading
import time

import pytest

from lab import PRODUCT, Lab
from services import restart_agent
from wrong_server import How, WrongServer

SIZE = 32 * 1024 * 1024
RATE = 1_500_000
PATIENCE = 120


def image(seed):
    return hashlib.shake_256(seed.encode()).digest(1 << 20) * (SIZE >> 20)


def wait_for(what, reach):
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        value = reach()
        if value:
            return value
        time.sleep(0.1)
    raise AssertionError(f"not reached: {what}")


@pytest.fixture(scope="module")
def lab():
    made = Lab(devices=2, is_populated=True)
    try:
        # The line of the agents becomes slow; whoever runs them starts them again.
        for device in made.info["devices"]:
            with open(device["config"], "a") as file:
                file.write(f"rate_max = {RATE}\n")
            os.kill(device["agent_pid"], signal.SIGTERM)
        yield made
    finally:
        made.down()


def part(lab, device):
    """Bytes of the download in hand."""
    work = os.path.join(os.path.dirname(lab.device(device)["config"]), "work")
    names = [name for name in (os.listdir(work) if os.path.isdir(work) else []) if name.endswith(".part")]
    try:
        return max((os.path.getsize(os.path.join(work, name)) for name in names), default=0)
    except FileNotFoundError:
        return 0


def begin(lab, version, device):
    """A rollout whose device is in the middle of its download: plan, and what the active slot holds."""
    path = lab.path(f"kill-{version}.img", image(version))
    update = lab.release(version, path)
    before = active(lab, device)
    plan = lab.roll_out(update, device)
    wait_for("a download under way", lambda: part(lab, device) > 1_000_000)
    return update, plan, before


def active(lab, device):
    with open(lab.active_image(device), "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def code(answer):
    status, _, data = answer
    return json.loads(data).get("code", str(status)) if status >= 400 else str(status)


def content(lab, update, device):
    sealed = lab.good("update", "show", update)["files"][0]["sealedSha256"]
    name = sealed if len(sealed) == 64 else __import__("base64").urlsafe_b64decode(sealed + "=").hex()
    return code(lab.as_device(device, "GET", f"/content/v1/{name}", headers={"Range": "bytes=0-9"}))


def decide(lab, verb, plan):
    return lab.good("rollout", verb, plan, "--reason", "a test")


def state(lab, plan):
    return lab.good("rollout", "show", plan)["state"]


def still(lab, device):
    """The download stands still: two looks, a while apart, see the same."""
    def look():
        size = part(lab, device)
        threading.Event().wait(2)
        return size == part(lab, device)
    wait_for("the download stands still", look)
    return part(lab, device)


def outcomes(lab, device, plan):
    events = lab.good("device", "timeline", device)["events"]
    return [event["outcome"] for event in events if event["event"] == "receipt" and event.get("planId") == plan]


def test_only_an_operator_pauses_and_cancels(lab):
    path = lab.path("kill-2.0.0.img", b"nothing yet")
    plan = lab.plan(lab.release("2.0.0", path), "dev-1")
    for verb in ("pause", "resume", "cancel"):
        lab.refused("RoleMissing", "rollout", verb, plan, "--reason", "a test", "--as", "publisher")
    assert state(lab, plan) == "planned"
    decide(lab, "pause", plan)
    lab.refused("PlanPaused", "rollout", "start", plan)
    decide(lab, "cancel", plan)
    assert state(lab, plan) == "cancelled"
    lab.refused("Conflict", "rollout", "resume", plan, "--reason", "a test")
    lab.refused("Conflict", "rollout", "start", plan)


def test_S0_22_a_paused_download_goes_on_from_the_same_byte(lab):
    update, plan, before = begin(lab, "2.1.0", "dev-1")
    decide(lab, "pause", plan)
    assert content(lab, update, "dev-1") == "PlanPaused"
    size = still(lab, "dev-1")
    assert 0 < size < SIZE and active(lab, "dev-1") == before and state(lab, plan) == "paused"
    decide(lab, "resume", plan)
    wait_for("more bytes, not fewer", lambda: part(lab, "dev-1") > size)
    assert lab.watch(plan) == {"dev-1": "installed"}
    assert state(lab, plan) == "finished"
    events = lab.good("audit", "events", "--device", "dev-1", "--update", f"{PRODUCT}@2.1.0")["events"]
    kinds = [event["event"] for event in reversed(events)]
    assert kinds.count("download-started") == 1 and kinds.count("download-finished") == 1, kinds
    assert kinds.index("ordered") < kinds.index("download-started") < kinds.index("download-finished") < kinds.index("receipt")
    for event in events:
        assert event["actor"] and event["origin"] and event["deviceId"] == "dev-1" and event["manifestSha256"] and event["time"] > 0


def test_a_cancelled_download_ends_and_nothing_is_installed(lab):
    update, plan, before = begin(lab, "2.2.0", "dev-1")
    decide(lab, "cancel", plan)
    assert content(lab, update, "dev-1") == "OrderCancelled"
    assert lab.watch(plan) == {"dev-1": "OrderCancelled"}
    wait_for("the cancelled rollout", lambda: state(lab, plan) == "cancelled")
    wait_for("the receipts", lambda: "cancelled" in outcomes(lab, "dev-1", plan))
    with open(os.path.join(lab.device("dev-1")["state_dir"], "state.json")) as file:
        assert json.load(file).get("journal") is None
    wait_for("the part is thrown away", lambda: part(lab, "dev-1") == 0)
    assert active(lab, "dev-1") == before
    ended = lab.run("rollout", "watch", plan)
    assert ended.code == 3 and "error OrderCancelled" in ended.error, ended.error


def test_a_withdrawn_update_is_cancelled_everywhere(lab):
    update, plan, before = begin(lab, "2.3.0", "dev-1")
    lab.refused("RoleMissing", "update", "withdraw", update, "--reason", "a test", "--as", "operator")
    lab.good("update", "withdraw", update, "--reason", "a test")
    assert content(lab, update, "dev-1") == "OrderCancelled"
    wait_for("the cancelled rollout", lambda: state(lab, plan) == "cancelled")
    assert active(lab, "dev-1") == before
    lab.refused("Withdrawn", "rollout", "plan", "--update", update, "--device", "dev-1")


class GoesOnDelivering:
    """Content from a place that does not know of withdrawals; all else from the right server."""

    def __init__(self):
        self.whole, self.sent = None, 0

    def __call__(self, server, connection, path, headers):
        if self.whole is None:
            self.whole = server.lab.as_device(server.name, "GET", path)[2]
        start = int(headers.get("range", "bytes=0-")[len("bytes="):-1])
        connection.sendall(f"HTTP/1.1 {206 if start else 200} X\r\nContent-Type: application/octet-stream\r\nContent-Length: {len(self.whole) - start}\r\n"
                           f"Content-Range: bytes {start}-{len(self.whole) - 1}/{len(self.whole)}\r\n\r\n".encode())
        for at in range(start, len(self.whole), 65536):
            connection.sendall(self.whole[at:at + 65536])
            self.sent = max(self.sent, at + 65536)


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root for the server's key")
def test_a_withdrawal_stops_a_download_that_is_delivered_all_the_same(lab):
    server, content = WrongServer(lab, "dev-1"), GoesOnDelivering()
    server.how = How(content)
    restart_agent(lab, "dev-1", server.port)
    try:
        update, plan, before = begin(lab, "2.3.5", "dev-1")
        lab.good("update", "withdraw", update, "--reason", "a test")
        wait_for("the cancelled rollout", lambda: state(lab, plan) == "cancelled")
        wait_for("the part is thrown away", lambda: part(lab, "dev-1") == 0)
        assert content.sent < SIZE and active(lab, "dev-1") == before
    finally:
        restart_agent(lab, "dev-1", server.target)
        server.close()


def test_a_suspended_device_gets_nothing_and_goes_on_when_it_is_resumed(lab):
    update, plan, before = begin(lab, "2.4.0", "dev-1")
    lab.good("device", "suspend", "dev-1", "--reason", "a test")
    assert content(lab, update, "dev-1") == "DeviceSuspended"
    assert code(lab.as_device("dev-1", "POST", "/device/v1/check-in", {})) == "DeviceSuspended"
    assert still(lab, "dev-1") < SIZE and active(lab, "dev-1") == before
    lab.good("device", "resume", "dev-1", "--reason", "a test")
    assert lab.watch(plan) == {"dev-1": "installed"}


def test_a_revoked_device_gets_nothing_any_more(lab):
    update, plan, before = begin(lab, "2.5.0", "dev-2")
    lab.good("device", "revoke", "dev-2", "--reason", "a test")
    assert content(lab, update, "dev-2") == "DeviceRevoked"
    assert code(lab.as_device("dev-2", "POST", "/device/v1/check-in", {})) == "DeviceRevoked"
    assert still(lab, "dev-2") < SIZE and active(lab, "dev-2") == before
    decide(lab, "cancel", plan)
    assert state(lab, plan) == "cancelled", "nobody waits for a device that cannot come back"
