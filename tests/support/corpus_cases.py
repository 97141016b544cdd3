"""All bases, controls and cases of the refusal corpus. `make()` gives the same corpus each time."""
import json

import corpus_decisions
import corpus_forms
import corpus_full
import corpus_members
import corpus_packages
import corpus_people
from corpus import Corpus, Ref, resolved
from corpus_forms import JWS_ROWS, Signed
from corpus_world import DEVICE, MANIFEST_TYP, NOW, ORDER_TYP, PERMIT_TYP, SJWK_TYP, STATUS_TYP, Organisation, State
from documents import DAY, b64, b64u, compact, jws, sha256, unb64u


def device(world, **changes):
    return {"organisation": world.organisation, "deviceId": DEVICE, "generation": 1, "product": world.product, "environment": "production",
            "properties": {"manufacturer": "acme", "model": "pump-1"}, "delivery": "sealed", "buildTime": NOW - DAY, **changes}


def make():
    corpus, world = Corpus(), Organisation()
    add_bases(corpus, world)
    controls = make_controls(corpus, world)
    add_signed_documents(world, controls)
    add_six_items(world, controls["install"])
    corpus_packages.add_packages(world, controls["package"])
    for add in (corpus_decisions.add_statuses, corpus_decisions.add_orders, corpus_decisions.add_manifests, corpus_decisions.add_counters, corpus_decisions.add_logs,
                corpus_decisions.add_rotations, corpus_decisions.add_keys_of_devices, corpus_decisions.add_handlers, corpus_decisions.add_contents):
        add(world, controls)
    add_azure(world, controls)
    corpus_people.add_people(corpus, world)
    corpus_full.add_full(world, lambda *what: corpus.control(*what, NOW))
    return corpus


# --- what devices have lived through ---------------------------------------------------------------------------------------------


def add_bases(corpus, world):
    package = corpus.put("bases/package-1.json", world.package(1))
    status = corpus.put("bases/status-10.jws", world.signed(STATUS_TYP, world.status_payload(version=10), "director-1"))

    def state(has_status=True, **how):
        made = State(corpus.files[package], NOW - DAY, **how)
        if has_status:
            made.take_status(corpus.files[status])
        return made

    first = [({"status": status}, None)]
    corpus.base("unsent", "a device that was provisioned and has not heard of anybody", device(world), package, [], state(False).text())
    corpus.base("fresh", "a device with its first status", device(world), package, first, state().text())
    corpus.base("clear", "a device that takes files in the clear", device(world, delivery="clear"), package, first, state().text())
    corpus.base("azure", "a device of an organisation whose documents are written in Azure's form", device(world, profile="adu"), package, first, state(profile="adu").text())
    cancel = world.signed(ORDER_TYP, world.cancel_payload(world.releases[3], 90), "director-1")
    after = state()
    after.take_order(cancel)
    corpus.base("cancelled", "a device on which a cancel has voided everything up to sequence 90", device(world), package, [*first, ({"order": cancel}, None)], after.text())
    add_lived(corpus, world, package, first, state())


def add_lived(corpus, world, package, first, state):
    """A package that ends the director's listing; then 3.0.0 installed, back to 2.0.0 by a permit, 3.0.0 again."""
    two, three, log = world.releases[2], world.releases[3], world.log_at_3
    second = world.package(2, **world.package_2())
    state.step(second)
    status = world.signed(STATUS_TYP, lived_status(world, 20), "director-3")
    state.take_status(status)
    walk = [*first, ({"packages": [second]}, None), ({"status": status}, None)]
    permit = world.signed(PERMIT_TYP, world.permit_payload(three, two, "permit-1"), "publisher-1")
    for release, sequence, changes in ((three, 31, {}), (two, 32, {"permit": permit}), (three, 33, {})):
        path = f"bases/lived/sealed-{release.counter}.hex"
        if path not in corpus.files:
            corpus.put(path, release.sealed.hex() + "\n")
        documents = world.order_documents(release, log, len(log.leaves) if sequence > 31 else 0, "director-3", sequence=sequence, **changes)
        content = release.contents()[0]
        walk.append((documents, {"fileId": content["fileId"], "sealedSha256": content["sealedSha256"], "hex": path}))
        state.take_order(documents["order"])
        state.take_checkpoint(log)
        state.commit(release, "permit-1" if changes else None)
    corpus.base("lived", "a device whose director has changed, with 3.0.0, which was back at 2.0.0 once by a permit", device(world), package, walk, state.text())


def lived_status(world, version):
    protected = world.protected(2, **world.package_2())
    return world.status_payload(version=version, package_version=2, package_sha256=b64u(sha256(compact(protected))))


# --- what is right -----------------------------------------------------------------------------------------------------------------


def make_controls(corpus, world):
    release, known = world.releases[4], len(world.log_at_3.leaves)
    control = lambda name, title, base, documents, accepted: corpus.control(name, title, base, documents, accepted, NOW)
    install = world.order_documents(release)
    lived = lambda release, **changes: world.order_documents(release, known=known, kid="director-3", **changes)
    permit = world.signed(PERMIT_TYP, world.permit_payload(world.releases[3], world.releases[2]), "publisher-1")
    clear = world.order_payload(world.clear_4, contents=corpus_decisions.clear_contents(world.clear_4))
    clear.pop("contentKey")
    witnessed = corpus_decisions.witnessed_proof(world, release)
    split = witnessed.index("\n\n") + 2
    controls = {
        "install": control("install", "an order for a release that is on the log", "fresh", install, ["order"]),
        "status": control("status", "the next status", "fresh", {"status": world.signed(STATUS_TYP, world.status_payload(), "director-1")}, ["status"]),
        "package": control("package", "the next root-key package", "fresh", {"packages": [world.small_package()]}, ["package 2"]),
        "install-without-status": control("first-status-and-install", "a first status and an order", "unsent",
                                          {"status": world.signed(STATUS_TYP, world.status_payload(), "director-1"), **install}, ["status", "order"]),
        "cancelled-install": control("install-after-cancel", "an order above the sequence of a cancel", "cancelled", install, ["order"]),
        "lived-install": control("lived-install", "an order by the new director, with the log's consistency", "lived", lived(release), ["order"]),
        "lived-status": control("lived-status", "a status by the new director", "lived", {"status": world.signed(STATUS_TYP, lived_status(world, 21), "director-3")}, ["status"]),
        "permit": control("permit", "back to 2.0.0 with a permit", "lived", lived(world.releases[2], permit=permit), ["order"]),
        "clear-install": control("clear-install", "an order of a release of clear delivery", "clear",
                                 {**world.order_documents(world.clear_4), "order": world.signed(ORDER_TYP, clear, "director-1")}, ["order"]),
        "witnessed": control("witnessed-install", "a release on the log whose checkpoints need a witness", "fresh",
                             {**install, "logProof": witnessed[:split] + world.witness.cosign(witnessed[split:], NOW - 1)}, ["order"]),
    }
    control("cancel", "a cancel", "fresh", {"order": world.signed(ORDER_TYP, world.cancel_payload(release, 100), "director-1")}, ["order"])
    order_33 = json.loads(corpus.files["bases/lived/base.json"])["walk"][5]["documents"]
    control("same-order-again", "the order that was carried out, again: its outcome stands and nothing runs twice", "lived",
            {slot: Ref(resolved("bases/lived/6", path)) for slot, path in order_33.items()}, ["order"])
    for kid, root, title in (("publisher-next", "root-1", "by the publisher's next key, which is listed beside the old one"), ("publisher-rsa", "root-2", "by an RSA key"),
                             ("publisher-1", "root-5", "by a key that an RSA root signed")):
        signature = world.signed(MANIFEST_TYP, world.signature_payload(release), kid, sjwk=world.key_document(kid, root))
        control(f"install-{kid}-{root}", f"a release signed {title}", "fresh", {**install, "manifestSignature": signature, "logProof": corpus_decisions.logged(world, release, signature)}, ["order"])
    control("package-and-install", "a package, a status that names it, and an order", "fresh",
            {"packages": [world.package(2)], "status": world.signed(STATUS_TYP, world.status_payload(package_version=2, package_sha256=world.package_sha256(2)), "director-1"), **install},
            ["package 2", "status", "order"])
    controls["azure"] = azure_control(world, control, install, release)
    return controls


def azure_signature(world, release, form):
    """The modulus of an RSA signing key in standard base64, as Azure's own documents have it, or not."""
    key = world.keys["publisher-rsa"]
    n = unb64u(key.jwk()["n"])
    return world.signed(MANIFEST_TYP, world.signature_payload(release), "publisher-rsa", sjwk=world.key_document("publisher-rsa", n=form(n)))


def azure_control(world, control, install, release):
    signature = azure_signature(world, release, b64)
    return control("azure-install", "a release whose signing key is written in Azure's form", "azure",
                   {**install, "manifestSignature": signature, "logProof": corpus_decisions.logged(world, release, signature)}, ["order"])


def add_azure(world, controls):
    """Which form a signing key has is fixed with the trust state, never told by a document."""
    release = world.releases[4]
    controls["azure"].refuse("azure/native-form", "the modulus in base64url where Azure's form is expected", "S1.17 S1.56", "Base64Invalid", "order",
                             {"manifestSignature": azure_signature(world, release, b64u)})
    controls["install"].refuse("azure/azure-form", "the modulus in Azure's form where ours is expected", "S1.17 S1.56", "Base64Invalid", "order",
                               {"manifestSignature": azure_signature(world, release, b64)})


# --- signed documents ------------------------------------------------------------------------------------------------------------------


def add_signed_documents(world, controls):
    forms = corpus_forms
    release = world.releases[4]
    header = lambda typ, kid: {"alg": "ES256", "typ": typ, "sjwk": world.key_document(kid)}
    status = Signed("form-status", controls["status"], "status", world.director, header(STATUS_TYP, "director-1"), world.status_payload())
    order = Signed("form-order", controls["install"], "order", world.director, header(ORDER_TYP, "director-1"), world.order_payload(release))
    signature = Signed("form-manifest-signature", controls["install"], "manifestSignature", world.publisher, header(MANIFEST_TYP, "publisher-1"), world.signature_payload(release))
    for signed in (status, order, signature):
        forms.add_forms(signed, [forms.spellings, forms.headers, forms.payloads, forms.signatures, forms.huge, header_members(world)])
    # On the log as well, so that only the key can be the reason.
    on_log = lambda text: {"manifestSignature": text, "logProof": corpus_decisions.logged(world, release, text)}
    by_keys = Signed("form-manifest-signature", controls["install"], "manifestSignature", world.publisher, signature.header, signature.payload, on_log)
    for signed, typ, kid in ((status, STATUS_TYP, "director-1"), (order, ORDER_TYP, "director-1"), (by_keys, MANIFEST_TYP, "publisher-1")):
        forms.add_keys(signed, forms.key_cases(world, typ, kid, signed.payload))
        forms.add_keys(signed, forms.root_cases(world, typ, kid, signed.payload))
        forms.add_keys(signed, forms.key_headers(world, signed, kid))
    swap = lambda mine, other: mine.rsplit(".", 1)[0] + "." + other.rsplit(".", 1)[1]
    status.refuse("signature-of-an-order", "the signature of an order by the same key", "S1.26 S1.53", "SignatureInvalid", swap(status.make(), order.make()))
    order.refuse("signature-of-a-status", "the signature of a status by the same key", "S1.26 S1.53", "SignatureInvalid", swap(order.make(), status.make()))
    signature.refuse("signature-of-another-release", "the signature of another release by the same key", "S1.26 S1.53", "SignatureInvalid",
                     swap(signature.make(), world.releases[3].signature))
    corpus_members.add_members(status, number="version")
    corpus_members.add_members(order, number="sequence", missing={"contentKey": "DeliveryNotAllowed"})
    corpus_members.add_members(signature, number="releaseCounter")
    add_signing_key(world, controls["install"], release)
    add_permit(world, controls["permit"])


def header_members(world):
    """Of a document: its signing key by another root is as good as the right one, but not what was signed."""
    by_root_2 = lambda signed: world.key_document("director-1" if signed.key is world.director else "publisher-1", "root-2")
    return lambda signed: corpus_forms.header_members(
        signed, {"alg": ("RS256", "AlgorithmNotAllowed"), "typ": ("fleetseal-plan+jws", "TypMismatch"), "sjwk": (by_root_2(signed), "SignatureInvalid")})


def add_signing_key(world, control, release):
    forms = corpus_forms
    outer = lambda text: {"manifestSignature": world.signed(MANIFEST_TYP, world.signature_payload(release), "publisher-1", sjwk=text)}
    key = Signed("form-signing-key", control, "manifestSignature", world.roots["root-1"], {"alg": "ES256", "kid": "root-1", "typ": SJWK_TYP},
                 world.publisher.jwk(kid="publisher-1", alg="ES256"), outer)
    others = {"alg": ("RS256", "AlgorithmNotAllowed"), "typ": ("fleetseal-plan+jws", "TypMismatch"), "kid": ("root-2", "SignatureInvalid")}
    forms.add_forms(key, [forms.spellings, forms.headers, forms.payloads, forms.signatures, lambda signed: forms.header_members(signed, others)])
    corpus_members.add_members(key)
    director = world.key_document("director-1")
    key.refuse("signature-of-another-key", "the signature of another signing key by the same root", "S1.25 S1.52", "SignatureInvalid",
               key.make().rsplit(".", 1)[0] + "." + director.rsplit(".", 1)[1])
    jwk, rows = key.payload, "S1.23 " + JWS_ROWS
    for name, title, code, changes in (("jwk-kty-oct", "a symmetric key", "KeyInvalid", {"kty": "oct"}), ("jwk-crv-other", "a curve that nobody knows", "KeyInvalid", {"crv": "P-521"}),
                                       ("jwk-crv-p384", "a P-256 key that says P-384", "KeyInvalid", {"crv": "P-384"}), ("jwk-off-the-curve", "no point of the curve", "KeyInvalid", {"x": jwk["y"]}),
                                       ("jwk-short", "a coordinate of 31 bytes", "KeyInvalid", {"x": b64u(unb64u(jwk["x"])[:31])}), ("jwk-private", "with its private part", "MemberUnknown", {"d": jwk["x"]}),
                                       ("jwk-use", "with a use", "MemberUnknown", {"use": "sig"}), ("jwk-alg-none", "alg none", "AlgorithmNotAllowed", {"alg": "none"}),
                                       ("jwk-alg-hs256", "alg HS256", "AlgorithmNotAllowed", {"alg": "HS256"}), ("jwk-alg-rs256", "alg RS256 with a P-256 key", "AlgorithmNotAllowed", {"alg": "RS256"}),
                                       ("jwk-kid-path", "a kid with a path", "IdInvalid", {"kid": "../publisher-1"}), ("jwk-kid-empty", "an empty kid", "IdInvalid", {"kid": ""}),
                                       ("jwk-kid-other", "the kid of another key", "SigningKeyNotListed", {"kid": "publisher-next"}), ("jwk-padded", "a coordinate with padding", "Base64Invalid", {"x": jwk["x"] + "="})):
        key.refuse(name, f"the signing key: {title}", rows, code, key.make(payload={**jwk, **changes}))
    point = {"kty": "RSA", "n": b64u(bytes([0x7f]) * 128), "e": "AQAB", "kid": "publisher-1", "alg": "RS256"}
    key.refuse("jwk-rsa-weak", "the signing key: RSA of 1024 bits", rows, "KeyWeak", key.make(payload=point))
    key.refuse("jwk-rsa-exponent-1", "the signing key: RSA with exponent 1", rows, "KeyWeak", key.make(payload={**world.keys["publisher-rsa"].jwk(kid="publisher-rsa", alg="RS256"), "e": "AQ"}))
    key.refuse("jwk-rsa-leading-zero", "the signing key: a modulus with a zero byte in front", rows, "KeyInvalid",
               key.make(payload={**world.keys["publisher-rsa"].jwk(kid="publisher-rsa", alg="RS256"), "n": b64u(b"\0" + unb64u(world.keys["publisher-rsa"].jwk()["n"]))}))


def add_permit(world, control):
    forms = corpus_forms
    two, three = world.releases[2], world.releases[3]
    known = len(world.log_at_3.leaves)
    wrap = lambda text: {"order": world.order_documents(two, known=known, kid="director-3", permit=text)["order"]}
    payload = world.permit_payload(three, two)
    permit = Signed("form-permit", control, "order", world.publisher, {"alg": "ES256", "typ": PERMIT_TYP, "sjwk": world.key_document("publisher-1")}, payload, wrap, code="PermitInvalid")
    forms.add_forms(permit, [forms.spellings, forms.headers, forms.payloads, forms.signatures, header_members(world)])
    for cases in (forms.key_cases, forms.root_cases):
        forms.add_keys(permit, cases(world, PERMIT_TYP, "publisher-1", payload))
    forms.add_keys(permit, forms.key_headers(world, permit, "publisher-1"))
    swapped = permit.make().rsplit(".", 1)[0] + "." + two.signature.rsplit(".", 1)[1]
    permit.refuse("signature-of-a-manifest", "the signature of a manifest by the same key", "S1.26 S1.53", "SignatureInvalid", swapped)
    corpus_members.add_members(permit, number="expires")
    corpus_full.add_signed(permit, group="nested-permit")


def add_six_items(world, control):
    """S1.24: value, alg, signing key, its signature, root's id, the root's alg: each one missing, each one altered after signing."""
    release = world.releases[4]
    signature, sjwk = release.signature, world.key_document("publisher-1")
    head, payload, outer_signature = signature.split(".")
    key_head, key_payload, key_signature = sjwk.split(".")
    header = {"alg": "ES256", "typ": MANIFEST_TYP}
    outer = lambda **changes: jws(world.publisher, {name: value for name, value in {**header, "sjwk": sjwk, **changes}.items() if value is not None}, unb64u(payload))
    inner = lambda **changes: b64u(compact({name: value for name, value in {"alg": "ES256", "kid": "root-1", "typ": SJWK_TYP, **changes}.items() if value is not None}).encode())
    other = b64u(compact(world.keys["publisher-next"].jwk(kid="publisher-next", alg="ES256")).encode())
    flipped = b64u(bytes([unb64u(key_signature)[0] ^ 1]) + unb64u(key_signature)[1:])
    items = [("value-missing", "the signed value is missing", "JwsMalformed", f"{head}..{outer_signature}"),
             ("value-altered", "one digit of the signed value", "SignatureInvalid", f"{head}.{b64u(unb64u(payload).replace(b':4,', b':5,'))}.{outer_signature}"),
             ("alg-missing", "the signature's alg is missing", "MemberMissing", outer(alg=None)),
             ("alg-altered", "the signature's alg is another one", "AlgorithmNotAllowed", outer(alg="RS256")),
             ("key-missing", "the signing key is missing", "HeaderNotAllowed", outer(sjwk=None)),
             ("key-altered", "the signing key is another one under the old signature", "SignatureInvalid", outer(sjwk=f"{key_head}.{other}.{key_signature}")),
             ("key-signature-missing", "the signing key's signature is missing", "JwsMalformed", outer(sjwk=f"{key_head}.{key_payload}.")),
             ("key-signature-altered", "one bit of the signing key's signature", "SignatureInvalid", outer(sjwk=f"{key_head}.{key_payload}.{flipped}")),
             ("root-id-missing", "the root's id is missing", "HeaderNotAllowed", outer(sjwk=f"{inner(kid=None)}.{key_payload}.{key_signature}")),
             ("root-id-altered", "the root's id is that of another root", "SignatureInvalid", outer(sjwk=f"{inner(kid='root-2')}.{key_payload}.{key_signature}")),
             ("root-alg-missing", "the alg of the root's signature is missing", "MemberMissing", outer(sjwk=f"{inner(alg=None)}.{key_payload}.{key_signature}")),
             ("root-alg-altered", "the alg of the root's signature is another one", "AlgorithmNotAllowed", outer(sjwk=f"{inner(alg='RS256')}.{key_payload}.{key_signature}"))]
    for name, title, code, text in items:
        control.refuse(f"six-items/{name}", title, "S1.24 S1.18 S1.19", code, "order", {"manifestSignature": text})
