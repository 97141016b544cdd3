"""What attacks on the real installer share: refusals that change nothing, and releases that wait."""
import signal

import pytest

from documents import b64u, unb64u
from installer import Refused, Release

FILE_ID = "f" + "0" * 15 + "1"
ORDER_OF_P256 = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551


def refused(installer, codes, action):
    """The action is refused with one of the codes and leaves everything as it was."""
    codes = (codes,) if isinstance(codes, str) else codes
    before = installer.fingerprint()
    with pytest.raises(Refused) as caught:
        action()
    assert caught.value.code in codes, caught.value
    assert installer.fingerprint() == before


def refused_order(installer, codes, release, **changes):
    installer.offer(status=release.status)
    refused(installer, codes, lambda: release.offer(status=None, **changes))


def waiting(world, installer, content=b"one", **order):
    """A release that is verified and waits for its window."""
    release = Release(world, installer, content, window={"notBefore": world.now + 3600, "notAfter": world.now + 9000}, **order)
    release.offer()
    installer.send_content(release.file_id, release.sealed_sha256, release.sealed)
    assert installer.state()["phase"] == "installed"
    return release


def open_window(world, installer, version=90):
    """A status with the device's nonce says that the window's time has come."""
    nonce = installer.state()["statusNonce"]
    return installer.offer(status=world.status(version=version, nonce=nonce, issued=world.now + 7200, expires=world.now + 10800))


def file_manifest(world, target, content=b"conf", version="1.0.0"):
    step = {"handler": "fleetseal/file:1", "files": [FILE_ID], "handlerProperties": {"target": target}}
    return world.manifest(content, version, instructions={"steps": [step]})


def kill(installer):
    installer.process.send_signal(signal.SIGKILL)
    installer.process.wait(20)


def with_payload(compact_jws, change):
    header, payload, signature = compact_jws.split(".")
    return ".".join([header, b64u(change(unb64u(payload))), signature])


def swallow(action):
    """For an attacker who does not care what comes back."""
    try:
        action()
    except (EOFError, OSError, Refused):
        pass
