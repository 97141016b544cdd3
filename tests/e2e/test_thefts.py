"""Trust model section 10, a test a row: the thief has the lab's real keys and tries both columns.

What a theft does not yield is tried on the installer of a lab's device, over the agent's socket, and on the signer; it
leaves trust state, slots, boot choice and files byte for byte as they were. What a theft does yield is shown too: those
are documented limits. Every thief knows what is public: packages, signing-key documents, manifests, proofs, the log.
"""
import itertools
import json
import os
import struct

import pytest
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import serialization

from attacks import refused
from clock import shifted
from documents import DAY, Key, Log, World, b64, b64u, compact, jws, jws_parts, sha256, unb64u
from installer import Installer, Release
from lab import Lab
from services import Services, restart_agent, wait_until
from stolen import Forged, Genuine, LabInstaller, Loot, open_jwe, org, read_public_log, write_log
from taken_over import EnrollingDevice, Person, ServerUser, TakenOverServer
from taken_over import Refused as SignerRefused
from test_recovery_network import cycle, stop_devices
from wrong_server import WrongServer

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to run the programs as their users")
COUNTERS = itertools.count(100)
VERSIONS = itertools.count(2)


@pytest.fixture(scope="module")
def lab():
    made = Lab(devices=4, is_populated=True)
    yield made
    made.down()


@pytest.fixture(scope="module")
def server(lab):
    return TakenOverServer(lab)


@pytest.fixture
def genuine(lab, tmp_path):
    """A new release with an order for a device whose agent is held, as the server has them."""
    def make(device):
        version = f"{next(VERSIONS)}.0.0"
        update = lab.release(version, lab.path(f"genuine-{version}.img", b"genuine" * 3000))
        lab.good("rollout", "start", lab.plan(update, device))
        return Genuine(lab, update, device, tmp_path / f"{device}-{version}")
    return make


def with_consistency(loot, installer, documents):
    """Adds the proof that the log of the documents goes on from the one that the device knows."""
    read_public_log(loot.lab, loot.log)
    size = int(documents["logProof"].split("\n\n")[1].split("\n")[1])
    loot.log.leaves = loot.log.leaves[:size]
    return {**documents, "consistency": loot.log.consistency(installer.state()["checkpoint"]["size"])}


def starts_with(path, content):
    with open(path, "rb") as file:
        return file.read(len(content)) == content


def package_of(installer):
    """The members of the package that the device has."""
    return json.loads(json.loads(json.loads(installer.trust_bytes()))["package"])["protected"]


def authority(server):
    """Here devices took orders and status of a thief, and their receipts show it to the signer at any time: its evidence."""
    return {name: part for name, part in server.authority().items() if name != "suspects"}


def signer_refuses(server, codes, verb, **members):
    before = authority(server)
    with pytest.raises(SignerRefused) as caught:
        server.ask(verb, **members)
    assert caught.value.code in codes, caught.value
    assert authority(server) == before


# --- server -------------------------------------------------------------------------------------------------------------------


def test_theft_of_the_server_yields_delay_and_no_signature_order_enrolment_or_content_key(lab, server):
    content = b"FLEETSEAL-STOLEN-SERVER" * 2000
    update = lab.release(f"{next(VERSIONS)}.0.0", lab.path("server.img", content))
    with LabInstaller(lab, "dev-1") as installer:
        before = installer.fingerprint()
        lab.good("rollout", "start", lab.plan(update, "dev-1"))
        # Does not: what it stores opens for nobody who has the server's folder, and the signer's is closed to its user.
        with ServerUser():
            stored = [os.path.join(folder, name) for folder, _, names in os.walk(os.path.join(org(lab), "server")) for name in names]
            for path in stored:
                with open(path, "rb") as file:
                    assert b"FLEETSEAL-STOLEN-SERVER" not in file.read(), path
            for folder in ("signer", "sealer"):
                with pytest.raises(PermissionError):
                    os.listdir(os.path.join(org(lab), folder))
        digest = b64u(bytes.fromhex(update))
        mine = Person("operator", Key.p256())
        signer_refuses(server, ("PersonUnknown",), "plan", plan=server.plan(digest, person=mine, devices=["dev-2"])[1])
        signer_refuses(server, ("PersonUnknown",), "submit-request", manifest=b64u(b"{}"), request=server.request(b"{}", person=mine))
        signer_refuses(server, ("NotFound",), "orders", planId="plan-of-a-thief", devices=["dev-2"])
        guest = EnrollingDevice("guest-1")
        signer_refuses(server, ("EnrolmentRefused",), "enrol", deviceId="guest-1", csr=b64u(guest.csr), remote="192.0.2.1", proof=guest.proof())
        with server.connect("wrap") as connection, pytest.raises(SignerRefused) as caught:
            connection.ask({"verb": "wrap", "manifestSha256": digest,
                            "devices": [{"deviceId": "dev-1", "generation": 1, "encryptionKey": Key.p256().jwk()}]})
        assert caught.value.code == "PermissionDenied"
        # Yields: it deletes, and the device waits; what comes back later is installed.
        order = Genuine(lab, update, "dev-1", os.path.join(lab.folder, "server-theft"))
        name = unb64u(order.payload()["contents"][0]["sealedSha256"]).hex()
        (path,) = [path for path in stored if path.endswith(name)]
        os.rename(path, path + ".gone")
        assert lab.as_device("dev-1", "GET", "/content/v1/" + name)[0] >= 400
        assert installer.fingerprint() == before
        os.rename(path + ".gone", path)
    wait_until(lambda: starts_with(lab.active_image("dev-1"), content), "the delayed update")


class Withholds:
    """Answers as the right server does, without some members; a document that is asked for alone is not answered."""

    def __init__(self, *members):
        self.members = members

    @staticmethod
    def covers(_path):
        return False

    def edit(self, path, answer):
        if path.startswith("/device/v1/status"):
            return None if "status" in self.members else answer
        if path != "/device/v1/check-in":
            return answer
        return json.dumps({name: value for name, value in json.loads(answer).items() if name not in self.members}).encode()


ORDER = ("order", "manifest", "manifestSignature", "logProof", "consistency")


def test_theft_of_the_server_X1_what_it_withholds_the_device_notices_by_itself():
    lab = Lab(devices=1, is_populated=True)
    services = way = None
    try:
        folder = os.path.join(lab.folder, "clock")
        os.mkdir(folder, 0o755)
        os.chmod(folder, 0o755)
        stop_devices(lab)
        services = Services(lab)
        services.start()
        content = b"withheld" * 3000
        update = lab.release("2.0.0", lab.path("withheld.img", content))
        lab.good("rollout", "start", lab.good("rollout", "plan", "--update", update, "--device", "dev-1", "--valid-seconds", str(25 * DAY))["planId"])
        way = WrongServer(lab)
        restart_agent(lab, "dev-1", way.port)
        way.how = Withholds(*ORDER)
        done = cycle(lab, folder, "dev-1", 0)
        assert done.returncode == 0 and "checked in" in done.stdout and "alarm" not in done.stdout, done.stdout + done.stderr
        services.restart(environment=shifted(folder, 15 * DAY))
        done = cycle(lab, folder, "dev-1", 15 * DAY)
        assert done.returncode == 1 and "(update-withheld)" in done.stdout and "release 2 of acme/pump" in done.stdout, done.stdout + done.stderr
        assert "status-expired" not in done.stdout
        way.how = Withholds("status", *ORDER)
        done = cycle(lab, folder, "dev-1", 17 * DAY)
        assert done.returncode != 0 and "(status-expired)" in done.stdout, done.stdout + done.stderr
        assert not starts_with(lab.active_image("dev-1"), content)
        # What comes after all is taken, and the alarms end.
        way.how = None
        for _ in range(5):
            done = cycle(lab, folder, "dev-1", 15 * DAY)
            if starts_with(lab.active_image("dev-1"), content) and "receipt(s) are with the server" in done.stdout:
                break
        assert done.returncode == 0 and "alarm" not in done.stdout, done.stdout + done.stderr + lab.logs()
    finally:
        if way:
            way.close()
        if services:
            services.kill()
        lab.down()


# --- one key ------------------------------------------------------------------------------------------------------------------


def test_theft_of_the_publisher_key_X4_yields_nothing_alone(lab, genuine):
    loot = Loot(lab, "publisher")
    header = loot.header("manifest", "publisher")
    with LabInstaller(lab, "dev-1") as installer:
        order = genuine("dev-1")
        evil = Forged(loot, installer, b"evil" * 500, next(COUNTERS), "100.0.0", header,
                      director_header=loot.header("order", "publisher"), director=loot.publisher)
        # The key orders nothing, under its own listing or under the director's, and makes no status.
        refused(installer, "RoleNotAllowed", lambda: evil.offer(logProof=order.proof))
        disguised = jws(loot.publisher, loot.header("order", "director"), jws_parts(evil.order)[1])
        refused(installer, "SignatureInvalid", lambda: evil.offer(order=disguised, logProof=order.proof))
        status = jws(loot.publisher, loot.header("status", "publisher"), jws_parts(order.status)[1])
        refused(installer, "RoleNotAllowed", lambda: installer.offer(status=status))
        # A genuine order names another manifest.
        refused(installer, "ManifestHashMismatch", lambda: evil.offer(order=order.order, logProof=order.proof))
        # The very manifest of the order, signed once more by the same key: genuine, and not what stands on the log.
        again = jws(loot.publisher, header, jws_parts(order.signature)[1])
        refused(installer, "LogProofMissing", lambda: installer.offer(**{**order.documents(), "manifestSignature": again}))
        assert "order" in installer.offer(**with_consistency(loot, installer, order.documents()))["accepted"]


def test_theft_of_the_director_key_X4_yields_orders_of_released_updates_and_no_new_software(lab, genuine):
    loot = Loot(lab, "director")
    director = loot.header("order", "director")
    with LabInstaller(lab, "dev-2") as installer:
        order = genuine("dev-2")
        # Does not: new software, under its own listing or under the publisher's.
        evil = Forged(loot, installer, b"evil" * 500, next(COUNTERS), "101.0.0", loot.header("manifest", "director"), publisher=loot.director)
        refused(installer, "RoleNotAllowed", lambda: evil.offer(logProof=order.proof))
        disguised = jws(loot.director, loot.header("manifest", "publisher"), jws_parts(evil.signature)[1])
        refused(installer, "SignatureInvalid", lambda: evil.offer(manifestSignature=disguised, logProof=order.proof))
        # Does not: an older release, whose counter is below what runs; a permit is the publisher's word.
        runs = installer.state()["installed"]["releaseCounter"]
        assert runs == 1
        # Yields: the operator takes the order back, the thief gives it again under a number and a plan of his own.
        payload = {**order.payload(), "orderId": "order-of-a-thief", "planId": "plan-of-a-thief", "sequence": loot.next_sequence()}
        forged = {**order.documents(), "order": jws(loot.director, director, compact(payload))}
        cancel = {**payload, "action": "cancel", "orderId": "order-taken-back", "sequence": payload["sequence"] - 1, "contents": []}
        del cancel["contentKey"]
        installer.offer(order=jws(loot.director, director, compact(cancel)))
        refused(installer, "OrderCancelled", lambda: installer.offer(**order.documents()))
        assert "order" in installer.offer(**with_consistency(loot, installer, forged))["accepted"]
        (wanted,) = payload["contents"]
        sealed = lab.as_device("dev-2", "GET", "/content/v1/" + unb64u(wanted["sealedSha256"]).hex())[2]
        installer.send_content(wanted["fileId"], wanted["sealedSha256"], sealed)
        assert installer.wait_idle()["installed"]["manifestSha256"] == payload["manifestSha256"]
        # Does not: the release before, which the same device had.
        old = Genuine(lab, lab.info["update"]["id"], "dev-2", os.path.join(lab.folder, "old-release"))
        back = jws(loot.director, director, compact({**payload, "manifestSha256": b64u(sha256(old.manifest)), "sequence": loot.next_sequence()}))
        refused(installer, "RollbackRefused", lambda: installer.offer(**{**old.documents(), "order": back}))


def test_theft_of_publisher_and_director_X4_is_refused_for_want_of_a_log_record(lab, genuine):
    loot = Loot(lab, "publisher", "director")
    with LabInstaller(lab, "dev-1") as installer:
        order = genuine("dev-1")
        counter = next(COUNTERS)
        evil = Forged(loot, installer, b"evil" * 500, counter, "102.0.0", loot.header("manifest", "publisher"))
        refused(installer, "LogProofMissing", evil.offer)
        refused(installer, "LogProofMissing", lambda: evil.offer(logProof=order.proof))
        # A log of one's own under the same name; and the true history under a key of one's own.
        refused(installer, "LogProofMissing", lambda: evil.offer(logProof=loot.log.proof(loot.log_signature(evil.signature, evil.manifest, counter))))
        read_public_log(lab, loot.log)
        index = loot.log_signature(evil.signature, evil.manifest, counter)
        proof, chain = loot.log.proof(index), loot.log.consistency(installer.state()["checkpoint"]["size"])
        refused(installer, "LogProofMissing", lambda: evil.offer(logProof=proof, consistency=chain))
        # The true log's signature under the tree of the thief.
        parts = [*proof.split("\n\n")[:2], order.proof.split("\n\n")[2]]
        refused(installer, "SignatureInvalid", lambda: evil.offer(logProof="\n\n".join(parts), consistency=chain))


def test_theft_of_one_root_X4_S1_47_yields_a_word_for_a_key_that_no_package_lists(lab, server, genuine):
    loot = Loot(lab, "root-1")
    mine, friend = Key.p256(), Key.p256()
    with LabInstaller(lab, "dev-1") as installer:
        order = genuine("dev-1")
        now = package_of(installer)
        for kid in ("mine", *now["signingKeys"]):
            word = loot.sjwk(mine, kid, "root-1")
            signature = jws(mine, {"alg": "ES256", "typ": "fleetseal-manifest+jws", "sjwk": word}, jws_parts(order.signature)[1])
            refused(installer, "SigningKeyNotListed", lambda: installer.offer(**{**order.documents(), "manifestSignature": signature}))
            status = jws(mine, {"alg": "ES256", "typ": "fleetseal-status+jws", "sjwk": word}, jws_parts(order.status)[1])
            refused(installer, "SigningKeyNotListed", lambda: installer.offer(status=status))
        listed = {**now["signingKeys"], "mine": {**next(iter(now["signingKeys"].values())), "thumbprint": b64u(mine.thumbprint())}}
        step = {**now, "version": now["version"] + 1, "signingKeys": listed}
        loot.roots.update({"friend": friend, "root-9": loot.roots["root-1"]})
        twins = {**now["rootKeysExt"], "root-9": now["rootKeysExt"]["root-1"]}
        friends = {"root-1": now["rootKeysExt"]["root-1"], "friend": friend.jwk()}
        for protected, signers in ((step, ["root-1"]), (step, ["root-1", "root-1"]), (step, ["root-1", "friend"]),
                                   ({**step, "rootKeysExt": twins}, ["root-1", "root-9"]), ({**step, "rootKeysExt": friends}, ["root-1", "friend"])):
            text = loot.step(protected, signers)
            refused(installer, ("PackageStepInvalid", "AlreadyExists"), lambda: installer.offer(packages=[text]))
            signer_refuses(server, ("PackageStepInvalid", "AlreadyExists"), "publish-package", package=text)


# --- more than one ------------------------------------------------------------------------------------------------------------


def receipts(server, device):
    return [json.loads(jws_parts(text)[1]) for (text,) in server.rows("SELECT compact FROM receipts WHERE device_id = ? ORDER BY number", device)]


def test_theft_of_the_signer_with_all_roles_yields_everything_but_silence(lab, server, tmp_path):
    loot = Loot(lab, "publisher", "director", "log")
    content = b"evil of all roles" * 300
    lab.release(f"{next(VERSIONS)}.0.0", lab.path("before.img", b"before" * 100))
    with open(os.path.join(org(lab), "log", "checkpoint")) as file:
        seen = tmp_path / "checkpoint"
        seen.write_text(file.read())
    with LabInstaller(lab, "dev-3") as installer:
        counter = installer.state()["installed"]["releaseCounter"] + 1
        evil = Forged(loot, installer, content, counter, "103.0.0", loot.header("manifest", "publisher"))
        size = installer.state()["checkpoint"]["size"]
        read_public_log(lab, loot.log)
        index = loot.log_signature(evil.signature, evil.manifest, counter)
        evil.offer(logProof=loot.log.proof(index), consistency=loot.log.consistency(size))
        assert evil.finish()["installed"]["releaseCounter"] == counter
        assert starts_with(lab.active_image("dev-3"), content)
        # The world goes on by the log that it sees.
        update = lab.release(f"{next(VERSIONS)}.0.0", lab.path("after.img", b"after" * 100))
        lab.good("rollout", "start", lab.plan(update, "dev-3"))
    digest = b64u(sha256(evil.manifest))
    # The device finds two histories, and its receipts say what ran, which nobody has approved.
    wait_until(lambda: any(receipt.get("code") == "LogForked" for receipt in receipts(server, "dev-3")), "the device that finds the fork")
    ran = [receipt for receipt in receipts(server, "dev-3") if receipt.get("manifestSha256") == digest]
    assert [receipt["outcome"] for receipt in ran] == ["installed"] and ran[0]["checkpointSize"] == len(loot.log.leaves)
    records = lab.good("audit", "query", "--limit", "1000", "--type", "manifest-signature")["entries"]
    assert digest not in [json.loads(entry["leaf"])["manifestSha256"] for entry in records]
    # A history that was written anew is whole by itself; whoever kept one checkpoint of before sees that it is another.
    rewritten = tmp_path / "log"
    loot.log.leaves[len(loot.log.leaves) // 2 - 20] = compact({"type": "state", "time": 1}).encode()
    write_log(loot.log, rewritten)
    verify = ("audit", "verify", "--log", str(rewritten), "--package", lab.info["root_package"])
    assert lab.good(*verify)["size"] == len(loot.log.leaves)
    lab.refused("LogForked", *verify, "--known", str(seen))
    assert lab.good("audit", "verify", "--known", str(seen))["knownSize"] == int(seen.read_text().split("\n")[1])


def test_theft_of_k_roots_yields_everything_and_only_provisioning_anew_helps(lab, genuine):
    """docs/operations/lost-root.md says so: the owner's own next package is refused afterwards."""
    loot, owner, thief = Loot(lab, "root-1", "root-2"), Loot(lab, "root-1", "root-2", "root-3"), Loot(lab)
    with LabInstaller(lab, "dev-4") as installer:
        now = package_of(installer)
        version, thief.epoch = now["version"] + 1, now["directorEpoch"] + 1
        thief.log, thief.roots = Log("log.thief"), {kid: Key.p256() for kid in ("thief-1", "thief-2")}
        loot.roots.update(thief.roots)
        step = {**now, "version": version, "directorEpoch": thief.epoch, "rootKeysExt": {kid: key.jwk() for kid, key in thief.roots.items()},
                "signingKeys": {role + "-1": thief.listing(getattr(thief, role), role, products)
                                for role, products in (("publisher", ["acme/pump"]), ("director", []))},
                "logs": [{"origin": "log.thief", "vkeys": [thief.log.package_vkey()], "witnesses": [], "quorum": "none"}]}
        installer.offer(packages=[loot.step(step, ["root-1", "root-2", "thief-1", "thief-2"])])
        header = {role: {"alg": "ES256", "sjwk": thief.sjwk(getattr(thief, role), role + "-1", "thief-1")} for role in ("publisher", "director")}
        installer.offer(status=jws(thief.director, {**header["director"], "typ": "fleetseal-status+jws"}, compact({
            "epoch": thief.epoch, "version": 1, "issued": thief.now, "expires": thief.now + DAY, "packageVersion": version,
            "packageSha256": b64u(sha256(compact(step))), "withdrawn": [], "newest": {}})))
        content = b"evil of k roots" * 300
        counter = next(COUNTERS)
        evil = Forged(thief, installer, content, counter, "105.0.0", {**header["publisher"], "typ": "fleetseal-manifest+jws"},
                      {**header["director"], "typ": "fleetseal-order+jws"}, packageVersion=version)
        evil.offer(logProof=thief.log.proof(thief.log_signature(evil.signature, evil.manifest, counter)), consistency=[])
        assert evil.finish()["installed"]["releaseCounter"] == counter and starts_with(lab.active_image("dev-4"), content)
        # No word of the owner reaches the device any more: not a package by all roots, not a status, not an order.
        last = owner.step({**now, "version": version + 1}, ["root-1", "root-2", "root-3"])
        refused(installer, "PackageStepInvalid", lambda: installer.offer(packages=[last]))
        order = genuine("dev-4")
        refused(installer, "UnknownRootKid", lambda: installer.offer(status=order.status))
        refused(installer, "UnknownRootKid", lambda: installer.offer(**order.documents()))


# --- who carries --------------------------------------------------------------------------------------------------------------


def test_theft_of_the_agent_yields_delay_and_no_order_receipt_or_content(lab, server, genuine):
    with open(lab.device("dev-1")["key"], "rb") as file:
        identity = Key(serialization.load_pem_private_key(file.read(), None))
    with LabInstaller(lab, "dev-1") as installer:
        order = genuine("dev-1")
        payload = {**order.payload(), "sequence": order.payload()["sequence"] + 1}
        for more, code in (({"kid": identity.kid()}, "HeaderNotAllowed"), ({"sjwk": Loot(lab).genuine_sjwk("director")}, "SignatureInvalid")):
            mine = jws(identity, {"alg": "ES256", "typ": "fleetseal-order+jws", **more}, compact(payload))
            refused(installer, (code, "MemberMissing"), lambda: installer.offer(**{**order.documents(), "order": mine}))
        last = server.rows("SELECT compact FROM receipts WHERE device_id = 'dev-1' ORDER BY number DESC LIMIT 1")[0][0]
        told = json.loads(jws_parts(last)[1])
        receipt = jws(identity, {"alg": "ES256", "typ": "fleetseal-receipt+jws", "kid": identity.kid()},
                      compact({**told, "number": told["number"] + 1, "previous": b64u(sha256(last))}))
        count = len(receipts(server, "dev-1"))
        status, _, body = lab.as_device("dev-1", "POST", "/device/v1/receipts", {"receipts": [receipt]})
        assert status == 200 and json.loads(body)["results"][0]["accepted"] is False and len(receipts(server, "dev-1")) == count
        (wanted,) = payload["contents"]
        sealed = lab.as_device("dev-1", "GET", "/content/v1/" + unb64u(wanted["sealedSha256"]).hex())[2]
        assert b64u(sha256(sealed)) == wanted["sealedSha256"] and b"genuinegenuine" not in sealed
        with pytest.raises(InvalidTag):
            open_jwe(identity, payload["contentKey"])
        with pytest.raises(PermissionError):
            installer.as_agent(lambda: os.listdir(os.path.join(installer.folder, "state")))
        # Yields: delay. It throws the order away before the switch; a new one is carried out.
        before = installer.active_image()
        installer.offer(**with_consistency(Loot(lab), installer, order.documents()))
        installer.ask({"verb": "abort-before-switch"})
        assert installer.state()["phase"] == "idle" and installer.active_image() == before
    update = lab.release(f"{next(VERSIONS)}.0.0", lab.path("late.img", b"late" * 100))
    assert lab.watch(lab.roll_out(update, "dev-1"))["dev-1"] == "installed"


def vkey(name, key, kind):
    raw = key.public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return f"{name}+{sha256(name.encode() + bytes([10, kind]) + raw)[:4].hex()}+{b64u(bytes([kind]) + raw)}"


def cosigned(note, witnesses, now):
    """The note with the witnesses' lines (C2SP tlog-cosignature)."""
    text = note.split("\n\n")[0] + "\n"
    for name, key in witnesses.items():
        raw = key.public.public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
        signature = key.sign(f"cosignature/v1\ntime {now}\n{text}")
        note += f"\u2014 {name} {b64(sha256(name.encode() + bytes([10, 4]) + raw)[:4] + struct.pack('>Q', now) + signature)}\n"
    return note


def test_theft_of_one_witness_or_cache_yields_delay_and_ciphertext(tmp_path):
    world = World()
    installer = Installer(world, tmp_path)
    try:
        witnesses = {name: Key.ed25519() for name in ("witness.one", "witness.two")}
        logs = [{"origin": world.log.origin, "vkeys": [world.log.package_vkey()],
                 "witnesses": [vkey(name, key, 4) for name, key in witnesses.items()], "quorum": 2}]
        installer.offer(packages=[world.package(2, logs=logs)])

        def release(content, counter):
            made = Release(world, installer, content, counter=counter, version=f"{counter}.0.0", sequence=counter)
            made.status = world.status(version=10 + counter, package_version=2, packageSha256=world.package_sha256(2, logs=logs))
            return made

        def proof(index, signing):
            body, note = world.log.proof(index).split("\n\n", 1)
            return body + "\n\n" + cosigned(note, signing, world.now)

        first = release(b"one" * 50_000, 1)
        installer.offer(status=first.status)
        # One stolen witness signs as often as it likes, under its own name or the other's.
        alone = {"witness.one": witnesses["witness.one"]}
        twice = proof(first.index, alone) + cosigned(world.log.checkpoint(), alone, world.now + 1).split("\n\n")[1].split("\n", 1)[1]
        lying = {**alone, "witness.two": witnesses["witness.one"]}
        for text in (proof(first.index, {}), proof(first.index, alone), twice, proof(first.index, lying)):
            refused(installer, ("QuorumMissing", "SignatureInvalid"), lambda: first.offer(status=None, logProof=text))
        first.offer(status=None, logProof=proof(first.index, witnesses))
        # A cache that alters, cuts or swaps sealed bytes: the bytes are ciphertext, and nothing is switched.
        before = {name: value for name, value in installer.fingerprint().items() if name.endswith("active")}
        assert b"oneone" not in first.sealed
        flipped = bytearray(first.sealed)
        flipped[70_000] ^= 1
        with pytest.raises(Exception, match="DecryptFailed|FileHashMismatch"):
            installer.send_content(first.file_id, first.sealed_sha256, bytes(flipped))
        assert {name: value for name, value in installer.fingerprint().items() if name.endswith("active")} == before
        again = release(b"one" * 50_000, 2)
        again.offer(logProof=proof(again.index, witnesses))
        # Withheld in the middle: the file is wanted again, and comes later.
        with pytest.raises(Exception, match="Truncated"):
            installer.send_content(again.file_id, again.sealed_sha256, again.sealed[:100_000])
        assert installer.state()["phase"] == "accepted"
        old = world.log.checkpoint()
        installer.send_content(again.file_id, again.sealed_sha256, again.sealed)
        assert installer.wait_idle()["installed"]["releaseCounter"] == 2
        # An old checkpoint proves nothing about what came after it.
        third = release(b"three", 3)
        body = world.log.proof(third.index).split("\n\n", 1)[0]
        installer.offer(status=third.status)
        refused(installer, ("LogProofMissing", "ValueOutOfRange"), lambda: third.offer(
            status=None, logProof=body + "\n\n" + cosigned(old, witnesses, world.now)))
    finally:
        installer.stop()
