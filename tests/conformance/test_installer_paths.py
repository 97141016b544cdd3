"""Row S0.28, the static part: in the installer's sources there is one way from a download to a handler, and no way at all
from a download to a program that runs. (That verified things cannot be made without verifying is
src/trust/verified_types_test.cc; that a file which is swapped is noticed is test_attacks_agent.py.)
"""
import os
import re

SOURCES = os.path.join(os.path.dirname(__file__), "..", "..", "src")


def files(*folders):
    for folder in folders:
        for top, _, names in os.walk(os.path.join(SOURCES, folder)):
            for name in sorted(names):
                path = os.path.relpath(os.path.join(top, name), SOURCES)
                if name.endswith((".cc", ".h")) and not name.endswith("_test.cc") and "/testing/" not in path:
                    with open(os.path.join(SOURCES, path), encoding="utf-8") as file:
                        yield path, re.sub(r"//[^\n]*", "", file.read())


def lines_with(pattern, *folders):
    return [(path, line.strip()) for path, text in files(*folders) for line in text.splitlines() if re.search(pattern, line)]


def test_S0_28_a_step_is_planned_for_an_accepted_order_only():
    calls = lines_with(r"(->|\.)Plan\(", "installer")
    assert [path for path, _ in calls] == ["installer/core/offer.cc"], calls
    text = dict(files("installer/core"))["installer/core/offer.cc"]
    body = text[text.index("Machine::PlanSteps(const trust::AcceptedOrder& accepted)"):]
    assert "= accepted.manifest->manifest();" in body.split("->Plan(")[0]
    # And an accepted order comes out of the trust core.
    assert {path for path, _ in lines_with(r"trust::AcceptOrder\(", "installer")} == {"installer/core/offer.cc", "installer/core/machine.cc"}
    assert not lines_with(r"AcceptedOrder\s*\{|AcceptedOrder\(", "installer")


def test_S0_28_content_is_received_for_the_order_in_hand_and_switched_by_one_function():
    assert [path for path, _ in lines_with(r"(->|\.)OpenTarget\(", "installer")] == ["installer/core/content_receiver.cc"]
    calls = lines_with(r"\bReceiveFile\(", "installer/core/content.cc", "installer/core")
    assert {path for path, _ in calls} == {"installer/core/content.cc", "installer/core/content_receiver.cc", "installer/core/content_receiver.h"}
    text = dict(files("installer/core"))["installer/core/content.cc"]
    assert "const trust::AcceptedOrder& accepted = *accepted_;" in text.split("ReceiveFile(")[0]
    assert [path for path, _ in lines_with(r"(->|\.)Switch\(", "installer")] == ["installer/core/finish.cc"]


def test_S0_28_the_installer_starts_what_its_configuration_names_and_nothing_else():
    reach = ("installer", "trust", "sealing", "manifest", "jose", "merkle", "crypto", "codec", "api/installer", "base")
    starts = lines_with(r"\b(exec[vl]p?e?|execveat|fexecve|posix_spawnp?|popen|system|dlopen|fork|vfork)\s*\(", *reach)
    # Tokens are a library of their own, which the installer does not name.
    assert not [one for one in starts if not one[0].startswith("crypto/pkcs11/")], starts
    with open(os.path.join(SOURCES, "../cmake/layers.txt")) as file:
        assert [line.split()[1] for line in file if line[0] != "#" and "crypto/pkcs11" in line] == ["crypto/pkcs11", "cli"]
    runs = lines_with(r"RunProgram\(|Process::Spawn\(", *reach)
    assert sorted(path for path, _ in runs) == ["installer/boot/command_boot_control.cc", "installer/core/finish.cc", "installer/core/offer.cc"], runs
    commands = lines_with(r"= RunCommand\(", "installer")
    assert [line.split("RunCommand(")[1].split(",")[0] for _, line in commands] == ["options_.config.reboot_command", "health.command"], commands
    finish, offer = (dict(files("installer/core"))[f"installer/core/{name}.cc"] for name in ("finish", "offer"))
    assert re.search(r"CommandConfig& health = options_\.config\.health;", finish)
    assert re.search(r"options_\.config\.power", offer)
