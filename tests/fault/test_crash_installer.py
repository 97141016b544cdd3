"""Crash matrix of the installer: a whole update, killed or failed at every call that changes a file of the device."""
import json
import os
import shutil
import struct
import time

import pytest

from crash import COUNT, FATAL, KILL_BEFORE, KILLED, Matrix, Shim, copy_tree, scratch
from documents import World, b64u, jws_parts, sha256
from installer import Installer, Refused, Release

OLD, NEW = b"the old image " * 3000, b"the new image " * 5000


class StandsStill(Exception):
    pass


class Device:
    """One release is installed; the second one is what the matrix interrupts."""

    def __init__(self):
        self.folder = scratch("fleetseal-crash-device-")
        self.world = World()
        self.installer = Installer(self.world, self.folder)
        Release(self.world, self.installer, OLD).install()
        self.release = Release(self.world, self.installer, NEW, counter=2, version="2.0.0")
        self.installer.stop()
        self.home = self.installer.folder
        self.copy = os.path.join(self.folder, "copy")
        copy_tree(self.home, self.copy)
        self.shim = Shim(self.folder, self.home)

    def close(self):
        self.installer.stop()
        self.shim.close()
        shutil.rmtree(self.folder)

    def restore(self):
        self.installer.stop()
        copy_tree(self.copy, self.home)

    def update(self, seconds=60):
        """What the agent does in a cycle: offer what the server has, send what is wanted, wait for the end."""
        state = self.installer.state()
        if state.get("installed", {}).get("releaseCounter") != 2 and state["phase"] in ("idle", "accepted", "receiving"):
            known = state.get("checkpoint", {}).get("size", 0)
            answer = self.installer.offer(**self.release.documents(consistency=self.world.log.consistency(known)))
            for wanted in answer["wanted"]:
                assert wanted["sealedSha256"] == self.release.sealed_sha256
                self.installer.send_content(self.release.file_id, self.release.sealed_sha256, self.release.sealed)
        return self.wait_idle(seconds)

    def wait_idle(self, seconds=60):
        """Bounded, unlike that of Installer: an update that stands still is a failure."""
        state = self.installer.state()
        deadline = time.monotonic() + seconds
        while state["phase"] != "idle":
            if time.monotonic() > deadline:
                raise StandsStill(state["phase"])
            state = self.installer.state(waitMs=200, phase=state["phase"])
        return state

    def update_by_a_new_order(self):
        """An order that ended in a failure has its outcome; people make another one for the same update."""
        known = self.installer.state().get("checkpoint", {}).get("size", 0)
        release = self.release
        order = self.world.order(Installer.DEVICE, release.manifest,
                                 [{"fileId": release.file_id, "sealedSha256": release.sealed_sha256, "sealedSize": len(release.sealed)}],
                                 release.content_key, sequence=3)
        answer = self.installer.offer(**release.documents(order=order, consistency=self.world.log.consistency(known)))
        assert answer["wanted"]
        self.installer.send_content(release.file_id, release.sealed_sha256, release.sealed)
        return self.wait_idle()

    def interrupted_update(self, mode, at, error):
        """True if the process was killed. One that met a failing call is left as it is, with nothing failing any more."""
        self.installer.start(self.shim.environment())
        self.shim.arm(mode, at, error)
        try:
            self.update(seconds=60 if mode in FATAL else 1)
        except (Refused, EOFError, OSError, struct.error, StandsStill):
            pass
        self.shim.disarm() if mode not in FATAL else self.installer.process.terminate()  # its end writes too
        return mode in FATAL and self.installer.process.wait(60) in KILLED

    def bytes_of_active(self):
        slot = self.installer.active_slot()
        return self.installer.slot_bytes(slot, len(NEW if slot == "a" else OLD))


def receipts_of(state):
    """Numbered without a gap, each naming the one before."""
    before = b64u(bytes(32))
    receipts = []
    for number, compact in enumerate(state["receipts"], 1):
        receipt = json.loads(jws_parts(compact)[1])
        assert receipt["number"] == number and receipt["previous"] == before
        before = b64u(sha256(compact))
        receipts.append(receipt)
    return receipts


def check_old_or_new(device):
    """Before anybody asks again: the slot that would be booted holds one of the two images, whole."""
    assert device.bytes_of_active() == (NEW if device.installer.active_slot() == "a" else OLD)


def check_done(device, state, mode):
    assert state["phase"] == "idle" and state["wanted"] == []
    assert state["installed"]["releaseCounter"] == 2
    assert device.installer.active_slot() == "a" and device.bytes_of_active() == NEW
    outcomes = [(receipt["sequence"], receipt["outcome"]) for receipt in receipts_of(state)]
    if mode in FATAL:
        assert outcomes == [(1, "installed"), (2, "installed")]
    else:
        assert outcomes[0] == (1, "installed") and outcomes[-1][1] == "installed" and len(outcomes) <= 3
        assert len(set(sequence for sequence, _ in outcomes)) == len(outcomes), outcomes


@pytest.fixture
def device():
    made = Device()
    yield made
    made.close()


def visit(device, mode, at, error):
    device.restore()
    was_killed = device.interrupted_update(mode, at, error)
    assert was_killed == (mode in FATAL), device.installer.log_text()
    check_old_or_new(device)
    if mode in FATAL:
        device.installer.start()
    elif at % 2:
        device.installer.stop()
        device.installer.start()
    state = device.update()
    if "lastCode" in state and mode not in FATAL:
        state = device.update_by_a_new_order()
    check_done(device, state, mode)


def test_crash_matrix_of_an_update_leaves_old_or_new_and_ends_new(device):
    device.restore()
    device.installer.start(device.shim.environment())
    device.shim.arm(COUNT)
    check_done(device, device.update(), KILL_BEFORE)
    device.installer.stop()
    matrix = Matrix("installer, a whole update", share=3)
    for mode, at, error in matrix.plan(device.shim.count):
        try:
            visit(device, mode, at, error)
        except BaseException:
            print(f"mode {mode} at {at} errno {error}: {device.shim.last}\n{device.installer.log_text()[-3000:]}")
            raise
    matrix.done(least=30)
