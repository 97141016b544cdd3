"""docs/how-to/roll-back.md on a lab: a fleet goes back from 1.1.0 to 1.0.0 with a permit, once, and no other way.

That the installer refuses permits of other devices, other ways and past dates is in conformance/test_attacks_mended.py."""
import json
import os
import re
import shlex
import subprocess

import pytest

from documents import jws_parts
from lab import BIN, Lab
from services import wait_until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to run the programs as their users")
PAGE = os.path.join(os.path.dirname(__file__), "..", "..", "docs", "how-to", "roll-back.md")


@pytest.fixture(scope="module")
def lab():
    made = Lab(devices=3)
    yield made
    made.down()


@pytest.fixture(scope="module")
def old(lab):
    return lab.release("1.0.0", lab.path("old.img", b"old" * 1000))


@pytest.fixture(scope="module")
def new(lab, old):
    """Every device has had 1.0.0 and has 1.1.0; the rollout that brought it."""
    assert set(lab.watch(lab.roll_out(old, "dev-1", "dev-2", "dev-3")).values()) == {"installed"}
    update = lab.release("1.1.0", lab.path("new.img", b"new" * 1000))
    plan = lab.roll_out(update, "dev-1", "dev-2", "dev-3")
    assert set(lab.watch(plan).values()) == {"installed"}
    return plan


def running(lab, name):
    with open(lab.active_image(name), "rb") as file:
        return file.read(3)


def counter(lab, name):
    (one,) = lab.trust(name)["counters"].values()
    return one


def approved(lab, permit):
    for approver in ("approver1", "approver2"):
        answer = lab.good("permit", "approve", permit, "--as", approver)
    assert answer["state"] == "signed"
    return answer


def asked(lab, plan, version="1.1.0", *more):
    return lab.good("permit", "request", "--plan", plan, "--from", f"acme/pump@{version}", *more)["permitId"]


def order_of(lab, update, device, folder):
    lab.good("update", "show", update, "--documents", folder, "--device", device)
    with open(os.path.join(folder, "order.jws")) as file:
        return json.loads(jws_parts(file.read().strip())[1])


def test_X2_a_plain_order_back_is_refused_by_the_device(lab, old, new):
    assert lab.watch(lab.roll_out(old, "dev-3")) == {"dev-3": "RollbackRefused"}
    assert running(lab, "dev-3") == b"new"


def test_a_fleet_goes_back_with_the_commands_of_the_page(lab, old, new, tmp_path):
    """The page's first block, with the ids that the commands print."""
    with open(PAGE) as file:
        commands = [shlex.split(line) for line in re.search(r"```sh back\n(.*?)```", file.read(), re.S).group(1).splitlines() if line]
    assert [command[1:3] for command in commands] == [["rollout", "roll-back"], ["permit", "approve"], ["permit", "approve"], ["rollout", "start"],
                                                      ["rollout", "watch"]]
    before = counter(lab, "dev-1")
    ids = {"plan-1": new}
    for command in commands:
        arguments = [ids.get(word, word) for word in command[1:]]
        assert not any(re.fullmatch(r"(plan|permit)-\d", word) for word in arguments), arguments
        if command[2] == "watch":
            assert set(lab.watch(ids["plan-2"]).values()) == {"installed"}
            continue
        answer = lab.good(*arguments)
        if command[2] == "roll-back":
            ids.update({"plan-2": answer["planId"], "permit-1": answer["permitId"]})
            assert (answer["devices"], answer["permitState"]) == (3, "waiting")
        if command[2] == "start":
            assert answer["orders"] == 3 and not answer["failed"]
    for name in ("dev-1", "dev-2", "dev-3"):
        assert running(lab, name) == b"old"
    after = counter(lab, "dev-1")
    assert (after["installed"], after["highWater"]) == (1, 2), after
    assert after["highWater"] == before["highWater"] and after["highWaterManifest"] == before["highWaterManifest"]
    assert list(lab.trust("dev-1")["usedPermits"]) == [ids["permit-1"]]
    assert order_of(lab, old, "dev-1", str(tmp_path / "documents"))["permit"]
    # Offline, with the installer's own code: the permit, and the order that carried it.
    lab.good("permit", "show", ids["permit-1"], "-o", str(tmp_path / "documents" / "permit.jws"))
    outcome = lab.run("verify", str(tmp_path / "documents"))
    assert "permit" in outcome.output and ids["permit-1"] in outcome.output
    leaves = [json.loads(entry["leaf"]) for entry in lab.good("audit", "query", "--type", "permit")["entries"]]
    assert [leaf["permitId"] for leaf in leaves] == [ids["permit-1"]]


def test_a_permit_counts_once_a_device(lab, old, new):
    (permit,) = [row for row in lab.good("permit", "list")["permits"] if row["state"] == "signed"]
    one = lab.good("permit", "request", "--device", "dev-1", "--from", "acme/pump@1.1.0", "--to", "acme/pump@1.0.0")["permitId"]
    approved(lab, one)
    update = next(row["id"] for row in lab.good("update", "list")["updates"] if row["version"] == "1.1.0")
    assert lab.watch(lab.roll_out(update, "dev-1")) == {"dev-1": "installed"}, "forward again needs no leave"
    assert lab.watch(lab.roll_out(old, "dev-1")) == {"dev-1": "installed"}, "by the new permit"
    assert {permit["permitId"], one} == set(lab.trust("dev-1")["usedPermits"])
    assert lab.watch(lab.roll_out(update, "dev-1")) == {"dev-1": "installed"}
    assert lab.watch(lab.roll_out(old, "dev-1")) == {"dev-1": "PermitInvalid"}, "the same permit a second time"
    assert running(lab, "dev-1") == b"new"


def test_a_permit_is_for_its_devices_and_for_what_they_have(lab, old, new):
    """dev-2 has 1.0.0 again and takes 1.1.0; the permit names dev-3."""
    update = next(row["id"] for row in lab.good("update", "list")["updates"] if row["version"] == "1.1.0")
    assert set(lab.watch(lab.roll_out(update, "dev-2", "dev-3")).values()) == {"installed"}
    approved(lab, lab.good("permit", "request", "--device", "dev-3", "--from", "acme/pump@1.1.0", "--to", "acme/pump@1.0.0")["permitId"])
    assert lab.watch(lab.roll_out(old, "dev-2")) == {"dev-2": "RollbackRefused"}, "the order carries no permit of another device"
    third = lab.release("1.2.0", lab.path("third.img", b"3rd" * 1000))
    assert lab.watch(lab.roll_out(third, "dev-3")) == {"dev-3": "installed"}
    assert lab.watch(lab.roll_out(old, "dev-3")) == {"dev-3": "RollbackRefused"}, "the permit leads away from 1.1.0, not from 1.2.0"
    assert running(lab, "dev-3") == b"3rd"


def planned(lab, update, *arguments):
    """The plan's id, and what is said about devices that have more."""
    outcome = lab.run("rollout", "plan", "--update", update, *arguments)
    assert outcome.code == 0, outcome.error
    return outcome.json["planId"], [line for line in outcome.error.splitlines() if "newer release" in line]


def test_a_plan_for_an_older_release_names_the_permit_that_its_devices_need(lab, old, new):
    """What they have, whatever the newest release is."""
    for device, version in (("dev-1", "1.1.0"), ("dev-2", "1.1.0"), ("dev-3", "1.2.0")):
        wait_until(lambda: lab.good("device", "show", device).get("installed") == f"acme/pump@{version}", f"{version} at the check-in of {device}")
    told = "devices that have a newer release refuse this one without a permit: "
    plan, notes = planned(lab, old, "--device", "dev-1", "--device", "dev-2")
    assert notes == [f"{told}dev-1, dev-2 with acme/pump@1.1.0: `fleetseal permit request --plan {plan} --from acme/pump@1.1.0`"]
    update = next(row["id"] for row in lab.good("update", "list")["updates"] if row["version"] == "1.1.0")
    assert planned(lab, update, "--device", "dev-1")[1] == [], "it never had more"
    for scope in (("--device", "dev-1", "--device", "dev-2", "--device", "dev-3"), ("--count", "3")):
        assert planned(lab, old, *scope)[1] == [f"{told}dev-1, dev-2 with acme/pump@1.1.0; dev-3 with acme/pump@1.2.0: a permit for each release, "
                                                "`fleetseal permit request --device ID … --from RELEASE --to acme/pump@1.0.0`"]


def plain(lab, *arguments):
    done = subprocess.run([os.path.join(BIN, "fleetseal"), *arguments], env=lab.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_a_plan_that_was_not_started_is_no_success(lab, old, new):
    plan = lab.plan(old, "dev-1", "dev-2")
    said = f"planned for 2 devices; start it with `fleetseal rollout start {plan}`"
    watched = lab.run("rollout", "watch", plan, "--timeout", "10")
    assert (watched.code, watched.refusal) == (3, "Conflict") and said in watched.error, watched.error
    assert plain(lab, "rollout", "show", plan) == said
    assert re.search(rf"^{plan} +planned +acme/pump@1.0.0 +not started$", plain(lab, "rollout", "list"), re.M)
    lab.good("rollout", "pause", plan, "--reason", "wait")
    assert plain(lab, "rollout", "show", plan).startswith("planned for 2 devices, paused and not started")
    lab.good("rollout", "cancel", plan, "--reason", "only looked at")


def test_a_start_waits_for_the_permit_that_was_asked_for(lab, old):
    plan = lab.plan(old, "dev-3")
    permit = asked(lab, plan, "1.2.0")
    started = lab.good("rollout", "start", plan)
    assert started["failed"] == [{"deviceId": "dev-3", "code": "PermitInvalid"}] and started["orders"] == 0
    lab.refused("RoleMissing", "permit", "approve", permit, "--as", "publisher")
    approved(lab, permit)
    assert lab.good("rollout", "start", plan)["orders"] == 1
    assert lab.watch(plan) == {"dev-3": "installed"}
    assert running(lab, "dev-3") == b"old"


def test_what_is_asked_for_wrongly_is_refused_with_what_to_do(lab, old, new):
    lab.refused("PermitInvalid", "permit", "request", "--device", "dev-1", "--from", "acme/pump@1.0.0", "--to", "acme/pump@1.1.0")
    lab.refused("DeviceUnknown", "permit", "request", "--device", "dev-9", "--from", "acme/pump@1.1.0", "--to", "acme/pump@1.0.0")
    lab.refused("PermitInvalid", "permit", "request", "--plan", new, "--from", "acme/pump@1.1.0")
    lab.refused("NotFound", "permit", "show", "permit-none")
    lab.refused("RoleMissing", "permit", "request", "--device", "dev-1", "--from", "acme/pump@1.1.0", "--to", "acme/pump@1.0.0", "--as", "operator")
    lab.refused("ApprovalExpired", "permit", "request", "--device", "dev-1", "--from", "acme/pump@1.1.0", "--to", "acme/pump@1.0.0",
                "--valid-seconds", str(91 * 86400))
    for arguments in (["permit", "request", "--from", "acme/pump@1.1.0"],
                      ["permit", "request", "--plan", new, "--device", "dev-1", "--from", "acme/pump@1.1.0"],
                      ["permit", "request", "--device", "dev-1", "--from", "acme/pump@1.1.0"]):
        assert lab.run(*arguments).code == 2, arguments


def test_a_rejected_permit_stays_unsigned(lab, old):
    permit = asked(lab, lab.plan(old, "dev-1"))
    assert lab.good("permit", "reject", permit, "--reason", "go forward", "--as", "approver1")["state"] == "rejected"
    lab.refused("RequestRejected", "permit", "approve", permit, "--as", "approver2")
    shown = lab.good("permit", "show", permit)
    assert "permit" not in shown and shown["reason"] == "go forward"


def test_nobody_goes_back_to_what_was_withdrawn(lab, old):
    permit = asked(lab, lab.plan(old, "dev-1"))
    lab.good("permit", "approve", permit, "--as", "approver1")
    lab.good("update", "withdraw", old, "--reason", "a hole")
    lab.refused("Withdrawn", "permit", "approve", permit, "--as", "approver2")
    lab.refused("Withdrawn", "permit", "request", "--device", "dev-1", "--from", "acme/pump@1.1.0", "--to", "acme/pump@1.0.0")
