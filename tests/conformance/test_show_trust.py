"""`fleetseal-installer --show-trust`: whom a device trusts, as its stored package says, beside the running installer."""
import json
import os
import subprocess

from documents import DAY, Key, b64u
from installer import BIN, Installer, Release


def show(installer, *more):
    return subprocess.run([os.path.join(BIN, "fleetseal-installer"), "--config", os.path.join(installer.folder, "installer.json"), "--show-trust", *more],
                          capture_output=True, text=True, timeout=60)


def shown(installer):
    done = show(installer)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_S1_20_S1_36_the_trusted_roots_and_signing_keys_of_a_device_are_listed(world, installer):
    with open(os.path.join(installer.folder, "state", "state.json"), "rb") as file:
        before = file.read()
    trust = shown(installer)
    assert (trust["packageVersion"], trust["threshold"], trust["directorEpoch"]) == (1, 2, 1)
    assert (trust["published"], trust["expires"], trust["isExpired"]) == (world.now - 60, world.now + 300 * DAY, False)
    assert trust["roots"] == [{"kid": kid, "alg": "ES256", "thumbprint": b64u(key.thumbprint()), "isDisabled": False}
                              for kid, key in sorted(world.roots.items())] and len(trust["roots"]) >= 2
    publisher, director = sorted(trust["signingKeys"], key=lambda one: one["role"], reverse=True)
    assert publisher == {"kid": "publisher-1", "alg": "ES256", "role": "publisher", "products": ["acme/pump"], "notBefore": world.now - 60,
                         "notAfter": world.now + 30 * DAY, "thumbprint": b64u(world.publisher.thumbprint()), "isInForce": True}
    assert (director["kid"], director["role"], director["isInForce"]) == ("director-1", "director", True) and "products" not in director
    assert [log["origin"] for log in trust["logs"]] == [world.log.origin] and trust["logs"][0]["quorum"] == 0
    with open(os.path.join(installer.folder, "state", "state.json"), "rb") as file:
        assert file.read() == before


def test_S1_36_a_package_step_changes_the_list_and_says_what_is_disabled_or_ended(world, installer):
    release = Release(world, installer, b"first")
    world.roots = {**world.roots, "root-4": Key.p256()}
    world.disabled_roots = ["root-3"]
    world.listings["publisher-2"] = world.listing(Key.p256(), "publisher", ["acme/pump"], before=DAY)
    ended = Key.p256()
    world.listings["publisher-0"] = world.listing(ended, "publisher", ["acme/pump"], before=-2 * DAY, after=-DAY)
    stolen = Key.p256()
    world.listings["publisher-3"] = world.listing(stolen, "publisher", ["acme/pump"])
    world.disabled_keys = [{"alg": "SHA256", "hash": b64u(stolen.thumbprint())}]
    release.offer(status=world.status(version=70, package_version=2), packages=[world.package(2)])
    trust = shown(installer)
    assert trust["packageVersion"] == 2
    assert {root["kid"]: root["isDisabled"] for root in trust["roots"]} == {"root-1": False, "root-2": False, "root-3": True, "root-4": False}
    assert {key["kid"]: key["isInForce"] for key in trust["signingKeys"]} == {
        "publisher-1": True, "director-1": True, "publisher-2": False, "publisher-0": False, "publisher-3": False}
    assert trust["disabledSigningKeys"] == [b64u(stolen.thumbprint())]


def test_S1_36_of_rsa_keys_nothing_is_claimed_while_keys_are_disabled(world, installer):
    release = Release(world, installer, b"first")
    stolen, other = Key.rsa(), Key.rsa()
    world.listings["publisher-2"] = world.listing(stolen, "publisher", ["acme/pump"])
    world.listings["publisher-3"] = world.listing(other, "publisher", ["acme/pump"])
    world.listings["publisher-4"] = world.listing(Key.rsa(), "publisher", ["acme/pump"], before=-2 * DAY, after=-DAY)
    release.offer(status=world.status(version=70, package_version=2), packages=[world.package(2)])

    def in_force():
        return {key["kid"]: key["isInForce"] for key in shown(installer)["signingKeys"]}

    assert in_force() == {"publisher-1": True, "director-1": True, "publisher-2": True, "publisher-3": True, "publisher-4": False}
    world.disabled_keys = [{"alg": "SHA256", "hash": b64u(stolen.disabled_hash())}]
    release.offer(status=world.status(version=71, package_version=3), packages=[world.package(3)])
    assert in_force() == {"publisher-1": True, "director-1": True, "publisher-2": None, "publisher-3": None, "publisher-4": False}
    assert shown(installer)["disabledSigningKeys"] == [b64u(stolen.disabled_hash())]


def test_S1_20_S1_36_an_empty_trust_store_refuses_all_and_says_so(world, installer, tmp_path):
    # Never started: there is nothing to list, and that is said with a code.
    device = Installer.__new__(Installer)
    device.prepare(tmp_path / "second")
    done = show(device)
    assert done.returncode == 3 and "TrustStateMissing" in done.stderr and "never started" in done.stderr and not done.stdout
    # A state that somebody edited is not shown as if it were the device's.
    installer.stop()
    path = os.path.join(installer.folder, "state", "state.json")
    with open(path) as file:
        text = file.read()
    with open(path, "w") as file:
        file.write(text.replace("root-1", "root-9"))
    done = show(installer)
    assert done.returncode != 0 and "StateDamaged" in done.stderr and "root-9" not in done.stdout
    # Nor is one of which a part is gone; one that is gone altogether is as none.
    os.unlink(path)
    done = show(installer)
    assert done.returncode != 0 and "StateDamaged" in done.stderr and not done.stdout
    os.unlink(os.path.join(installer.folder, "state", "state.mark"))
    done = show(installer)
    assert done.returncode == 3 and "TrustStateMissing" in done.stderr and "holds no state" in done.stderr and not done.stdout
    assert show(installer, "--check").returncode == 2
