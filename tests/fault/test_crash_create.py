"""Crash matrix of `fleetseal-signer --create`: what an interrupted creation leaves says what to do, and doing it helps."""
import glob
import os
import shutil
import subprocess

import pytest

from crash import BIN, COUNT, FATAL, KILLED, Matrix, Shim, scratch


@pytest.fixture
def folder():
    made = scratch("fleetseal-crash-create-")
    yield made
    shutil.rmtree(made)


def prepare(home):
    shutil.rmtree(home, ignore_errors=True)
    for path in ("signer", "log", "run/signer"):
        os.makedirs(os.path.join(home, path), mode=0o700)
    for name, text, mode in (("signer.toml", 'organisation = "acme"\n', 0o600), ("passphrase", "p" * 40 + "\n", 0o400)):
        path = os.path.join(home, "signer", name)
        with open(path, "w") as file:
            file.write(text)
        os.chmod(path, mode)


def create(home, environment=None):
    return subprocess.run([os.path.join(BIN, "fleetseal-signer"), "--config", os.path.join(home, "signer", "signer.toml"), "--create",
                           "--product", "acme/pump"], capture_output=True, text=True, env=environment, timeout=120)


def test_crash_matrix_of_a_creation(folder):
    home = os.path.join(folder, "org")
    prepare(home)
    shim = Shim(folder, home)
    environment = shim.environment()
    shim.arm(COUNT)
    assert create(home, environment).returncode == 0
    matrix = Matrix(f"signer --create ({shim.count} calls)", share=12)
    for mode, at, error in matrix.plan(shim.count, halves=6, failures=6):
        prepare(home)
        environment = shim.environment()
        shim.arm(mode, at, error)
        done = create(home, environment)
        where = f"mode {mode} at {at} errno {error}: {shim.last}"
        assert (done.returncode in KILLED) == (mode in FATAL), where
        again = create(home)
        if again.returncode != 0:
            assert "holds a signer already; if its creation was interrupted, remove" in again.stderr, where + again.stderr
            shutil.rmtree(os.path.join(home, "signer", "keys"))
            for path in glob.glob(os.path.join(home, "signer", "signer.db*")):
                os.unlink(path)
            shutil.rmtree(os.path.join(home, "log"))
            os.mkdir(os.path.join(home, "log"), 0o755)
            again = create(home)
        assert again.returncode == 0, where + again.stderr
    matrix.done(least=5)
    shim.close()
