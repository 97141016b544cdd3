"""Only the director's signature cancels: whatever a taken-over server or agent makes up changes nothing."""
from documents import Key, b64u, compact
from installer import Release


def accepted(world, installer):
    release = Release(world, installer, b"the update in hand")
    assert release.offer()["phase"] == "accepted"
    return release


def refused(installer, code, order):
    before = installer.trust_bytes()
    try:
        answer = installer.offer(order=order)
    except Exception as error:  # a refusal, as the harness raises it
        assert code in str(error) or getattr(error, "code", None) == code, error
    else:
        raise AssertionError(f"taken: {answer}")
    assert installer.trust_bytes() == before
    assert installer.state()["phase"] == "accepted"


def test_a_cancel_without_the_directors_signature_cancels_nothing(world, installer):
    release = accepted(world, installer)
    cancel = {"action": "cancel", "sequence": 50}
    forged = world.order(installer.DEVICE, release.manifest, [], None, key=Key.p256(), **cancel)
    refused(installer, "SignatureInvalid", forged)
    real = world.order(installer.DEVICE, release.manifest, [], None, **cancel)
    header, payload, _ = real.split(".")
    refused(installer, "SignatureInvalid", f"{header}.{payload}.{b64u(bytes(64))}")
    refused(installer, "JwsMalformed", jws_none(payload))
    refused(installer, "OrderNotForThisDevice", world.order("dev-9", release.manifest, [], None, **cancel))
    assert installer.offer(order=real)["phase"] == "idle"


def jws_none(payload):
    return f"{b64u(compact({'alg': 'none', 'typ': 'fleetseal-order+jws', 'sjwk': 'a.b.c'}).encode())}.{payload}."
