"""libfleetseal-trust as others use it: installed into a folder, linked by C, C++, CMake and pkg-config, and looked at from outside."""
import json
import os
import re
import shutil
import subprocess

import printed
import pytest
from documents import World, b64u, jwe, seal, sha256
from lab import Lab

BUILD = os.path.dirname(os.path.abspath(os.environ["FLEETSEAL_BIN"]))
SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
EXAMPLE = os.path.join(SOURCE, "examples", "trust")
WARNINGS = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]


def run(*arguments, **options):
    done = subprocess.run(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    assert done.returncode == 0, f"{arguments} ended with {done.returncode}:\n{done.stdout[-4000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def prefix(tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("prefix"))
    for component in ("trust", "trust-dev"):
        run("cmake", "--install", BUILD, "--prefix", folder, "--component", component)
    return folder


@pytest.fixture(scope="module")
def library(prefix):
    return os.path.join(prefix, "lib", "libfleetseal-trust.so.0")


def pkg_config(prefix):
    return run("pkg-config", "--cflags", "--libs", "fleetseal-trust", env={**os.environ, "PKG_CONFIG_PATH": prefix + "/lib/pkgconfig"}).split()


def by_pkg_config(prefix, folder, *compiler):
    out = os.path.join(folder, "judge")
    run(*compiler, *WARNINGS, os.path.join(EXAMPLE, "judge.c"), "-x", "none", *pkg_config(prefix), "-Wl,-rpath," + prefix + "/lib", "-o", out)
    return out


def as_c(prefix, folder):
    return by_pkg_config(prefix, folder, "cc", "-std=c99", "-D_POSIX_C_SOURCE=200809L")


def as_cpp(prefix, folder):
    return by_pkg_config(prefix, folder, "c++", "-std=c++11", "-x", "c++")


def by_cmake(prefix, folder):
    run("cmake", "-S", EXAMPLE, "-B", folder + "/build", "-DCMAKE_PREFIX_PATH=" + prefix)
    run("cmake", "--build", folder + "/build")
    return folder + "/build/judge"


class Got:
    """What a device was provisioned with and got, as the example reads it."""

    def __init__(self, folder):
        self.folder = str(folder)
        self.world = world = World()
        content = b"firmware" * 100
        self.manifest = world.manifest(content)
        key, digest = os.urandom(32), sha256(self.manifest)
        file_id = "f" + "0" * 15 + "1"
        sealed = seal(content, key, digest, file_id)
        signature = world.manifest_signature(self.manifest)
        index = world.log_signature(signature, self.manifest)
        content_key = jwe(world.publisher.public, key, {"deviceId": "dev-1", "generation": 1, "manifestSha256": b64u(digest)})
        self.contents = [{"fileId": file_id, "sealedSha256": b64u(sha256(sealed)), "sealedSize": len(sealed)}]
        self.content_key = content_key
        self.write("device.json", json.dumps({
            "organisation": world.organisation, "deviceId": "dev-1", "generation": 1, "product": world.product, "environment": "production",
            "properties": {"manufacturer": "acme", "model": "pump-1"}, "delivery": "sealed", "buildTime": world.now - 86400}))
        self.write("package.json", world.package())
        self.write("next-package.json", world.package(2))
        self.write("status.jws", world.status(package_version=2))
        self.write("order.jws", self.order())
        self.write("manifest.json", self.manifest)
        self.write("manifest.jws", signature)
        self.write("log.proof", world.log.proof(index))

    def order(self, **changes):
        return self.world.order("dev-1", self.manifest, self.contents, self.content_key, **changes)

    def write(self, name, text):
        with open(os.path.join(self.folder, name), "w") as file:
            file.write(text)

    def state(self):
        with open(os.path.join(self.folder, "state")) as file:
            return json.load(file)


def judge(program, got):
    done = subprocess.run([program, got.folder], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    return done.returncode, done.stdout


@pytest.mark.parametrize("build", [as_c, as_cpp, by_cmake])
def test_the_example_builds_and_judges(build, prefix, tmp_path):
    os.mkdir(tmp_path / "got")
    program = build(prefix, str(tmp_path))
    got = Got(tmp_path / "got")
    assert judge(program, got) == (0, "install acme/pump 1.0.0, release counter 1\n")
    assert json.loads(got.state()["package"])["protected"]["version"] == 2
    # An order for another device: refused, and what was known stays.
    before = got.state()
    got.write("order.jws", got.order(sequence=2, deviceId="dev-2"))
    code, output = judge(program, got)
    assert code == 3 and "OrderNotForThisDevice" in output, output
    assert got.state() == before
    got.write("order.jws", got.order(sequence=3))
    got.write("manifest.json", got.manifest + " ")
    code, output = judge(program, got)
    assert code == 3 and "ManifestHashMismatch" in output, output
    got.write("device.json", "{}")
    code, output = judge(program, got)
    assert code == 3 and "device: MemberMissing" in output, output


def symbols(library, *options):
    return [line.split() for line in run("nm", *options, library).splitlines() if line.strip()]


def test_it_exports_what_the_header_declares_and_nothing_else(prefix, library):
    with open(os.path.join(prefix, "include/fleetseal/trust.h")) as file:
        text = re.sub(r"//.*", "", file.read())
    declared = set(re.findall(r"\b(fleetseal_trust_\w+)\(", text))
    assert len(declared) > 25
    assert {line[-1] for line in symbols(library, "-D", "--defined-only")} == declared


# What it may call besides libcrypto and the C++ runtime: memory, text, time as arithmetic; and, when a promise of our own code is broken,
# one line and the end (CHECK).
LIBC = set("""abort stderr __fprintf_chk memchr memcmp memcpy memmove memset strlen strcmp strncpy strerror_r __memcpy_chk __snprintf_chk
    __vsnprintf_chk __stack_chk_fail gmtime_r timegm strftime __cxa_atexit __cxa_finalize __gmon_start__ _ITM_deregisterTMCloneTable
    _ITM_registerTMCloneTable __libc_single_threaded""".split())
# Of the memory of verified keys that a signer keeps; no decision of the library has one.
LIBC |= {"pthread_mutex_lock", "pthread_mutex_unlock"}


def test_it_calls_nothing_that_reads_writes_or_connects(library):
    called = {line[-1] for line in symbols(library, "-D", "--undefined-only")}
    ours = {name.split("@")[0] for name in called if not re.search(r"@(OPENSSL|GLIBCXX|CXXABI|GCC)_", name)}
    assert ours <= LIBC, ours - LIBC
    # Nor through the C++ runtime or libcrypto.
    through = [name for name in called if re.match(r"(BIO|CONF|OSSL_STORE|OSSL_DECODER|OSSL_LIB_CTX|SSL|RAND|ERR_print)_?|_Z.*(stream|ios|filebuf)", name)]
    # Debian 13's Boost asks for the numbers of two settings of its stream operators when it is loaded; nobody calls those.
    assert set(through) <= {"_ZNSt8ios_base6xallocEv@GLIBCXX_3.4"}, through
    needed = set(re.findall(r"NEEDED.*\[(.*)\]", run("readelf", "-d", library)))
    assert needed <= {"libcrypto.so.3", "libstdc++.so.6", "libgcc_s.so.1", "libc.so.6", "libm.so.6"}
    assert "SONAME" in run("readelf", "-d", library) and "[libfleetseal-trust.so.0]" in run("readelf", "-d", library)


# Objects of OpenSSL that are made once and only read after that; constants that C++ makes when the library is loaded.
ONCE = {"fleetseal::crypto::(anonymous namespace)::" + name for name in
        ("GroupOf(fleetseal::crypto::KeyType)::p256", "GroupOf(fleetseal::crypto::KeyType)::p384", "Sha256Method()::method")} | {
    "fleetseal::codec::(anonymous namespace)::" + name for name in ("kEmptyArray", "kEmptyObject", "kNull")} | {
    "boost::json::make_error_code(boost::json::error)::cat", "boost::json::make_error_condition(boost::json::condition)::cat",
    "boost::json::detail::default_resource::instance_", "boost::system::detail::interop_cat_holder<void>::instance",
    "boost::system::detail::system_cat_holder<void>::instance"} | {
    # Of Debian 13's Boost.
    "boost::json::(anonymous namespace)::" + name for name in ("parse_depth_xalloc", "parse_flags_xalloc", "serialize_xalloc")} | {
    "boost::json::detail::" + name for name in ("error_code_category", "error_condition_category",
                                                "charconv::detail::fast_float::detail::rounds_to_nearest()::fmin")}


def writable_objects(library):
    """Names of what lies in sections that stay writable after loading."""
    sections = {}
    for number, name in re.findall(r"\[\s*(\d+)\]\s+(\.\S+)", run("readelf", "-SW", library)):
        sections[number] = name
    found = set()
    for line in run("readelf", "-sW", library).splitlines():
        fields = line.split()
        if len(fields) >= 8 and fields[3] == "OBJECT" and sections.get(fields[6]) in (".data", ".bss", ".tbss", ".tdata"):
            found.add(fields[7])
    return set(run("c++filt", *sorted(found)).splitlines()) if found else set()


def test_it_has_no_global_state():
    found = {re.sub(r"^guard variable for ", "", name) for name in writable_objects(os.path.join(BUILD, "lib", "libfleetseal-trust.so"))}
    assert ONCE & found, "the build has no symbols to look at"
    ours = {name for name in found if "fleetseal" in name or "boost" in name}
    assert ours <= ONCE, ours - ONCE


def test_the_commands_of_the_page_build_and_try_the_example(prefix, tmp_path):
    """docs/how-to/trust-library.md, on the lab of the quick start after its step 3."""
    shutil.copy(os.path.join(EXAMPLE, "judge.c"), tmp_path)
    lab = Lab(devices=1, is_populated=True)
    try:
        environment = {**lab.environment, "PATH": os.environ["FLEETSEAL_BIN"] + ":" + os.environ["PATH"], "PKG_CONFIG_PATH": prefix + "/lib/pkgconfig",
                       "LD_LIBRARY_PATH": prefix + "/lib"}
        for block in ("build", "try"):
            for command, _ in printed.commands("docs/how-to/trust-library.md", rf"```sh {block}\n(.*?)```"):
                said = run("bash", "-c", command.replace("/tmp/lab", lab.folder), cwd=tmp_path, env=environment)
    finally:
        lab.down()
    assert said == "install acme/pump 1.0.0, release counter 1\n" and os.path.exists(tmp_path / "try" / "state")
