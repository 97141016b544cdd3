"""A new root vouches for signing keys from the moment on that its package was validated, and not before (S1.43, S1.48)."""
import pytest

from attacks import refused_order
from documents import Key
from installer import Refused, Release


def test_S1_43_S1_48_a_manifest_under_a_new_root_is_refused_before_and_taken_after_its_package(world, installer):
    old = world.roots
    new = {**old, "root-4": Key.p256()}
    release = Release(world, installer, b"under a new root")
    signature = world.manifest_signature(release.manifest, sjwk=world.sjwk(root="root-4", root_key=new["root-4"]))
    proof = world.log.proof(world.log_signature(signature, release.manifest))
    refused_order(installer, "UnknownRootKid", release, manifestSignature=signature, logProof=proof)
    # In a package that is not validated it is still nobody, in the same message or later.
    world.roots = new
    for signers, keys in ((("root-1",), old), (("root-1", "root-4"), new), (("root-4",), new)):
        package = world.package(2, signers=signers, keys=keys)
        with pytest.raises(Refused, match="PackageStepInvalid"):
            release.offer(status=None, packages=[package], manifestSignature=signature, logProof=proof)
        assert installer.state()["packageVersion"] == 1
        refused_order(installer, "UnknownRootKid", release, manifestSignature=signature, logProof=proof)
    # Afterwards it counts, in the very message that brings the package.
    status = world.status(version=70, package_version=2)
    state = release.install(status=status, packages=[world.package(2)], manifestSignature=signature, logProof=proof)
    assert state["installed"]["releaseCounter"] == 1 and state["packageVersion"] == 2
