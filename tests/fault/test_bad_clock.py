"""Clocks of the server's side a year ahead and a year behind: a clear code, nothing that a device would have to refuse for
ever, and everything works when the clock is right again.
"""
import glob
import itertools
import os
import time

import pytest

from documents import b64u
from services import Services
from taken_over import Refused, TakenOverServer

LIBRARY = next(iter(glob.glob("/usr/lib/*/faketime/libfaketime.so.1")), None)
pytestmark = [pytest.mark.skipif(os.geteuid() != 0, reason="needs root to run the programs as their users"),
              pytest.mark.skipif(LIBRARY is None, reason="needs the package faketime")]
VERSIONS = itertools.count(2)


@pytest.fixture(scope="module")
def services(lab):
    taken = Services(lab)
    yield taken
    taken.kill()


@pytest.fixture(scope="module")
def server(lab):
    return TakenOverServer(lab)


def at(days):
    return {"LD_PRELOAD": LIBRARY, "FAKETIME": f"{days:+d}d", "FAKETIME_DONT_FAKE_MONOTONIC": "1", "FAKETIME_NO_CACHE": "1"}


def works(lab):
    version = f"{next(VERSIONS)}.0.0"
    update = lab.release(version, lab.path(f"pump-{version}.img", version.encode() * 100))
    assert lab.watch(lab.roll_out(update, "dev-1", "dev-2")) == {"dev-1": "installed", "dev-2": "installed"}


@pytest.mark.parametrize("days", [-400, 4000])
def test_a_signer_with_a_wrong_clock_orders_nothing_and_devices_keep_their_time(lab, services, server, days):
    services.start()
    plan_id, plan = server.plan(server.signed_update(), devices=["dev-1"])
    server.ask("plan", plan=plan)
    before = lab.trust()
    sequence = server.rows("SELECT MAX(last_sequence) FROM devices")
    services.restart("signer", environment=at(days))
    services.restart("server")
    manifest = server.manifest(b"x", "99.0.0")
    behind = "ClockBehindLog" if days < 0 else None  # said before anything else
    for code, verb, members in (("PlanExpired", "orders", {"planId": plan_id, "devices": ["dev-1"]}),
                                ("PlanExpired", "plan", {"plan": server.plan(server.signed_update(), devices=["dev-2"])[1]}),
                                ("ApprovalExpired", "submit-request", {"request": server.request(manifest), "manifest": b64u(manifest)})):
        with pytest.raises(Refused) as caught:
            server.ask(verb, **members)
        assert caught.value.code == (behind or code), (verb, caught.value)
    # Else the status would carry the wrong year to every device, for good.
    with pytest.raises(Refused) as caught:
        server.ask("status", nonce="AAAAAAAAAAAAAAAAAAAAAA")
    assert caught.value.code == (behind or "PackageExpired")
    assert ("ClockBehindLog" in server.ask("hello").get("problem", "")) == (days < 0)
    assert server.rows("SELECT MAX(last_sequence) FROM devices") == sequence
    assert lab.trust()["timeFloor"] < time.time() + 3600 and lab.trust()["counters"] == before["counters"]
    services.restart("signer")
    services.restart("server")
    works(lab)
    # Both devices have checked in and installed since: what they know of time now is right.
    assert time.time() - 3600 < lab.trust()["timeFloor"] <= time.time() + 60
    assert lab.run("audit", "verify").code == 0


@pytest.mark.parametrize("days", [-400, 4000])
def test_a_server_with_a_wrong_clock_only_delays(lab, services, days):
    services.start()
    services.restart("server", environment=at(days))
    outcome = lab.run("device", "list")
    assert outcome.code == 4 and outcome.refusal == "TlsFailed" and "clocks" in outcome.json["error"]["advice"], outcome.output
    services.restart("server")
    works(lab)
