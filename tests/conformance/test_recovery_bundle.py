"""A device that was parked comes back from a bundle carried to it: documents over the installer's socket, no network.

Each wakes with something that has ended, refuses what it cannot judge, and goes on through signed documents alone.
tests/e2e/test_recovery_network.py does the same over the network; a clock at 1970 or 2100: test_wrong_clock.py.
"""
import json

import pytest

from attacks import refused
from clock import shifted
from documents import DAY, Key, World
from installer import Installer, Release


class ParkedWorld(World):
    """Package 1 ended while the device was parked; whoever vouches for keys changes over the years."""

    word = "root-1"

    def protected(self, version=1, **changes):
        past = {"published": self.now - 399 * DAY, "expires": self.now - DAY}
        return super().protected(version, **({**past, **changes} if version < 12 else changes))

    def sjwk(self, key=None, kid="publisher-1", root=None, **more):
        return super().sjwk(key, kid, root or self.word, **more)

    def twelve_packages(self):
        """Versions 2 to 12: three generations of roots, the first of which is disabled; all but the last have ended too."""
        self.roots.update({"root-4": Key.p256(), "root-5": Key.p256()})
        steps = [self.package(2, signers=("root-1", "root-2"))]
        self.disabled_roots = ["root-1"]
        steps.append(self.package(3, signers=("root-2", "root-4")))
        self.roots = {kid: key for kid, key in self.roots.items() if kid != "root-3"}
        steps += [self.package(version, signers=("root-2", "root-4")) for version in range(4, 8)]
        third = {"root-1": self.roots["root-1"], "root-6": Key.p256(), "root-7": Key.p256()}
        both = {**self.roots, **third}
        self.roots = third
        steps.append(self.package(8, signers=("root-2", "root-4", "root-6", "root-7"), keys=both))
        steps += [self.package(version, signers=("root-6", "root-7")) for version in range(9, 13)]
        self.word = "root-6"
        return steps


@pytest.fixture
def parked(tmp_path):
    world = ParkedWorld()
    device = Installer(world, tmp_path)
    yield world, device
    device.stop()


def held(installer):
    return json.loads(json.loads(json.loads(installer.trust_bytes()))["package"])["protected"]


def test_S1_39_S1_40_S1_41_S1_42_X1_an_expired_package_a_disabled_root_and_ten_skipped_versions(parked):
    world, installer = parked
    old = Release(world, installer, b"old word")
    refused(installer, "PackageExpired", lambda: installer.offer(status=old.status))
    steps = world.twelve_packages()
    release = Release(world, installer, b"new word")
    status = world.status(version=40, package_version=12)
    # A bundle without its last packages is taken as far as it goes, and installs nothing.
    installer.offer(packages=steps[:5])
    assert held(installer)["version"] == 6
    refused(installer, ("PackageExpired", "DisallowedRootKid", "UnknownRootKid"), lambda: release.offer(status=status))
    # One with a gap is not.
    refused(installer, "PackageStepInvalid", lambda: installer.offer(packages=steps[6:]))
    # The whole one, with what the device has already left out.
    release.install(packages=steps[5:], status=status)
    state = installer.state()
    assert state["packageVersion"] == 12 and state["installed"]["releaseCounter"] == 1 and "lastCode" not in state
    assert sorted(held(installer)["rootKeysExt"]) == ["root-1", "root-6", "root-7"] and held(installer)["disabledRootKeys"] == ["root-1"]
    # What the first generation vouches for is refused for ever (S1_44).
    world.word = "root-1"
    refused(installer, "DisallowedRootKid", lambda: installer.offer(status=world.status(version=41, package_version=12)))
    world.word = "root-4"
    world.roots["root-4"] = Key.p256()
    refused(installer, "UnknownRootKid", lambda: installer.offer(status=world.status(version=41, package_version=12)))


def test_X1_an_expired_status(world, installer, monkeypatch, tmp_path):
    Release(world, installer, b"one").install()
    installer.stop()
    for name, value in shifted(tmp_path, 3 * DAY).items():
        monkeypatch.setenv(name, value)
    installer.start()
    order = {"issued": world.now + 3 * DAY - 60, "expires": world.now + 4 * DAY}
    release = Release(world, installer, b"two", counter=2, version="2.0.0", **order)
    refused(installer, "StatusExpired", lambda: release.offer(status=None))
    refused(installer, "StatusExpired", lambda: release.offer())
    fresh = world.status(version=50, issued=world.now + 3 * DAY - 60, expires=world.now + 3 * DAY + 3600)
    assert release.install(status=fresh)["installed"]["releaseCounter"] == 2
