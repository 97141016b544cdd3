"""docs/operations/lost-security-keys.md and lost-log.md, run as printed; what a lost key and the log that was left are worth afterwards."""
import json
import os
import re
import shutil
import time

import pytest
from cryptography.hazmat.primitives import serialization

from documents import Key, jws_parts
from lab import Lab
from runbook import Runbook
from taken_over import Person, Refused, TakenOverServer
from test_drills_keys import package, runs
from test_drills_restore import Organisation

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to run the programs as their users")
DAY = 86_400


@pytest.fixture
def lab():
    made = Lab(devices=1)
    yield made
    made.down()


@pytest.fixture
def organisation(lab):
    made = Organisation(lab)
    yield made
    made.stop()


def holder(folder, name):
    """What a thief of that folder is."""
    with open(os.path.join(folder, "person.key"), "rb") as file:
        return Person(name, Key(serialization.load_pem_private_key(file.read(), None)))


def weaker():
    return {"action": "set-policy", "policy": {"policyId": "policy-none", "product": "acme/pump", "approvals": 0, "delivery": "sealed",
                                               "environments": ["production"], "reviewBy": int(time.time()) + DAY}}


def signed_by(server, *people):
    first = server.change([weaker()], person=people[0])
    payload = json.loads(jws_parts(first)[1])
    return [first] + [person.sign("register-change", payload) for person in people[1:]]


def counting(lab, *arguments):
    answer = lab.good("user", "list", *arguments)
    return {person["id"] for person in answer["people"] if person["securityKey"]}, answer["securityQuorum"]


def refused(server, *people):
    """Whoever signs, through a server that was taken over: the register stays as it is."""
    before = server.fingerprint()
    with pytest.raises(Refused, match="QuorumNotReached"):
        server.ask("register-change", jws=signed_by(server, *people))
    assert server.fingerprint() == before


def test_drill_lost_security_keys(lab, organisation):
    places = {"/var/lib/fleetseal": organisation.data, "https://fleet.example:9443": lab.info["admin_url"]}
    book = Runbook(lab, "docs/operations/lost-security-keys.md", places)
    identities = os.path.dirname(os.path.dirname(lab.info["identities"]["security"]["cert"]))
    shutil.copy(os.path.join(identities, "security", "server-ca.crt"), book.path("server-ca.crt"))
    assert "2 of 3 security keys decide: security, tina, ugo" in book.run("team")
    assert counting(lab) == ({"security", "tina", "ugo"}, 2)
    tina = holder(book.path("tina"), "tina")
    security = holder(os.path.join(identities, "security"), "security")
    # Her key is stolen, and counts nowhere afterwards.
    assert "2 of 3 security keys decide: security, ugo, vera" in book.run("some")
    assert counting(lab) == ({"security", "ugo", "vera"}, 2)
    server = TakenOverServer(lab)
    refused(server, tina)
    refused(server, security, tina)
    ugo, vera = (holder(book.path(name), name) for name in ("ugo", "vera"))
    # A thief has the quorum, and nobody else's approval is needed any more.
    server.ask("register-change", jws=signed_by(server, ugo, vera))
    book.run("members")
    organisation.end_the_labs()
    number = json.loads(book.run("stopped"))["registerSequence"]
    book.names["--sequence 7"] = f"--sequence {number + 1}"
    for block in ("roots", "publish"):
        book.run(block)
    organisation.start()
    told = book.run("after")
    book.done()
    assert "2 of 3 security keys decide: tess, uma, vic" in told, told
    assert counting(lab, "--as", book.path("tess")) == ({"tess", "uma", "vic"}, 2)
    for thieves in ((security, ugo), (ugo, vera), (security, ugo, vera, tina)):
        refused(TakenOverServer(lab), *thieves)
    lab.refused("QuorumNotReached", "policy", "set", "--product", "acme/pump", "--approvals", "2", "--as", book.path("uma"))
    lab.good("policy", "set", "--product", "acme/pump", "--approvals", "2", "--as", book.path("uma"), "--also-signed-by", book.path("vic"))
    content = b"one" * 5000
    update = lab.release("1.0.0", lab.path("one.img", content))
    assert lab.watch(lab.roll_out(update, "dev-1")) == {"dev-1": "installed"}
    assert runs(lab, "dev-1", content)


def test_drill_lost_log(lab, organisation):
    kept = lab.release("1.0.0", lab.path("one.img", b"one" * 5000))
    book = Runbook(lab, "docs/operations/lost-log.md", {"/var/lib/fleetseal": organisation.data})
    organisation.end_the_labs()
    shutil.rmtree(os.path.join(organisation.data, "log"))
    assert "log" in book.run("look")
    made = book.run("leave")
    key = re.search(r"log\.acme\.2\+[0-9a-f]{8}\+[A-Za-z0-9+/=]+", made)
    assert key, made
    book.names["log.acme.2+0123abcd+KEY"] = key.group(0)
    book.run("holders")
    organisation.start()
    assert lab.run("rollout", "plan", "--update", kept, "--device", "dev-1").refusal == "SignerHalted"
    book.run("publish")
    assert "log.acme.2" in book.run("after")
    book.done()
    # The release of before is on the new log, and the device takes it from there.
    assert lab.watch(lab.roll_out(kept, "dev-1")) == {"dev-1": "installed"}
    trust = lab.trust()
    assert trust["package"] == package(book, 2) and list(trust["checkpoints"]) == ["log.acme.2"], trust["checkpoints"]
