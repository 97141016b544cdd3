"""The reference pages say what the code reads and the programs print: no key, verb or code more, and none less."""
import os
import re
import subprocess
import sys

import pytest
import sources

BIN = os.environ["FLEETSEAL_BIN"]
PAGE = sources.page("reference/configuration.md")

# Heading on the page: (sources, {prefix of the keys: functions that read them}).
FILES = {
    "## signer.toml": (["src/signer/config.cc"], {"": ["Config::Load"]}),
    "## sealer.toml": (["src/sealer/config.cc"], {"": ["Config::Load"]}),
    "## server.toml": (["src/server/core/config.cc"],
                       {"": ["LoadServerConfig", "ReadDatabase"], "device.": ["ReadDevice", "ReadListen"],
                        "admin.": ["ReadAdmin", "ReadListen"], "tls.": ["ReadTls"]}),
    "## installer.json": (["src/installer/**/config.cc"],
                          {"": ["ParseConfig"], "slots.": ["ReadSlots"], "bootControl.": ["ReadBootControl", "ReadCommand"],
                           "health.": ["ReadTimedCommand", "ReadCommand"], "power.": ["ReadTimedCommand", "ReadCommand"],
                           "reboot.": ["ReadReboot", "ReadCommand"]}),
    "### device.json": (["src/trust/device_profile.cc"], {"": ["ParseDeviceDescription", "ReadProperties", "ReadComponents"]}),
    "## agent.toml": (["src/agent/**/config.cc"], {"": ["ReadConfig|LoadConfig"]}),
    "## identity.toml": (["src/cli/identity.cc"], {"": ["Identity::Load"]}),
}


def section_of(heading):
    text = sources.section(PAGE, heading)
    return text if heading.startswith("###") else text.split("\n### ")[0]


def page_rows(heading):
    """{dotted key: the other cells}; "`[device]` `listen`" is device.listen."""
    found = {}
    for row in sources.rows(section_of(heading)):
        words = sources.codes(row[0])
        prefix = words.pop(0)[1:-1] + "." if words[0].startswith("[") else ""
        for word in words:
            assert prefix + word not in found, word
            found[prefix + word] = row[1:]
    return found


def accepted(heading):
    patterns, parts = FILES[heading]
    text = sources.read(*patterns)
    return {prefix + name for prefix, functions in parts.items() for name in sources.names(text, *functions)}


@pytest.mark.parametrize("heading", FILES)
def test_the_page_names_every_key_that_is_read_and_no_other(heading):
    # A table of TOML is named by its keys.
    assert set(page_rows(heading)) == accepted(heading) - {"device", "admin", "tls"}


def number(text):
    text = text.strip().replace("'", "")
    return int(text) if re.fullmatch(r"-?\d+", text) else None


def test_ranges_and_defaults_on_the_page_are_those_of_the_code():
    seen = 0
    for heading, (patterns, parts) in FILES.items():
        text, known = sources.read(*patterns), page_rows(heading)
        for prefix, functions in parts.items():
            for function in functions:
                code = sources.body(text, function)
                for name, default, least, most in re.findall(r'IntegerOr\("(\w+)", ([^,]+), ([^,]+), ([^,()]+)\)', code):
                    if None in (number(least), number(most)):
                        continue
                    kind, shown = known[prefix + name][0], known[prefix + name][1]
                    assert kind.endswith(f"{number(least)} … {number(most)}"), (heading, name)
                    assert number(default) is None or shown == f"`{number(default)}`", (heading, name)
                    seen += 1
                for name, default in re.findall(r'(?:StringOr|PathOr)\("(\w+)", "([^"]*)"\)', code):
                    shown = known[prefix + name][1]
                    assert shown == (f"`{default}`" if default else "none"), (heading, name, shown)
                    seen += 1
                for name in re.findall(r'\.(?:String|Path|HttpsUrl|Parsed<\w+>|Integer|Time)\("(\w+)"', code):
                    shown = known[prefix + name][1]
                    assert shown.startswith("required") or f'Has("{name}")' in code, (heading, name, shown)
    assert seen > 20


def test_the_page_of_error_codes_says_what_happened_and_what_to_do():
    text = sources.read("src/base/error_codes.inc")
    codes = re.findall(r'FLEETSEAL_ERROR_CODE\(\d+, (\w+), \w+, \d+, "(.*)", "(.*)"\)', text)
    assert len(codes) == text.count("\nFLEETSEAL_ERROR_CODE(")
    shown = {sources.codes(row[1])[0]: row for row in sources.rows(sources.page("reference/error-codes.md")) if len(row) == 6}
    assert set(shown) == {name for name, _, _ in codes}
    for name, title, advice in codes:
        assert len(title.split()) >= 3 and len(advice.split()) >= 2, name
        assert title != advice, name


def test_every_error_code_but_those_called_reserved_can_happen():
    text = sources.read("src/**/*.cc", "src/**/*.h")
    reserved = re.search(r"^Reserved.*$", sources.page("reference/error-codes.md"), re.M).group(0)
    for name in re.findall(r"^FLEETSEAL_ERROR_CODE\(\d+, (\w+),", sources.read("src/base/error_codes.inc"), re.M):
        assert (f"ErrorCode::k{name}" in text) != (name in sources.codes(reserved)), name


def test_the_page_of_verbs_is_what_the_built_program_says():
    done = subprocess.run([sys.executable, "-B", os.path.join(sources.ROOT, "tools/make_cli_reference.py"), "--bin", BIN, "--check"],
                          capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
