"""Crash matrices of the signer: permits, what is decided about plans, orders that cancel, renewed certificates, statuses.

As test_crash_signer.py: one recorded message on the data as it was before it, killed or failed at every call that changes a file.
"""
import json
import os
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from documents import Key, b64u, jws_parts, sha256, unb64u
from recorded import RecordedLab
from replay import Case, good, records_of, run
from taken_over import DAY, TakenOverServer, make_csr

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to run the programs as their users")


def payload_of(compact):
    return json.loads(jws_parts(compact)[1])


class Scene:
    """dev-1 runs 2.0.0; 1.0.0 is there to go back to; each step below was recorded on the good day."""

    def __init__(self):
        self.recorded = recorded = RecordedLab(())
        recorded.services.start()
        self.lab = lab = recorded.lab
        self.people = TakenOverServer(lab)
        self.releases = [self.installed(version) for version in ("1.0.0", "2.0.0")]
        recorded.services.stop("server")
        self.ask_for_permits()
        self.decide_about_a_plan()
        self.renew()
        recorded.record("status", verb="status")
        recorded.record("status with a nonce", verb="status", nonce=b64u(os.urandom(16)))
        self.withdraw()
        recorded.services.stop()

    def installed(self, version):
        """Release counter and manifest hash of an update that dev-1 runs now."""
        lab = self.lab
        update = lab.release(version, lab.path(version + ".img", os.urandom(20_000)))
        lab.roll_out(update, "dev-1")
        assert self.recorded.device_cycle().returncode == 0
        (row,) = [row for row in lab.good("update", "list")["updates"] if row["id"] == update]
        return row["releaseCounter"], b64u(bytes.fromhex(update))

    def ask_for_permits(self):
        older, newer = self.releases
        record = self.recorded.record
        asked = record("request-permit", verb="request-permit", request=self.people.permit_request(newer, older))
        record("approve-permit, one of two", verb="approve-permit", approval=self.people.permit_approval(asked, "approver1"))
        signed = record("approve-permit, the last", verb="approve-permit", approval=self.people.permit_approval(asked, "approver2"))
        assert signed["state"] == "signed" and asked["state"] == "waiting"
        other = self.recorded.ask(verb="request-permit", request=self.people.permit_request(newer, older))
        record("approve-permit, a no", verb="approve-permit",
               approval=self.people.permit_approval(other, "approver1", decision="reject", reason="a test"))
        none_needed = {"policyId": "policy-none", "product": "acme/pump", "approvals": 0, "delivery": "sealed", "environments": ["production"],
                       "reviewBy": int(time.time()) + DAY}
        self.recorded.ask(verb="register-change", jws=[self.people.change([{"action": "set-policy", "policy": none_needed}])])
        at_once = record("request-permit, no approval needed", verb="request-permit", request=self.people.permit_request(newer, older))
        assert at_once["state"] == "signed"

    def decide_about_a_plan(self):
        record = self.recorded.record
        self.plan, plan = self.people.plan(self.releases[1][1], devices=["dev-1"])
        self.recorded.ask(verb="plan", plan=plan)
        (self.order,) = self.recorded.ask(verb="orders", planId=self.plan, devices=["dev-1"])["orders"]
        for action in ("suspend", "resume", "cancel"):
            record(f"revoke, {action} a plan", verb="revoke", revocation=self.people.revocation("plan", self.plan, action, "operator"))
        record("cancel-orders", verb="cancel-orders", planId=self.plan, devices=["dev-1"])

    def renew(self):
        paths = self.lab.device("dev-1")
        with open(paths["key"], "rb") as file:
            self.csr = make_csr("dev-1", Key(serialization.load_pem_private_key(file.read(), None)))
        with open(paths["cert"], "rb") as file:
            current = x509.load_pem_x509_certificate(file.read()).public_bytes(serialization.Encoding.DER)
        self.recorded.record("reenrol", **self.renewal(current))

    def renewal(self, current):
        return {"verb": "reenrol", "deviceId": "dev-1", "csr": b64u(self.csr), "current": b64u(current)}

    def withdraw(self):
        self.recorded.record("revoke, withdraw an update", verb="revoke",
                             revocation=self.people.revocation("manifest", self.releases[0][1], "withdraw", "publisher"))
        self.recorded.record("revoke, a person", verb="revoke", revocation=self.people.revocation("person", "approver1", "revoke", "security"))


@pytest.fixture(scope="module")
def scene():
    made = Scene()
    yield made
    made.recorded.close()


class PermitCase(Case):
    """Request and approvals of a permit write their record first; so one that was not answered may stand there twice."""
    recorded_once = ("manifest-signature", "order")

    def check_running(self, replay, answers):
        last = answers[-1]["ok"]
        assert replay.ask({"verb": "show-permit", "permitId": last["permitId"]})["ok"] == last

    def check_log(self, tree, answers):
        for kind in ("request", "approval"):
            hashes = [record["jwsSha256"] for record in tree.records(kind)]
            assert all(hashes.count(value) <= 2 for value in hashes), (kind, hashes)
        for answer in answers:
            if good(answer) and "permit" in answer["ok"]:
                assert records_of(tree, "permit", answer["ok"]["permit"]) == [answer["ok"]["logIndex"]]


PERMITS = ("request-permit", "approve-permit, one of two", "approve-permit, the last", "approve-permit, a no", "request-permit, no approval needed")


@pytest.mark.parametrize("name", PERMITS)
def test_S0_4_crash_matrix_of_a_permit(scene, name):
    run(scene.recorded, scene.recorded.step(name), "signer", PermitCase(), share=32)


class PlanCase(Case):
    def __init__(self, plan, state):
        self.plan, self.state = plan, state

    def check_running(self, replay, answers):
        states = {row["planId"]: row["state"] for row in replay.ask({"verb": "plans"})["ok"]["plans"]}
        assert states[self.plan] == self.state


@pytest.mark.parametrize("action, state", [("suspend", "paused"), ("resume", "active"), ("cancel", "cancelled")])
def test_crash_matrix_of_a_word_about_a_plan(scene, action, state):
    run(scene.recorded, scene.recorded.step(f"revoke, {action} a plan"), "signer", PlanCase(scene.plan, state), share=32)


class CancelCase(Case):
    """The order that voids another has the number after it, whatever happened; it is made and recorded once."""

    def __init__(self, order):
        self.sequence = order["sequence"] + 1

    def check_running(self, replay, answers):
        (cancel,) = answers[-1]["ok"]["orders"]
        words = payload_of(cancel["order"])
        assert (words["action"], words["sequence"], cancel["sequence"]) == ("cancel", self.sequence, self.sequence)

    def check_log(self, tree, answers):
        (cancel,) = answers[-1]["ok"]["orders"]
        assert [record["jwsSha256"] for record in tree.records("order") if record["sequence"] == self.sequence] == [b64u(sha256(cancel["order"]))]


def test_crash_matrix_of_the_orders_that_cancel(scene):
    run(scene.recorded, scene.recorded.step("cancel-orders"), "signer", CancelCase(scene.order), share=16)


class RenewalCase(Case):
    """Each certificate that the device was given is on the log, and with each it is renewed again; the register names the last one."""
    is_repeated = False

    def __init__(self, scene):
        self.scene = scene
        self.given = []

    def check_running(self, replay, answers):
        self.given = [unb64u(answer["ok"]["certificate"]) for answer in answers if good(answer)]
        (device,) = [row for row in replay.ask({"verb": "devices"})["ok"]["devices"] if row["id"] == "dev-1"]
        assert (device["state"], device["certificateSha256"]) == ("active", b64u(sha256(self.given[-1])))
        for certificate in self.given:
            assert x509.load_der_x509_certificate(certificate).public_bytes(serialization.Encoding.DER) == certificate
            assert good(replay.ask(self.scene.renewal(certificate)))

    def check_log(self, tree, answers):
        recorded = [record["certificateSha256"] for record in tree.records("certificate")]
        for certificate in self.given:
            assert recorded.count(b64u(sha256(certificate))) == 1


def test_crash_matrix_of_a_renewed_certificate(scene):
    run(scene.recorded, scene.recorded.step("reenrol"), "signer", RenewalCase(scene), share=24)


class StatusCase(Case):
    """No version is given twice for other bytes, and none is lower than one that was given."""
    is_repeated = False

    def check_running(self, replay, answers):
        given = [answer["ok"]["status"] for answer in answers if good(answer)]
        versions = [payload_of(status)["version"] for status in given]
        assert versions == sorted(versions) and len(set(versions)) == len(set(given)), versions


@pytest.mark.parametrize("name", ["status", "status with a nonce"])
def test_crash_matrix_of_a_status(scene, name):
    run(scene.recorded, scene.recorded.step(name), "signer", StatusCase(), share=12)


class WithdrawnCase(Case):
    def __init__(self, manifest):
        self.manifest = manifest

    def check_running(self, replay, answers):
        assert payload_of(replay.ask({"verb": "status"})["ok"]["status"])["withdrawn"] == [self.manifest]


def test_crash_matrix_of_a_withdrawal(scene):
    run(scene.recorded, scene.recorded.step("revoke, withdraw an update"), "signer", WithdrawnCase(scene.releases[0][1]), share=32)


class GoneCase(Case):
    def check_running(self, replay, answers):
        states = {person["id"]: person["state"] for person in replay.ask({"verb": "people"})["ok"]["people"]}
        assert states["approver1"] == "revoked" and states["approver2"] == "active"


def test_crash_matrix_of_a_person_who_is_revoked(scene):
    run(scene.recorded, scene.recorded.step("revoke, a person"), "signer", GoneCase(), share=32)
