"""The demo tells its story at 80 columns, and the commands that it prints at its end work as printed."""
import os
import re
import subprocess
import shutil
import sys
import tempfile

import pytest
import sources

BIN = os.environ["FLEETSEAL_BIN"]


@pytest.fixture(scope="module")
def demo():
    folder = os.path.join(tempfile.mkdtemp(prefix="fleetseal-demo-test-"), "lab")
    done = subprocess.run([sys.executable, "-B", os.path.join(sources.ROOT, "tools/demo.py"), "--bin", BIN, "--dir", folder],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
    yield folder, done
    subprocess.run([os.path.join(BIN, "fleetseal"), "lab", "down", "--dir", folder], capture_output=True)
    shutil.rmtree(os.path.dirname(folder), ignore_errors=True)


def test_the_story_is_told_whole_in_80_columns_without_colours(demo):
    folder, done = demo
    assert done.returncode == 0, done.stdout + done.stderr
    text = done.stdout.replace(folder, "/tmp/fleetseal-demo-12345678").replace(BIN, "/home/ada/fleetseal/build/bin")
    assert "\x1b" not in text
    for line in text.splitlines():
        assert len(line) <= 80 or line.lstrip().startswith(("fleetseal lab down", "export")), line
    for word in ("DecryptFailed", "OrderNotForThisDevice", "RollbackRefused"):
        assert f"refuses: {word}" in text and f"refused {word}" in text.replace("\n          ", " "), word
    assert re.findall(r"^(\d+)\. ", text, re.M) == [str(number) for number in range(1, 9)]
    assert "It all lies in" in text


def test_the_commands_at_the_end_work_as_printed(demo):
    folder, done = demo
    end = done.stdout.split("Try next")[1]
    commands = [line.strip() for line in end.splitlines() if re.match(r"   (fleetseal|export) ", line)]
    assert len(commands) == 9 and commands[-1].endswith(f"rm -r {folder}")
    ran = subprocess.run(["bash", "-e", "-c", "\n".join(commands)], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "RollbackRefused" in ran.stdout  # what happened to dev-3
    assert not os.path.exists(folder)
