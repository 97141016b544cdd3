"""docs/how-to/two-machines.md, as printed: two clean Debian machines, programs only from the installed packages."""
import os
import re
import shutil

import pytest

import machines

PAGE = os.path.join(machines.SOURCE, "docs", "how-to", "two-machines.md")
ADDRESSES = {"server": "10.77.0.1/24", "device": "10.77.0.2/24"}

if os.geteuid() != 0:
    pytest.skip("machines of their own need root", allow_module_level=True)


BLOCK = re.compile(r"^```sh (server|device)(?: until=(?P<until>\S+))?(?: exit=(?P<exit>\d+))?\n(?P<commands>.*?)^```$(?:\n```text\n(?P<text>.*?)^```$)?"
                   r"|^<!-- carry (?P<carry>\S+) -->$", re.MULTILINE | re.DOTALL)


def steps():
    """The page's blocks of commands, and what is carried from the server to the device between them."""
    with open(PAGE) as file:
        return list(BLOCK.finditer(file.read()))


@pytest.fixture(scope="module")
def packages(tmp_path_factory):
    return machines.build_packages(str(tmp_path_factory.mktemp("packages")))


@pytest.fixture(scope="module")
def pair(packages, tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("machines"))
    root = machines.base_root(packages)
    made = {}
    try:
        for name in ("server", "device"):
            made[name] = machines.Machine(folder, name, root, "10.77.0.1 updates.acme.example\n")
            for package, path in packages.items():
                if (package == "fleetseal-device") == (name == "device"):
                    made[name].put(path)
        machines.connect(made["server"], ADDRESSES["server"], made["device"], ADDRESSES["device"])
        yield made
    finally:
        for machine in made.values():
            machine.stop()


class Reader:
    """Follows the page; an id with dots is the newest that was printed."""

    def __init__(self):
        self.ids = {}

    def fill_in(self, command):
        return re.sub(r"\b(request|plan)-…", lambda match: self.ids[match.group(1)], command)

    def follow(self, machine, block):
        """Each command ends with 0, the last with the code that the block names; what the page shows was said."""
        commands = block["commands"].splitlines()
        said = ""
        for number, command in enumerate(commands):
            filled = self.fill_in(command)
            if block["until"]:
                machines.wait_until(lambda: block["until"] in machine.run(filled)[1], f"{block['until']} from {filled}")
            expected = int(block["exit"] or 0) if number == len(commands) - 1 else 0
            code, output = machine.run(filled, check=expected == 0)
            assert code == expected, f"{filled} ended with {code}:\n{output}"
            print(f"{machine.name}# {filled}\n{output}")
            said += output
            for kind, rest in re.findall(r"\b(request|plan)-([a-z2-7]{26})\b", output):
                self.ids[kind] = f"{kind}-{rest}"
        for line in (block["text"] or "").splitlines():
            assert line in said, f"the page shows {line!r}, this was said:\n{said}"


def digests(machine, path):
    return {line.split()[0] for line in machine.run("sha256sum " + path)[1].splitlines()}


def test_the_packages_satisfy_lintian(packages):
    machines.run("lintian", "--allow-root", "--fail-on", "error,warning", *packages.values())


def test_two_machines_as_printed(pair):
    server, device = pair["server"], pair["device"]
    reader = Reader()
    blocks = steps()
    assert len(blocks) > 12
    for block in blocks:
        if block["carry"]:
            shutil.copy(server.path(block["carry"]), device.path(block["carry"]))
        else:
            reader.follow(pair[block[1]], block)
    assert digests(device, "/var/lib/fleetseal-installer/slots/*") == digests(server, "/root/pump-1.?.0.img")
    timeline = server.run("fleetseal device timeline pump-7")[1]
    assert len(re.findall(r"receipt +installed", timeline)) == 2, timeline
    for machine in pair.values():
        assert machine.run("systemctl --failed --plain --no-legend")[1] == ""
        assert "sandbox.incomplete" not in machine.run("journalctl -o cat -u 'fleetseal-*'")[1]


def test_upgrade_removal_and_purge_keep_keys_and_data(pair):
    """Follows the walk; an upgrade is the same package once more."""
    server, device = pair["server"], pair["device"]
    before = server.run("systemctl show -p MainPID --value fleetseal-signer")[1]
    server.run("dpkg -i ./fleetseal_*.deb ./fleetseal-server_*.deb && systemctl is-active fleetseal-sealer fleetseal-signer fleetseal-server")
    assert server.run("systemctl show -p MainPID --value fleetseal-signer")[1] != before
    assert "pump-7" in server.run("fleetseal device list")[1]
    kept = "find /var/lib/fleetseal/signer/keys /var/lib/fleetseal/identities -type f | sort | xargs sha256sum"
    keys = server.run(kept)[1]
    assert "Kept: /var/lib/fleetseal " in server.run("dpkg -P fleetseal-server")[1]
    assert server.run(kept)[1] == keys != ""

    identity = digests(device, "/var/lib/fleetseal-agent/identity/*")
    said = device.run("dpkg -P fleetseal-device")[1]
    for folder in ("/etc/fleetseal", "/var/lib/fleetseal-agent", "/var/lib/fleetseal-installer"):
        assert f"Kept: {folder}." in said
    device.run("dpkg -i ./fleetseal-device_*.deb && systemctl is-active fleetseal-installer fleetseal-agent fleetseal-reboot.path")
    assert digests(device, "/var/lib/fleetseal-agent/identity/*") == identity
