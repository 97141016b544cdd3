"""Crash matrices of what is decided on the stopped signer: `--continue` (ADR 0009), `--new-log` (ADR 0013), `--replace-security`.

Killed or failed at any call that changes a file, the decision holds or it does not. The same file again ends well, a third time
it is answered as the second time, and the log continues what it was. No crash spends a decision: nobody signs again.
"""
import json
import os
import shutil
import subprocess
import time

import pytest
from cryptography.hazmat.primitives import serialization

from commands import good, run, visit_all
from crash import BIN, IS_ROOT, Shim, copy_tree, scratch
from documents import Key
from recorded import Tree, ask_socket
from services import SOCKET_GROUP, USERS
from taken_over import Person, new_id, nonce

USER = USERS["signer"] if IS_ROOT else None


class Signer:
    """An organisation whose signer is stopped, the people who decide, and its data at several moments."""
    PARTS = ("signer", "log")

    def __init__(self, folder):
        self.folder, self.home = folder, os.path.join(folder, "org")
        good("fleetseal", "init", "--organisation", "acme", "--data", self.home, "--product", "acme/pump", "--name", "127.0.0.1")
        self.config = os.path.join(self.home, "signer", "signer.toml")
        self.log = os.path.join(self.home, "log")
        with open(os.path.join(self.home, "identities", "security", "person.key"), "rb") as file:
            self.security = Person("security", Key(serialization.load_pem_private_key(file.read(), None)))

    def run(self, *arguments, environment=None):
        return run("fleetseal-signer", "--config", self.config, *arguments, environment=environment, user=USER)

    def asked_config(self):
        """With us in the server's place."""
        path = os.path.join(self.home, "signer", "asked.toml")
        with open(self.config) as file:
            lines = [line for line in file.read().splitlines() if not line.startswith("server_uid ")]
        with open(path, "w") as file:
            file.write(f"server_uid = {os.geteuid()}\n" + "\n".join(lines) + "\n")
        return path

    def state(self):
        done = self.run("--recovery")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def keep(self, name):
        os.makedirs(os.path.join(self.folder, name))
        for part in self.PARTS:
            copy_tree(os.path.join(self.home, part), os.path.join(self.folder, name, part))

    def go_back(self, name, parts=PARTS):
        for part in parts:
            copy_tree(os.path.join(self.folder, name, part), os.path.join(self.home, part))

    def change(self, one):
        payload = {"changeId": new_id("change"), "sequence": self.state()["registerSequence"] + 1, "changes": [one], "nonce": nonce(),
                   "issued": int(time.time())}
        return self.security.sign("register-change", payload)

    def write(self, name, *jws):
        """A file for the signer, in a folder that its user passes through."""
        path = os.path.join(self.home, "run", name)
        with open(path, "w") as file:
            json.dump({"jws": jws}, file)
        return path

    def mark(self):
        """As `fleetseal restore` leaves it; told once, it is a halt."""
        path = os.path.join(self.home, "signer", "restored")
        with open(path, "w") as file:
            file.write("{}\n")
        if IS_ROOT:
            os.chown(path, USER, USER)
        assert self.state()["isHalted"]

    def continue_words(self, state, is_adopted=False):
        size = state["filesSize"] if is_adopted else state["logSize"]
        floor = max(state["sequenceFloor"], state.get("filesSequence", 0), int(time.time() * 1000))
        return {"action": "continue-after-restore", "haltId": state["haltId"], "logSize": size, "sequenceFloor": floor, "adoptLog": is_adopted,
                "quarantine": []}

    def new_log_words(self, state, is_lost):
        words = {"action": "new-log", "origin": "log.acme.2", "previousOrigin": "log.acme", "previousSize": state["logSize"], "lost": is_lost}
        if state["isHalted"]:
            words["haltId"] = state["haltId"]
        return {**words, "sequenceFloor": int(time.time() * 1000), "reason": "a test"}

    def records_of(self, kind):
        return [record for record in Tree(self.log).records(kind)]


@pytest.fixture(scope="module")
def signer():
    folder = scratch("fleetseal-crash-recover-")
    made = Signer(folder)
    made.keep("fresh")
    yield made
    shutil.rmtree(folder)


def matrix(signer, name, verb, file, check, share, has_log=True, least=3):
    """`check(state)`: of what the signer shows of itself once the decision holds."""
    before = Tree(os.path.join(signer.folder, name, "log")) if has_log else None

    def act(environment=None):
        return signer.run(verb, file, environment=environment)

    def check_point(done, where):
        try:
            if has_log:
                Tree(signer.log).check_extends(before)
            if done.returncode == 0:
                shown = signer.state()
                check(shown)
                assert verb != "--new-log" or shown["newLog"] == json.loads(done.stdout)
            answers = [done.stdout] if done.returncode == 0 else []
            for _ in range(2):
                again = act()
                assert again.returncode == 0, again.stderr
                answers.append(again.stdout)
            check(signer.state())
            if verb != "--replace-security":  # which makes a certificate each time
                assert len(set(answers)) == 1, answers
            if has_log:
                Tree(signer.log).check_extends(before)
        except BaseException:
            print(where)
            raise

    shim = Shim(signer.folder, signer.home)
    visit_all(shim, f"signer {verb}, {name}", lambda: signer.go_back(name), act, check_point, share, least)
    shim.close()


def test_crash_matrix_of_a_decision_after_a_restore(signer):
    signer.go_back("fresh")
    signer.mark()
    signer.keep("restored")
    state = signer.state()
    words = signer.continue_words(state)

    def check(now):
        assert not now["isHalted"] and now["sequenceFloor"] == words["sequenceFloor"]
        assert now["registerSequence"] == state["registerSequence"] + 1
        # The decision and its row are one write.
        assert now["logSize"] == state["logSize"] + 1

    matrix(signer, "restored", "--continue", signer.write("continue.json", signer.change(words)), check, share=32)


@pytest.fixture
def ahead(signer):
    """The log's files are ahead of the database, which is an old copy."""
    signer.go_back("fresh")
    key = Key.p256().jwk()
    change = signer.change({"action": "add-person", "id": "late", "roles": ["auditor"], "products": ["*"], "key": key})
    with Asked(signer, signer.asked_config()) as asked:
        assert "ok" in asked.ask({"verb": "register-change", "jws": [change]})
    signer.go_back("fresh", ["signer"])
    state = signer.state()
    signer.keep("ahead")
    return state


class Asked:
    """The signer, running, with us in the server's place."""

    def __init__(self, signer, config):
        self.socket = os.path.join(signer.home, "run", "signer", "signer.sock")
        read_end, write_end = os.pipe()
        identity = {"user": USER, "group": USER, "extra_groups": [SOCKET_GROUP]} if USER else {}
        self.process = subprocess.Popen([os.path.join(BIN, "fleetseal-signer"), "--config", config, "--ready-fd", str(write_end)],
                                        pass_fds=[write_end], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, **identity)
        os.close(write_end)
        with os.fdopen(read_end) as ready:
            assert ready.readline(), self.process.stderr.read()

    def ask(self, message):
        return ask_socket(self.socket, json.dumps(message).encode())

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.communicate()


def test_crash_matrix_of_a_decision_that_adopts_newer_files(signer, ahead):
    assert ahead["isHalted"] and ahead["filesSize"] == ahead["logSize"] + 1, ahead
    words = signer.continue_words(ahead, is_adopted=True)

    def check(now):
        assert not now["isHalted"] and "logProblem" not in now and "filesProblem" not in now, now
        assert now["logSize"] == ahead["filesSize"] + 1

    matrix(signer, "ahead", "--continue", signer.write("adopt.json", signer.change(words)), check, share=32)


def test_crash_matrix_of_a_new_log(signer):
    signer.go_back("fresh")
    state = signer.state()

    def check(now):
        assert (now["isHalted"], now["logOrigin"], now["newOrigin"]) == (False, "log.acme", "log.acme.2")
        assert "logProblem" not in now, now
        # Two records and the new log are one write.
        assert now["logSize"] == state["logSize"] + 2 and len(signer.records_of("new-log")) == 1

    matrix(signer, "fresh", "--new-log", signer.write("new-log.json", signer.change(signer.new_log_words(state, False))), check, share=32)


@pytest.mark.parametrize("is_halted", [False, True])
def test_crash_matrix_of_a_new_log_for_a_lost_one(signer, is_halted):
    signer.go_back("fresh")
    if is_halted:
        signer.mark()
    # Its files are somebody else's.
    with open(os.path.join(signer.log, "checkpoint"), "w") as file:
        file.write("log.acme\n99\n" + 43 * "A" + "=\n\n")
    name = "lost and halted" if is_halted else "lost"
    signer.keep(name)
    state = signer.state()
    assert state["isHalted"] == is_halted

    def check(now):
        assert now["isHalted"] and now["awaitsPackage"] and now["logOrigin"] == now["newOrigin"] == "log.acme.2", now
        assert now["registerSequence"] == state["registerSequence"] + 1

    file = signer.write("lost.json", signer.change(signer.new_log_words(state, True)))
    matrix(signer, name, "--new-log", file, check, share=16, has_log=False)


@pytest.fixture
def replacement(signer):
    """Signed by two roots: tess follows."""
    signer.go_back("fresh")
    offline = os.path.join(signer.home, "offline")
    folder, file = os.path.join(signer.folder, "tess"), os.path.join(signer.folder, "security.json")
    good("fleetseal", "root", "security-person", "--id", "tess", "--organisation", "acme", "--url", "https://127.0.0.1:9443", "--server-ca",
         os.path.join(signer.home, "identities", "security", "server-ca.crt"), "--folder", folder)
    good("fleetseal", "root", "replace-security", "--package", os.path.join(offline, "root-package-1.json"), "--organisation", "acme", "--sequence",
         str(signer.state()["registerSequence"] + 1), "--person", os.path.join(folder, "person.pub.json"), "--quorum", "1", "-o", file)
    for root in ("root-1", "root-2"):
        good("fleetseal", "root", "replace-security", "--draft", file, "--folder", os.path.join(offline, "roots"), "--root", root, "--passphrase-file",
             os.path.join(offline, "passphrase"), "-o", file)
    with open(file) as opened:
        return signer.write("replacement.json", *json.load(opened)["jws"])


def test_crash_matrix_of_a_replaced_security_team(signer, replacement):
    state = signer.state()

    def check(now):
        assert now["registerSequence"] == state["registerSequence"] + 1 and not now["isHalted"]
        hashes = [record["jwsSha256"] for record in signer.records_of("security-replacement")]
        assert len(set(hashes)) == 1 and len(hashes) <= 2, hashes

    matrix(signer, "fresh", "--replace-security", replacement, check, share=32)
