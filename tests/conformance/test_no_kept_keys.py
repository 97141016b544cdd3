"""S1.55, S1.22: a key that signed before is not remembered, and no key of the device itself signs an update."""
import os

import pytest
from cryptography.hazmat.primitives import serialization

from attacks import refused_order
from documents import Key, jws, compact, b64
from documents import sha256
from installer import Release


def without_sjwk(world, typ, key, payload, **header):
    return jws(key, {"alg": key.alg, "typ": typ, **header}, compact(payload))


@pytest.mark.parametrize("header", [{}, {"kid": "publisher-1"}, {"jwk": "its own"}], ids=["no key", "its name", "the key itself"])
def test_S1_55_a_message_without_sjwk_is_refused_though_its_key_signed_what_is_installed(world, installer, header):
    Release(world, installer, b"first").install()
    release = Release(world, installer, b"second", counter=2, version="2.0.0")
    header = {name: world.publisher.jwk(kid="publisher-1", alg="ES256") if name == "jwk" else value for name, value in header.items()}
    payload = {"sha256": b64(sha256(release.manifest)), "product": world.product, "releaseCounter": 2, "audience": f"urn:fleetseal:{world.organisation}",
               "delivery": "sealed", "issued": world.now - 10}
    signature = without_sjwk(world, "fleetseal-manifest+jws", world.publisher, payload, **header)
    proof = world.log.proof(world.log_signature(signature, release.manifest, 2))
    refused_order(installer, "HeaderNotAllowed", release, manifestSignature=signature, logProof=proof)
    # The same key with its sjwk is taken: it was that alone.
    assert release.install()["installed"]["releaseCounter"] == 2


@pytest.mark.parametrize("name", ["receipt-key.pem", "encryption-key.pem"])
def test_S1_22_no_key_of_the_device_signs_an_update(world, installer, name):
    with open(os.path.join(installer.folder, "state", name), "rb") as file:
        own = Key(serialization.load_pem_private_key(file.read(), None))
    release = Release(world, installer, b"by the device itself")
    # In the publisher's name, with its sjwk; and with a sjwk of its own, in the name of a root.
    for sjwk, code in ((world.sjwk(), "SignatureInvalid"), (world.sjwk(own, root_key=own), "SignatureInvalid"),
                       (world.sjwk(own, kid="device", root="device", root_key=own), "UnknownRootKid")):
        signature = world.manifest_signature(release.manifest, key=own, sjwk=sjwk)
        proof = world.log.proof(world.log_signature(signature, release.manifest))
        refused_order(installer, code, release, manifestSignature=signature, logProof=proof)
    assert release.install()["installed"]["releaseCounter"] == 1
