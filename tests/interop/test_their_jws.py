"""Documents signed by python3-jwcrypto and by Debian's `jose` are judged good by `fleetseal verify`; changed ones are not."""
import json
import os
import subprocess

import pytest
from cryptography.hazmat.primitives import serialization
from jwcrypto import jwk, jws

from documents import Key, World, compact, b64, sha256

FLEETSEAL = os.path.join(os.environ["FLEETSEAL_BIN"], "fleetseal")


def pem(key):
    return key.private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def sign_with_jwcrypto(key, header, payload, tmp_path):
    token = jws.JWS(payload.encode())
    token.add_signature(jwk.JWK.from_pem(pem(key)), None, compact(header), None)
    return token.serialize(compact=True)


def sign_with_jose(key, header, payload, tmp_path):
    path = tmp_path / f"key-{key.kid()[:8]}.jwk"
    path.write_text(jwk.JWK.from_pem(pem(key)).export_private())
    template = json.dumps({"protected": header})
    done = subprocess.run(["jose", "jws", "sig", "-I-", "-k", str(path), "-s", template, "-c"], input=payload.encode(), capture_output=True, check=True)
    return done.stdout.decode().strip()


def write_documents(world, folder, sign, tmp_path):
    folder.mkdir(exist_ok=True)
    manifest = world.manifest(b"content")
    sjwk = sign(world.roots["root-1"], {"alg": "ES256", "kid": "root-1", "typ": "fleetseal-signing-key+jws"},
                compact(world.publisher.jwk(kid="publisher-1", alg=world.publisher.alg)), tmp_path)
    payload = compact({"sha256": b64(sha256(manifest)), "product": world.product, "releaseCounter": 1,
                       "audience": "urn:fleetseal:acme", "delivery": "sealed", "issued": world.now})
    signature = sign(world.publisher, {"alg": world.publisher.alg, "typ": "fleetseal-manifest+jws", "sjwk": sjwk}, payload, tmp_path)
    index = world.log_signature(signature, manifest)
    (folder / "manifest.json").write_text(manifest)
    (folder / "manifest.jws").write_text(signature)
    (folder / "log.proof").write_text(world.log.proof(index))
    (folder / "root-package-1.json").write_text(world.package())
    (folder / "status.jws").write_text(world.status())


def verify(folder):
    done = subprocess.run([FLEETSEAL, "verify", str(folder), "--json"], capture_output=True, text=True)
    return done.returncode, json.JSONDecoder().raw_decode(done.stdout)[0]


@pytest.mark.parametrize("sign", [sign_with_jwcrypto, sign_with_jose])
@pytest.mark.parametrize("kind", ["ES256", "RS256"])
def test_S1_17_S1_31_we_verify_theirs(sign, kind, tmp_path):
    world = World()
    if kind == "RS256":
        world.publisher = Key.rsa()
        world.listings["publisher-1"] = world.listing(world.publisher, "publisher", [world.product])
    folder = tmp_path / "documents"
    write_documents(world, folder, sign, tmp_path)
    code, verdict = verify(folder)
    assert code == 0 and verdict["verdict"].startswith("trusted"), verdict
    text = (folder / "manifest.jws").read_text()
    (folder / "manifest.jws").write_text(text[:-6] + ("AAAAAA" if not text.endswith("AAAAAA") else "BBBBBB"))
    code, verdict = verify(folder)
    assert code == 3 and not verdict["trusted"]


def test_S0_15_verify_works_without_network_and_names_what_is_wrong(tmp_path):
    world = World()
    folder = tmp_path / "documents"
    write_documents(world, folder, sign_with_jwcrypto, tmp_path)
    done = subprocess.run(["unshare", "-n", FLEETSEAL, "verify", str(folder), "--json"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (folder / "manifest.json").write_text((folder / "manifest.json").read_text() + " ")
    code, verdict = verify(folder)
    assert code == 3
    assert [finding["code"] for finding in verdict["findings"] if finding["outcome"] == "refused"] == ["ManifestHashMismatch"]
