"""docs/operations/lost-root.md, "Fewer than k left, or k stolen": only provisioning anew helps, and it does."""
import os
import shutil

from documents import Log, World
from installer import Refused, Release
import pytest


def answer_of(installer, **documents):
    with pytest.raises(Refused) as caught:
        installer.offer(**documents)
    return caught.value.code


def seize(world, installer):
    """A thief with k roots of the organisation makes the device his: roots, keys and log of his own."""
    thief = World(organisation=world.organisation)
    thief.roots = {"thief-" + kid: key for kid, key in thief.roots.items()}
    thief.log, thief.epoch = Log("log.thief"), world.epoch + 1
    step = thief.package(2, signers=("root-1", "root-2", "thief-root-1", "thief-root-2"), keys={**world.roots, **thief.roots})
    installer.offer(packages=[step])
    return thief, step


def test_a_device_of_a_thief_with_k_roots_is_the_owners_again_once_it_is_provisioned_anew(world, installer):
    thief, stolen = seize(world, installer)
    assert answer_of(installer, packages=[world.package(3, signers=("root-1", "root-2", "root-3"))]) == "PackageStepInvalid"

    # The installer never goes back by itself: another organisation's folder alone changes nothing.
    anew = World(organisation="acme-anew")
    state = installer.trust_bytes()
    installer.stop()
    installer.provision(anew)
    installer.start()
    assert installer.trust_bytes() == state
    assert answer_of(installer, packages=[anew.package(2)]) == "StateDamaged"

    # With the state removed by whoever reaches the disk it is a new device, of the new organisation alone.
    installer.stop()
    shutil.rmtree(os.path.join(installer.folder, "state"))
    installer.start()
    installer.world = anew
    Release(anew, installer, b"the owner's again").install()
    before = installer.fingerprint()
    for package in (stolen, world.package(2), thief.package(2, signers=list(thief.roots)[:2])):
        assert answer_of(installer, packages=[package]) == "PackageStepInvalid"
    old = Release(world, installer, b"of the old organisation", counter=9, version="9.0.0")
    assert answer_of(installer, **old.documents(status=None)) == "SignatureInvalid"
    assert installer.fingerprint() == before
