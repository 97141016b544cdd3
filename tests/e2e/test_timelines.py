"""S0.23: what happened to a device and to an update is told in order, and an altered log is named with its first bad entry."""
import json
import os
import shutil
import struct

import pytest

from lab import PRODUCT, Lab

DEPLOYED = ["ordered", "offered", "download-started", "download-finished", "receipt"]


@pytest.fixture(scope="module")
def lab():
    made = Lab(devices=2, is_populated=True)
    yield made
    made.down()


def test_S0_23_the_timelines_of_a_device_and_of_an_update_are_rebuilt(lab):
    updates = {}
    for version in ("1.1.0", "1.2.0"):
        path = lab.path(f"pump-{version}.img", version.encode() * 10_000)
        updates[version] = lab.release(version, path)
        assert set(lab.watch(lab.roll_out(updates[version], "dev-1", "dev-2")).values()) == {"installed"}
    device = [event for event in lab.good("audit", "events", "--device", "dev-1", "--limit", "1000")["events"] if event.get("update")]
    told = [(event["update"], event["event"]) for event in reversed(device)]
    assert told == [(f"{PRODUCT}@{version}", kind) for version in ("1.0.0", "1.1.0", "1.2.0") for kind in DEPLOYED]
    for version, update in updates.items():
        for filters in (("--update", f"{PRODUCT}@{version}"), ("--hash", update)):
            events = list(reversed(lab.good("audit", "events", *filters, "--limit", "1000")["events"]))
            assert {event["deviceId"] for event in events} == {"dev-1", "dev-2"}
            # A receipt bears the time of its device.
            times = [event["time"] for event in events if event["event"] != "receipt"]
            assert times == sorted(times)
            for name in ("dev-1", "dev-2"):
                own = [event for event in events if event["deviceId"] == name]
                assert [event["event"] for event in own] == DEPLOYED
                assert [event["actor"] for event in own] == ["operator"] + [name] * 4
                assert own[-1]["outcome"] == "installed" and len({event["planId"] for event in own}) == 1
    entries = lab.good("audit", "query", "--limit", "1000", "--as", "auditor")["entries"]
    kinds = [json.loads(entry["leaf"])["type"] for entry in entries]
    assert kinds.index("request") < kinds.index("approval") < kinds.index("manifest-signature") < kinds.index("sealed") < kinds.index("plan")


class LogCopy:
    """The entries of a copy of the log, to be written back altered. Hash tiles and checkpoint stay as they were signed."""

    def __init__(self, lab, folder):
        self.lab, self.folder = lab, str(folder)
        shutil.copytree(os.path.join(lab.folder, "org", "log"), self.folder)
        with open(os.path.join(self.folder, "checkpoint")) as file:
            self.size = int(file.read().split("\n")[1])
        assert 8 < self.size < 256
        self.path = os.path.join(self.folder, "tile", "entries", f"000.p/{self.size}")
        with open(self.path, "rb") as file:
            data = file.read()
        self.entries = []
        while data:
            size = struct.unpack(">H", data[:2])[0]
            self.entries.append(data[2:2 + size])
            data = data[2 + size:]

    def verify(self, entries=None):
        if entries is not None:
            os.chmod(self.path, 0o644)
            with open(self.path, "wb") as file:
                file.write(b"".join(struct.pack(">H", len(entry)) + entry for entry in entries))
        return self.lab.run("audit", "verify", "--log", self.folder, "--package", self.lab.info["root_package"])


def edited(entries):
    return entries[:5] + [entries[5].replace(b'"time":1', b'"time":2', 1)] + entries[6:]


def deleted(entries):
    return entries[:5] + entries[6:]


def reordered(entries):
    return entries[:5] + [entries[6], entries[5]] + entries[7:]


def inserted(entries):
    return entries[:5] + [entries[4]] + entries[5:]


@pytest.mark.parametrize("change", [edited, deleted, reordered, inserted])
def test_S0_23_the_first_altered_entry_is_named(lab, tmp_path, change):
    log = LogCopy(lab, tmp_path / "log")
    assert log.verify().code == 0
    altered = change(log.entries)
    assert altered != log.entries
    outcome = log.verify(altered)
    assert outcome.code != 0 and outcome.refusal == "Corrupt", outcome.output
    assert "entry 5 " in outcome.json["error"]["detail"], outcome.output


def test_S0_23_a_truncated_log_is_named(lab, tmp_path):
    log = LogCopy(lab, tmp_path / "log")
    outcome = log.verify(log.entries[:-1])
    assert outcome.code != 0 and outcome.refusal == "Corrupt", outcome.output
    assert f"entry {log.size - 1} " in outcome.json["error"]["detail"], outcome.output
