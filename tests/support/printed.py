"""Runs the commands that a page prints, as they are printed, against a folder of the test's own."""
import os
import re
import shutil
import subprocess
import tempfile

import sources

BIN = os.environ["FLEETSEAL_BIN"]


def commands(page, block):
    """The lines of every fenced block that `block` (a pattern with one group) finds; (command, exit code it ends with)."""
    with open(os.path.join(sources.ROOT, page)) as file:
        lines = [line for part in re.findall(block, file.read(), re.S) for line in part.splitlines() if line.strip()]
    found = []
    for line in lines:
        command, _, note = line.partition("   #")
        ends = re.search(r"ends with (\d)", note)
        found.append((command.strip(), int(ends.group(1)) if ends else 0))
    return found


def run(page, block):
    """Runs them in one environment, each in a shell of its own. Returns the commands that were run."""
    folder = tempfile.mkdtemp(prefix="fleetseal-printed-")
    environment = {**os.environ, "PATH": BIN + ":" + os.environ["PATH"]}
    last = {"request": None, "plan": None}
    seen = []

    def shell(command, expected=0):
        done = subprocess.run(["bash", "-c", command], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
        assert done.returncode == expected, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done.stdout

    try:
        for command, expected in commands(page, block):
            command = command.replace("/tmp/lab", os.path.join(folder, "lab"))
            if command.startswith("export"):
                # The programs under test stand in PATH already.
                environment.update(re.findall(r"(FLEETSEAL_IDENTITIES)=(\S+)", command))
                continue
            for kind, value in last.items():
                command = command.replace(f"{kind}-…", value or "missing")
            output = shell(command, expected)
            for kind in last:
                found = re.search(rf"{kind}-[a-z2-7]{{26}}", output)
                last[kind] = found.group(0) if found else last[kind]
            seen.append(command)
        assert not os.path.exists(os.path.join(folder, "lab"))
    finally:
        subprocess.run([os.path.join(BIN, "fleetseal"), "lab", "down", "--dir", os.path.join(folder, "lab")], capture_output=True)
        shutil.rmtree(folder, ignore_errors=True)
    return seen
