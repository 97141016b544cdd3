"""What people meet first: help, mistakes, exit codes, --json. No lab: nothing here needs a server."""
import json
import os
import re
import shlex
import shutil
import subprocess

import pytest

from crash import scratch

PROGRAM = os.path.join(os.environ["FLEETSEAL_BIN"], "fleetseal")
NOUNS = ("root", "lab", "user", "device", "group", "update", "approval", "rollout", "audit")
FAILED, USAGE, REFUSED, UNREACHABLE = 1, 2, 3, 4


def clean(environment):
    return {**{name: value for name, value in os.environ.items() if not name.startswith("FLEETSEAL_") and name != "NO_COLOR"}, **environment}


def fleetseal(*arguments, cwd=None, **environment):
    return subprocess.run([PROGRAM, *arguments], env=clean(environment), stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, cwd=cwd)


def on_terminal(*arguments, **environment):
    """What a terminal gets to see of both outputs."""
    master, slave = os.openpty()
    process = subprocess.Popen([PROGRAM, *arguments], env=clean(environment), stdin=slave, stdout=slave, stderr=slave)
    os.close(slave)
    shown = b""
    try:
        while piece := os.read(master, 65536):
            shown += piece
    except OSError:  # the last one that had it open has gone
        pass
    os.close(master)
    process.wait(timeout=60)
    return shown.decode()


@pytest.fixture(scope="module")
def organisation():
    """An organisation that was made and never started; port 1 of this machine is nobody's."""
    home = scratch("fleetseal-cli-")
    folder = os.path.join(home, "org")
    made = fleetseal("init", "--data", folder, "--organisation", "acme", "--product", "acme/pump", "--name", "127.0.0.1", "--admin-port", "1")
    assert made.returncode == 0, made.stderr
    yield folder
    shutil.rmtree(home)


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


def commands_in(page):
    """Names below each title but those of options."""
    found = []
    for title, block in re.findall(r"^(\S.*):\n((?:  .*\n)+)", page, re.M):
        if title not in ("Options", "Positionals", "Example", "Examples"):
            found += re.findall(r"^  (\w[\w-]*)", block, re.M)
    return found


def verbs(*words):
    """Every verb with its page, nouns walked through."""
    page = fleetseal(*words, "--help")
    assert page.returncode == 0, page.stderr
    below = commands_in(page.stdout)
    if not below:
        yield words, page.stdout
    for word in below:
        yield from verbs(*words, word)


def test_every_verb_has_an_example_and_every_example_parses(tmp_path):
    folders, seen = ("roots", "folder", "documents"), 0
    for words, page in verbs():
        lines = [line.strip() for line in re.split(r"\nExamples?:", page)[-1].splitlines() if line.strip().startswith("fleetseal ")]
        assert lines and lines[0].startswith("fleetseal " + " ".join(words)), (words, lines)
        for line in lines:
            arguments = shlex.split(line, comments=True)[1:]
            for name in arguments:
                if name in folders:
                    (tmp_path / name).mkdir(exist_ok=True)
                elif re.fullmatch(r"[\w.-]+\.(img|json|key|backup|bundle|jws|crt|csr)|pass", name):
                    (tmp_path / name).write_text("")
                elif name.endswith("/person.pub.json"):
                    (tmp_path / name).parent.mkdir(exist_ok=True)
                    (tmp_path / name).write_text("")
            done = fleetseal(*arguments, "--parse-only", cwd=str(tmp_path))
            assert done.returncode == 0 and done.stdout == "", line + done.stderr
            seen += 1
    assert seen > 40


def test_the_top_help_groups_the_verbs_and_says_where_to_start():
    page = fleetseal("--help").stdout
    for words in ("Where to start", "Updates, from file to device:", "Backup and recovery:", "Exit codes"):
        assert words in page
    assert set(NOUNS) <= set(commands_in(page))
    assert max(map(len, page.splitlines())) <= 120


def test_help_is_the_same_whatever_the_terminal():
    assert fleetseal("update", "publish", "--help", COLUMNS="40").stdout == fleetseal("update", "publish", "--help", COLUMNS="200", TERM="xterm").stdout


def test_completion_knows_nouns_verbs_and_options(tmp_path):
    script = tmp_path / "completion"
    script.write_text(fleetseal("completion", "bash").stdout)
    ask = 'source "$1"; COMP_WORDS=("${@:2}"); COMP_CWORD=$(($# - 2)); _fleetseal; echo "${COMPREPLY[@]}"'
    for words, answer in ((["roll"], "rollout"), (["device", "ti"], "timeline"), (["--json", "device", "allow", "--prod"], "--product"),
                          (["rollout", "watch", "plan-x", "--time"], "--timeout")):
        done = subprocess.run(["bash", "-c", ask, "bash", str(script), "fleetseal", *words], capture_output=True, text=True, timeout=60)
        assert done.stdout.strip() == answer, done.stdout + done.stderr


def test_the_daemons_say_how_they_are_used():
    folder = os.path.dirname(PROGRAM)
    for name in ("server", "signer", "sealer", "agent", "installer"):
        done = subprocess.run([os.path.join(folder, "fleetseal-" + name), "--help"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0 and done.stdout.startswith("usage: fleetseal-" + name) and done.stderr == "", name


def test_a_daemon_without_its_configuration_says_to_check_the_path(tmp_path):
    folder, path = os.path.dirname(PROGRAM), str(tmp_path / "mistyped.toml")
    for name in ("server", "signer", "sealer", "agent", "installer"):
        done = subprocess.run([os.path.join(folder, "fleetseal-" + name), "--config", path], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                              timeout=60)
        what, do = done.stderr.splitlines()[-2:]
        assert done.returncode == REFUSED and path in what and do == "check the path: there is no such file", (name, done.stderr)


def test_no_name_of_an_event_is_invented(organisation):
    assert_error(fleetseal("audit", "events", "--event", "nonsense", FLEETSEAL_IDENTITIES=organisation + "/identities"), "InvalidArgument", USAGE,
                 "download-started")


def test_a_doctor_is_not_held_up_by_a_fifo(organisation):
    path = os.path.join(organisation, "sealer", "sealer.toml")
    os.rename(path, path + ".kept")
    os.mkfifo(path, 0o600)
    try:
        done = fleetseal("doctor", "--data", organisation)
    finally:
        os.unlink(path)
        os.rename(path + ".kept", path)
    assert done.returncode == FAILED and "neither file nor directory" in done.stdout, done.stdout + done.stderr
    count = len(re.findall("^problem: ", done.stdout, re.M))
    assert done.stderr.startswith("error ProblemsFound: ") and f"  what:  {count} problems, named above\n" in done.stderr, done.stderr


def test_a_doctor_names_expiries_ports_and_disks(organisation):
    done = fleetseal("doctor", "--data", organisation, "--json")
    found = json.loads(done.stdout)
    assert {"root-key package 1", "certificate of operator"} <= {one["what"] for one in found["expiries"]}
    assert all(one["renew"] for one in found["expiries"])
    assert [port["name"] for port in found["ports"]] == ["device API", "admin API"] and found["disks"][0]["freeBytes"] > 0


def test_a_doctor_says_that_nothing_runs_and_how_everything_is_renewed(organisation):
    done = fleetseal("doctor", "--data", organisation)
    assert "all is well" not in done.stdout and f"warning: {organisation}\n  what:  nothing of it runs" in done.stdout, done.stdout
    assert "fleetseal run --data " + organisation in done.stdout
    shown = on_terminal("doctor", "--data", organisation, TERM="dumb", COLUMNS="80")
    table = shown.split("HOW TO RENEW")[1].split("PORT ")[0]
    assert "…" not in table and len(re.findall(r"fleetseal user renew --as \w+ \(certificates.md\)", " ".join(re.findall(r"\S+", table)))) == 2, shown


def test_a_path_that_was_mistyped_is_no_damage(organisation, tmp_path):
    for option, words in (("--device", "installer.json"), ("--agent", "agent.toml"), ("--data", "fleetseal init")):
        assert_error(fleetseal("doctor", option, "/nonexistent/x"), "NotFound", REFUSED, option + ": there is no /nonexistent/x", words)
        if option != "--data":
            assert_error(fleetseal("doctor", option, str(tmp_path)), "InvalidArgument", USAGE, f"{option}: {tmp_path} is a folder", words)
    assert_error(fleetseal("doctor", "--data", str(tmp_path)), "NotFound", REFUSED, "fleetseal init")


def test_evidence_makes_no_folder_but_its_own(organisation, tmp_path):
    folder = tmp_path / "mistyped"
    done = fleetseal("audit", "export", "--update", "acme/pump@1.0.0", "--device", "dev-1", "-o", str(folder / "evidence"),
                     FLEETSEAL_IDENTITIES=organisation + "/identities")
    assert_error(done, "InvalidArgument", USAGE, f"--output: there is no folder {folder}")
    assert not folder.exists()


def test_help_fits_the_terminal():
    page = on_terminal("update", "publish", "--help", TERM="xterm", COLUMNS="60").replace("\r", "")
    assert all(len(line) <= 60 for line in page.splitlines() if not line.startswith("  fleetseal ")), page
    whole = fleetseal("update", "publish", "--help").stdout
    assert page.split() == whole.split() and any(len(line) > 60 for line in whole.splitlines())


def test_colours_are_for_terminals_that_want_them():
    for environment, is_coloured in (({"TERM": "xterm"}, True), ({"TERM": "xterm", "NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)):
        assert ("\x1b" in on_terminal("device", "lsit", **environment)) == is_coloured
    assert "\x1b" not in on_terminal("device", "lsit", "--no-color", TERM="xterm")


def test_a_missing_command_is_answered_with_the_commands_there_are():
    assert_error(fleetseal(), "InvalidArgument", USAGE, "init", "rollout", "fleetseal --help")
    assert_error(fleetseal("device"), "InvalidArgument", USAGE, "allow", "timeline", "fleetseal device --help")


def test_a_misspelt_command_is_answered_with_the_nearest():
    assert_error(fleetseal("devcie", "list"), "InvalidArgument", USAGE, "did you mean device?")
    assert_error(fleetseal("device", "lsit"), "InvalidArgument", USAGE, "did you mean list?")
    assert_error(fleetseal("rollout", "plan", "--update", "a/b@1.0", "--cuont", "3"), "InvalidArgument", USAGE, "no option --cuont; did you mean --count?")
    assert_error(fleetseal("device", "list", "--idenities=x"), "InvalidArgument", USAGE, "no option --idenities; did you mean --identities?")


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
            ("a space beside", (*submit[:4], "--compatible", "manufacturer=acme, model=pump-1", "--version", "1.0", "--file", PROGRAM)),
            ("--as: say whose", ("user", "renew")),
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
    assert_error(fleetseal("run", "--data", str(tmp_path)), "NotFound", REFUSED, "fleetseal init", "check the name, id or path")
    assert_error(fleetseal("lab", "status", "--dir", str(tmp_path)), "NotFound", REFUSED, "fleetseal lab up")
    assert_error(fleetseal("lab", "down", "--dir", str(tmp_path)), "NotFound", REFUSED, "fleetseal lab up")
    (tmp_path / "org").mkdir()
    ended = f"lab in {tmp_path} has ended, or did not come up; remove the directory or choose another, then `fleetseal lab up`"
    for verb, code in (("up", "AlreadyExists"), ("status", "NotFound"), ("down", "NotFound")):
        assert_error(fleetseal("lab", verb, "--dir", str(tmp_path)), code, REFUSED, ended)


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


def test_the_tour_of_the_command_line_holds_the_verbs_of_its_script():
    script = os.path.join(os.path.dirname(__file__), "../../tools/capture_cli.py")
    done = subprocess.run(["/usr/bin/python3", "-B", script, "--check"], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
