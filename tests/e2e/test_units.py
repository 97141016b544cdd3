"""The systemd units: what they promise is there, and systemd understands them."""
import configparser
import glob
import os
import re
import shutil
import subprocess

import pytest

BIN = os.environ["FLEETSEAL_BIN"]
FOLDER = os.path.join(os.path.dirname(__file__), "..", "..", "packaging")
PROGRAMS = ("signer", "sealer", "server", "agent", "installer")
# systemd's own measure, 0 (closed) to 100 (open).
EXPOSURE_MAX = "20"


class Unit(dict):
    def __init__(self, path):
        parser = configparser.RawConfigParser(strict=False, interpolation=None)
        parser.optionxform = str
        parser.read(path)
        super().__init__({key: value for section in parser.sections() for key, value in parser[section].items()})


def unit(name):
    return Unit(os.path.join(FOLDER, "systemd", f"fleetseal-{name}.service"))


@pytest.mark.parametrize("name", PROGRAMS)
def test_S1_62_a_unit_gives_its_program_a_user_and_nothing_else(name):
    made = unit(name)
    assert made["User"] == made["Group"] == f"fleetseal-{name}"
    assert made.get("SupplementaryGroups", "") == ("fleetseal" if name in ("signer", "sealer", "server") else "")
    for directive in ("NoNewPrivileges", "PrivateTmp", "ProtectHome", "ProtectKernelModules", "ProtectKernelTunables", "ProtectControlGroups",
                      "RestrictNamespaces", "RestrictSUIDSGID", "MemoryDenyWriteExecute", "LockPersonality"):
        assert made[directive] == "yes", directive
    assert made["ProtectSystem"] == "strict" and made["CapabilityBoundingSet"] == "" and made["AmbientCapabilities"] == ""
    assert made["Restart"] == "always" and made["UMask"] == "0077" and made["Type"] == "notify"
    is_local = name in ("signer", "sealer", "installer")
    assert made["RestrictAddressFamilies"].split()[:1] == ["AF_UNIX"]
    assert ("AF_INET" in made["RestrictAddressFamilies"]) != is_local
    assert made.get("PrivateNetwork", "no") == ("yes" if is_local else "no")


def test_the_order_is_sealer_signer_server_and_none_requires_another():
    assert "fleetseal-sealer.service" in unit("signer")["After"] and "fleetseal-signer.service" in unit("server")["After"]
    for name in PROGRAMS:
        assert not {"Requires", "BindsTo", "PartOf"} & set(unit(name)), name


def test_the_users_are_those_of_fleetseal_run():
    text = "".join(open(path).read() for path in glob.glob(os.path.join(FOLDER, "sysusers.d", "*.conf")))
    with open(os.path.join(FOLDER, "..", "src", "sys", "users.h")) as file:
        header = file.read()
    for name in PROGRAMS:
        uid = re.search(rf"k{name.capitalize()}UserId = (\d+)", header)[1]
        assert re.search(rf"^u fleetseal-{name} +{uid} ", text, re.M), name
    assert re.search(r"^g fleetseal +" + re.search(r"kSharedGroupId = (\d+)", header)[1] + "$", text, re.M)


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_understands_the_units_and_finds_them_closed(tmp_path):
    for path in glob.glob(os.path.join(FOLDER, "systemd", "*")):
        with open(path) as file:
            text = file.read().replace("/usr/bin/fleetseal-", BIN + "/fleetseal-")
        (tmp_path / os.path.basename(path)).write_text(text)
    units = sorted(str(path) for path in tmp_path.iterdir())
    checked = subprocess.run(["systemd-analyze", "verify", "--man=no", *units], capture_output=True, text=True)
    assert checked.returncode == 0 and "fleetseal" not in checked.stderr, checked.stderr
    for name in PROGRAMS:
        measured = subprocess.run(["systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE_MAX}",
                                   str(tmp_path / f"fleetseal-{name}.service")], capture_output=True, text=True)
        assert measured.returncode == 0, measured.stdout[-2000:] + measured.stderr
