"""Programs that do one thing and end, for crash matrices: run once, killed or failed at a call, run once more."""
import os
import subprocess

from crash import BIN, COUNT, FATAL, KILLED, Matrix


def run(program, *arguments, environment=None, user=None):
    identity = {"user": user, "group": user, "extra_groups": []} if user else {}
    return subprocess.run([os.path.join(BIN, program), *arguments], capture_output=True, text=True, env=environment, timeout=120, **identity)


def good(program, *arguments, **more):
    done = run(program, *arguments, **more)
    assert done.returncode == 0, done.stderr + done.stdout
    return done


def contents(home):
    """Path, mode, owner and bytes of everything below."""
    found = {}
    for parent, folders, files in os.walk(home):
        for name in folders + files:
            path = os.path.join(parent, name)
            data = b""
            if os.path.isfile(path):
                with open(path, "rb") as file:
                    data = file.read()
            found[os.path.relpath(path, home)] = (os.lstat(path).st_mode, os.lstat(path).st_uid, data)
    return found


def visit_all(shim, name, prepare, act, check, share, least):
    """`act` once at each chosen point, on what `prepare` made; `check` gets how it ended, and words for a failure."""
    prepare()
    environment = shim.environment()
    shim.arm(COUNT)
    done = act(environment)
    assert done.returncode == 0, done.stderr
    matrix = Matrix(f"{name} ({shim.count} calls)", share)
    for mode, at, error in matrix.plan(shim.count, halves=6, failures=6):
        prepare()
        environment = shim.environment()
        shim.arm(mode, at, error)
        done = act(environment)
        where = f"mode {mode} at {at} errno {error}: {shim.last}: {done.stderr}"
        # A log writes in batches, so calls differ a little from time to time: the last ones may not come.
        assert (done.returncode in KILLED) == (shim.fired > 0 and mode in FATAL), where
        check(done, where)
    matrix.done(least)
