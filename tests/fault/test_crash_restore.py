"""Crash matrices of `fleetseal restore` and `fleetseal-signer --adopt`: interrupted at any call, the same command again helps."""
import os
import shutil
import sqlite3

import pytest

from commands import contents, good, run, visit_all
from crash import BIN, IS_ROOT, Shim, copy_tree, scratch
from recorded import Tree
from services import USERS


@pytest.fixture(scope="module")
def folder():
    made = scratch("fleetseal-crash-restore-")
    yield made
    shutil.rmtree(made)


@pytest.fixture(scope="module")
def organisation(folder):
    home = os.path.join(folder, "org")
    good("fleetseal", "init", "--organisation", "acme", "--data", home, "--product", "acme/pump", "--name", "127.0.0.1")
    # The server makes its database at its first start.
    path = os.path.join(home, "server", "server.db")
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE something (id TEXT)")
    database.commit()
    database.close()
    os.chmod(path, 0o600)
    if IS_ROOT:
        os.chown(path, USERS["server"], USERS["server"])
    return home


def test_crash_matrix_of_a_restore(folder, organisation):
    key, backup, target = (os.path.join(folder, name) for name in ("key", "acme.backup", "restored"))
    good("fleetseal", "backup", "--new-key", key)
    good("fleetseal", "backup", "--data", organisation, "--key", key, "-o", backup)
    restore = ("restore", backup, "--key", key, "--data", target)
    good("fleetseal", *restore)
    whole = contents(target)

    def prepare():
        shutil.rmtree(target, ignore_errors=True)
        shutil.rmtree(target + ".restoring", ignore_errors=True)

    def check(done, where):
        if os.path.exists(target):
            assert contents(target) == whole, where
        else:
            assert done.returncode != 0, where
            good("fleetseal", *restore)
        assert contents(target) == whole and not os.path.exists(target + ".restoring"), where

    shim = Shim(folder, folder)
    visit_all(shim, "restore", prepare, lambda environment: run("fleetseal", *restore, environment=environment), check, share=8, least=5)
    shim.close()


STUB = """#!/bin/sh
case "$*" in *--adopt*) cp -a {home}/signer {home}/log {kept}/; exit 1;; esac
exec {signer} "$@"
"""


@pytest.fixture(scope="module")
def before_adoption(folder):
    """Signer and log as `fleetseal init` hands them over: a stub in the signer's place copies them and ends the creation."""
    home, kept, programs = (os.path.join(folder, name) for name in ("adopting", "kept", "bin"))
    os.mkdir(kept)
    os.chmod(kept, 0o777)
    os.mkdir(programs)
    for name in ("fleetseal", "fleetseal-sealer"):
        shutil.copy(os.path.join(BIN, name), programs)
    stub = os.path.join(programs, "fleetseal-signer")
    with open(stub, "w") as file:
        file.write(STUB.format(home=home, kept=kept, signer=os.path.join(BIN, "fleetseal-signer")))
    os.chmod(stub, 0o755)
    done = run(os.path.join(programs, "fleetseal"), "init", "--organisation", "acme", "--data", home, "--product", "acme/pump", "--name", "127.0.0.1")
    assert done.returncode != 0 and os.path.exists(os.path.join(kept, "signer", "adopt", "package.json")), done.stderr
    shutil.rmtree(home)
    os.mkdir(home, 0o755)
    return home, kept


def test_crash_matrix_of_an_adoption(folder, before_adoption):
    home, kept = before_adoption
    user = USERS["signer"] if IS_ROOT else None
    arguments = ("--config", os.path.join(home, "signer", "signer.toml"), "--adopt", os.path.join(home, "signer", "adopt"))
    before = Tree(os.path.join(kept, "log"))

    def prepare():
        for name in ("signer", "log"):
            copy_tree(os.path.join(kept, name), os.path.join(home, name))

    def adopt(environment=None):
        return run("fleetseal-signer", *arguments, environment=environment, user=user)

    def check(done, where):
        Tree(os.path.join(home, "log")).check_extends(before)
        again = adopt()
        if again.returncode != 0:
            assert "was adopted already; if its creation was interrupted, remove the directory" in again.stderr, where + again.stderr
        else:
            assert "certificates" in again.stdout and done.returncode != 0, where
        Tree(os.path.join(home, "log")).check_extends(before)

    shim = Shim(folder, home)
    visit_all(shim, "signer --adopt", prepare, adopt, check, share=24, least=4)
    shim.close()
