"""A device whose clock is a year wrong, or stands at 1970 or 2100 (no RTC): metadata is judged by signed time, and the clock is never stored."""
import json
import time

import pytest

from attacks import refused
from clock import YEAR, shifted
from installer import Release


def trust(installer):
    return json.loads(json.loads(installer.trust_bytes()))


# Without a battery a clock starts at 1970; one that was never set right may stand anywhere.
TO_1970, TO_2100 = 60 - int(time.time()), 4_102_444_800 - int(time.time())


@pytest.mark.parametrize("shift", [-YEAR, YEAR, TO_1970, TO_2100], ids=["back", "forward", "1970", "2100"])
def test_X9_a_wrong_clock_accepts_nothing_expired_and_a_nonce_puts_it_right(world, installer, monkeypatch, tmp_path, shift):
    release = Release(world, installer)
    floor = trust(installer)["timeFloor"]
    installer.stop()
    for name, value in shifted(tmp_path, shift).items():
        monkeypatch.setenv(name, value)
    installer.start()
    state = installer.state()
    assert "now" not in state
    old = world.status(version=2, issued=world.now - 86400, expires=world.now - 7200)
    refused(installer, ("StatusExpired", "PackageExpired"), lambda: installer.offer(status=old))
    # Expired too, and with the nonce: its own time says that it is of yesterday, but the floor is above that.
    held = world.status(version=3, nonce=state["statusNonce"], issued=world.now - 86400, expires=world.now - 7200)
    refused(installer, ("StatusExpired", "PackageExpired"), lambda: installer.offer(status=held))
    if shift > 0:
        refused(installer, "PackageExpired", lambda: installer.offer(status=release.status))
    else:
        installer.offer(status=release.status)
        refused(installer, "StatusExpired", lambda: release.offer(status=None))
    nonce = installer.state()["statusNonce"]
    installer.offer(status=world.status(version=20, nonce=nonce))
    assert abs(installer.state()["now"] - world.now) < 300
    assert "lastCode" not in release.install(status=None)
    after = trust(installer)
    assert floor <= after["timeFloor"] <= world.now
    # A later start with the same clock asks again and remembers no more than what was signed.
    installer.stop()
    installer.start()
    assert installer.state()["statusNonce"] and trust(installer)["timeFloor"] == after["timeFloor"]
