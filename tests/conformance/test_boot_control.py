"""The boot controls that are shipped keep their contract (docs/how-to/boot-control.md), also when they are cut off."""
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import printed
import pytest

ROOT = os.path.join(os.path.dirname(__file__), "..", "..")
SHIPPED = os.path.join(ROOT, "packaging", "boot-control")
PATH = "/usr/sbin:/usr/bin:/sbin:/bin"
TOOLS = ("cat", "cp", "mv", "sync", "tr", "sed", "grub-editenv", "fw_printenv", "fw_setenv")


@pytest.fixture
def tmp_path():
    """In memory where there is such a folder: every program here waits for the disk, and no test shows anything of it."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as folder:
        yield pathlib.Path(folder)


def run(command, *words, path=PATH):
    return subprocess.run([*command, *words], env={"PATH": path}, capture_output=True, text=True, timeout=60)


def get(command):
    done = run(command, "get")
    assert done.returncode == 0, done.stdout + done.stderr
    match = re.fullmatch(r"active (a|b)\nnext (a|b)\n", done.stdout)
    assert match and not done.stderr, done.stdout + done.stderr
    return match.groups()


def make_files(folder):
    return [os.path.join(SHIPPED, "files"), folder], lambda: {name: read(folder, "state-" + name) for name in "ab"}


def read(folder, name):
    path = os.path.join(folder, name)
    return open(path).read().strip() if os.path.exists(path) else None


def make_grub(folder):
    block, cmdline = os.path.join(folder, "grubenv"), os.path.join(folder, "cmdline")
    subprocess.run(["grub-editenv", block, "create"], check=True)
    with open(cmdline, "w") as file:
        file.write("BOOT_IMAGE=/vmlinuz root=/dev/sda2 fleetseal.slot=a quiet\n")

    def variables():
        return dict(line.split("=", 1) for line in subprocess.run(["grub-editenv", block, "list"], check=True, capture_output=True, text=True).stdout.split())
    return [os.path.join(SHIPPED, "grub"), "-e", block, "-l", cmdline], variables


def make_u_boot(folder):
    storage, config, defaults, cmdline = (os.path.join(folder, name) for name in ("env", "fw_env.config", "defaults", "cmdline"))
    with open(storage, "wb") as file:
        file.write(bytes(0x4000))
    with open(config, "w") as file:
        file.write(f"{storage} 0x0000 0x2000\n{storage} 0x2000 0x2000\n")
    with open(defaults, "w") as file:
        file.write("bootdelay=2\n")
    with open(cmdline, "w") as file:
        file.write("console=ttyS0 fleetseal.slot=a\n")
    subprocess.run(["fw_setenv", "-c", config, "-f", defaults, "arch", "arm"], check=True, capture_output=True)

    def variables():
        return dict(line.split("=", 1) for line in subprocess.run(["fw_printenv", "-c", config], check=True, capture_output=True, text=True).stdout.split())
    return [os.path.join(SHIPPED, "u-boot"), "-c", config, "-l", cmdline], variables


MAKERS = {"files": make_files, "grub": make_grub, "u-boot": make_u_boot}


@pytest.fixture(params=MAKERS)
def boot(request, tmp_path):
    folder = tmp_path / "boot"
    folder.mkdir()
    return MAKERS[request.param](str(folder))


def conforms(command):
    return run([os.path.join(SHIPPED, "conformance"), *command])


def test_what_is_shipped_keeps_the_contract(boot):
    done = conforms(boot[0])
    assert done.returncode == 0 and done.stdout == "keeps the contract\n", done.stdout + done.stderr


BROKEN = {"set-next does nothing": ("set-next) put next \"$slot\" ;;", "set-next) ;;"),
          "get says more": ("get) printf", "get) echo hello; printf"),
          "any slot is taken": ("*) exit 2 ;; esac\nput", "*) ;; esac\nput"),
          "mark-bad moves next": ("mark-bad) put", "mark-bad) put next b; put"),
          "more words are taken": ("&& [ $# -le 3 ]", "")}


@pytest.mark.parametrize("name", BROKEN)
def test_the_conformance_test_finds_what_is_broken(name, tmp_path):
    with open(os.path.join(SHIPPED, "files")) as file:
        text = file.read()
    old, new = BROKEN[name]
    assert old in text
    script = tmp_path / "broken"
    script.write_text(text.replace(old, new))
    script.chmod(0o755)
    folder = tmp_path / "boot"
    folder.mkdir()
    done = conforms([str(script), str(folder)])
    *broken, summary = done.stdout.splitlines()
    assert done.returncode == 1 and broken and all(line.startswith("broken: ") for line in broken), done.stdout
    assert summary.startswith(f"{len(broken)} broken"), done.stdout
    if name == "set-next does nothing":
        assert len(broken) == 1 and "not tried: mark-good, mark-bad" in summary, "what rests on it is not tried"


class PowerCut:
    """Every program that the script starts, by name: the n-th one is not run (or is the last one that is run)."""

    def __init__(self, folder):
        self.folder = folder
        os.makedirs(folder)
        for tool in TOOLS:
            path = os.path.join(folder, tool)
            with open(path, "w") as file:
                file.write(f'''#!/bin/sh
count=$(($(/bin/cat {folder}/count) + 1)); echo $count > {folder}/count; read n is_done < {folder}/plan
if [ $count -gt $n ]; then exit 99; fi
if [ $count -eq $n ] && [ $is_done = 0 ]; then exit 99; fi
PATH={PATH} {tool} "$@"; code=$?
if [ $count -eq $n ]; then exit 99; fi
exit $code
''')
            os.chmod(path, 0o755)

    def run(self, command, words, at, is_done):
        for name, text in (("count", "0"), ("plan", f"{at} {int(is_done)}")):
            with open(os.path.join(self.folder, name), "w") as file:
                file.write(text + "\n")
        done = run(command, *words, path=self.folder + ":" + PATH)
        with open(os.path.join(self.folder, "count")) as file:
            return done, int(file.read())


@pytest.mark.parametrize("is_done", (False, True))
def test_a_power_cut_at_every_step_leaves_the_old_or_the_new_choice(boot, tmp_path, is_done):
    command, state = boot
    cut = PowerCut(str(tmp_path / "tools"))
    for verb, slot in (("mark-bad", "b"), ("set-next", "b"), ("mark-good", "b")):
        old_choice, old_state = get(command), state()
        seen, steps = set(), 0
        for at in range(1, 100):
            done, steps = cut.run(command, [verb, slot], at, is_done)
            if steps < at:
                break
            choice = get(command)
            assert choice[0] == "a" and choice[1] in (old_choice[1], slot if verb == "set-next" else old_choice[1]), (verb, slot, at)
            seen.add(choice[1])
            assert set(old_state) - set(state()) == set(), "nothing is forgotten"
        assert steps and done.returncode == 0 and run(command, verb, slot).returncode == 0
        assert verb != "set-next" or get(command)[1] == slot


def test_a_power_cut_at_every_write_of_fw_setenv_leaves_a_whole_environment(tmp_path):
    command, state = make_u_boot(str(tmp_path))
    assert run(command, "set-next", "a").returncode == 0
    config, kills = str(tmp_path / "fw_env.config"), 0
    for at in range(1, 60):
        before = state()
        wanted = "b" if before["fleetseal_next"] == "a" else "a"
        done = subprocess.run(["strace", "-o", os.devnull, "-e", "trace=write,pwrite64,fsync,lseek,ioctl", "-e",
                               f"inject=write,pwrite64,fsync,lseek,ioctl:signal=KILL:when={at}", "fw_setenv", "-c", config, "fleetseal_next", wanted],
                              capture_output=True, timeout=60)
        assert state()["fleetseal_next"] in ("a", "b") and {**state(), "fleetseal_next": ""} == {**before, "fleetseal_next": ""}
        if done.returncode == 0:
            break
        kills += 1
    assert kills >= 2 and done.returncode == 0 and state()["fleetseal_next"] == wanted


def test_a_damaged_environment_is_an_error_and_no_default(tmp_path):
    command, _ = make_u_boot(str(tmp_path))
    assert run(command, "set-next", "b").returncode == 0
    with open(tmp_path / "env", "r+b") as file:
        for offset in (0x10, 0x2010):
            file.seek(offset)
            file.write(b"\xff\xff")
    for words in (["get"], ["set-next", "a"], ["mark-good", "a"]):
        assert run(command, *words).returncode == 1


def test_a_kernel_that_does_not_name_its_slot_is_no_answer(tmp_path):
    for maker in (make_u_boot, make_grub):
        folder = tmp_path / maker.__name__
        folder.mkdir()
        command, _ = maker(str(folder))
        (folder / "cmdline").write_text("console=ttyS0\n")
        assert conforms(command).returncode == 1


def test_the_scripts_are_sound_shell():
    if shutil.which("shellcheck") is None:
        pytest.skip("no shellcheck here")
    for name in os.listdir(SHIPPED):
        done = run(["shellcheck", "-s", "sh", os.path.join(SHIPPED, name)])
        assert done.returncode == 0, done.stdout


def test_the_grub_configuration_of_the_page_is_read_by_grub(tmp_path):
    with open(os.path.join(ROOT, "docs", "how-to", "boot-control.md")) as file:
        fragment = re.search(r"```grub\n(.*?)```", file.read(), re.S).group(1)
    path = tmp_path / "grub.cfg"
    path.write_text(fragment)
    done = run(["grub-script-check", str(path)])
    assert done.returncode == 0, done.stderr


def test_the_commands_of_the_page_hold_the_one_for_trials_to_the_contract(tmp_path):
    for command, expected in printed.commands("docs/how-to/boot-control.md", r"```sh try\n(.*?)```"):
        command = command.replace("/usr/lib/fleetseal/boot-control", SHIPPED).replace("/tmp/boot", str(tmp_path / "boot"))
        done = run(["bash", "-c", command])
        assert done.returncode == expected, done.stdout + done.stderr
    assert "broken" not in done.stdout and done.stdout.strip(), done.stdout
