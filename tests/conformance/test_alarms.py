"""X1, freeze: whoever brings nothing, or what has expired, is noticed by the device itself."""
import os

import pytest

from clock import StoppedClock
from documents import DAY
from installer import Installer, Release


class Device(Installer):
    """Its wall clock stands where the test sets it."""

    def __init__(self, world, folder):
        self.clock = StoppedClock(folder, world.now)
        self.begin = self.now = world.now
        self.version = 10
        super().__init__(world, folder)

    def start(self, environment=None):
        super().start({**os.environ, **self.clock.environment})

    def move(self, seconds):
        self.now = self.begin + seconds
        self.clock.set(self.now)

    def restart(self):
        self.stop()
        self.start()

    def take_status(self, **newest):
        self.take({self.world.product: newest} if newest else {})

    def take(self, newest):
        self.version += 1
        self.offer(status=self.world.status(version=self.version, newest=newest, issued=self.now - 5, expires=self.now + 3600))

    def install(self, counter):
        Release(self.world, self, counter=counter, version=f"{counter}.0.0", issued=self.now - 5, expires=self.now + DAY).install(status=None)

    def alarms(self):
        return {alarm["kind"]: alarm["since"] - self.begin for alarm in self.state().get("alarms", [])}


@pytest.fixture
def device(world, tmp_path):
    made = Device(world, tmp_path)
    yield made
    made.stop()


def test_X1_a_service_that_withholds_the_order_is_noticed(device):
    device.take_status(production=1)
    device.install(1)
    device.take_status(production=2, test=7)
    device.move(13 * DAY)
    device.take_status(production=3)
    assert device.alarms() == {}
    device.restart()
    device.move(14 * DAY)
    device.take_status(production=3)
    assert device.alarms() == {"update-withheld": -5}
    assert "release 3 of acme/pump is offered to production, release 1 is installed" in device.state()["alarms"][0]["words"]
    device.install(3)
    assert device.alarms() == {}


def test_X1_what_is_for_another_environment_or_product_is_no_alarm(device):
    device.take_status(test=7)
    device.move(20 * DAY)
    device.take({"acme/other": {"production": 9}})
    assert device.alarms() == {}


def test_X1_a_status_that_has_expired_is_noticed_until_a_fresh_one_comes(device):
    assert device.alarms() == {"status-expired": -60}
    device.take_status()
    device.move(3599)
    assert device.alarms() == {}
    device.move(3600)
    assert device.alarms() == {"status-expired": 3600}
    device.restart()
    assert device.alarms() == {"status-expired": 3600}
    device.take_status()
    assert device.alarms() == {}


def test_X1_a_package_that_ends_is_noticed_before_and_after(device):
    device.move(270 * DAY - 1)
    assert set(device.alarms()) == {"status-expired"}
    device.move(270 * DAY)
    assert device.alarms() == {"status-expired": -60, "package-ends": 270 * DAY}
    device.move(300 * DAY)
    assert device.alarms() == {"status-expired": -60, "package-expired": 300 * DAY}


def test_X9_no_alarm_stores_the_clock(device):
    device.take_status(production=2)
    device.move(50 * 365 * DAY)
    assert {"status-expired", "package-expired", "update-withheld"} == set(device.alarms())
    device.restart()
    device.move(0)
    assert device.alarms() == {}
