"""What a person sees of a lab: why a device does not update, who cancelled, what a hostile device may write on the screen."""
import json
import os
import subprocess

import pytest

from lab import BIN, PRODUCT, Lab
from services import is_alive, wait_until

# Clears the screen, renames the window, C1, right-to-left override.
HOSTILE = "\x1b[2J\x1b]0;pwned\x07\u009b2J\u202eevil\nfake: line"


@pytest.fixture(scope="module")
def lab():
    made = Lab(devices=2, is_populated=True)
    yield made
    made.down()


def on_terminal(lab, *arguments):
    master, slave = os.openpty()
    process = subprocess.Popen([os.path.join(BIN, "fleetseal"), *arguments], env={**lab.environment, "TERM": "xterm"}, stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    shown = b""
    try:
        while piece := os.read(master, 65536):
            shown += piece
    except OSError:
        pass
    os.close(master)
    process.wait(timeout=120)
    return shown.decode()


def why(lab, device):
    return " ".join(one["what"] + " -> " + one["do"] for one in lab.good("device", "show", device)["why"])


def test_nothing_that_people_or_devices_write_commands_the_terminal(lab):
    lab.good("group", "create", "odd", "--description", HOSTILE, "--member", "dev-1")
    lab.refused("TextInvalid", "device", "allow", "odd-1", "--product", PRODUCT, "--property", "model=" + HOSTILE)
    lab.good("device", "allow", "odd-1", "--product", PRODUCT, "--property", "model=odd")
    for arguments in (("group", "list"), ("device", "list"), ("device", "show", "odd-1"), ("device", "show", HOSTILE), ("device", "list", "--json"),
                      ("group", "list", "--json"), ("audit", "query"), ("audit", "events", "--actor", HOSTILE)):
        shown = on_terminal(lab, *arguments).replace("\x1b[31merror\x1b[0m", "error")
        for harm in ("\x1b", "\x07", "\u009b", "\u202e"):
            assert harm not in shown, (arguments, shown)
        assert "\nfake: line" not in shown, shown


def test_a_hostile_agent_cannot_write_on_the_screen(lab):
    """What a check-in says is shown by `device show`."""
    with lab.held_agent("dev-2"):
        for text in (HOSTILE, "\x1b[2Jx", "x\x9by"):
            for phase, version in (("idle", text), (text, "agent")):
                body = {"deviceId": "dev-2", "generation": 1, "packageVersion": 1, "phase": phase, "agentVersion": version}
                assert lab.as_device("dev-2", "POST", "/device/v1/check-in", body)[0] == 400
        body = {"deviceId": "dev-2", "generation": 1, "packageVersion": 1, "phase": "idle", "agentVersion": "agent (x)"}
        assert lab.as_device("dev-2", "POST", "/device/v1/check-in", body)[0] == 200
        shown = on_terminal(lab, "device", "show", "dev-2")
        assert "agent (x)" in shown and "\x1b" not in shown and "\u009b" not in shown and "fake: line" not in shown, shown


def test_device_show_says_why_it_does_not_update(lab):
    assert "no order is open for it" in why(lab, "dev-1")
    shown = wait_until(lambda: (one := lab.good("device", "show", "dev-1")).get("installed") and one, "a check-in with what is installed")
    assert shown["installed"] == "acme/pump@1.0.0" and shown["checkInSeconds"] == 1 and shown["certificateEnds"] > shown["lastSeen"]
    assert "has not enrolled" in why(lab, "odd-1")
    lab.good("device", "suspend", "dev-2", "--reason", "workshop")
    assert "suspended by operator" in why(lab, "dev-2") and "device resume dev-2" in why(lab, "dev-2")
    lab.good("device", "resume", "dev-2", "--reason", "back")


def test_a_paused_rollout_is_the_reason_and_a_cancel_is_the_persons(lab):
    update = lab.release("2.0.0", lab.path("two.img", os.urandom(20_000)))
    plan = lab.good("rollout", "plan", "--update", update, "--device", "dev-1")["planId"]
    with lab.held_agent("dev-1"):
        lab.good("rollout", "start", plan)
        shown = lab.good("device", "show", "dev-1")
        assert shown["orders"][0]["planId"] == plan and shown["orders"][0]["update"] == "acme/pump@2.0.0"
        lab.good("rollout", "pause", plan, "--reason", "look")
        assert "is paused" in why(lab, "dev-1")
        lab.good("rollout", "cancel", plan, "--reason", "no")
    lab.run("rollout", "watch", plan)
    events = lab.good("audit", "events", "--update", "acme/pump@2.0.0", "--event", "cancel-ordered")["events"]
    assert [(one["deviceId"], one["actor"]) for one in events] == [("dev-1", "operator")] and events[0]["origin"]
    assert lab.good("audit", "events", "--update", "acme/pump@2.0.0", "--event", "cancel-offered")["events"]
    told = wait_until(lambda: lab.good("audit", "events", "--update", "acme/pump@2.0.0", "--event", "receipt")["events"], "the receipt of the cancel")
    assert [(one["outcome"], one["planId"]) for one in told] == [("cancelled", plan)], "a cancel's own documents name no update"


def test_the_server_too_knows_no_invented_event(lab):
    status, _, body = lab.as_person("auditor", "GET", "/admin/v1/events?event=nonsense")
    assert status == 400 and json.loads(body)["code"] == "InvalidArgument"


def test_a_new_generation_of_a_known_device_is_asked_for(lab):
    before = lab.good("device", "show", "dev-2")
    lab.refused("Conflict", "device", "allow", "dev-2", "--product", PRODUCT)
    after = lab.good("device", "show", "dev-2")
    assert (after["state"], after["generation"]) == (before["state"], before["generation"])
    assert lab.good("device", "allow", "odd-1", "--product", PRODUCT, "--yes")["generation"] == 2


def test_a_plan_with_a_revoked_device_says_so(lab):
    lab.good("device", "revoke", "dev-2", "--reason", "scrapped")
    answer = lab.good("rollout", "plan", "--update", "acme/pump@1.0.0", "--device", "dev-1", "--device", "dev-2")
    assert answer["failed"] == [{"deviceId": "dev-2", "code": "DeviceRevoked"}]


def test_a_doctor_sees_who_holds_the_ports(lab):
    found = json.loads(lab.run("doctor", "--data", os.path.join(lab.folder, "org")).output)
    assert found["problems"] == 0, found
    assert all(port["holder"].startswith("fleetseal-serve") and port["isReachable"] for port in found["ports"]), found
    assert found["clock"]


def plain(lab, *arguments):
    return subprocess.run([os.path.join(BIN, "fleetseal"), *arguments], env=lab.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)


def test_a_service_that_died_is_seen(lab):
    org = os.path.join(lab.folder, "org")
    pids = lab.status()["pids"]
    assert all(service["isRunning"] for service in lab.status()["services"])
    os.kill(pids["supervisor"], 19)  # it would start it again
    try:
        os.kill(pids["sealer"], 9)
        wait_until(lambda: not is_alive(pids["sealer"]), "the end of the sealer")
        shown = plain(lab, "lab", "status", "--dir", lab.folder).stdout
        assert f"not running (was {pids['sealer']})" in shown and "a service does not run" in shown, shown
        assert [service["name"] for service in lab.status()["services"] if not service["isRunning"]] == ["sealer"]
        done = plain(lab, "doctor", "--data", org)
        assert done.returncode == 1 and "all is well" not in done.stdout and "problem: fleetseal-sealer\n  what:  it does not run" in done.stdout, done.stdout
    finally:
        os.kill(pids["supervisor"], 18)
    wait_until(lambda: all(service["isRunning"] for service in lab.status()["services"]), "the sealer's new start")
    assert "a service does not run" not in plain(lab, "lab", "status", "--dir", lab.folder).stdout
