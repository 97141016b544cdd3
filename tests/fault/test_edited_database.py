"""The server's database in somebody else's hands (S0.4, S0.23, X5): edited while the server is stopped and while it runs.

The database holds no people, keys or certificates: the server asks the signer for them. What it does hold may be shown
wrongly, delay an update, or have a device quarantined (64 a day, ADR 0010); nothing is signed, ordered, certified or installed
because of it, and the signer's records and the devices' receipts still tell what happened.
"""
import itertools
import json
import os
import signal
import sqlite3

import pytest

from documents import Key, b64u, compact, jws, jws_parts, sha256
from services import Services, wait_until
from taken_over import Refused, TakenOverServer

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to run the programs as their users")
VERSIONS = itertools.count(2)
UPDATE = "UPDATE rollout_devices SET order_text = ?, order_id = ? WHERE plan_id = ? AND device_id = 'dev-1'"


@pytest.fixture(scope="module")
def services(lab):
    taken = Services(lab)
    taken.start()
    yield taken
    taken.kill()


@pytest.fixture(scope="module")
def server(lab, services):
    return TakenOverServer(lab)


@pytest.fixture(params=["running", "stopped"])
def edit(request, services, server):
    """Edits the database, with the server running or stopped meanwhile."""
    def run(*statements):
        if request.param == "stopped":
            services.stop("server")
        with sqlite3.connect(server.server_db, timeout=30) as database:
            for statement, *values in statements:
                assert database.execute(statement, values).rowcount != 0, statement
        database.close()
        if request.param == "stopped":
            give_back(server)
            services.start("server")
    run.is_stopped = request.param == "stopped"
    return run


def give_back(server):
    for name in os.listdir(os.path.dirname(server.server_db)):
        if name.startswith("server.db"):
            os.chown(os.path.join(os.path.dirname(server.server_db), name), 61003, 61003)


def read(server, statement, *values):
    with sqlite3.connect(server.server_db, timeout=30) as database:
        return database.execute(statement, values).fetchall()


@pytest.fixture
def held_agents(lab):
    """The agents ask nothing until the test lets them go."""
    pids = [lab.stop_agent(device["id"]) for device in lab.info["devices"]]
    released = []

    def go():
        if not released:
            released.append(True)
            for pid in pids:
                os.kill(pid, signal.SIGCONT)
    yield go
    go()


def release(lab, content=None):
    """A new deployable update; its id."""
    version = f"{next(VERSIONS)}.0.0"
    return lab.release(version, lab.path(f"pump-{version}.img", content or version.encode() * 1000))


def state_of(lab, name):
    """What no refused document may change; the status is a document of its own, which a check-in may bring."""
    trust = lab.trust(name)
    for part in ("status", "timeFloor", "checkpoints"):
        trust.pop(part, None)
    files = {}
    for top in ("slots", "boot"):
        folder = os.path.join(lab.device_home(name), top)
        for file in sorted(os.listdir(folder)):
            with open(os.path.join(folder, file), "rb") as handle:
                files[file] = sha256(handle.read())
    return trust, files


def receipts(server, name):
    return [json.loads(jws_parts(text)[1])
            for (text,) in server.rows("SELECT compact FROM receipts WHERE device_id = ? ORDER BY generation, number", name)]


def next_receipt(server, name, after):
    """The first one of the device after the first `after`."""
    return wait_until(lambda: receipts(server, name)[after:], "a receipt of " + name)[0]


def installed(server, name, update):
    return any(receipt["outcome"] == "installed" and receipt["manifestSha256"] == b64u(bytes.fromhex(update)) for receipt in receipts(server, name))


def started(lab, update, *devices):
    plan = lab.plan(update, *devices)
    lab.good("rollout", "start", plan)
    return plan


def order_of(server, plan, device):
    return read(server, "SELECT order_text FROM rollout_devices WHERE plan_id = ? AND device_id = ?", plan, device)[0][0]


def test_S0_4_the_servers_database_holds_no_people_keys_or_certificates(server, services):
    tables = {name for (name,) in read(server, "SELECT name FROM sqlite_master WHERE type = 'table'")}
    columns = {f"{table}.{row[1]}" for table in tables for row in read(server, f"PRAGMA table_info({table})")}
    for word in ("role", "key", "certificate", "jwk", "kid", "quorum", "policy", "nonce", "approval", "person"):
        assert [column for column in columns if word in column.lower()] == []


def test_S0_4_rows_about_people_and_devices_that_somebody_adds_mean_nothing(lab, server, edit):
    before = server.authority()
    mine = Key.p256()
    edit(("DROP TABLE IF EXISTS people",), ("DROP TABLE IF EXISTS devices",),
         ("CREATE TABLE people (id TEXT, roles TEXT, kid TEXT, jwk TEXT)",), ("CREATE TABLE devices (id TEXT, state TEXT, identity_key TEXT)",),
         ("INSERT INTO people VALUES ('mallory', '[\"approver\"]', ?, ?)", mine.kid(), compact(mine.jwk())),
         ("INSERT INTO devices VALUES ('dev-1', 'active', ?)", mine.kid()))
    assert "mallory" not in json.dumps(lab.good("user", "list"))
    assert server.authority() == before


def test_S0_4_X5_an_order_of_another_device_is_refused(lab, server, edit, held_agents):
    update = release(lab)
    plan = started(lab, update, "dev-1", "dev-2")
    mine, other = order_of(server, plan, "dev-1"), order_of(server, plan, "dev-2")
    known, before = len(receipts(server, "dev-1")), state_of(lab, "dev-1")
    # By the id alone the server sees that the row is not whole, and hands out nothing.
    edit((UPDATE, other, json.loads(jws_parts(mine)[1])["orderId"], plan))
    if not edit.is_stopped:
        status, _, body = lab.as_device("dev-1", "POST", "/device/v1/check-in", CHECK_IN_BODY)
        assert status == 200 and "order" not in json.loads(body), body
        edit((UPDATE, mine, json.loads(jws_parts(mine)[1])["orderId"], plan))
        held_agents()
        wait_until(lambda: installed(server, "dev-1", update) and installed(server, "dev-2", update), "both receipts")
        return
    # With the id swapped too, a server that starts takes it for what the signer ordered. The device does not.
    edit((UPDATE, other, json.loads(jws_parts(other)[1])["orderId"], plan))
    held_agents()
    receipt = next_receipt(server, "dev-1", known)
    assert (receipt["outcome"], receipt["code"]) == ("refused", "OrderNotForThisDevice")
    assert receipt["document"] == b64u(sha256(other))
    assert state_of(lab, "dev-1") == before
    # When the row is right again, the update goes on as it was ordered.
    edit((UPDATE, mine, json.loads(jws_parts(mine)[1])["orderId"], plan))
    wait_until(lambda: installed(server, "dev-1", update) and installed(server, "dev-2", update), "both receipts")


@pytest.mark.parametrize("change", ["manifestSha256", "sequence", "contentKey", "own key"])
def test_S0_4_an_order_with_other_words_is_refused(lab, server, edit, held_agents, change):
    update = release(lab)
    plan = started(lab, update, "dev-1")
    genuine = order_of(server, plan, "dev-1")
    header, payload, signature = genuine.split(".")
    words = json.loads(jws_parts(genuine)[1])
    words.update({"manifestSha256": {"manifestSha256": server.signed_update()},
                  "sequence": {"sequence": words["sequence"] + 1000}, "contentKey": {"contentKey": words["contentKey"][:-8] + "AAAAAAAA"}}.get(change, {}))
    forged = f"{header}.{b64u(compact(words).encode())}.{signature}"
    if change == "own key":
        forged = jws(Key.p256(), jws_parts(genuine)[0], compact(words))
    known, before = len(receipts(server, "dev-1")), state_of(lab, "dev-1")
    edit(("UPDATE rollout_devices SET order_text = ? WHERE plan_id = ? AND device_id = 'dev-1'", forged, plan))
    held_agents()
    receipt = next_receipt(server, "dev-1", known)
    assert (receipt["outcome"], receipt["code"]) == ("refused", "SignatureInvalid")
    assert state_of(lab, "dev-1") == before
    edit(("UPDATE rollout_devices SET order_text = ? WHERE plan_id = ? AND device_id = 'dev-1'", genuine, plan))
    wait_until(lambda: installed(server, "dev-1", update), "the receipt")


@pytest.mark.parametrize("column, code", [("manifest", "ManifestHashMismatch"), ("signature", "ManifestHashMismatch"), ("log_index", "LogProofMissing")])
def test_S0_4_a_manifest_signature_or_proof_of_another_update_is_refused(lab, server, edit, held_agents, column, code):
    update, other = release(lab), lab.info["update"]["id"]
    plan = started(lab, update, "dev-1")
    select = f"SELECT {column} FROM updates WHERE manifest_sha256 = ?"
    (genuine,), (foreign,) = read(server, select, update)[0], read(server, select, other)[0]
    known, before = len(receipts(server, "dev-1")), state_of(lab, "dev-1")
    edit((f"UPDATE updates SET {column} = ? WHERE manifest_sha256 = ?", foreign, update))
    held_agents()
    receipt = next_receipt(server, "dev-1", known)
    assert (receipt["outcome"], receipt["code"]) == ("refused", code)
    assert state_of(lab, "dev-1") == before
    edit((f"UPDATE updates SET {column} = ? WHERE manifest_sha256 = ?", genuine, update))


def test_X2_a_permit_that_is_put_into_a_stored_order_takes_no_device_back(lab, server, edit):
    """The server keeps no permits; what it has is the order that a permit would be in."""
    old, new = release(lab), release(lab)
    for update in (old, new):
        started(lab, update, "dev-1")
        wait_until(lambda update=update: installed(server, "dev-1", update), "the receipt")
    asked = lab.good("permit", "request", "--device", "dev-2", "--from", new, "--to", old)
    for approver in ("approver1", "approver2"):
        answer = lab.good("permit", "approve", asked["permitId"], "--as", approver)
    permit = answer["permit"]
    with lab.held_agent("dev-1"):
        plan = started(lab, old, "dev-1")
        genuine = order_of(server, plan, "dev-1")
        header, payload, signature = genuine.split(".")
        words = json.loads(jws_parts(genuine)[1])
        assert "permit" not in words, "the permit of dev-2 is in no order for dev-1"
        forged = f"{header}.{b64u(compact({**words, 'permit': permit}).encode())}.{signature}"
        known, before = len(receipts(server, "dev-1")), state_of(lab, "dev-1")
        edit(("UPDATE rollout_devices SET order_text = ? WHERE plan_id = ? AND device_id = 'dev-1'", forged, plan))
    receipt = next_receipt(server, "dev-1", known)
    assert (receipt["outcome"], receipt["code"]) == ("refused", "SignatureInvalid")
    assert state_of(lab, "dev-1") == before
    edit(("UPDATE rollout_devices SET order_text = ? WHERE plan_id = ? AND device_id = 'dev-1'", genuine, plan))
    lab.good("rollout", "cancel", plan, "--reason", "the test is over")


def test_S0_4_an_approval_marked_done_gives_no_plan_and_no_order(lab, server, edit):
    version = f"{next(VERSIONS)}.0.0"
    path = lab.path(f"pump-{version}.img", b"never approved")
    submitted = lab.submit(version, path)
    update = submitted["id"]
    foreign = read(server, "SELECT signature, log_index, release_counter FROM updates WHERE manifest_sha256 = ?", lab.info["update"]["id"])[0]
    for state in ("signed", "deployable"):
        edit(("UPDATE updates SET state = ?, signature = ?, log_index = ?, release_counter = ? WHERE manifest_sha256 = ?", state, *foreign, update),
             ("UPDATE update_files SET sealed_sha256 = ?, sealed_size = 100 WHERE manifest_sha256 = ?", "a" * 64, update))
        before = server.authority()
        # The server shows what its table says; the signer knows of no signature.
        assert lab.good("update", "show", update)["state"] == state
        outcome = lab.run("rollout", "plan", "--update", update, "--device", "dev-1")
        assert outcome.code != 0 and outcome.refusal in ("UpdateNotSigned", "UpdateNotDeployable"), outcome.output
        imported = lab.run("update", "import", update, path)
        assert imported.code != 0, imported.output
        assert server.authority() == before
    request = lab.good("approval", "show", submitted["requestId"])
    assert request["state"] == "waiting"


def test_S0_4_a_plan_that_names_more_devices_orders_no_more(lab, server, edit):
    update, other = release(lab), release(lab)
    plan = lab.plan(update, "dev-1")
    genuine = read(server, "SELECT plan FROM rollouts WHERE plan_id = ?", plan)[0][0]
    header, _, signature = genuine.split(".")
    words = json.loads(jws_parts(genuine)[1])
    words["devices"] = ["dev-2", "dev-3"]
    words["manifestSha256"] = b64u(bytes.fromhex(other))
    edit(("UPDATE rollouts SET plan = ?, manifest_sha256 = ? WHERE plan_id = ?", f"{header}.{b64u(compact(words).encode())}.{signature}", other, plan))
    before = server.authority()
    outcome = lab.run("rollout", "start", plan)
    assert "PlanInvalid" in outcome.output, outcome.output
    assert server.authority() == before
    assert read(server, "SELECT COUNT(*) FROM rollout_devices WHERE plan_id = ?", plan) == [(0,)]


def test_S0_4_a_withdrawal_is_not_undone_in_the_table(lab, server, edit, held_agents):
    update = release(lab)
    plan = started(lab, update, "dev-1")
    order = order_of(server, plan, "dev-1")
    known, before = len(receipts(server, "dev-1")), state_of(lab, "dev-1")
    withdrawal = server.revocation("manifest", b64u(bytes.fromhex(update)), "withdraw", "publisher")
    assert lab.as_person("publisher", "POST", "/admin/v1/revocations", {"revocation": withdrawal})[0] == 200
    edit(("UPDATE updates SET state = 'deployable' WHERE manifest_sha256 = ?", update),
         ("UPDATE rollouts SET state = 'running' WHERE plan_id = ?", plan),
         ("UPDATE rollout_devices SET state = 'waiting', order_text = ? WHERE plan_id = ?", order, plan))
    outcome = lab.run("rollout", "plan", "--update", update, "--device", "dev-2")
    assert outcome.code == 3 and outcome.refusal == "Withdrawn"
    held_agents()
    newer = release(lab)
    assert lab.watch(lab.roll_out(newer, "dev-1")) == {"dev-1": "installed"}
    told = receipts(server, "dev-1")[known:]
    assert {(receipt["outcome"], receipt.get("code")) for receipt in told} <= {("refused", "Withdrawn"), ("installed", None), ("cancelled", None)}
    assert before[0]["counters"] != state_of(lab, "dev-1")[0]["counters"]
    assert not any(receipt["outcome"] == "installed" and receipt["manifestSha256"] == b64u(bytes.fromhex(update)) for receipt in told)


def test_S0_4_S0_23_an_outcome_in_the_table_is_no_receipt(lab, server, edit, held_agents):
    update = release(lab)
    plan = started(lab, update, "dev-3")
    edit(("UPDATE rollout_devices SET state = 'installed' WHERE plan_id = ?", plan),
         ("INSERT INTO timeline (device_id, number, time, event, plan_id, manifest_sha256, outcome) SELECT 'dev-3', MAX(number) + 1, 1, 'receipt', ?, ?, "
          "'installed' FROM timeline WHERE device_id = 'dev-3'", plan, update))
    held_agents()
    assert lab.watch(plan) == {"dev-3": "installed"}  # a lie that the server tells
    assert not installed(server, "dev-3", update)  # the truth: no receipt says so
    assert lab.trust("dev-3")["counters"]["acme/pump#main"]["installedManifest"] != b64u(bytes.fromhex(update))
    edit(("UPDATE rollout_devices SET state = 'waiting' WHERE plan_id = ?", plan))
    newer = release(lab)
    assert lab.watch(lab.roll_out(newer, "dev-3")) == {"dev-3": "installed"}
    assert receipts(server, "dev-3")[-1]["manifestSha256"] == b64u(bytes.fromhex(newer))
    assert lab.run("audit", "verify").code == 0


def test_S0_4_X5_members_that_somebody_adds_to_a_group_are_ordered_only_if_the_plan_names_them(lab, server, edit):
    update = release(lab)
    name = f"group-{update[:8]}"
    lab.good("group", "create", name)
    lab.good("group", "members", name, "dev-1")
    planned = lab.good("rollout", "plan", "--update", update, "--group", name)["planId"]
    edit(("INSERT INTO device_group_members VALUES (?, 'dev-2')", name), ("INSERT INTO device_group_members VALUES (?, 'no-such-device')", name))
    answer = lab.good("rollout", "start", planned)
    assert answer["orders"] == 1
    assert lab.watch(planned) == {"dev-1": "installed"}
    before = server.authority()
    # Whoever plans now signs the members' names; the signer takes only devices that it knows.
    lab.refused("DeviceUnknown", "rollout", "plan", "--update", update, "--group", name)
    assert server.authority() == before


# --- cells of another kind --------------------------------------------------------------------------------------------------
# SQLite takes a text into a column of numbers; read as 0 it would be "not revoked", "not cancelled", "counted from the start".


@pytest.fixture
def cell(server):
    """Puts a text into a number of somebody's database, the programs running; gives back what was there."""
    undone = []

    def write(path, table, column, where, value):
        with sqlite3.connect(path, timeout=30) as database:
            before = database.execute(f"SELECT {column} FROM {table} WHERE {where}").fetchone()[0]
            database.execute(f"UPDATE {table} SET {column} = ? WHERE {where}", (value,))
        database.close()
        return before

    def put(path, table, column, where, value="x"):
        undone.append((path, table, column, where, write(path, table, column, where, value)))

    def mend():
        while undone:
            write(*undone.pop())
    put.mend = mend
    yield put
    mend()


def test_S0_4_a_request_or_approval_by_the_signers_damaged_numbers_is_corrupt_and_signs_nothing(lab, server, cell):
    version = f"{next(VERSIONS)}.0.0"
    path = lab.path(f"pump-{version}.img", b"of another kind")
    manifest = server.manifest(b"of another kind", version)
    genuine = server.request(manifest)
    cell(server.signer_db, "people", "is_revoked", "id = 'publisher'")
    before = server.authority()
    with pytest.raises(Refused) as caught:
        server.ask("submit-request", request=genuine, manifest=b64u(manifest))
    assert caught.value.code == "Corrupt" and server.authority() == before
    cell.mend()
    submitted = lab.submit(version, path)
    lab.good("approval", "approve", submitted["requestId"], "--as", "approver1")
    for table, column, where in (("people", "is_revoked", "id = 'approver2'"), ("requests", "needed", f"id = '{submitted['requestId']}'"),
                                 ("register_state", "quorum", "id = 1")):
        cell(server.signer_db, table, column, where)
        before = server.authority()
        outcome = lab.run("approval", "approve", submitted["requestId"], "--as", "approver2")
        if table == "register_state":
            break  # not read for this: the approval counts
        assert outcome.code != 0 and outcome.refusal == "Corrupt", outcome.output
        assert server.authority() == before
        cell.mend()
    cell.mend()
    assert lab.good("approval", "show", submitted["requestId"])["state"] == "signed"


@pytest.mark.parametrize("table, column, where", [("plans", "is_cancelled", "id = '{plan}'"), ("plans", "is_paused", "id = '{plan}'"),
                                                  ("devices", "last_sequence", "id = 'dev-1'"), ("devices", "generation", "id = 'dev-1'")])
def test_S0_4_a_plan_or_device_with_damaged_numbers_in_the_signer_is_corrupt_and_ordered_nothing(lab, server, cell, held_agents, table, column, where):
    update = release(lab)
    plan = lab.plan(update, "dev-1")
    cell(server.signer_db, table, column, where.format(plan=plan))
    before = server.rows("SELECT COUNT(*) FROM orders"), server.log_size()
    outcome = lab.run("rollout", "start", plan)
    assert "Corrupt" in outcome.output, outcome.output
    assert (server.rows("SELECT COUNT(*) FROM orders"), server.log_size()) == before
    cell.mend()
    outcome = lab.run("rollout", "start", plan)
    held_agents()
    wait_until(lambda: installed(server, "dev-1", update), "the receipt")


@pytest.mark.parametrize("table, column", [("updates", "log_index"), ("updates", "release_counter"), ("update_files", "sealed_size")])
def test_S0_4_an_update_with_damaged_numbers_in_the_server_is_corrupt_and_offered_to_nobody(lab, server, cell, held_agents, table, column):
    update = release(lab)
    cell(server.server_db, table, column, f"manifest_sha256 = '{update}'")
    before = server.authority()
    outcome = lab.run("rollout", "plan", "--update", update, "--device", "dev-1")
    assert outcome.code != 0 and outcome.refusal == "Corrupt" and outcome.json["error"]["advice"], outcome.output
    assert server.authority() == before
    cell.mend()
    plan = started(lab, update, "dev-1")
    cell(server.server_db, table, column, f"manifest_sha256 = '{update}'")
    known, trust = len(receipts(server, "dev-1")), state_of(lab, "dev-1")
    log = os.path.join(lab.folder, "logs", "dev-1-agent.log")
    size = os.path.getsize(log)
    held_agents()

    def failure():
        with open(log, errors="replace") as file:
            file.seek(size)
            return "Corrupt" in file.read() or len(receipts(server, "dev-1")) > known
    if column == "log_index":
        wait_until(failure, "the agent's failure")
        assert state_of(lab, "dev-1") == trust
    cell.mend()
    assert lab.watch(plan) == {"dev-1": "installed"}


# --- every table and column ---------------------------------------------------------------------------------------------------
# Each cell in the hands of somebody else, one column at a time, all rows. Whatever the server then says, it holds nothing that
# gives it authority: the signer's tables stay as they are, and an order that reaches a device is one that the signer signed for
# it, byte for byte. A new table or column must be added here, with what it is.
COLUMNS = {
    "updates": {"manifest_sha256", "number", "request_id", "product", "version", "state", "requester", "created", "manifest", "signature", "log_index",
                "release_counter"},
    "update_files": {"manifest_sha256", "position", "file_id", "file_name", "size", "sha256", "sealed_sha256", "sealed_size"},
    "rollouts": {"plan_id", "number", "plan", "manifest_sha256", "state", "created", "starter", "starter_origin"},
    "rollout_devices": {"plan_id", "device_id", "state", "code", "order_text", "order_id", "sequence", "cancel_text", "cancel_id"},
    "timeline": {"device_id", "number", "time", "event", "plan_id", "manifest_sha256", "outcome", "code", "ordinal", "actor", "origin", "update_name",
                 "content_sha256", "bytes"},
    "device_seen": {"device_id", "seen", "release_counter", "manifest_sha256", "phase", "agent_version", "told_generation", "told_package",
                    "told_status_epoch", "told_status", "told_order_epoch", "told_order", "told_risen"},
    "device_groups": {"name", "description"},
    "device_group_members": {"name", "device_id"},
    "refused_receipts": {"device_id", "sha256", "code", "compact", "received"},
    "followed_log": {"id", "origin"},
}
# Kept by storage/migrate.cc: which steps of the schema were taken.
BOOKKEEPING = {"schema_migrations"}
CHECK_IN_BODY = {"deviceId": "dev-1", "generation": 1, "packageVersion": 1, "phase": "idle", "agentVersion": "1"}


def tables_of(server):
    names = {name for (name,) in read(server, "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")}
    return {name: {row[1] for row in read(server, f"PRAGMA table_info({name})")} for name in names}


def test_S0_4_every_table_and_column_of_the_server_has_a_case_here(server, services):
    found = {name: columns for name, columns in tables_of(server).items() if name not in BOOKKEEPING and name not in ("people", "devices")}
    assert found == COLUMNS


@pytest.fixture
def column(server):
    """Overwrites one column of every row, as far as the table lets it; gives back the whole table."""
    kept = {}

    def put(table, name, value):
        with sqlite3.connect(server.server_db, timeout=30) as database:
            if table not in kept:
                kept[table] = database.execute(f"SELECT rowid, * FROM {table}").fetchall()
            for (row,) in database.execute(f"SELECT rowid FROM {table}").fetchall():
                # Where a column must differ, each row gets a value of its own.
                for one in (value, value + row if isinstance(value, int) else f"{value}-{row}"):
                    try:
                        database.execute(f"UPDATE {table} SET {name} = ? WHERE rowid = ?", (one, row))
                        break
                    except sqlite3.IntegrityError:
                        continue
        database.close()
    yield put
    with sqlite3.connect(server.server_db, timeout=30) as database:
        for table, rows in kept.items():
            names = [row[1] for row in database.execute(f"PRAGMA table_info({table})")]
            known = {row for (row,) in database.execute(f"SELECT rowid FROM {table}")}
            for rowid, *cells in rows:
                if rowid in known:
                    database.execute(f"UPDATE OR REPLACE {table} SET " + ", ".join(f"{name} = ?" for name in names) + " WHERE rowid = ?", (*cells, rowid))
    database.close()


@pytest.mark.parametrize("table", sorted(COLUMNS))
def test_S0_4_S0_23_no_cell_of_the_server_gives_it_authority(lab, server, services, column, held_agents, table):
    update = release(lab)
    name = f"group-{update[:8]}"
    lab.good("group", "create", name)
    lab.good("group", "members", name, "dev-1")
    plan = started(lab, update, "dev-1", "dev-2")
    rows = read(server, f"SELECT COUNT(*) FROM {table}")[0][0]
    assert rows > 0 or table == "refused_receipts"
    ours = {text for (text,) in server.rows("SELECT compact FROM orders WHERE device_id = 'dev-1'")}
    ours |= {text for (text,) in server.rows("SELECT compact FROM cancel_orders WHERE device_id = 'dev-1'")}
    foreign = order_of(server, plan, "dev-2")
    before = server.authority()
    known = len(receipts(server, "dev-1"))
    texts = {row[1] for row in read(server, f"PRAGMA table_info({table})") if row[2].upper() == "TEXT"}
    told = []
    for column_name in sorted(COLUMNS[table]):
        for value in ((foreign, "dev-2", "deployable") if column_name in texts else (0, 1 << 52)):
            column(table, column_name, value)
        for question in (("update", "list"), ("rollout", "list"), ("device", "list"), ("group", "list"), ("rollout", "start", plan)):
            lab.run(*question)  # whatever it says
        status, _, body = lab.as_device("dev-1", "POST", "/device/v1/check-in", CHECK_IN_BODY)
        if status == 200 and json.loads(body).get("order"):
            told.append((column_name, json.loads(body)["order"]))
        assert server.authority() == before, column_name
    assert all(order in ours for _, order in told), told
    assert len(receipts(server, "dev-1")) == known
