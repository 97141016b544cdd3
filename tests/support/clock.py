"""A wrong clock for the processes that a test starts."""
import os
import subprocess

YEAR = 365 * 86400


def shifted(folder, seconds):
    """The environment in which the wall clock is that many seconds off; every other clock goes right."""
    shim = os.path.join(str(folder), "clock_shim.so")
    source = os.path.join(os.path.dirname(__file__), "clock_shim.c")
    subprocess.run(["cc", "-O1", "-Wall", "-Werror", "-shared", "-fPIC", "-o", shim, source], check=True)
    os.chmod(shim, 0o755)
    return {"LD_PRELOAD": shim, "CLOCK_SHIFT": str(seconds)}
