"""`make install` of the build under test, into a folder."""
import os
import re
import subprocess

BUILD = os.path.dirname(os.path.abspath(os.environ["FLEETSEAL_BIN"]))
SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def install(folder, prefix, *settings):
    # What is built is built: -o keeps make from looking.
    subprocess.run(["make", "-s", "-C", SOURCE, "-o", "all", "install", f"BUILD={BUILD}", f"PREFIX={prefix}", f"DESTDIR={folder}", *settings],
                   check=True, stdout=subprocess.DEVNULL)
    return {os.path.relpath(os.path.join(base, name), folder + prefix) for base, _, names in os.walk(folder) for name in names}


def test_all_is_below_the_prefix_and_units_name_its_programs(tmp_path):
    made = install(str(tmp_path), "/opt/fleetseal")
    assert {"bin/fleetseal", "bin/fleetseal-server", "bin/fleetseal-agent", "share/man/man1/fleetseal.1", "share/man/man8/fleetseal-agent.8",
            "share/doc/fleetseal/README.md", "share/doc/fleetseal/operations/kill-switch.md", "lib/systemd/system/fleetseal-signer.service", "lib/sysusers.d/fleetseal.conf", "lib/tmpfiles.d/fleetseal-device.conf"} <= made
    assert not [path for path in made if path.startswith("..")]
    started = 0
    for path in made:
        if path.startswith("lib/systemd/system/fleetseal-") and "reboot" not in path:
            with open(str(tmp_path) + "/opt/fleetseal/" + path) as file:
                program = re.search(r"^ExecStart=/opt/fleetseal/(\S+)", file.read(), re.MULTILINE).group(1)
            assert program in made
            started += 1
    assert started == 5


def test_one_side_can_be_installed_alone(tmp_path):
    made = install(str(tmp_path), "/usr", "COMPONENTS=device device-units")
    assert {path for path in made if path.startswith("bin/")} == {"bin/fleetseal-agent", "bin/fleetseal-installer"}
    assert "lib/systemd/system/fleetseal-server.service" not in made
