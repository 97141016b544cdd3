"""S1.16: the example that links libfleetseal-trust decides under small limits of memory and time, with the largest documents that a device takes; what
is larger is refused for its size before anything of it is read."""
import os
import resource
import subprocess

import pytest
from documents import Key, b64, b64u, jwe, seal, sha256
from test_trust_library import Got, as_c, prefix  # noqa: F401

MIB = 1024 * 1024
# All of the process: program, libcrypto, C++ runtime, the buffers of the example (one of the greatest document's size for each), and the decision.
ADDRESS_SPACE = 24 * MIB
DATA = 8 * MIB
CPU_SECONDS = 1
PACKAGE_MAX, STATUS_MAX, JWS_MAX, MANIFEST_MAX = 40 * 1024, 28 * 1024, 20 * 1024, 16 * 1024


@pytest.fixture(scope="module")
def program(prefix, tmp_path_factory):  # noqa: F811
    return as_c(prefix, str(tmp_path_factory.mktemp("judge")))


def judge(program, folder, address_space=ADDRESS_SPACE, data=DATA):
    def limits():
        resource.setrlimit(resource.RLIMIT_AS, (address_space, address_space))
        resource.setrlimit(resource.RLIMIT_DATA, (data, data))
        resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    done = subprocess.run([program, folder], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, preexec_fn=limits)
    return done.returncode, done.stdout


class Largest(Got):
    """Package and status to the brim; a manifest of 20 files with long names and three hashes each; an order for all of them."""

    def __init__(self, folder):
        super().__init__(folder)
        world = self.world
        for number in range(62):
            products = [f"acme/pump-{number:02}-{part}-" + "x" * 30 for part in range(6)]
            world.listings[f"publisher-of-some-product-line-{number:02}"] = world.listing(Key.p256(), "publisher", products)
        number = 0
        while len(world.package(2)) < PACKAGE_MAX - 80:
            world.min_counter[f"acme:valve-{number:03}" + "y" * 40] = 1
            number += 1
        self.write("package.json", world.package())
        self.write("next-package.json", world.package(2))
        withdrawn = [b64u(sha256(f"withdrawn {number}")) for number in range(256)]
        newest = {}
        while len(self.status(withdrawn, newest)) < STATUS_MAX - 150:
            newest[f"acme/pump-{len(newest):03}" + "z" * 40] = {"production": 1}
        self.write("status.jws", self.status(withdrawn, newest))
        self.manifest, self.contents = self.large_manifest()
        signature = world.manifest_signature(self.manifest)
        self.write("manifest.json", self.manifest)
        self.write("manifest.jws", signature)
        self.write("log.proof", world.log.proof(world.log_signature(signature, self.manifest)))
        self.content_key = jwe(world.publisher.public, os.urandom(32), {"deviceId": "dev-1", "generation": 1, "manifestSha256": b64u(sha256(self.manifest))})
        self.write("order.jws", self.order(sequence=2))

    def status(self, withdrawn, newest):
        return self.world.status(package_version=2, withdrawn=withdrawn, newest=newest)

    def large_manifest(self):
        files, contents = {}, []
        for number in range(20):
            content, file_id = os.urandom(16), f"f{number:016x}"
            hashes = {"sha256": b64(sha256(content)), "sha384": b64(bytes(48)), "sha512": b64(bytes(64))}
            files[file_id] = {"fileName": f"{number:02}" + "n" * 62, "sizeInBytes": len(content), "hashes": hashes}
            sealed = seal(content, bytes(32), bytes(32), file_id)
            contents.append({"fileId": file_id, "sealedSha256": b64u(sha256(sealed)), "sealedSize": len(sealed)})
        ids = list(files)
        steps = [{"handler": "fleetseal/file:1", "files": [ids[number]], "handlerProperties": {"target": f"file-{number:02}"}} for number in range(0, 20, 2)]
        others = [{f"property-{part}-" + "p" * 20: "v" * 64 for part in range(5)} for _ in range(9)]
        compatibility = [{"manufacturer": "acme", "model": "pump-1"}, *others]
        return self.world.manifest(b"", files=files, instructions={"steps": steps}, compatibility=compatibility), contents

    def size(self, name):
        return os.path.getsize(os.path.join(self.folder, name))


def test_S1_16_the_largest_documents_are_judged_in_little_memory_and_time(program, tmp_path):
    got = Largest(tmp_path)
    for name, limit in (("next-package.json", PACKAGE_MAX), ("status.jws", STATUS_MAX), ("manifest.json", MANIFEST_MAX)):
        assert limit * 3 // 4 < got.size(name) <= limit, (name, got.size(name))
    assert judge(program, got.folder) == (0, "install acme/pump 1.0.0, release counter 1\n")
    state = got.size("state")
    # Once more from the state that this left, which is the largest that a device reads.
    got.write("order.jws", got.order(sequence=3))
    assert judge(program, got.folder) == (0, "install acme/pump 1.0.0, release counter 1\n")
    assert got.size("state") == state
    # The limits are near: the same in half of it does not even start.
    assert judge(program, got.folder, ADDRESS_SPACE // 2, DATA // 2)[0] not in (0, 3)


@pytest.mark.parametrize("name, limit, what", [("next-package.json", PACKAGE_MAX, "package"), ("status.jws", STATUS_MAX, "status"), ("order.jws", JWS_MAX, "order"),
                                               ("manifest.json", MANIFEST_MAX, "order"), ("manifest.jws", JWS_MAX, "order"), ("log.proof", 8 * 1024, "order")])
def test_S1_16_what_is_larger_is_refused_for_its_size_before_it_is_read(program, tmp_path, name, limit, what):
    got = Got(tmp_path)
    # Neither JSON nor a JWS: whoever began to read would say that.
    for size in (limit + 1, MIB):
        got.write(name, "{" * size)
        code, said = judge(program, got.folder)
        assert code == 3 and said.startswith(f"{what}: DocumentTooLarge"), said
