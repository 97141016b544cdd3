"""docs/operations/damaged-content.md on a real server: what a disk or a stranger changed is found by the server itself, is served to nobody, and
comes back by the page's commands."""
import base64
import datetime
import http.client
import json
import os
import re
import ssl
import subprocess
from urllib.parse import urlsplit

import pytest

from lab import BIN, Lab
from runbook import Runbook
from services import Services, wait_until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to run the programs as their users")
PAGE = "docs/operations/damaged-content.md"
SIZE = 600_000


@pytest.fixture(scope="module")
def lab():
    made = Lab(devices=1, is_populated=True)
    yield made
    made.down()


@pytest.fixture(scope="module")
def services(lab):
    made = Services(lab)
    made.start("sealer", "signer")
    with open(made.config("server")) as file:
        text = file.read()
    # A round each second; a new key stands before the first table.
    with open(made.config("server"), "w") as file:
        file.write("scrub_seconds = 1\nscrub_rate_max = 67108864\n" + text)
    made.start("server")
    yield made
    made.kill()


def events(services, name):
    return [line for line in services.log_text("server").splitlines() if name in line]


def next_round(services):
    """Returns when a round that began after now has ended."""
    for _ in range(2):
        before = len(events(services, "content.scrubbed"))
        wait_until(lambda before=before: len(events(services, "content.scrubbed")) > before, "a round of the scrub")


def content_path(services, sealed):
    return os.path.join(services.org, "server", "content", sealed[:2], sealed[2:4], sealed)


def flip(services, path):
    with open(path, "r+b") as file:
        file.seek(SIZE // 2)
        byte = file.read(1)
        file.seek(-1, os.SEEK_CUR)
        file.write(bytes([byte[0] ^ 1]))


def swap(services, path):
    """With another sealed file of the same server."""
    folder = os.path.join(services.org, "server", "content")
    other = next(os.path.join(where, name) for where, _, names in os.walk(folder) for name in names
                 if len(name) == 64 and os.path.join(where, name) != path and "quarantine" not in where)
    with open(other, "rb") as file:
        content = file.read()
    with open(path, "r+b") as file:
        file.truncate()
        file.write(content)


def sealed_of(lab, update):
    """Hex, as in the names of files."""
    text = lab.good("update", "show", update)["files"][0]["sealedSha256"]
    return base64.urlsafe_b64decode(text + "=").hex()


def base64url(sealed):
    return base64.urlsafe_b64encode(bytes.fromhex(sealed)).decode().rstrip("=")


def doctor(services):
    done = subprocess.run([os.path.join(BIN, "fleetseal"), "doctor", "--data", services.org, "--json"], capture_output=True, text=True)
    return json.loads(done.stdout)["findings"]


@pytest.mark.parametrize("version, damage", [("2.0.0", flip), ("2.1.0", swap)])
def test_S0_21_a_damaged_file_is_quarantined_never_served_and_imported_again(lab, services, version, damage):
    path = lab.path(f"pump-{version}.bin", os.urandom(SIZE))
    update = lab.release(version, path)
    next_round(services)
    assert not events(services, f'"{sealed_of(lab, update)}"') and lab.good("update", "show", update)["state"] == "deployable"
    sealed = sealed_of(lab, update)
    with lab.held_agent():
        plan = lab.roll_out(update, "dev-1")
        assert lab.as_device("dev-1", "GET", f"/content/v1/{sealed}")[0] == 200
        damage(services, content_path(services, sealed))
        wait_until(lambda: [line for line in events(services, "content.quarantined") if sealed in line], "the quarantine")
        status, _, answer = lab.as_device("dev-1", "GET", f"/content/v1/{sealed}")
        assert (status, json.loads(answer)["code"]) == (404, "NotFound")
    assert os.path.exists(os.path.join(services.org, "server", "content", "quarantine", sealed))
    # Every place that people look at says so, and what to do.
    shown = lab.run("update", "show", update)
    assert shown.json["state"] == "signed" and "import it" in shown.error
    told = lab.run("rollout", "show", plan)
    assert "fleetseal update import" in told.error and "plan it anew" in told.error
    lab.refused("UpdateNotDeployable", "rollout", "plan", "--update", update, "--device", "dev-1")
    found = [one for one in doctor(services) if one["where"].endswith("quarantine/" + sealed)]
    assert found and found[0]["level"] == "problem" and "fleetseal update import" in found[0]["advice"]
    _, _, metrics = lab.as_person("auditor", "GET", "/metrics")
    assert int(re.search(r"fleetseal_content_damaged_total (\d+)", metrics.decode()).group(1)) >= 1
    told = lab.good("audit", "events", "--event", "content-quarantined")["events"][0]
    assert (told["deviceId"], told["contentSha256"], told["planId"]) == ("dev-1", base64url(sealed), plan)
    # As the page says.
    book = Runbook(lab, PAGE, {"acme/pump@1.0.0": f"acme/pump@{version}", "pump-1.0.0.bin": path, "plan-abcdefghijklmnopqrstuvwxyz": plan})
    said = book.run("again")
    book.done()
    os.rename(book.folder, book.folder + version)
    again = sealed_of(lab, update)
    assert again != sealed
    planned = re.findall(r"plan-[a-z2-7]{26}", said)[-1]
    assert planned != plan
    lab.good("rollout", "start", planned)
    assert lab.watch(planned) == {"dev-1": "installed"}
    os.unlink(os.path.join(services.org, "server", "content", "quarantine", sealed))
    next_round(services)
    assert [one for one in doctor(services) if "content" in one["where"]] == []
    assert not [line for line in events(services, "content.quarantined") if again in line]


def seen_again(lab):
    """Returns when the device has checked in after now."""
    before = lab.good("device", "show", "dev-1")["lastSeen"]
    wait_until(lambda: lab.good("device", "show", "dev-1")["lastSeen"] > before + 1, "a check-in")


def test_S0_21_what_was_ordered_goes_on_once_a_backup_has_brought_the_file_back(lab, services):
    path = lab.path("pump-2.1.1.bin", os.urandom(SIZE))
    update = lab.release("2.1.1", path)
    sealed = sealed_of(lab, update)
    place = content_path(services, sealed)
    with open(place, "rb") as file:
        backup, facts = file.read(), os.fstat(file.fileno())
    with lab.held_agent():
        plan = lab.roll_out(update, "dev-1")
        flip(services, place)
        wait_until(lambda: [line for line in events(services, "content.quarantined") if sealed in line], "the quarantine")
    seen_again(lab)
    lab.good("update", "import", update, path)
    seen_again(lab)
    shown = lab.run("rollout", "show", plan)
    assert shown.json["devices"] == [{"id": "dev-1", "state": "waiting", "lacksContent": True}]
    assert "imported anew" in shown.error and "cancel this rollout and plan it anew" in shown.error and "update import" not in shown.error
    with open(place + ".new", "wb") as file:
        file.write(backup)
        os.fchown(file.fileno(), facts.st_uid, facts.st_gid)
        os.fchmod(file.fileno(), 0o440)
    os.rename(place + ".new", place)
    assert lab.watch(plan) == {"dev-1": "installed"}
    shown = lab.run("rollout", "show", plan)
    assert shown.json["devices"] == [{"id": "dev-1", "state": "installed"}] and "lost" not in shown.error
    os.unlink(os.path.join(services.org, "server", "content", "quarantine", sealed))


def test_S0_21_a_download_that_runs_ends_when_its_file_is_found_damaged(lab, services):
    path = lab.path("pump-2.2.0.bin", os.urandom(40_000_000))
    update = lab.release("2.2.0", path)
    sealed = sealed_of(lab, update)
    with lab.held_agent():
        plan = lab.roll_out(update, "dev-1")
        device, parts = lab.device("dev-1"), urlsplit(lab.info["device_url"])
        connection = http.client.HTTPSConnection(parts.hostname, parts.port, context=lab.context(cert=device["cert"], key=device["key"]), timeout=60)
        connection.request("GET", f"/content/v1/{sealed}")
        response = connection.getresponse()
        assert response.status == 200 and int(response.headers["Content-Length"]) > 40_000_000
        got = len(response.read(1_000_000))
        flip(services, content_path(services, sealed))
        wait_until(lambda: [line for line in events(services, "content.quarantined") if sealed in line], "the quarantine")
        with pytest.raises((http.client.IncompleteRead, ssl.SSLError, ConnectionError)):
            while piece := response.read(1_000_000):
                got += len(piece)
            raise http.client.IncompleteRead(b"") if got < 40_000_000 else AssertionError("the whole file came")
        lab.good("rollout", "cancel", plan, "--reason", "its content was damaged")
    assert lab.watch(plan)["dev-1"] == "OrderCancelled"


def test_S0_21_a_round_goes_on_after_a_restart_and_a_stop_does_not_wait_for_it(lab, services):
    path = lab.path("pump-3.0.0.bin", os.urandom(40_000_000))
    sealed = sealed_of(lab, lab.release("3.0.0", path))
    # 40 MB at 64 KiB a second take ten minutes: the stop comes first.
    config = services.config("server")
    with open(config) as file:
        text = file.read()
    with open(config, "w") as file:
        file.write(text.replace("67108864", "65536"))
    services.restart("server")
    state = os.path.join(services.org, "server", "scrub.json")
    wait_until(lambda: os.path.exists(state), "a round")
    services.stop("server")
    with open(config, "w") as file:
        file.write(text.replace("67108864", "1073741824"))
    # As after a round that was broken off behind this file: the rest of it does not hold it, the next one does.
    with open(state) as file:
        round_ = json.load(file)
    with open(state, "w") as file:
        json.dump({"started": round_["started"], "last": sealed}, file)
    flip(services, content_path(services, sealed))
    size = len(events(services, "content.scrubbed"))
    services.start("server")
    wait_until(lambda: len(events(services, "content.scrubbed")) > size + 1, "two rounds")
    first, second = (json.loads(line) for line in events(services, "content.scrubbed")[size:size + 2])
    assert (first["damaged"], second["damaged"]) == (0, 1), (first, second)


def test_S0_21_the_reading_is_held_to_its_rate(lab, services):
    lab.release("3.1.0", lab.path("pump-3.1.0.bin", os.urandom(40_000_000)))
    config = services.config("server")
    with open(config) as file:
        text = file.read()
    rate = 8 * 1024 * 1024
    with open(config, "w") as file:
        file.write(text.replace("scrub_rate_max = 1073741824", f"scrub_rate_max = {rate}"))
    services.restart("server")
    size = len(events(services, "content.scrubbed"))
    wait_until(lambda: len(events(services, "content.scrubbed")) > size + 1, "two rounds")
    first, second = (json.loads(line) for line in events(services, "content.scrubbed")[size:size + 2])
    taken = datetime.datetime.fromisoformat(second["time"].replace("Z", "+00:00")) - datetime.datetime.fromisoformat(first["time"].replace("Z", "+00:00"))
    # A least time, whatever else the machine does; without the rate a round begins each second.
    assert second["bytes"] > 40_000_000 and taken.total_seconds() > 0.95 * second["bytes"] / rate, (second, taken)
