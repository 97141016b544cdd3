"""The offline side of root ceremonies: `fleetseal root`, files in, files out."""
import base64
import json
import os
import shutil
import subprocess

from cryptography.hazmat.primitives.asymmetric import ec

from lab import BIN

REFUSED, USAGE = 3, 2


class Ceremony:
    """The offline machine: a folder with roots, the passphrase, and the packages so far."""
    def __init__(self, organisation, folder):
        self.offline = os.path.join(organisation, "offline")
        self.folder = str(folder)
        self.roots = os.path.join(self.folder, "roots")
        shutil.copytree(os.path.join(self.offline, "roots"), self.roots)
        self.passphrase = os.path.join(self.offline, "passphrase")
        self.version = 1
        shutil.copy(os.path.join(self.offline, "root-package-1.json"), self.package())

    def run(self, *arguments, environment=None):
        return subprocess.run([os.path.join(BIN, "fleetseal"), "root", *arguments, "--json"], capture_output=True, text=True,
                              env={**os.environ, **(environment or {})})

    def good(self, *arguments, **more):
        done = self.run(*arguments, **more)
        assert done.returncode == 0, f"{arguments}: {done.stdout}{done.stderr}"
        return json.loads(done.stdout) if done.stdout else None

    def refused(self, code, *arguments, exit_code=REFUSED):
        done = self.run(*arguments)
        assert done.returncode == exit_code, f"{arguments}: {done.stdout}{done.stderr}"
        assert json.loads(done.stdout)["error"]["code"] == code, done.stdout
        return json.loads(done.stdout)["error"]

    def words(self, *arguments):
        done = subprocess.run([os.path.join(BIN, "fleetseal"), "root", *arguments], capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def package(self, version=None):
        return os.path.join(self.folder, f"root-package-{version or self.version}.json")

    def draft(self, verb, *arguments):
        """The next package's draft."""
        return self.good(verb, *arguments, "--package", self.package(), "-o", self.package(self.version + 1))

    def sign(self, *roots, folder=None):
        """One holder after the other signs the file and passes it on."""
        target = self.package(self.version + 1)
        for root in roots:
            answer = self.good("package", "--draft", target, "--folder", folder or self.roots, "--root", root, "--passphrase-file",
                               self.passphrase, "--by", f"holder of {root}", "-o", target)
        return answer

    def finish(self, *roots):
        answer = self.sign(*roots)
        assert answer["isComplete"], answer
        self.version += 1
        return answer

    def renew(self, *roots):
        named = [part for root in roots for part in ("--root", root)]
        answer = self.good("package", "--renew", self.package(), "--folder", self.roots, *named, "--passphrase-file", self.passphrase,
                           "-o", self.package(self.version + 1))
        assert answer["isComplete"], answer
        self.version += 1

    def new_root(self, kid):
        """A holder makes a root of their own; its public half is what the others get."""
        own = os.path.join(self.folder, kid)
        self.good("create", "--folder", own, "--prefix", kid, "--count", "1", "--passphrase-file", self.passphrase)
        for name in (f"{kid}.key", f"{kid}.pub.json"):
            shutil.copy(os.path.join(own, name), self.roots)
        return os.path.join(self.roots, f"{kid}.pub.json")

    def protected(self, version=None):
        with open(self.package(version)) as file:
            return json.load(file)["protected"]


def jwk(kid):
    numbers = ec.generate_private_key(ec.SECP256R1()).public_key().public_numbers()
    part = lambda number: base64.urlsafe_b64encode(number.to_bytes(32, "big")).rstrip(b"=").decode()  # noqa: E731
    return {"kty": "EC", "crv": "P-256", "x": part(numbers.x), "y": part(numbers.y), "alg": "ES256", "kid": kid}


def write(path, value):
    with open(path, "w") as file:
        json.dump(value, file)
    return str(path)
