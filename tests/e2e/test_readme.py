"""The commands that the README prints under "By hand" work as printed, in that order."""
import json
import os
import re
import shutil
import subprocess
import tempfile

from lab import BIN

README = os.path.join(os.path.dirname(__file__), "..", "..", "README.md")


def commands():
    with open(README) as file:
        block = re.search(r"## By hand.*?```\n(.*?)```", file.read(), re.S).group(1)
    return [line.split("   #")[0].strip() for line in block.splitlines()]


def test_the_readme_commands_work_as_printed():
    folder = tempfile.mkdtemp(prefix="fleetseal-readme-")
    environment = {**os.environ, "PATH": BIN + ":" + os.environ["PATH"]}
    last = {"request": None, "plan": None}
    seen = []
    try:
        for command in commands():
            command = command.replace("/tmp/lab", os.path.join(folder, "lab"))
            if command.startswith("export"):
                environment["FLEETSEAL_IDENTITIES"] = re.search(r"FLEETSEAL_IDENTITIES=(\S+)", command).group(1)
                continue
            for kind, value in last.items():
                command = command.replace(f"{kind}-…", value or "missing")
            done = subprocess.run(["bash", "-c", command], env=environment, capture_output=True, text=True, timeout=300)
            assert done.returncode == 0, f"{command}\n{done.stdout}{done.stderr}"
            for kind in last:
                found = re.search(rf"{kind}-[a-z2-7]{{26}}", done.stdout)
                last[kind] = found.group(0) if found else last[kind]
            if " rollout start " in command:
                watched = subprocess.run(["fleetseal", "rollout", "watch", last["plan"], "--timeout", "120", "--json"], env=environment,
                                         capture_output=True, text=True)
                assert json.loads(watched.stdout)["counts"]["installed"] == 1, watched.stdout + watched.stderr
            seen.append(command)
        assert len(seen) == 11  # the block was found whole
        assert not os.path.exists(os.path.join(folder, "lab"))
    finally:
        subprocess.run(["fleetseal", "lab", "down", "--dir", os.path.join(folder, "lab")], env=environment, capture_output=True)
        shutil.rmtree(folder, ignore_errors=True)
