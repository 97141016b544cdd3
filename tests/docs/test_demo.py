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


def told(folder, *more):
    return subprocess.run([sys.executable, "-B", os.path.join(sources.ROOT, "tools/demo.py"), "--bin", BIN, "--dir", folder, *more],
                          stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)


def running_in(folder):
    """Processes that name the lab's folder."""
    found = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                if os.fsencode(folder) in file.read():
                    found.append(pid)
        except OSError:  # it has ended
            pass
    return found


@pytest.fixture
def folder(tmp_path):
    """For a lab that ends with the test, whatever the demo does."""
    path = str(tmp_path / "lab")
    yield path
    subprocess.run([os.path.join(BIN, "fleetseal"), "lab", "down", "--dir", path], capture_output=True)


@pytest.fixture(scope="module")
def demo():
    folder = os.path.join(tempfile.mkdtemp(prefix="fleetseal-demo-test-"), "lab")
    done = told(folder)
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


@pytest.mark.parametrize("size", [1, 300])
def test_a_firmware_of_any_size_will_do(tmp_path, folder, size):
    image = tmp_path / "small.img"
    image.write_bytes(b"x" * size)
    done = told(folder, "--firmware", str(image), "--once")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "refuses: DecryptFailed" in done.stdout and running_in(folder) == []


def test_firmware_that_is_empty_or_missing_is_refused_before_anything_is_made(tmp_path, folder):
    empty = tmp_path / "empty.img"
    empty.write_bytes(b"")
    for path, words in ((empty, "is empty"), (tmp_path / "none.img", "no firmware at"), (tmp_path, "no firmware at")):
        for more in ((), ("--check",)):
            done = told(folder, "--firmware", str(path), *more)
            assert done.returncode == 2 and words in done.stderr and done.stdout == "", done.stdout + done.stderr
    assert not os.path.exists(folder)
    with open(os.path.join(sources.ROOT, "dev")) as file:
        verb = next(line for line in file if line.startswith("  demo) "))
    assert verb.index(" --check ") < verb.index("quiet_build"), "before the build"


def test_a_demo_that_breaks_leaves_no_process(tmp_path, folder):
    """A folder is in the way of the second image: no error that the demo itself expects."""
    os.makedirs(os.path.join(folder, "firmware", "pump-1.1.0.img"))
    (tmp_path / "small.img").write_bytes(b"x" * 300)
    done = told(folder, "--firmware", str(tmp_path / "small.img"), "--once")
    assert done.returncode == 1 and "the demo failed: IsADirectoryError" in done.stderr and "Traceback" not in done.stderr, done.stderr
    assert "2. Release" not in done.stdout and "It all lies in" in done.stdout, "the lab was up"
    assert running_in(folder) == []


def test_the_commands_at_the_end_work_as_printed(demo):
    folder, done = demo
    end = done.stdout.split("Try next")[1]
    commands = [line.strip() for line in end.splitlines() if re.match(r"   (fleetseal|export) ", line)]
    assert len(commands) == 9 and commands[-1].endswith(f"rm -r {folder}")
    ran = subprocess.run(["bash", "-e", "-c", "\n".join(commands)], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=120)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "RollbackRefused" in ran.stdout  # what happened to dev-3
    assert not os.path.exists(folder)
