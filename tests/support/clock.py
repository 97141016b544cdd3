"""A wrong clock for the processes that a test starts."""
import mmap
import os
import struct
import subprocess

YEAR = 365 * 86400


def shifted(folder, seconds):
    """The environment in which the wall clock is that many seconds off; every other clock goes right."""
    return {"LD_PRELOAD": build(folder), "CLOCK_SHIFT": str(seconds)}


class StoppedClock:
    """A wall clock that stands still until it is set; every other clock goes right."""

    def __init__(self, folder, seconds):
        self.path = os.path.join(str(folder), "clock")
        with open(self.path, "wb") as file:
            file.write(struct.pack("=q", seconds))
        with open(self.path, "r+b") as file:
            self.memory = mmap.mmap(file.fileno(), 8)
        self.environment = {"LD_PRELOAD": build(folder), "CLOCK_FILE": self.path}

    def set(self, seconds):
        self.memory[:] = struct.pack("=q", seconds)


def build(folder):
    shim = os.path.join(str(folder), "clock_shim.so")
    source = os.path.join(os.path.dirname(__file__), "clock_shim.c")
    subprocess.run(["cc", "-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-o", shim, source], check=True)
    os.chmod(shim, 0o755)
    return shim
