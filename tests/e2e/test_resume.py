"""What was interrupted goes on: uploads, publishing, approvals, rollouts, receipts. Real processes, killed or stopped."""
import glob
import hashlib
import http.client
import json
import os
import signal
import sqlite3
import subprocess
from urllib.parse import urlsplit

import pytest

from lab import BIN, COMPATIBLE, PRODUCT, Lab
from services import Services, is_alive, wait_until

PATIENCE = 120
ORGANISATION = ("signer", "sealer", "server")


@pytest.fixture(scope="module")
def lab():
    made = Lab(devices=2, is_populated=True)
    yield made
    made.down()


def bytes_of(seed, size):
    return hashlib.shake_256(seed.encode()).digest(size)


def pid_of(lab, name):
    with open(os.path.join(lab.folder, "org", "run", "pids.json")) as file:
        return json.load(file).get(name, 0)


def kill(lab, *names):
    """SIGKILL; the supervisor starts them again. Returns when the organisation answers as before."""
    before = {name: pid_of(lab, name) for name in names}
    for pid in before.values():
        os.kill(pid, signal.SIGKILL)
    wait_until(lambda: all(pid_of(lab, name) not in (0, pid) and is_alive(pid_of(lab, name)) for name, pid in before.items()),
               "the programs to be started again", PATIENCE)
    wait_until(lambda: lab.run("approval", "list").code == 0 and lab.run("rollout", "list").code == 0, "an answer", PATIENCE)


def incoming(lab):
    """Content that is only partly there."""
    return glob.glob(os.path.join(lab.folder, "org", "server", "content", "incoming", "*"))


def objects(lab):
    return [path for path in glob.glob(os.path.join(lab.folder, "org", "server", "content", "??", "??", "*")) if os.path.isfile(path)]


def sealed_records(lab, update):
    entries = lab.good("audit", "query", "--limit", "1000", "--as", "auditor")["entries"]
    records = [json.loads(entry["leaf"]) for entry in entries]
    return [record for record in records if record["type"] == "sealed" and bytes_of_b64(record["manifestSha256"]).hex() == update]


def bytes_of_b64(text):
    import base64
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def signed(lab, version, path, *more):
    submitted = lab.submit(version, path, *more)
    lab.approve(submitted)
    return submitted["id"]


# --- uploads --------------------------------------------------------------------------------------------------------------


def half_an_upload(lab, update, size):
    """A connection on which half of the file was sent, when a part of it is on the server's disk."""
    file_id = lab.good("update", "show", update)["files"][0]["fileId"]
    identity, parts = lab.info["identities"]["publisher"], urlsplit(lab.info["admin_url"])
    connection = http.client.HTTPSConnection(parts.hostname, parts.port, context=lab.context(cert=identity["cert"], key=identity["key"]), timeout=60)
    connection.putrequest("PUT", f"/admin/v1/updates/{update}/files/{file_id}")
    connection.putheader("Content-Length", str(size))
    connection.endheaders()
    connection.send(bytes_of("upload", size)[:size // 2])
    wait_until(lambda: any(os.path.getsize(path) > 0 for path in incoming(lab)), "a part on the disk")
    return connection


@pytest.mark.parametrize("victim", ["connection", "client", "server", "sealer"])
def test_an_interrupted_upload_leaves_nothing_and_the_same_import_succeeds(lab, victim):
    size = 96 * 1024 * 1024 if victim == "client" else 6 * 1024 * 1024
    version = f"2.{('connection', 'client', 'server', 'sealer').index(victim)}.0"
    content = bytes_of("upload", size)
    path = lab.path(f"upload-{victim}.img", content)
    update = signed(lab, version, path)
    before = set(objects(lab))
    if victim == "client":
        client = subprocess.Popen([os.path.join(BIN, "fleetseal"), "update", "import", update, path, "--json"], env=lab.environment,
                                  stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_until(lambda: any(os.path.getsize(part) > 0 for part in incoming(lab)), "a part on the disk")
        client.kill()
        client.wait()
    else:
        connection = half_an_upload(lab, update, size)
        if victim != "connection":
            kill(lab, victim)
        connection.close()
    wait_until(lambda: not incoming(lab), "the part to be removed")
    assert set(objects(lab)) == before and sealed_records(lab, update) == []
    assert lab.good("update", "show", update)["state"] == "signed"
    lab.refused("UpdateNotDeployable", "rollout", "plan", "--update", update, "--device", "dev-1")
    assert lab.good("update", "import", update, path)["state"] == "deployable"
    assert len(set(objects(lab)) - before) == 1 and len(sealed_records(lab, update)) == 1
    again = lab.run("update", "import", update, path)
    assert again.code == 0 and "was imported before" in again.error
    assert len(set(objects(lab)) - before) == 1 and len(sealed_records(lab, update)) == 1
    if victim != "client":
        assert lab.watch(lab.roll_out(update, "dev-1")) == {"dev-1": "installed"}
        with open(lab.active_image(), "rb") as file:
            assert file.read(size) == content


def test_an_import_goes_on_with_the_files_that_are_missing(lab):
    image, settings = lab.path("parts.img", bytes_of("image", 100_000)), lab.path("parts.conf", b"limit = 3\n")
    update = signed(lab, "3.0.0", image, "--file", settings + ":file:target=parts.conf")
    first = lab.run("update", "import", update, image)
    assert first.code == 0 and "still missing: parts.conf" in first.error and first.json["state"] == "signed"
    kill(lab, "server")
    second = lab.run("update", "import", update, image, settings)
    assert second.code == 0 and second.json["state"] == "deployable", second.output
    assert "parts.img was imported before" in second.error and "parts.conf was imported" not in second.error
    assert len(sealed_records(lab, update)) == 2
    assert lab.watch(lab.roll_out(update, "dev-1")) == {"dev-1": "installed"}


# --- signing --------------------------------------------------------------------------------------------------------------


def requests(lab, version):
    return [row for row in lab.good("approval", "list")["requests"] if row["version"] == version]


def publish(lab, version, path, stderr):
    return subprocess.Popen([os.path.join(BIN, "fleetseal"), "update", "publish", "--product", PRODUCT, "--version", version, "--compatible", COMPATIBLE,
                             "--file", path, "--timeout", "300"], env=lab.environment, stdout=subprocess.DEVNULL, stderr=stderr)


def test_an_interrupted_publish_goes_on_with_its_request(lab, tmp_path):
    path = lab.path("publish.img", bytes_of("publish", 50_000))
    with open(tmp_path / "first", "w+") as said:
        first = publish(lab, "4.0.0", path, said)
        wait_until(lambda: "waiting for approvals: 0 of" in (tmp_path / "first").read_text(), "the first publish to wait")
        first.kill()
        first.wait()
    request = requests(lab, "4.0.0")[0]["requestId"]
    lab.good("approval", "approve", request, "--as", "approver1")
    with open(tmp_path / "second", "w+") as said:
        second = publish(lab, "4.0.0", path, said)
        wait_until(lambda: "waiting for approvals: 1 of" in (tmp_path / "second").read_text(), "the second publish to wait")
        assert f"going on with {request}, submitted before" in (tmp_path / "second").read_text()
        lab.good("approval", "approve", request, "--as", "approver2")
        assert second.wait(PATIENCE) == 0
    assert [row["requestId"] for row in requests(lab, "4.0.0")] in ([], [request])
    update = next(row for row in lab.good("update", "list")["updates"] if row["version"] == "4.0.0")
    assert update["state"] == "deployable" and update["requestId"] == request
    other = lab.path("other.img", b"other bytes")
    refused = lab.run("update", "publish", "--product", PRODUCT, "--version", "4.0.0", "--compatible", COMPATIBLE, "--file", other)
    assert refused.code == 3 and refused.refusal == "VersionExists", "other bytes are no continuation"


def test_waiting_approvals_survive_the_death_of_everybody(lab):
    path = lab.path("approvals.img", bytes_of("approvals", 50_000))
    submitted = lab.submit("5.0.0", path)
    lab.approve(submitted, ("approver1",))
    kill(lab, *ORGANISATION)
    row = requests(lab, "5.0.0")[0]
    assert (row["state"], row["approved"]) == ("waiting", ["approver1"])
    lab.refused("ApprovedTwice", "approval", "approve", submitted["requestId"], "--as", "approver1")
    assert lab.approve(submitted, ("approver2",))["state"] == "signed"
    assert lab.good("update", "import", submitted["id"], path)["state"] == "deployable"


# --- rollouts and receipts ------------------------------------------------------------------------------------------------


def slow_agents(lab):
    for device in lab.info["devices"]:
        with open(device["config"], "a") as file:
            file.write("rate_max = 1500000\n")
        os.kill(device["agent_pid"], signal.SIGTERM)


def part(lab, device="dev-1"):
    """Bytes of the download in hand."""
    paths = glob.glob(os.path.join(os.path.dirname(lab.device(device)["config"]), "work", "*.part"))
    return max((os.path.getsize(path) for path in paths if os.path.exists(path)), default=0)


def pending_receipts(lab, device="dev-1"):
    with open(os.path.join(lab.device(device)["state_dir"], "state.json")) as file:
        state = json.load(file)
    return [] if state.get("journal") else state["receipts"]["pending"]


def receipts_with(lab, device, outcome):
    database = sqlite3.connect(f"file:{lab.folder}/org/signer/signer.db?mode=ro", uri=True)
    rows = database.execute("SELECT compact FROM receipts WHERE device_id = ? ORDER BY number", (device,)).fetchall()
    database.close()
    payloads = [json.loads(bytes_of_b64(compact.split(".")[1])) for compact, in rows]
    assert [payload["number"] for payload in payloads] == list(range(1, len(payloads) + 1))
    return [payload for payload in payloads if payload["outcome"] == outcome]


def begin_download(lab, version):
    size = 12 * 1024 * 1024
    update = lab.release(version, lab.path(f"slow-{version}.img", bytes_of(version, size)))
    plan = lab.roll_out(update, "dev-1")
    wait_until(lambda: part(lab) > 1_000_000, "a download under way", PATIENCE)
    return plan


@pytest.fixture
def own_lab():
    made = Lab(devices=1, is_populated=True)
    slow_agents(made)
    made.started = []
    yield made
    for process in made.started:
        process.terminate()
        process.wait(60)
    made.down()


def test_a_rollout_goes_on_after_everything_was_stopped_and_started_again(own_lab):
    lab = own_lab
    plan = begin_download(lab, "6.0.0")
    lab.good("lab", "down", "--dir", lab.folder)
    before = part(lab)
    assert 0 < before < 12 * 1024 * 1024
    for arguments in (["run", "--data", os.path.join(lab.folder, "org")], ["lab", "devices", "--dir", lab.folder]):
        lab.started.append(subprocess.Popen([os.path.join(BIN, "fleetseal"), *arguments], env=lab.environment, stdin=subprocess.DEVNULL,
                                            stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
    wait_until(lambda: lab.run("rollout", "list").code == 0, "the organisation", PATIENCE)
    assert part(lab) == 0 or part(lab) >= before, "the download goes on from the same byte"
    assert lab.watch(plan) == {"dev-1": "installed"}
    assert [receipt["orderId"] for receipt in receipts_with(lab, "dev-1", "installed")][-1:] != []
    kinds = [event["event"] for event in lab.good("audit", "events", "--device", "dev-1", "--update", f"{PRODUCT}@6.0.0")["events"]]
    assert kinds.count("ordered") == 1 and kinds.count("receipt") == 1, kinds


def test_a_signer_that_is_down_acknowledges_and_loses_no_receipt(own_lab):
    lab = own_lab
    services = Services(lab)
    services.start()
    try:
        plan = begin_download(lab, "7.0.0")
        installed = len(receipts_with(lab, "dev-1", "installed"))
        services.stop("signer")
        said = len(services.log_text("server"))
        wait_until(lambda: pending_receipts(lab), "the installation", PATIENCE)
        wait_until(lambda: "/device/v1/receipts" in services.log_text("server")[said:], "an attempt to deliver the receipt", PATIENCE)
        assert len(pending_receipts(lab)) == 1
        assert lab.good("rollout", "show", plan)["devices"][0]["state"] == "offered", "nothing is believed that is not recorded"
        services.start("signer")
        assert lab.watch(plan) == {"dev-1": "installed"}
        wait_until(lambda: not pending_receipts(lab), "the acknowledgement", PATIENCE)
        assert len(receipts_with(lab, "dev-1", "installed")) == installed + 1
    finally:
        services.kill()


def test_an_interrupted_start_is_completed_by_the_server_itself_with_one_order_a_device(own_lab):
    lab = own_lab
    services = Services(lab)
    services.start()
    try:
        plan = lab.plan(lab.release("8.0.0", lab.path("start.img", bytes_of("start", 50_000))), "dev-1")
        services.stop("signer")
        broken = lab.run("rollout", "start", plan)
        assert broken.code not in (0, 3) and "completed by the server itself" in broken.error, broken.output + broken.error
        services.running.pop("server").kill()
        services.start("signer")
        services.start("server")
        wait_until(lambda: lab.good("rollout", "show", plan)["state"] != "planned", "the start to be completed", PATIENCE)
        assert lab.watch(plan) == {"dev-1": "installed"}
        assert lab.good("rollout", "start", plan)["orders"] == 0, "the same command again gives no second order"
        events = lab.good("audit", "events", "--device", "dev-1", "--update", f"{PRODUCT}@8.0.0", "--event", "ordered")["events"]
        assert [event["actor"] for event in events] == ["operator"]
        assert len(receipts_with(lab, "dev-1", "installed")) == 2
    finally:
        services.kill()
