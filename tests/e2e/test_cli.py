"""What people meet first: help, mistakes, exit codes, --json. No lab: nothing here needs a server."""
import json
import os
import subprocess

import pytest

PROGRAM = os.path.join(os.environ["FLEETSEAL_BIN"], "fleetseal")
NOUNS = ("root", "lab", "user", "device", "group", "update", "approval", "rollout", "audit")
FAILED, USAGE, REFUSED, UNREACHABLE = 1, 2, 3, 4


def fleetseal(*arguments, **environment):
    clean = {name: value for name, value in os.environ.items() if not name.startswith("FLEETSEAL_")}
    return subprocess.run([PROGRAM, *arguments], env={**clean, **environment}, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)


@pytest.fixture(scope="module")
def organisation(tmp_path_factory):
    """An organisation that was made and never started; port 1 of this machine is nobody's."""
    folder = str(tmp_path_factory.mktemp("cli") / "org")
    made = fleetseal("init", "--data", folder, "--organisation", "acme", "--product", "acme/pump", "--name", "127.0.0.1", "--admin-port", "1")
    assert made.returncode == 0, made.stderr
    return folder


def assert_error(done, code, exit_code, *words):
    """Code, what happened and what to do on standard error; nothing on standard output."""
    assert done.returncode == exit_code, done.stdout + done.stderr
    assert done.stdout == ""
    first, what, do = done.stderr.splitlines()[-3:]
    assert first.startswith(f"error {code}: ") and what.startswith("  what:  ") and do.startswith("  do:    "), done.stderr
    for word in words:
        assert word in what + do, done.stderr


def test_version_names_the_program():
    done = fleetseal("--version")
    assert done.returncode == 0 and done.stdout.startswith("fleetseal ")


def test_every_noun_and_verb_has_help_with_an_example():
    top = fleetseal("--help")
    assert top.returncode == 0 and "Exit codes" in top.stdout
    for noun in NOUNS:
        done = fleetseal(noun, "--help")
        assert done.returncode == 0 and noun in top.stdout
        verbs = [line.split()[0] for line in done.stdout.split("Subcommands:")[1].splitlines() if line.startswith("  ")]
        assert verbs
        for verb in verbs:
            page = fleetseal(noun, verb, "--help")
            assert page.returncode == 0 and f"fleetseal {noun} {verb}" in page.stdout.split("Example:")[1]


def test_a_missing_command_is_answered_with_the_commands_there_are():
    assert_error(fleetseal(), "InvalidArgument", USAGE, "init", "rollout", "fleetseal --help")
    assert_error(fleetseal("device"), "InvalidArgument", USAGE, "allow", "timeline", "fleetseal device --help")


def test_a_misspelt_command_is_answered_with_the_nearest():
    assert_error(fleetseal("devcie", "list"), "InvalidArgument", USAGE, "did you mean device?")
    assert_error(fleetseal("device", "lsit"), "InvalidArgument", USAGE, "did you mean list?")


def test_what_is_typed_wrongly_is_wrong_usage(organisation):
    identities = {"FLEETSEAL_IDENTITIES": organisation + "/identities"}
    submit = ("update", "submit", "--product", "acme/pump", "--compatible", "manufacturer=acme", "--version")
    for words, arguments in (
            ("id is required", ("device", "show")),
            ("id: ", ("device", "show", "../x")),
            ("--frob", ("device", "list", "--frob")),
            ("--limit", ("audit", "query", "--limit", "many")),
            ("--version: ", (*submit, "1.x", "--file", PROGRAM)),
            ("there is no file", (*submit, "1.0", "--file", "/nonexistent")),
            ("--product", ("update", "submit", "--product", "pump", "--version", "1.0", "--compatible", "a=b", "--file", PROGRAM)),
            ("--compatible", (*submit[:4], "--version", "1.0", "--file", PROGRAM)),
            ("--role", ("user", "add", "alice", "--role", "emperor")),
            ("--state", ("approval", "list", "--state", "lost")),
            ("/nonexistent", ("verify", "/nonexistent")),
            ("/nonexistent", ("root", "show", "/nonexistent")),
            ("there are: operator, security", ("device", "list", "--as", "nobody"))):
        assert_error(fleetseal(*arguments, **identities), "InvalidArgument", USAGE, words)


def test_without_an_identity_the_answer_says_how_to_name_one(tmp_path):
    assert_error(fleetseal("device", "list"), "InvalidArgument", USAGE, "FLEETSEAL_IDENTITIES", "--as")
    assert_error(fleetseal("device", "list", "--as", "operator"), "InvalidArgument", USAGE, "FLEETSEAL_IDENTITIES")
    assert_error(fleetseal("device", "list", FLEETSEAL_IDENTITIES=str(tmp_path)), "InvalidArgument", USAGE, "holds no identity")


def test_a_server_that_is_down_is_unreachable(organisation):
    assert_error(fleetseal("device", "list", FLEETSEAL_IDENTITIES=organisation + "/identities"), "Unreachable", UNREACHABLE, "check that it runs")


def test_a_folder_that_is_taken_or_empty_is_refused_with_what_to_do(organisation, tmp_path):
    again = fleetseal("init", "--data", organisation, "--organisation", "acme", "--product", "acme/pump")
    assert_error(again, "AlreadyExists", REFUSED, "not empty")
    assert_error(fleetseal("run", "--data", str(tmp_path)), "NotFound", REFUSED, "fleetseal init")
    assert_error(fleetseal("lab", "status", "--dir", str(tmp_path)), "NotFound", REFUSED, "fleetseal lab up")
    assert_error(fleetseal("lab", "down", "--dir", str(tmp_path)), "NotFound", REFUSED, "fleetseal lab up")
    (tmp_path / "org").mkdir()
    assert_error(fleetseal("lab", "up", "--dir", str(tmp_path)), "AlreadyExists", REFUSED, "earlier lab")


def test_a_lab_that_does_not_come_up_leaves_no_process(tmp_path):
    """The log folder is in the way of the organisation, after which its supervisor cannot start."""
    folder = tmp_path / "lab"
    (folder / "logs" / "org.log").mkdir(parents=True)
    done = fleetseal("lab", "up", "--dir", str(folder), "--devices", "0")
    assert done.returncode in (FAILED, REFUSED), done.stdout + done.stderr
    assert "its processes have ended" in done.stderr
    assert not (folder / "lab.json").exists()
    for pid in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{pid}/cmdline", "rb") as file:
                assert os.fsencode(str(folder)) not in file.read()
        except OSError:
            pass


def test_json_is_one_value_on_standard_output_errors_too(organisation):
    identities = {"FLEETSEAL_IDENTITIES": organisation + "/identities"}
    package = organisation + "/offline/root-package-1.json"
    for exit_code, arguments in ((0, ("root", "show", package)), (0, ("verify", package)), (USAGE, ("device", "show")), (USAGE, ("device",)), (USAGE, ()),
                                 (USAGE, ("device", "show", "a b")), (UNREACHABLE, ("device", "list")), (REFUSED, ("verify", organisation + "/fleetseal.toml"))):
        for words in ((*arguments, "--json"), ("--json", *arguments)):
            done = fleetseal(*words, **identities)
            assert done.returncode == exit_code, f"{words}: {done.stdout}{done.stderr}"
            value = json.loads(done.stdout)
            if exit_code in (USAGE, UNREACHABLE):
                assert {"code", "title", "detail", "advice"} <= set(value["error"])


def test_no_escape_sequence_reaches_a_pipe():
    assert "\x1b" not in fleetseal("device").stderr + fleetseal("--help").stdout
