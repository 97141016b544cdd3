"""S1.22, S1.55: a scan of everything that a device stores, after real updates. The test knows each key of the organisation, in every form that it could
have been written in; on the disk are the device's own three private keys and nothing of anybody else's."""
import base64
import os
import re

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from lab import Lab
from services import wait_until
from stolen import org, root_key, signer_key

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to run the programs as their users")


@pytest.fixture(scope="module")
def lab():
    made = Lab(devices=1, is_populated=True)
    for version in ("2.0.0", "2.1.0"):
        update = made.release(version, made.path(f"pump-{version}.bin", os.urandom(50_000)))
        assert made.watch(made.roll_out(update, "dev-1")) == {"dev-1": "installed"}
    yield made
    made.down()


def load(path, password=None):
    with open(path, "rb") as file:
        return serialization.load_pem_private_key(file.read(), password)


def in_base64(data):
    """How base64 writes these bytes wherever they begin: without the characters that depend on what stands beside them."""
    for shift in range(3):
        text = base64.b64encode(bytes(shift) + data + bytes(-(len(data) + shift) % 3))
        middle = text[4 if shift else 0:-4]
        yield middle
        yield middle.translate(bytes.maketrans(b"+/", b"-_"))


def forms(data):
    """Raw (so inside any DER too), turned round, as hex, and as base64 or base64url at any place, so inside any PEM or JWK, and a JWK inside a JWS."""
    member = base64.urlsafe_b64encode(data).rstrip(b"=")
    return [data, data[::-1], data.hex().encode(), data.hex().upper().encode(), *in_base64(data), *in_base64(member)]


def secret_bytes(key):
    """What only the holder of a private key has."""
    if isinstance(key, ec.EllipticCurvePrivateKey):
        size = (key.curve.key_size + 7) // 8
        return [key.private_numbers().private_value.to_bytes(size, "big")]
    if isinstance(key, ed25519.Ed25519PrivateKey):
        return [key.private_bytes(serialization.Encoding.Raw, serialization.PrivateFormat.Raw, serialization.NoEncryption())]
    numbers = key.private_numbers()
    return [number.to_bytes((number.bit_length() + 7) // 8, "big") for number in (numbers.d, numbers.p, numbers.q)]


def public_bytes(key):
    numbers = key.public_key().public_numbers()
    return [numbers.x.to_bytes(32, "big"), numbers.y.to_bytes(32, "big")]


def organisation_keys(lab):
    """Name -> private key of each that the organisation has on this lab's disk."""
    found = {purpose: signer_key(lab, purpose)[1].private for purpose in ("publisher", "director", "log", "server-ca", "device-ca", "people-ca")}
    roots = sorted(name[:-len(".key")] for name in os.listdir(os.path.join(org(lab), "offline", "roots")) if name.endswith(".key"))
    assert len(roots) >= 2
    found.update({root: root_key(lab, root).private for root in roots})
    found["server-tls"] = load(os.path.join(org(lab), "server", "tls", "server.key"))
    for name, identity in lab.info["identities"].items():
        found["person " + name] = load(identity["key"])
    return found


def stored(lab):
    """(path, bytes, the same without white space) of every file of the device: programs' folders, slots, downloads."""
    for folder, _, names in os.walk(os.path.join(lab.folder, "devices", "dev-1")):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.isfile(path) and not os.path.islink(path):
                with open(path, "rb") as file:
                    data = file.read()
                yield path, data, re.sub(rb"\\n|\s", b"", data)


def holders(lab, wanted):
    return sorted({os.path.basename(path) for path, data, joined in stored(lab) for form in wanted if form in data or form in joined})


def own_keys(lab):
    """Paths of the private keys on the device: PEM, or PKCS#8 and SEC 1 in DER."""
    der = (b"\x02\x01\x00\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01", b"\x02\x01\x00\x30\x0d\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x01\x01",
           b"\x30\x77\x02\x01\x01\x04\x20")
    return sorted(path for path, data, _ in stored(lab) if b"PRIVATE KEY" in data or any(mark in data for mark in der))


def test_S1_22_S1_55_a_device_stores_its_own_three_private_keys_and_nobody_elses(lab):
    paths = own_keys(lab)
    assert sorted(map(os.path.basename, paths)) == ["encryption-key.pem", "key.pem", "receipt-key.pem"]
    # The scan finds what is there, in a form other than the file's own too.
    for path in paths:
        for secret in secret_bytes(load(path)):
            assert holders(lab, forms(secret)) == [os.path.basename(path)]
    for name, key in organisation_keys(lab).items():
        for secret in secret_bytes(key):
            assert holders(lab, forms(secret)) == [], name


@pytest.mark.parametrize("form", ["PEM", "DER", "JWK in a JWS", "hex"])
def test_the_scan_finds_a_key_in_each_form(lab, form):
    key = signer_key(lab, "publisher")[1].private
    secret = secret_bytes(key)[0]
    what = {
        "PEM": key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()),
        "DER": b"before" + key.private_bytes(serialization.Encoding.DER, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()),
        "JWK in a JWS": base64.urlsafe_b64encode(b'{"kty":"EC","d":"' + base64.urlsafe_b64encode(secret).rstrip(b"=") + b'"}'),
        "hex": secret.hex().encode()}[form]
    planted = os.path.join(lab.device("dev-1")["state_dir"], "planted")
    with open(planted, "wb") as file:
        file.write(what)
    try:
        assert holders(lab, forms(secret)) == ["planted"]
    finally:
        os.unlink(planted)


def test_S1_55_no_signing_key_is_kept_after_an_update(lab):
    """The keys come with each document, vouched for by a root; what stays of them is the listing's hash."""
    wait_until(lambda: '"journal"' not in open(os.path.join(lab.device("dev-1")["state_dir"], "state.json")).read(), "the end of the update")
    for name in ("publisher", "director"):
        key = signer_key(lab, name)[1].private
        for part in public_bytes(key):
            assert holders(lab, forms(part)) == [], name
        thumbprint = signer_key(lab, name)[1].thumbprint()
        assert holders(lab, forms(thumbprint)) == ["package.json", "state.json"], "the scan sees what is there"
    # Nor the root's word for one, whole or as part of a message.
    assert holders(lab, list(in_base64(b'"typ":"fleetseal-signing-key+jws"'))) == []
    for root in ("root-1", "root-2"):  # roots are what a device does keep
        assert holders(lab, forms(public_bytes(root_key(lab, root).private)[0])) == ["package.json", "state.json"]
