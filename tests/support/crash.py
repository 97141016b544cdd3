"""Crash matrices on real programs: the shim (tests/fault/crash_shim.c), scratch folders, copies of folders."""
import errno
import mmap
import os
import random
import shutil
import signal
import struct
import subprocess
import tempfile

BIN = os.environ["FLEETSEAL_BIN"]
SHIM = os.path.join(BIN, "crash_shim.so")
IS_ROOT = os.geteuid() == 0
# All points, or the share of them that a test of a few minutes visits: every n-th, from a random start.
IS_FULL = os.environ.get("FLEETSEAL_SOAK") == "1"

COUNT, KILL_BEFORE, KILL_AFTER, FAIL_ONCE, FAIL_FROM_THERE, HALF_THEN_KILL = range(6)
FATAL = (KILL_BEFORE, KILL_AFTER, HALF_THEN_KILL)
# How a process ends that the shim ended: by the signal, or without it where a sandbox forbids that.
KILLED = (-signal.SIGKILL, 128 + signal.SIGKILL)


def scratch(prefix):
    """A folder that is gone with the machine: fsync costs nothing there, and a killed process leaves the same files."""
    base = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
    folder = tempfile.mkdtemp(prefix=prefix, dir=base)
    os.chmod(folder, 0o711)
    return folder


def copy_tree(source, target):
    """With owners and modes, so that programs with users of their own find what is theirs. Sockets are left out."""
    shutil.rmtree(target, ignore_errors=True)
    subprocess.run(["cp", "-a", source, target], check=True)
    for folder, _, files in os.walk(target):
        for name in files:
            path = os.path.join(folder, name)
            if not os.path.isfile(path):
                os.unlink(path)


class Shim:
    """The control file of the shim; one Shim serves one process at a time."""
    LAYOUT = "<iiiiqqq64s"

    def __init__(self, folder, directory):
        self.path = os.path.join(folder, "shim.control")
        self.directory = directory
        with open(self.path, "wb") as file:
            file.write(b"\0" * 4096)
        os.chmod(self.path, 0o666)
        self.file = open(self.path, "r+b")
        self.map = mmap.mmap(self.file.fileno(), 4096)

    def environment(self):
        """For the next process; forgets what the last one did."""
        self.map[:struct.calcsize(self.LAYOUT)] = struct.pack(self.LAYOUT, 0, 0, COUNT, errno.EIO, 0, 0, 0, b"")
        return {**os.environ, "LD_PRELOAD": SHIM, "FLEETSEAL_SHIM_CONTROL": self.path, "FLEETSEAL_SHIM_DIRECTORY": self.directory}

    def arm(self, mode=COUNT, at=0, error=errno.EIO):
        struct.pack_into("<ii", self.map, 8, mode, error)
        struct.pack_into("<qqq", self.map, 16, at, 0, 0)
        struct.pack_into("<i", self.map, 4, 1)

    def disarm(self):
        struct.pack_into("<i", self.map, 4, 0)

    @property
    def owner(self):
        return struct.unpack_from("<i", self.map, 0)[0]

    @property
    def count(self):
        return struct.unpack_from("<q", self.map, 24)[0]

    @property
    def fired(self):
        return struct.unpack_from("<q", self.map, 32)[0]

    @property
    def last(self):
        return struct.unpack_from("<64s", self.map, 40)[0].rstrip(b"\0").decode()

    def close(self):
        self.map.close()
        self.file.close()


class Matrix:
    """Chooses the points of one scenario and counts those visited."""
    visited = {}

    def __init__(self, name, share=1):
        self.name = name
        self.share = 1 if IS_FULL else share
        self.offset = random.randrange(self.share)
        self.points = 0

    def plan(self, count, halves=4, failures=4):
        """(mode, at, errno) for `count` calls: killed before each, after the last; some half-written, some failed."""
        chosen = [(KILL_BEFORE, at, 0) for at in range(1, count + 1)] + [(KILL_AFTER, count, 0)]
        chosen += [(HALF_THEN_KILL, at, 0) for at in range(1, count + 1) if at % (1 if IS_FULL else halves) == 0]
        for at in range(1, count + 1):
            if at % (1 if IS_FULL else failures) == 0:
                chosen += [(FAIL_ONCE, at, errno.EIO), (FAIL_FROM_THERE, at, errno.ENOSPC)]
        for number, point in enumerate(chosen):
            if number % self.share == self.offset:
                self.points += 1
                yield point

    def done(self, least):
        print(f"{self.name}: {self.points} points visited (every {self.share}. from {self.offset})")
        assert self.points >= least, f"{self.name}: only {self.points} points"
