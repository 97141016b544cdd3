"""The organisation of the refusal corpus: fixed keys, a fixed time, its packages, releases, log, orders and trust states.

Everything is made by documents.py, which knows nothing of the product, and comes out the same each time.
"""
import json

import documents
from corpus_keys import FixedKey, stream
from documents import DAY, b64, b64u, compact, jws, sha256

NOW = 1_795_320_000
HOUR = 3600
FILE_ID = "f" + "0" * 15 + "1"
DEVICE = "dev-1"
ENCRYPTION_KEY = FixedKey.p256("encryption key of dev-1")

MANIFEST_TYP, STATUS_TYP = "fleetseal-manifest+jws", "fleetseal-status+jws"
ORDER_TYP, PERMIT_TYP, SJWK_TYP = "fleetseal-order+jws", "fleetseal-permit+jws", "fleetseal-signing-key+jws"


class FixedLog(documents.Log):
    def __init__(self, origin, witness=None):
        super().__init__(origin)
        self.key = FixedKey.ed25519(f"log {origin}")
        self.witness = witness

    def copy(self):
        other = FixedLog(self.origin, self.witness)
        other.leaves = list(self.leaves)
        return other

    def root(self):
        return documents.tree_root(self.hashes())


class Witness:
    """C2SP tlog-cosignature, version 1."""

    def __init__(self, name):
        self.name = name
        self.key = FixedKey.ed25519(f"witness {name}")
        self.raw = documents.Log.raw_public(self)
        self.key_id = sha256(name.encode() + b"\n\x04" + self.raw)[:4]

    def package_vkey(self):
        return f"{self.name}+{self.key_id.hex()}+{b64u(bytes([4]) + self.raw)}"

    def cosign(self, checkpoint, time):
        body = checkpoint[:checkpoint.index("\n\n") + 1]
        signature = self.key.sign(f"cosignature/v1\ntime {time}\n{body}")
        return checkpoint + f"\u2014 {self.name} {b64(self.key_id + time.to_bytes(8, 'big') + signature)}\n"


class Release:
    def __init__(self, world, version, counter, is_logged=True, **signature):
        self.content = f"firmware {version}".encode()
        self.counter = counter
        self.version = version
        self.manifest = world.manifest(self.content, version)
        self.sha256 = sha256(self.manifest)
        self.signature = world.manifest_signature(self.manifest, counter, **signature)
        self.index = world.log_signature(self.signature, self.manifest, counter) if is_logged else None
        self.update_key = stream(f"update key {version}", 32)
        self.sealed = documents.seal(self.content, self.update_key, self.sha256, FILE_ID, stream(f"seal {version}", 16))
        self.content_key = world.content_key(self.manifest, self.update_key)

    def contents(self, **changes):
        return [{"fileId": FILE_ID, "sealedSha256": b64u(sha256(self.sealed)), "sealedSize": len(self.sealed), **changes}]

    def point(self):
        return {"releaseCounter": self.counter, "manifestSha256": b64u(self.sha256)}


class Organisation(documents.World):
    """acme: three roots of which two sign, one root that is disabled, an RSA root, and keys of every kind that can be wrong."""

    def __init__(self):
        self.now = NOW
        self.organisation, self.product = "acme", "acme/pump"
        self.threshold, self.epoch, self.status_version = 2, 2, 0
        self.roots = {f"root-{number}": FixedKey.p256(f"root {number}") for number in range(1, 5)}
        self.rsa_root = FixedKey.rsa("root 5")
        self.publisher = FixedKey.p256("publisher 1")
        self.director = FixedKey.p256("director 1")
        self.keys = {"publisher-1": self.publisher, "director-1": self.director, "publisher-rsa": FixedKey.rsa("publisher rsa"),
                     "publisher-rsa-disabled": FixedKey.rsa("publisher rsa disabled")}
        for kid in ("next", "valve", "expired", "future", "disabled", "pq", "rs256", "unlisted"):
            self.keys[f"publisher-{kid}"] = FixedKey.p256(f"publisher {kid}")
        for kid in ("agent-1", "agent-expired", "director-2", "director-3", "director-9"):
            self.keys[kid] = FixedKey.p256(kid)
        self.log = FixedLog("log.acme")
        self.witness = Witness("witness.example")
        self.witnessed = FixedLog("log.witnessed", self.witness)
        self.disabled_roots = ["root-4"]
        self.disabled_keys = [self.disabled("publisher-disabled"), self.disabled("publisher-rsa-disabled"), self.disabled("director-2")]
        self.min_counter = {"acme:pump": 2}
        self.listings = self.make_listings()
        self.make_releases()

    def disabled(self, kid):
        return {"alg": "SHA256", "hash": b64u(self.keys[kid].disabled_hash())}

    def listed(self, kid, role="publisher", products=("acme/pump",), before=-HOUR, after=30 * DAY, **changes):
        return {**self.listing(self.keys[kid], role, list(products), before, after), **changes}

    def make_listings(self):
        return {
            "publisher-1": self.listed("publisher-1"),
            "publisher-next": self.listed("publisher-next"),
            "publisher-valve": self.listed("publisher-valve", products=["acme/valve"]),
            "publisher-expired": self.listed("publisher-expired", before=-30 * DAY, after=0),
            "publisher-future": self.listed("publisher-future", before=1),
            "publisher-disabled": self.listed("publisher-disabled"),
            "publisher-pq": self.listed("publisher-pq", pq={"alg": "ML-DSA-65"}),
            "publisher-rsa": self.listed("publisher-rsa"),
            "publisher-rsa-disabled": self.listed("publisher-rsa-disabled"),
            "publisher-rs256": self.listed("publisher-rs256", alg="RS256"),
            "agent-1": self.listed("agent-1", "agent-release"),
            "director-1": self.listed("director-1", "director", []),
            "director-2": self.listed("director-2", "director", []),
        }

    def make_releases(self):
        self.releases = {counter: Release(self, f"{counter}.0.0", counter) for counter in (1, 2, 3)}
        self.log_at_3 = self.log.copy()
        self.releases[4] = Release(self, "4.0.0", 4)
        self.releases[5] = Release(self, "5.0.0", 5)  # withdrawn
        self.releases[6] = Release(self, "4.0.1", 4)  # other bytes under the counter of release 4
        self.other_3 = Release(self, "3.0.1", 3)  # the same of release 3
        self.clear_4 = Release(self, "4.1.0", 4, delivery="clear")

    # --- documents -----------------------------------------------------------------------------------------------------

    def protected(self, version=1, **changes):
        logs = [{"origin": self.log.origin, "vkeys": [self.log.package_vkey()], "witnesses": [], "quorum": "none"},
                {"origin": self.witnessed.origin, "vkeys": [self.witnessed.package_vkey()],
                 "witnesses": [self.witness.package_vkey()], "quorum": 1}]
        n = self.rsa_root.jwk()["n"]
        return super().protected(version, **{"published": NOW - HOUR, "logs": logs,
                                             "rootKeys": {"root-5": {"keyType": "RSA", "n": n, "e": 65537}}, **changes})

    def sign_package(self, protected, signers=("root-1", "root-2"), keys=None):
        """`protected` is the text that is signed, as it stands."""
        keys = {**self.roots, "root-5": self.rsa_root, **(keys or {})}
        signatures = [{"kid": kid, "alg": keys[kid].alg, "sig": b64u(keys[kid].sign(protected))} for kid in signers]
        return '{"protected":' + protected + ',"signatures":[],"signaturesExt":' + compact(signatures) + "}"

    def package(self, version=1, signers=("root-1", "root-2"), keys=None, **changes):
        return self.sign_package(compact(self.protected(version, **changes)), signers, keys)

    def small(self, version=2, **changes):
        """`protected` of a package that lists no more than is needed to be one."""
        listings = {kid: self.listings[kid] for kid in ("publisher-1", "director-1")}
        disabled = [self.disabled("publisher-disabled")]
        return self.protected(version, **{"signingKeys": listings, "disabledSigningKeys": disabled, **changes})

    def small_package(self, version=2, signers=("root-1", "root-2"), keys=None, **changes):
        return self.sign_package(compact(self.small(version, **changes)), signers, keys)

    def package_2(self):
        """The rotation: director-1's listing has ended, director-3 follows."""
        listings = {kid: listing for kid, listing in self.listings.items() if not kid.startswith("director")}
        listings["director-1"] = self.listed("director-1", "director", [], after=0)
        listings["director-3"] = self.listed("director-3", "director", [])
        return {"published": NOW - 60, "signingKeys": listings}

    def key_document(self, kid, root="root-1", key=None, alg=None, **changes):
        """The sjwk of a key of ours."""
        key = key or self.keys[kid]
        root_key = self.rsa_root if root == "root-5" else self.roots[root]
        header = {"alg": root_key.alg, "kid": root, "typ": SJWK_TYP}
        return jws(root_key, header, compact({**key.jwk(kid=kid, alg=alg or key.alg), **changes}))

    def signed(self, typ, payload, kid, header=None, key=None, sjwk=None):
        """`payload` is the text that is signed, as it stands; `header` changes members, None takes one out."""
        key = key or self.keys[kid]
        full = {"alg": key.alg, "typ": typ, "sjwk": sjwk or self.key_document(kid), **(header or {})}
        full = {name: value for name, value in full.items() if value is not None}
        return jws(key, full, payload if isinstance(payload, (str, bytes)) else compact(payload))

    def content_key(self, manifest, update_key, device=DEVICE, generation=1):
        binding = {"deviceId": device, "generation": generation, "manifestSha256": b64u(sha256(manifest))}
        name = f"content key {compact(binding)}"
        return documents.jwe(ENCRYPTION_KEY.public, update_key, binding, FixedKey.p256(name).private, stream(name, 12))

    def status_payload(self, version=11, package_version=1, package_sha256=None, **changes):
        return {"epoch": self.epoch, "version": version, "issued": NOW - 5, "expires": NOW + HOUR,
                "packageVersion": package_version, "packageSha256": package_sha256 or self.package_sha256(1),
                "withdrawn": [b64u(self.releases[5].sha256)], "newest": {"acme/pump": {"production": 5}}, **changes}

    def order_payload(self, release, sequence=100, **changes):
        return {"orderId": f"order-{sequence}", "action": "install", "deviceId": DEVICE, "generation": 1, "epoch": self.epoch,
                "sequence": sequence, "issued": NOW - 5, "expires": NOW + DAY, "packageVersion": 1, "planId": "plan-1",
                "manifestSha256": b64u(release.sha256), "contents": release.contents(), "contentKey": release.content_key,
                "reboot": "now", **changes}

    def cancel_payload(self, release, sequence, **changes):
        payload = self.order_payload(release, sequence, action="cancel", contents=[], **changes)
        del payload["contentKey"]
        return payload

    def signature_payload(self, release, **changes):
        return {"sha256": b64(release.sha256), "product": self.product, "releaseCounter": release.counter,
                "audience": "urn:fleetseal:acme", "delivery": "sealed", "issued": NOW - 10, **changes}

    def permit_payload(self, start, end, permit_id="permit-2", **changes):
        return {"permitId": permit_id, "product": self.product, "from": start.point(), "to": end.point(), "deviceIds": [DEVICE],
                "issued": NOW - 60, "expires": NOW + DAY, **changes}

    def proof(self, release, log=None):
        return (log or self.log).proof(release.index)

    def order_documents(self, release, log=None, known=0, kid="director-1", **order):
        """What belongs to one order: the log's proof, and the consistency from a tree that the device knows."""
        log = log or self.log
        return {"order": self.signed(ORDER_TYP, self.order_payload(release, **order), kid), "manifest": release.manifest,
                "manifestSignature": release.signature, "logProof": self.proof(release, log), "consistency": log.consistency(known)}


class State:
    """The trust state by docs/protocol/trust-state.md."""

    def __init__(self, package, build_time, profile="native"):
        self.profile, self.build_time, self.time_floor = profile, build_time, build_time
        self.hashes, self.status, self.order = [], None, None
        self.counters, self.checkpoints, self.used_permits = {}, {}, {}
        self.step(package)

    def step(self, package):
        protected = json.loads(package)["protected"]
        self.package = package
        self.hashes.append({"version": protected["version"], "sha256": b64u(sha256(compact(protected)))})
        self.time_floor = max(self.time_floor, protected["published"])

    def take_status(self, text):
        payload = json.loads(documents.jws_parts(text)[1])
        names = ("issued", "expires", "packageVersion", "withdrawn", "newest")
        self.status = {"epoch": payload["epoch"], "version": payload["version"], "sha256": b64u(sha256(text)),
                       **{name: payload[name] for name in names}}
        self.time_floor = max(self.time_floor, payload["issued"])

    def take_order(self, text):
        payload = json.loads(documents.jws_parts(text)[1])
        self.order = {"epoch": payload["epoch"], "sequence": payload["sequence"], "sha256": b64u(sha256(text)),
                      "orderId": payload["orderId"], "isCancel": payload["action"] == "cancel"}

    def take_checkpoint(self, log):
        self.checkpoints[log.origin] = {"size": len(log.leaves), "root": b64u(log.root())}

    def commit(self, release, permit_id=None):
        counter = self.counters.setdefault("acme/pump#main", {"highWater": 0})
        counter.update(version=release.version, installed=release.counter, installedManifest=b64u(release.sha256))
        if release.counter >= counter["highWater"]:
            counter.update(highWater=release.counter, highWaterManifest=b64u(release.sha256))
        if permit_id:
            self.used_permits[permit_id] = self.order["sha256"]

    def text(self):
        names = ("version", "installed", "installedManifest", "highWater", "highWaterManifest")
        value = {"format": 1, "profile": self.profile, "package": self.package, "packageHashes": self.hashes,
                 "buildTime": self.build_time, "timeFloor": self.time_floor}
        if self.status:
            value["status"] = self.status
        if self.order:
            value["order"] = self.order
        value["counters"] = {name: {member: counter[member] for member in names} for name, counter in sorted(self.counters.items())}
        value["checkpoints"] = dict(sorted(self.checkpoints.items()))
        value["usedPermits"] = dict(sorted(self.used_permits.items()))
        return compact(value)
