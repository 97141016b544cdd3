"""The installer's state on disk: what was edited, removed or put back is found at the start, refused and shown.

The one thing that is not found is a whole folder put back as it was: that needs counters in hardware (ADR 0010).
"""
import json
import os
import shutil
import subprocess

import pytest

from attacks import refused, waiting
from documents import b64u
from installer import BIN, Refused, Release


def path(installer, name="state.json"):
    return os.path.join(installer.folder, "state", name)


def read(installer, name="state.json"):
    with open(path(installer, name), "rb") as file:
        return file.read()


def write(installer, data, name="state.json"):
    with open(path(installer, name), "wb") as file:
        file.write(data)


def files_of(installer):
    return {name: read(installer, name) for name in sorted(os.listdir(os.path.join(installer.folder, "state")))}


def is_refused(installer, word=""):
    """It starts, answers every verb with the code and what to do, and changes and grows nothing."""
    installer.start()
    before = files_of(installer)
    release = {"packages": [], "status": "a.b.c", "order": "a.b.c"}
    for message in ({"verb": "state"}, {"verb": "offer-documents", **release}, {"verb": "identify", "csrSha256": b64u(bytes(32))},
                    {"verb": "abort-before-switch"}):
        with pytest.raises(Refused, match=word) as caught:
            installer.ask(message)
        assert caught.value.code == "StateDamaged", message
    read_end, write_end = os.pipe()
    with pytest.raises(Refused) as caught:
        installer.ask({"verb": "offer-content", "fileId": "f1", "sealedSha256": b64u(bytes(32))}, read_end)
    assert caught.value.code == "StateDamaged"
    os.close(read_end)
    os.close(write_end)
    assert files_of(installer) == before
    assert "state.damaged" in installer.log_text()


def test_S1_55_no_signing_key_is_kept_on_the_device(world, installer):
    """A signing key comes with what it signed. While an order is in hand its documents lie there; afterwards nothing of a key is left but its thumbprint."""
    release = Release(world, installer)

    def kept(*texts):
        data = b"".join(open(os.path.join(top, name), "rb").read() for top, _, names in os.walk(installer.folder) for name in names if not name.endswith(".sock"))
        return [text for text in texts if (text if isinstance(text, bytes) else text.encode()) in data]

    release.offer()
    assert kept(release.order, release.signature, release.status) == [release.order, release.signature]
    installer.send_content(release.file_id, release.sealed_sha256, release.sealed)
    assert "lastCode" not in installer.wait_idle()
    keys = (world.publisher, world.director)
    assert kept(release.order, release.signature, release.status, *[key.jwk()["x"] for key in keys], *[key.spki()[-64:-32] for key in keys]) == []
    assert kept(*[key.kid() for key in keys]) == [key.kid() for key in keys]


def edited(change):
    def edit(data):
        state = json.loads(data)
        change(state)
        return json.dumps(state, separators=(",", ":")).encode()
    return edit


def lower_counter(state):
    trust = json.loads(state["trust"])
    for counter in trust["counters"].values():
        counter["highWater"] = counter["installed"] = 0
    state["trust"] = json.dumps(trust, separators=(",", ":"))


def older_floor(state):
    trust = json.loads(state["trust"])
    trust["timeFloor"] -= 1
    state["trust"] = json.dumps(trust, separators=(",", ":"))


def bare(state):
    del state["seal"]


EDITS = {
    "counter": edited(lower_counter), "floor": edited(older_floor), "no seal": edited(bare), "member": edited(lambda state: state.update(x=1)),
    "order of members": edited(lambda state: state.update(format=state.pop("format"))), "serial": edited(lambda state: state.update(serial=99)),
    "empty": lambda data: b"", "half": lambda data: data[:len(data) // 2], "one byte less": lambda data: data[:-1],
    "one byte more": lambda data: data + b"\n", "one bit": lambda data: data[:200] + bytes([data[200] ^ 1]) + data[201:],
    "no json": lambda data: b"\xff" * 500, "seal alone": lambda data: data[data.rindex(b',"seal"'):],
}


@pytest.mark.parametrize("edit", EDITS)
def test_S1_57_an_edited_state_is_refused_and_shown(world, installer, edit):
    Release(world, installer).install()
    installer.stop()
    write(installer, EDITS[edit](read(installer)))
    is_refused(installer)


def test_S1_57_an_older_copy_of_the_state_is_refused(world, installer):
    Release(world, installer).install()
    installer.stop()
    old = read(installer)
    installer.start()
    Release(world, installer, b"two", counter=2, version="1.1.0").install()
    installer.stop()
    write(installer, old)
    is_refused(installer, "older copy")


@pytest.mark.parametrize("name", ["state.json", "state.mark", "receipt-key.pem"])
def test_S1_57_a_file_that_is_gone_is_refused_and_not_made_anew(world, installer, name):
    Release(world, installer).install()
    installer.stop()
    os.unlink(path(installer, name))
    is_refused(installer)


def test_S1_57_an_edited_mark_is_refused(world, installer):
    Release(world, installer).install()
    installer.stop()
    mark = json.loads(read(installer, "state.mark"))
    write(installer, json.dumps({**mark, "mark": 0}, separators=(",", ":")).encode(), "state.mark")
    is_refused(installer)


def test_S1_57_another_built_in_package_than_the_one_passed_is_refused(world, installer):
    installer.stop()
    installer.write("provisioning/package.json", world.package(expires=world.now + 86400 * 40))
    is_refused(installer, "not the one that was built in")


def test_S1_57_a_state_that_is_put_right_again_goes_on(world, installer):
    Release(world, installer).install()
    installer.stop()
    good = read(installer)
    write(installer, good[:-5])
    is_refused(installer)
    installer.stop()
    write(installer, good)
    installer.start()
    assert installer.state()["installed"]["releaseCounter"] == 1
    assert Release(world, installer, b"two", counter=2, version="1.1.0").install()["installed"]["releaseCounter"] == 2


def test_X8_a_start_between_the_mark_and_the_first_state_provisions(world, installer):
    installer.stop()
    keys = {name: read(installer, name) for name in ("receipt-key.pem", "encryption-key.pem")}
    shutil.rmtree(os.path.join(installer.folder, "state"))
    os.makedirs(os.path.join(installer.folder, "state"), mode=0o700)
    for name, data in keys.items():
        write(installer, data, name)
        os.chmod(path(installer, name), 0o600)
    installer.start()
    assert installer.state()["packageVersion"] == 1


def test_two_installers_on_one_state_are_one_and_an_error(world, installer):
    done = subprocess.run([os.path.join(BIN, "fleetseal-installer"), "--config", os.path.join(installer.folder, "installer.json")],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode != 0 and "another installer runs on this state directory" in done.stderr
    assert Release(world, installer).install()["installed"]["releaseCounter"] == 1


# --- time and keys ---------------------------------------------------------------------------------------------------------


def test_nothing_is_switched_under_an_expired_status_until_a_fresh_one_came(world, installer):
    waiting(world, installer)  # its window opens at now + 3600
    nonce = installer.state()["statusNonce"]
    # One second before the window opens, and a status that ends in between: only a new one can say what was withdrawn since.
    installer.offer(status=world.status(version=90, nonce=nonce, issued=world.now + 3599, expires=world.now + 3600))
    assert installer.state(waitMs=4000, phase="installed")["phase"] == "installed"
    assert installer.active_slot() == "a"
    installer.offer(status=world.status(version=91, issued=world.now + 3600, expires=world.now + 7200))
    assert installer.wait_idle()["installed"]["releaseCounter"] == 1


def test_a_key_that_is_listed_twice_is_no_package_whatever_its_names(world, installer):
    director, publisher = world.listings["director-1"], world.listings["publisher-1"]
    for doubled in ({"publisher-2": {**publisher, "role": "agent-release"}}, {"publisher-2": {**publisher, "products": ["acme:other"]}},
                    {"publisher-2": {**director, "role": "publisher", "products": publisher["products"]}}):
        text = world.package(version=2, signingKeys={**world.listings, **doubled})
        refused(installer, "PackageStepInvalid", lambda: installer.offer(packages=[text]))
    installer.offer(packages=[world.package(version=2)])


def test_a_status_speaks_only_for_the_time_in_which_its_key_is_listed(world, installer):
    listed_until = world.now + 86400 * 30
    before = json.loads(json.loads(read(installer))["trust"])["timeFloor"]
    refused(installer, "SigningKeyExpired",
            lambda: installer.offer(status=world.status(version=5, issued=listed_until + 86400, expires=listed_until + 86400 + 3600)))
    assert json.loads(json.loads(read(installer))["trust"])["timeFloor"] == before
