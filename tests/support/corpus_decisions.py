"""Cases of the refusal corpus: well-formed, well-signed documents that are not for this device, not now, or not any more."""
import base64

from corpus import Pieces
from corpus_members import manifest_changes, manifest_shapes
from corpus_world import DEVICE, FILE_ID, HOUR, MANIFEST_TYP, NOW, ORDER_TYP, PERMIT_TYP, SJWK_TYP, STATUS_TYP, FixedLog, Release
from documents import DAY, b64, b64u, compact, jws, sha256, unb64u


def add_statuses(world, controls):
    control = controls["status"]

    def refuse(name, title, rows, code, control=control, document="status", kid="director-1", now=None, **changes):
        payload = {name: value for name, value in world.status_payload(**changes).items() if value is not None}
        control.refuse(f"status/{name}", title, rows, code, document, {"status": world.signed(STATUS_TYP, payload, kid)}, now=now)

    refuse("epoch-lower", "of an epoch before the package's", "X2 X7", "StatusReplayed", epoch=1)
    refuse("epoch-higher", "of an epoch that no package names", "X2", "PackageVersionTooLow", epoch=3)
    refuse("version-lower", "of a version before the one known", "X2 X7", "StatusReplayed", version=9)
    refuse("version-zero", "of version 0", "X2", "StatusReplayed", version=0)
    refuse("same-version", "of the version known, with other bytes", "X7", "StatusReplayed", version=10, withdrawn=[])
    refuse("expired", "it expires this second", "X1", "StatusExpired", expires=NOW)
    refuse("expired-long-ago", "it expired a year ago", "X1", "StatusExpired", issued=NOW - 365 * DAY, expires=NOW - 364 * DAY)
    refuse("lives-too-long", "it lives for 24 hours and a second", "X1", "StatusExpired", issued=NOW - 5, expires=NOW - 5 + DAY + 1)
    refuse("ends-first", "it expires when it is issued", "X1", "ValueOutOfRange", issued=NOW + 5, expires=NOW + 5)
    refuse("issued-before-listing", "issued before its key was listed", "X9 S1.29", "SigningKeyExpired", issued=NOW - HOUR - 1)
    refuse("issued-after-listing", "issued after its key's listing ends", "X9 S1.29", "SigningKeyExpired", issued=NOW + 30 * DAY, expires=NOW + 30 * DAY + HOUR)
    refuse("package-unknown", "it names a package that is not there yet", "S1.42 S1.45 X1", "PackageVersionTooLow", packageVersion=2)
    refuse("package-other", "it names other bytes of the package", "S1.43 S1.48", "PackageStepInvalid", packageSha256=b64u(bytes(32)))
    refuse("package-0", "it names package 0", "X1", "ValueOutOfRange", packageVersion=0)
    refuse("withdrawn-short", "a withdrawn hash of 31 bytes", "S1.46", "Base64Invalid", withdrawn=[b64u(bytes(31))])
    refuse("withdrawn-number", "a withdrawn hash that is a number", "S1.46", "MemberTypeWrong", withdrawn=[1])
    refuse("newest-product", "a newest counter of a product without vendor", "S1.46", "IdInvalid", newest={"pump": {"production": 1}})
    refuse("newest-path", "a newest counter of a product with a path", "X10", "IdInvalid", newest={"../pump": {"production": 1}})
    refuse("newest-text", "a newest counter that is a text", "S1.46", "MemberTypeWrong", newest={"acme/pump": {"production": "1"}})
    refuse("nonce-empty", "an empty nonce", "X9", "ValueOutOfRange", nonce="")
    refuse("nonce-number", "a nonce that is a number", "X9", "MemberTypeWrong", nonce=1)
    refuse("package-expired", "the newest package expires this second", "X1", "PackageExpired", document="package", now=NOW + 300 * DAY,
           issued=NOW + 300 * DAY - 5, expires=NOW + 300 * DAY + HOUR)
    refuse("listing-ended", "its key's listing has ended", "S1.29 S1.54 X1", "SigningKeyExpired", controls["lived-status"], kid="director-1", version=21)
    refuse("clock-set-back", "it expired before the time that the device has seen signed, and the clock was set back before its end", "X9", "StatusExpired",
           now=NOW - 2 * HOUR, issued=NOW - 3 * HOUR, expires=NOW - HOUR // 2)
    control.refuse("status/of-an-order", "an order in its place", "X3", "TypMismatch", "status", {"status": controls["install"].ref("order")})
    control.refuse("status/of-a-manifest", "a manifest signature in its place", "X3", "RoleNotAllowed", "status", {"status": controls["install"].ref("manifestSignature")})
    future = {**{kid: one for kid, one in world.listings.items() if kid != "director-2"}, "director-3": world.listed("director-3", "director", [], before=1)}
    control.refuse("status/listing-not-begun", "its key's listing begins in a second; the package that says so stays", "S1.29 S1.54", "SigningKeyExpired", "status",
                   {"packages": [world.package(2, signingKeys=future)], "status": world.signed(STATUS_TYP, world.status_payload(), "director-3")}, kept=["package 2"])
    control.refuse("status/package-then-replay", "a package that is good, with an old status; the package stays", "S1.44 S1.49 X7", "StatusReplayed", "status",
                   {"packages": [world.package(2)], "status": world.signed(STATUS_TYP, world.status_payload(version=3), "director-1")}, kept=["package 2"])


def add_orders(world, controls):
    release = world.releases[4]

    def refuse(name, title, rows, code, control="install", now=None, kid="director-1", **changes):
        payload = {key: value for key, value in world.order_payload(release, **changes).items() if value is not None}
        changes = {"order": world.signed(ORDER_TYP, payload, kid)}
        if control == "install-without-status":
            changes["status"] = None
        controls[control].refuse(f"order/{name}", title, rows, code, "order", changes, now=now)

    refuse("device-other", "for another device", "X5", "OrderNotForThisDevice", deviceId="dev-2")
    refuse("device-other-case", "for this device's id in other case", "X5", "OrderNotForThisDevice", deviceId="DEV-1")
    refuse("generation-next", "for the next generation of this device", "X5", "OrderNotForThisDevice", generation=2)
    refuse("generation-0", "for generation 0", "X5", "ValueOutOfRange", generation=0)
    refuse("epoch-lower", "of an epoch before the package's", "X2 X7", "OrderReplayed", epoch=1)
    refuse("epoch-higher", "of an epoch that no package names", "X2", "PackageVersionTooLow", epoch=3)
    refuse("expired", "it expires this second", "X1", "OrderExpired", expires=NOW)
    refuse("lives-too-long", "it lives for 30 days and a second", "X1", "OrderExpired", issued=NOW - 5, expires=NOW - 5 + 30 * DAY + 1)
    refuse("ends-first", "it expires when it is issued", "X1", "ValueOutOfRange", issued=NOW, expires=NOW)
    refuse("issued-ahead", "issued a day and a second ahead", "X9", "OrderExpired", issued=NOW + DAY + 1, expires=NOW + 2 * DAY)
    refuse("package-higher", "it needs a package that is not there yet", "S1.42 S1.45", "PackageVersionTooLow", packageVersion=2)
    refuse("action-other", "an action that nobody knows", "S1.28", "ValueOutOfRange", action="reboot")
    refuse("reboot-other", "a reboot that nobody knows", "S1.28", "ValueOutOfRange", reboot="maybe")
    refuse("cancel-with-contents", "a cancel with contents", "S1.28", "ValueOutOfRange", action="cancel")
    refuse("window-past", "its window ended a second ago", "X1", "OutsideWindow", window={"notBefore": NOW - HOUR, "notAfter": NOW - 1})
    refuse("window-reversed", "a window that ends before it begins", "X1", "ValueOutOfRange", window={"notBefore": NOW + 2, "notAfter": NOW + 1})
    refuse("window-half", "a window without an end", "X1", "MemberMissing", window={"notBefore": NOW})
    refuse("window-unknown-member", "a window with a member that nobody knows", "X1", "MemberUnknown", window={"notBefore": NOW, "notAfter": NOW + 5, "zz": 1})
    refuse("deadline-past", "its deadline was a second ago", "X1", "OutsideWindow", deadline=NOW - 1)
    refuse("deadline-text", "a deadline that is a text", "X1", "MemberTypeWrong", deadline="soon")
    add_order_contents(world, release, refuse)
    for name in ("orderId", "deviceId", "planId"):
        for short, value in (("empty", ""), ("path", "../x"), ("slash", "a/b"), ("nul", "a\0b"), ("long", "x" * 65), ("line", "a\nb"), ("percent", "a%2fb")):
            refuse(f"{name.removesuffix('Id')}-id-{short}", f"{name} is {value[:8]!r}", "X10", "IdInvalid", **{name: value})
    refuse("no-status", "before any status came", "S1.42 X1", "StatusExpired", "install-without-status")
    refuse("status-expired", "when the newest status has expired this second", "X1", "StatusExpired", now=NOW + HOUR)
    refuse("package-expired", "when the newest package has expired", "X1", "PackageExpired", now=NOW + 300 * DAY)
    refuse("listing-ended", "its director's listing has ended", "S1.29 S1.54", "SigningKeyExpired", "lived-install")
    lived = lambda name, title, code, **changes: refuse(name, title, "X7 X2", code, "lived-install", kid="director-3", **changes)
    lived("sequence-lower", "a later order was taken", "OrderReplayed", sequence=32)
    lived("sequence-0", "of sequence 0", "OrderReplayed", sequence=0)
    lived("same-sequence", "the sequence of the order known, with other bytes", "OrderReplayed", sequence=33)
    refuse("cancelled", "a cancel has voided it", "X7", "OrderCancelled", "cancelled-install", sequence=89)
    refuse("cancelled-same-sequence", "the sequence of a cancel", "X7", "OrderReplayed", "cancelled-install", sequence=90)
    control = controls["install"]
    control.refuse("order/clock-below-floor", "the device's clock stands before the time that it has seen signed: it does not know the time", "X9", "StatusExpired", "order", {}, now=NOW - 6)
    order = lambda payload, **how: {"order": world.signed(ORDER_TYP, payload, "director-1", **how), "manifest": None, "manifestSignature": None, "logProof": None, "consistency": None}
    control.refuse("order/cancel-for-another-device", "a cancel for another device", "X5", "OrderNotForThisDevice", "order",
                   order(world.cancel_payload(release, 100, deviceId="dev-2")))
    control.refuse("order/cancel-expired", "a cancel that has expired", "X1", "OrderExpired", "order", order(world.cancel_payload(release, 100, expires=NOW)))
    control.refuse("order/cancel-forged", "a cancel that only a publisher signed", "X4", "RoleNotAllowed", "order",
                   {**order({}), "order": world.signed(ORDER_TYP, world.cancel_payload(release, 100), "publisher-1")})
    for name, place, code in (("status", controls["status"].ref("status"), "TypMismatch"), ("manifest", control.ref("manifestSignature"), "RoleNotAllowed")):
        control.refuse(f"order/of-a-{name}", f"a {name}'s signed text in its place", "X3", code, "order", {"order": place})
    control.refuse("order/of-a-signing-key", "a signing key's document in its place", "X3", "HeaderNotAllowed", "order", {"order": world.key_document("director-1")})


def add_order_contents(world, release, refuse):
    contents = release.contents
    rows = "S1.28 X3"
    refuse("contents-none", "no contents", rows, "FileHashMismatch", contents=[])
    refuse("contents-other-file", "contents of a file that the manifest does not have", rows, "FileHashMismatch", contents=contents(fileId="f" + "0" * 15 + "2"))
    refuse("contents-one-more", "contents of one file more", rows, "FileHashMismatch", contents=contents() + contents(fileId="f" + "0" * 15 + "2"))
    refuse("contents-twice", "one file twice", rows, "ValueOutOfRange", contents=contents() * 2)
    for name, size in (("zero", 0), ("less", len(release.sealed) - 1), ("more", len(release.sealed) + 1), ("tera", 2 ** 40), ("greatest", 2 ** 53 - 1)):
        refuse(f"contents-size-{name}", f"a sealed size of {size}, which does not follow from the file's", "X6", "FileHashMismatch", contents=contents(sealedSize=size))
    refuse("contents-size-text", "a sealed size that is a text", "X6", "MemberTypeWrong", contents=contents(sealedSize="1"))
    refuse("contents-size-negative", "a negative sealed size", "X6", "ValueOutOfRange", contents=contents(sealedSize=-1))
    refuse("contents-hash-short", "a sealed hash of 31 bytes", rows, "Base64Invalid", contents=contents(sealedSha256=b64u(bytes(31))))
    refuse("contents-file-path", "a file id with a path", "X10", "IdInvalid", contents=contents(fileId="../x"))
    refuse("contents-unknown-member", "contents with a member that nobody knows", rows, "MemberUnknown", contents=contents(zz=1))
    refuse("contents-hash-missing", "contents without a hash", rows, "MemberMissing", contents=[{"fileId": FILE_ID, "sealedSize": 1}])
    refuse("content-key-missing", "sealed, and without the content key", rows, "DeliveryNotAllowed", contentKey=None)
    refuse("manifest-other", "it names another manifest than comes with it", "X3", "ManifestHashMismatch", manifestSha256=b64u(world.releases[3].sha256))


def add_manifests(world, controls):
    control = controls["install"]
    release = world.releases[4]
    text, signature = release.manifest, release.signature
    for name, title, changed in manifest_changes(text):
        control.refuse(f"manifest/{name}", f"{title}, and the old hash", "S1.30", "ManifestHashMismatch", "order", {"manifest": changed})
    for name, title, changed, code in manifest_shapes(text):
        signed = world.signed(MANIFEST_TYP, world.signature_payload(release, sha256=b64(sha256(changed))), "publisher-1")
        order = world.signed(ORDER_TYP, world.order_payload(release, manifestSha256=b64u(sha256(changed))), "director-1")
        control.refuse(f"members-manifest/{name}", title, "S1.28" + (" X10" if "path" in name or "nul" in name else ""), code, "order",
                       {"manifest": changed, "manifestSignature": signed, "order": order})

    def refuse(name, title, rows, code, manifest=text, kid="publisher-1", **changes):
        signed = world.signed(MANIFEST_TYP, {**world.signature_payload(release), "sha256": b64(sha256(manifest)), **changes}, kid)
        order = world.signed(ORDER_TYP, world.order_payload(release, manifestSha256=b64u(sha256(manifest))), "director-1")
        control.refuse(f"manifest/{name}", title, rows, code, "order", {"manifest": manifest, "manifestSignature": signed, "order": order, "logProof": logged(world, release, signed)})

    refuse("hash-other", "the signature names another manifest", "S1.28 X3", "ManifestHashMismatch", sha256=b64(bytes(32)))
    refuse("hash-base64url", "the signed hash is in base64url", "S1.32", "Base64Invalid", sha256="-" * 43 + "=")
    refuse("hash-without-padding", "the signed hash has no padding", "S1.32", "Base64Invalid", sha256=b64(release.sha256).rstrip("="))
    refuse("audience-other", "signed for another organisation", "X5", "AudienceMismatch", audience="urn:fleetseal:other")
    refuse("audience-case", "signed for the organisation's name in other case", "X5", "AudienceMismatch", audience="urn:fleetseal:ACME")
    refuse("audience-empty", "signed for nobody", "X5", "ValueOutOfRange", audience="")
    refuse("product-other", "the signature names another product than the manifest", "X5", "ProductNotAllowed", kid="publisher-valve", product="acme/valve")
    refuse("product-path", "a product with a path", "X10", "IdInvalid", product="../pump")
    refuse("counter-0", "a release counter of 0", "X2", "ValueOutOfRange", releaseCounter=0)
    refuse("counter-huge", "a release counter of 2^53", "X2", "JsonNumberInvalid", releaseCounter=2 ** 53)
    refuse("delivery-other", "a delivery that nobody knows", "S1.28", "ValueOutOfRange", delivery="plain")
    valve = world.manifest(release.content, "4.0.0", updateId={"provider": "acme", "name": "valve", "version": "4.0.0"})
    refuse("for-another-product", "an update of another product, properly signed for it", "X5", "NotCompatible", valve, "publisher-valve", product="acme/valve")
    for name, title, sets in (("model", "another model", [{"manufacturer": "acme", "model": "pump-2"}]), ("manufacturer", "another manufacturer", [{"manufacturer": "other", "model": "pump-1"}]),
                              ("property", "a property that the device does not have", [{"manufacturer": "acme", "model": "pump-1", "group": "a"}]),
                              ("halves", "two sets of which the device has half each", [{"manufacturer": "acme", "model": "x"}, {"manufacturer": "x", "model": "pump-1"}])):
        refuse(f"compatibility-{name}", f"made for {title}", "X5", "NotCompatible", world.manifest(release.content, "4.0.0", compatibility=sets))
    self_step = {"steps": [{"handler": "fleetseal/self:1", "files": [FILE_ID]}]}
    refuse("self-by-publisher", "an update of the agent itself by a publisher", "X4", "RoleNotAllowed", world.manifest(release.content, "4.0.0", instructions=self_step))
    refuse("slot-by-agent-release", "an image by a key for the agent's own releases", "X4", "RoleNotAllowed", kid="agent-1")
    large = world.manifest(release.content, "4.0.0", description="PLACE")
    before, after = large.split("PLACE")
    whole = before + "x" * 17_000 + after
    control.refuse("manifest/huge", "17 KB, properly signed", "S1.16 X6", "DocumentTooLarge", "order",
                   {"manifest": Pieces([{"text": before}, {"text": "x", "times": 17_000}, {"text": after}]),
                    "manifestSignature": world.signed(MANIFEST_TYP, world.signature_payload(release, sha256=b64(sha256(whole))), "publisher-1"),
                    "order": world.signed(ORDER_TYP, world.order_payload(release, manifestSha256=b64u(sha256(whole))), "director-1")})
    add_mixtures(world, controls, signature)


def add_mixtures(world, controls, signature):
    """X3: parts of two releases, each genuine."""
    control, three, withdrawn = controls["install"], world.releases[3], world.releases[5]
    control.refuse("mixed/manifest", "the manifest of the release before", "X3", "ManifestHashMismatch", "order", {"manifest": three.manifest})
    control.refuse("mixed/signature", "the manifest signature of the release before", "X3 S1.18 S1.19", "ManifestHashMismatch", "order", {"manifestSignature": three.signature})
    control.refuse("mixed/manifest-and-signature", "manifest and signature of the release before", "X3", "ManifestHashMismatch", "order",
                   {"manifest": three.manifest, "manifestSignature": three.signature})
    control.refuse("mixed/proof", "the log proof of the release before", "X3", "LogProofMissing", "order", {"logProof": world.proof(three)})
    control.refuse("mixed/no-manifest", "no manifest", "X3", "ManifestHashMismatch", "order", {"manifest": None})
    control.refuse("mixed/no-signature", "no manifest signature", "S1.24 X3", "JwsMalformed", "order", {"manifestSignature": None})
    control.refuse("mixed/withdrawn", "a release that the newest status withdraws", "S1.44", "Withdrawn", "order", world.order_documents(withdrawn))
    control.refuse("mixed/withdrawn-now", "the status that comes with it withdraws it, and stays", "S1.44 S1.49", "Withdrawn", "order",
                   {"status": world.signed(STATUS_TYP, world.status_payload(withdrawn=[b64u(world.releases[4].sha256)]), "director-1")}, kept=["status"])
    other = world.signed(MANIFEST_TYP, world.signature_payload(world.releases[4], issued=NOW - 9), "publisher-1")
    control.refuse("mixed/signature-not-on-the-log", "another signature of the same manifest by the same key, which is not on the log", "X3 X4", "LogProofMissing", "order",
                   {"manifestSignature": other})
    head, tail = signature.rsplit(".", 1)
    raw = unb64u(tail)
    order_of_curve = 0xffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551
    twin = raw[:32] + (order_of_curve - int.from_bytes(raw[32:], "big")).to_bytes(32, "big")
    control.refuse("mixed/signature-twin", "the other s of the same signature, which is not on the log", "S1.30 X3", "LogProofMissing", "order", {"manifestSignature": f"{head}.{b64u(twin)}"})
    clear = world.order_documents(world.clear_4)
    control.refuse("mixed/clear-on-sealed", "a release of clear delivery on a device of sealed", "X5", "DeliveryNotAllowed", "order", clear)
    sealed_on_clear = controls["clear-install"]
    sealed_on_clear.refuse("mixed/sealed-on-clear", "a release of sealed delivery on a device of clear", "X5", "DeliveryNotAllowed", "order", world.order_documents(world.releases[4]))
    clear_payload = lambda **changes: world.order_payload(world.clear_4, contents=clear_contents(world.clear_4, **changes))
    sealed_on_clear.refuse("mixed/clear-with-key", "clear delivery with a content key", "X5", "DeliveryNotAllowed", "order",
                           {"order": world.signed(ORDER_TYP, clear_payload(), "director-1")})
    wrong = clear_payload(sealedSha256=b64u(bytes(32)))
    wrong.pop("contentKey")
    sealed_on_clear.refuse("mixed/clear-other-bytes", "clear delivery of other bytes than the manifest's", "X3", "FileHashMismatch", "order",
                           {"order": world.signed(ORDER_TYP, wrong, "director-1")})


def clear_contents(release, **changes):
    return [{"fileId": FILE_ID, "sealedSha256": b64u(sha256(release.content)), "sealedSize": len(release.content), **changes}]


def add_counters(world, controls):
    lived, fresh = controls["lived-install"], controls["install"]
    known = len(world.log_at_3.leaves)
    order = lambda release, **changes: world.order_documents(release, known=known, kid="director-3", **changes)
    lived.refuse("counter/lower", "a release below the one installed, without a permit", "X2", "RollbackRefused", "order", order(world.releases[2]))
    lived.refuse("counter/equal", "another update under the counter of the one installed", "X2", "RollbackRefused", "order", order(world.other_3))
    lived.refuse("counter/below-least", "a release below the package's least counter, without a permit", "X2", "RollbackRefused", "order", order(world.releases[1]))
    fresh.refuse("counter/below-least-first", "a release below the package's least counter on a device that has none", "X2", "RollbackRefused", "order",
                 world.order_documents(world.releases[1]))
    add_permits(world, controls["permit"], order)


def add_permits(world, control, order):
    two, three = world.releases[2], world.releases[3]
    signed = lambda payload, kid="publisher-1", **how: world.signed(PERMIT_TYP, payload, kid, **how)

    def refuse(name, title, rows="X2", code="PermitInvalid", start=three, end=two, release=two, **changes):
        payload = {name: value for name, value in world.permit_payload(start, end, **changes).items() if value is not None}
        control.refuse(f"permit/{name}", title, rows, code, "order", order(release, permit=signed(payload)))

    refuse("product-other", "for another product", "X2 X5", product="acme/valve")
    refuse("from-other", "from another release than the one installed", start=world.releases[4])
    refuse("from-other-manifest", "from another manifest of the counter installed", start=world.other_3)
    refuse("to-other", "to another release than the order brings", end=world.releases[1])
    refuse("to-itself", "to the release installed", end=three)
    refuse("device-other", "for another device", "X2 X5", deviceIds=["dev-2"])
    refuse("devices-none", "for no device", "X2 X5", deviceIds=[])
    refuse("plan-other", "for another plan", "X2 X5", deviceIds=None, planId="plan-2")
    refuse("device-and-plan", "for this device and this plan, of which it must name one", planId="plan-1")
    refuse("neither-device-nor-plan", "for nobody", deviceIds=None)
    refuse("expired", "it expires this second", "X1 X2", expires=NOW)
    refuse("ends-first", "it expires when it is issued", issued=NOW + 5, expires=NOW + 5)
    refuse("used", "it was used before", "X2 X7", permit_id="permit-1")
    refuse("device-path", "a device with a path", "X10", deviceIds=["../dev-1"])
    refuse("id-path", "an id with a path", "X10", permit_id="../permit")
    refuse("from-unknown-member", "a release with a member that nobody knows", **{"from": {**three.point(), "zz": 1}})
    refuse("from-0", "from release counter 0", **{"from": {**three.point(), "releaseCounter": 0}})
    refuse("below-least", "below the package's least counter, with a permit that says so", code="RollbackRefused", end=world.releases[1], release=world.releases[1])
    control.refuse("permit/empty", "an empty permit", "X2", "ValueOutOfRange", "order", order(two, permit=""))
    control.refuse("permit/number", "a permit that is a number", "X2", "MemberTypeWrong", "order", order(two, permit=1))
    control.refuse("permit/of-a-manifest", "a manifest signature in its place", "X2 X3", "PermitInvalid", "order", order(two, permit=two.signature))
    control.refuse("permit/of-a-director", "signed by the director", "X2 X4", "PermitInvalid", "order", order(two, permit=signed(world.permit_payload(three, two), "director-3")))


def add_logs(world, controls):
    control, release = controls["install"], world.releases[4]
    rows = "X3 X4"
    refuse = lambda name, title, code, proof, control=control, rows=rows, **more: control.refuse(f"log/{name}", title, rows, code, "order", {"logProof": proof, **more})
    proof = world.proof(release)
    lines = proof.split("\n")
    refuse("none", "no proof", "LogProofMissing", None)
    refuse("empty", "an empty proof", "LogProofMissing", "")
    stranger = world.log.copy()
    stranger.key = FixedLog("log.other").key
    refuse("other-key", "a log of the same name by another key", "LogProofMissing", world.proof(release, stranger))
    other = FixedLog("log.other")
    other.leaves = list(world.log.leaves)
    refuse("other-origin", "a log that no package names", "LogProofMissing", world.proof(release, other))
    refuse("other-record", "the proof of the record before", "LogProofMissing", world.log.proof(release.index - 1))
    for name, title, change, code in (("leaf-type", "a record of another type", {"type": "order"}, "LogProofMissing"), ("leaf-other-signature", "a record of another signature", {"jwsSha256": b64u(bytes(32))}, "LogProofMissing"),
                                      ("leaf-unknown-member", "a record with a member that nobody knows", {"zz": 1}, "MemberUnknown")):
        log = world.log.copy()
        index = world_leaf(world, log, release, **change)
        refuse(name, title, code, log.proof(index))
    refuse("index-other", "another index", "LogProofMissing", proof.replace(f"\nindex {release.index}\n", f"\nindex {release.index + 1}\n"))
    refuse("index-beyond", "an index beyond the tree", "LogProofMissing", proof.replace(f"\nindex {release.index}\n", "\nindex 4000\n"))
    refuse("index-leading-zero", "an index with a leading zero", "ValueOutOfRange", proof.replace(f"\nindex {release.index}\n", f"\nindex 0{release.index}\n"))
    refuse("hash-altered", "another hash on the path", "LogProofMissing", "\n".join(lines[:3] + [b64(bytes(32))] + lines[4:]))
    refuse("hash-missing", "a hash of the path is missing", "LogProofMissing", "\n".join(lines[:3] + lines[4:]))
    refuse("hash-more", "a hash too many", "LogProofMissing", "\n".join(lines[:3] + [lines[3]] + lines[3:]))
    refuse("hash-short", "a hash of 31 bytes", "TextInvalid", "\n".join(lines[:3] + [b64(bytes(31))] + lines[4:]))
    refuse("leaf-altered", "one byte of the record", "LogProofMissing", proof.replace(lines[1], "extra " + b64(world.log.leaves[release.index].replace(b'"request-1"', b'"request-2"'))))
    refuse("no-leaf", "a proof without the record", "TextInvalid", "\n".join(lines[:1] + lines[2:]))
    refuse("version-other", "a proof of another version", "FormatVersionUnknown", proof.replace("@v1", "@v2"))
    refuse("cut", "half a proof", "Truncated", proof[:proof.index("\n\n")])
    refuse("line-ends", "lines that end as on other systems", "FormatVersionUnknown", proof.replace("\n", "\r\n"))
    refuse("huge", "a proof of 9 KB", "DocumentTooLarge", Pieces([{"text": proof}, {"text": "A", "times": 9_000}]), rows="S1.16 X6")
    checkpoint = proof[proof.index("\n\n") + 2:]
    refuse("checkpoint-altered", "the checkpoint's size was altered", "SignatureInvalid", proof.replace(f"\n{len(world.log.leaves)}\n", f"\n{len(world.log.leaves) + 1}\n"))
    refuse("checkpoint-unsigned", "a checkpoint without signature", "TextInvalid", proof.replace(checkpoint, checkpoint[:checkpoint.index("\n\n") + 2]))
    refuse("checkpoint-signature-altered", "the checkpoint's signature is of other bytes", "SignatureInvalid", other_signature(world, proof, checkpoint))
    add_witnesses(world, controls["witnessed"], release, rows)
    add_forks(world, controls["lived-install"], release, refuse)


def other_signature(world, proof, checkpoint):
    body, signature = checkpoint.rsplit("\n\n", 1)
    foreign = world.log.checkpoint(bytes(32)).rsplit("\n\n", 1)[1]
    assert foreign != signature
    return proof.replace(checkpoint, body + "\n\n" + foreign)


def world_leaf(world, log, release, **changes):
    leaf = {"type": "manifest-signature", "time": NOW - 5, "jwsSha256": b64u(sha256(release.signature)), "manifestSha256": b64u(release.sha256), "product": world.product,
            "releaseCounter": release.counter, "keyThumbprint": b64u(world.publisher.thumbprint()), "requestId": "request-1", "policySha256": b64u(bytes(32)),
            "evidence": b64u(bytes(32)), **changes}
    return log.append(compact(leaf))


def logged(world, release, signature):
    """A proof that this signature, too, is on the log."""
    log = world.log.copy()
    return log.proof(world_leaf(world, log, release, jwsSha256=b64u(sha256(signature))))


def witnessed_proof(world, release, **changes):
    """A proof against the log whose package demands a witness, without one."""
    log = world.witnessed.copy()
    return log.proof(world_leaf(world, log, release, **changes))


def add_witnesses(world, control, release, rows):
    bare = witnessed_proof(world, release)
    split = bare.index("\n\n") + 2
    sign = lambda witness, time=NOW - 1: bare[:split] + witness.cosign(bare[split:], time)
    refuse = lambda name, title, code, proof: control.refuse(f"log/{name}", title, rows, code, "order", {"logProof": proof})
    stranger = type(world.witness)("witness.other")
    impostor = type(world.witness)("witness.example")
    impostor.key = stranger.key
    renamed = type(world.witness)("witness.example")
    renamed.key, renamed.key_id = stranger.key, stranger.key_id
    refuse("witness-none", "no witness signed, and one is needed", "QuorumMissing", bare)
    refuse("witness-stranger", "a witness that no package names", "QuorumMissing", sign(stranger))
    refuse("witness-other-key", "the witness's name with the key id of somebody else", "QuorumMissing", sign(renamed))
    refuse("witness-forged", "the witness's name and key id, and a signature by somebody else", "SignatureInvalid", sign(impostor))
    refuse("witness-time-altered", "the time that the witness signed was altered", "SignatureInvalid", altered_time(sign(world.witness)))


def altered_time(proof):
    head, line = proof[:-1].rsplit(" ", 1)
    raw = base64.b64decode(line)
    return f"{head} {b64(raw[:11] + bytes([raw[11] ^ 1]) + raw[12:])}\n"


def add_forks(world, control, release, refuse):
    rows = "X2 X3 X4"
    known = len(world.log_at_3.leaves)
    fork = FixedLog(world.log.origin)
    fork.leaves = [b"another history"] * known + world.log.leaves[known:]
    refuse("fork-larger", "a larger tree of another history", "LogForked", world.proof(release, fork), control, rows, consistency=fork.consistency(known))
    same = FixedLog(world.log.origin)
    same.leaves = world.log_at_3.leaves[:-1]
    index = world_leaf(world, same, release)
    refuse("fork-same-size", "a tree of the size known with another root", "LogForked", same.proof(index), control, rows, consistency=[])
    small = FixedLog(world.log.origin)
    index = world_leaf(world, small, release)
    refuse("fork-smaller", "a smaller tree that the one known does not grow from", "LogForked", small.proof(index), control, rows, consistency=[])
    refuse("consistency-none", "no consistency proof", "LogForked", world.proof(release), control, rows, consistency=[])
    right = world.log.consistency(known)
    refuse("consistency-altered", "another hash in the consistency proof", "LogForked", world.proof(release), control, rows, consistency=[b64u(bytes(32)), *right[1:]])
    refuse("consistency-more", "a hash too many in the consistency proof", "LogForked", world.proof(release), control, rows, consistency=[*right, right[0]])
    refuse("consistency-swapped", "the consistency proof in another order", "LogForked", world.proof(release), control, rows, consistency=right[::-1])


def add_rotations(world, controls):
    """A package that is good and stays, and a document that it makes bad; and the same before the package came."""
    control, release = controls["install"], world.releases[4]
    disabled = world.disabled_keys
    one = lambda name, title, rows, code, package, **changes: control.refuse(f"rotation/{name}", title, rows, code, "order", {"packages": [package], **changes}, kept=["package 2"])
    one("publisher-disabled", "the package disables the publisher of a release that was good before", "S1.44 S1.49", "DisallowedSigningKey",
        world.package(2, disabledSigningKeys=[*disabled, world.disabled("publisher-1")]))
    one("director-disabled", "the package disables the director", "S1.44 S1.49", "DisallowedSigningKey",
        world.package(2, disabledSigningKeys=[*disabled, world.disabled("director-1")]))
    one("root-disabled", "the package disables the root that signed the signing keys", "S1.44 S1.49", "DisallowedRootKid",
        world.package(2, ("root-2", "root-3"), disabledRootKeys=["root-1", "root-4"]))
    unlisted = {kid: listing for kid, listing in world.listings.items() if kid != "publisher-1"}
    one("publisher-unlisted", "the package no longer lists the publisher", "S1.29 S1.54", "SigningKeyNotListed", world.package(2, signingKeys=unlisted))
    one("publisher-ended", "the package ends the publisher's listing", "S1.29 S1.54", "SigningKeyExpired",
        world.package(2, signingKeys={**world.listings, "publisher-1": world.listed("publisher-1", after=0)}))
    one("publisher-other-product", "the package lists the publisher for another product", "X5", "ProductNotAllowed",
        world.package(2, signingKeys={**world.listings, "publisher-1": world.listed("publisher-1", products=["acme/valve"])}))
    one("least-counter", "the package raises the least counter above it", "X2", "RollbackRefused", world.package(2, minCounter={"acme:pump": 5}))
    one("log-left", "the package leaves the log for another", "X4", "LogProofMissing", world.package(2, logs=world.protected(2)["logs"][1:]))
    one("epoch-raised", "the package raises the epoch: status and orders of the old one are void", "X2 X7", "StatusExpired", world.package(2, directorEpoch=3))
    new_root = type(world.director).p256("root 6")
    by_new_root = world.signed(MANIFEST_TYP, world.signature_payload(release), "publisher-1",
                               sjwk=documents_by(world, "publisher-1", "root-6", new_root))
    control.refuse("rotation/new-root-before-its-package", "a signing key by a root that only the next package names", "S1.43 S1.48", "UnknownRootKid", "order",
                   {"manifestSignature": by_new_root})
    bad = world.package(2, ("root-1",), rootKeysExt={**world.protected(2)["rootKeysExt"], "root-6": new_root.jwk()})
    control.refuse("rotation/new-root-in-a-refused-package", "the package that names the new root is not signed by enough: it stops everything", "S1.43 S1.48",
                   "PackageStepInvalid", "package", {"packages": [bad], "manifestSignature": by_new_root})
    control.refuse("rotation/second-package-refused", "of two packages the second is no step: the first stays, and the order is not judged", "S1.41 S1.45", "PackageStepInvalid", "package",
                   {"packages": [world.package(2), world.package(2, expires=NOW + 9 * DAY)]}, kept=["package 2"])


def documents_by(world, kid, root, root_key):
    return jws(root_key, {"alg": root_key.alg, "kid": root, "typ": SJWK_TYP}, compact(world.keys[kid].jwk(kid=kid, alg="ES256")))


def add_keys_of_devices(world, controls):
    """Content keys: only the device itself can tell, because only it can open them."""
    control, release = controls["install"], world.releases[4]
    why = "only the device holds the key that opens a content key"

    def refuse(name, title, rows, code, key):
        order = world.signed(ORDER_TYP, world.order_payload(release, contentKey=key), "director-1")
        control.refuse(f"content-key/{name}", title, rows, code, "order", {"order": order}, judges=["installer"], why=why)

    right = release.content_key
    refuse("other-device", "bound to another device", "X5", "DecryptFailed", world.content_key(release.manifest, release.update_key, "dev-2"))
    refuse("other-generation", "bound to another generation", "X5", "DecryptFailed", world.content_key(release.manifest, release.update_key, DEVICE, 2))
    refuse("other-manifest", "bound to another manifest", "X3 X5", "DecryptFailed", world.releases[3].content_key)
    refuse("short", "an update key of 31 bytes", "S1.28", "DecryptFailed", world.content_key(release.manifest, release.update_key[:31]))
    refuse("altered", "one bit of the sealed key", "S1.28", "DecryptFailed", right[:-1] + ("A" if right[-1] != "A" else "Q"))
    refuse("four-segments", "four segments", "S1.17", "DecryptFailed", right.rsplit(".", 1)[0])
    refuse("no-jwe", "no content key at all", "S1.17", "DecryptFailed", "a.b.c.d.e")


def add_contents(world, controls):
    """Check 11: the order is taken, and what comes for it is not what the manifest names."""
    clear, sealed = world.clear_4, world.releases[4]
    why = "only the device holds the key that opens content"

    def refuse(name, title, rows, code, data, control="clear-install", release=clear, **more):
        digest = b64u(sha256(release.content if release is clear else release.sealed))
        controls[control].refuse(f"content/{name}", title, rows, code, "content", {}, kept=["order"], content=(FILE_ID, digest, data), **more)

    refuse("larger", "one byte more than the manifest says", "S1.28 X6", "FileTooLarge", clear.content + b"x")
    refuse("larger-by-far", "10,000 bytes more", "S1.28 X6", "FileTooLarge", clear.content + bytes(10_000))
    refuse("altered", "one bit is another", "S1.28", "FileHashMismatch", bytes([clear.content[0] ^ 1]) + clear.content[1:])
    refuse("of-another-release", "the file of another release of the same size", "S1.28 X3", "FileHashMismatch", world.releases[3].content)
    only = lambda name, title, rows, code, data: refuse(name, title, rows, code, data, "install", sealed, judges=["installer"], why=why)
    only("sealed-altered", "one bit of a sealed segment", "S1.28", "DecryptFailed", sealed.sealed[:50] + bytes([sealed.sealed[50] ^ 1]) + sealed.sealed[51:])
    only("sealed-tag-altered", "one bit of the last tag", "S1.28", "DecryptFailed", sealed.sealed[:-1] + bytes([sealed.sealed[-1] ^ 1]))
    only("sealed-id-altered", "one bit of the header's seal id", "S1.28", "DecryptFailed", sealed.sealed[:30] + bytes([sealed.sealed[30] ^ 1]) + sealed.sealed[31:])
    only("sealed-for-another-release", "sealed for another release", "S1.28 X3", "DecryptFailed", world.releases[3].sealed)
    only("sealed-larger", "a byte behind", "S1.28 X6", "FileTooLarge", sealed.sealed + b"x")
    only("sealed-version", "another version of the sealed form", "S1.28", "FormatVersionUnknown", sealed.sealed[:11] + b"\2" + sealed.sealed[12:])


def add_handlers(world, controls):
    control, release = controls["install"], world.releases[4]
    why = "which handlers there are is the device's own configuration"
    for name, title, handler in (("unknown", "a handler that the device does not have", "fleetseal/swap:1"), ("path", "a handler with a path", "../bin/sh"), ("version", "a handler of another version", "fleetseal/slot:2")):
        made = Release(world, "4.0.2", 4, is_logged=False)
        made.manifest = world.manifest(release.content, "4.0.2", instructions={"steps": [{"handler": handler, "files": [FILE_ID]}]})
        made.sha256 = sha256(made.manifest)
        made.signature = world.manifest_signature(made.manifest, 4)
        log = world.log.copy()
        made.index = world_leaf(world, log, made)
        control.refuse(f"handler/{name}", title, "X10", "HandlerUnknown", "order", world.order_documents(made, log), judges=["installer"], why=why)
