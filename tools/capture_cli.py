#!/usr/bin/python3
"""Writes docs/reference/cli-tour.md: the main verbs as a terminal of 100 columns shows them, from a lab made for it.

Ids, hashes, times, addresses and process numbers are made the same in every run. `--check` captures nothing: it says
whether the page holds the verbs below, in this order."""
import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PAGE = os.path.join(ROOT, "docs/reference/cli-tour.md")
COLUMNS, LINES = 100, 60
LIMIT_SECONDS = 120

HEAD = f"""# The command line on one page

Made by `./dev capture` from a lab with three devices, in a terminal of {COLUMNS} columns; do not edit this page. Ids, hashes, times and ports are
made the same in every run. All verbs and options: [cli.md](cli.md).
"""

# Title, commands. REQUEST and PLAN are what an earlier screen answered.
SCREENS = (
    ("Where to start", ["fleetseal --help"]),
    ("A release: submit, look, approve twice, import", [
        "fleetseal update submit --product acme/pump --version 1.1.0 --compatible manufacturer=acme,model=pump-1 --file pump.img",
        "fleetseal approval list --state waiting",
        "fleetseal approval approve REQUEST --as approver1",
        "fleetseal approval approve REQUEST --as approver2",
        "fleetseal update import acme/pump@1.1.0 pump.img",
        "fleetseal update list"]),
    ("A rollout", [
        "fleetseal rollout plan --update acme/pump@1.1.0 --device dev-1 --device dev-2",
        "fleetseal rollout start PLAN",
        "fleetseal rollout watch PLAN",
        "fleetseal rollout list"]),
    ("Devices: why is it not updating?", [
        "fleetseal device list",
        "fleetseal device show dev-3",
        "fleetseal device suspend dev-2 --reason 'back in the workshop'",
        "fleetseal device show dev-2",
        "fleetseal device timeline dev-1"]),
    ("Proof", [
        "fleetseal audit events --device dev-1 --update acme/pump@1.1.0",
        "fleetseal audit verify"]),
    ("Is everything well?", ["fleetseal doctor --data LAB/org"]),
    ("An error says what happened and what to do", [
        "fleetseal device shwo dev-1",
        "fleetseal device list --url https://127.0.0.1:1",
        "fleetseal rollout plan --update acme/pump@9.9.9 --device dev-1"]),
)


def normalised(text, lab):
    text = text.replace(lab, "LAB")
    text = re.sub(r"\b(request|plan|change|revocation|c)-[a-z2-7]{26}\b", r"\1-" + "abcdefghijklmnopqrstuvwxyz", text)
    text = re.sub(r"\b(request|plan)-[a-z2-7]{1,25}…", lambda found: found.group(1) + "-" + "abcdefghijklmnopqrstuvwxyz"[:len(found.group(0)) - len(found.group(1)) - 2] + "…", text)
    text = re.sub(r"\b[0-9a-f]{64}\b", "0123456789abcdef" * 4, text)
    text = re.sub(r"\b[0-9a-f]{16}\b", "0123456789abcdef", text)
    text = re.sub(r"(?<![\w+/=])[A-Za-z0-9_-]{43}(?![\w+/=])", "A" * 43, text)
    text = re.sub(r"(?<![\w+/=])[A-Za-z0-9+/]{43}=", "A" * 43 + "=", text)
    text = re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\dZ", "2026-11-22 10:00:00Z", text)
    text = re.sub(r"\b20\d\d-\d\d-\d\d\b(?! \d\d:)", "2026-11-22", text)
    text = re.sub(r"127\.0\.0\.1:(?!1\b)\d+", "127.0.0.1:8444", text)
    text = re.sub(r"\(process \d+\)", "(process 4711)", text)
    text = re.sub(r"\b\d+\.\d GiB\b", "40.0 GiB", text)
    text = re.sub(r"\bstatus \d+\b", "status 7", text)
    text = re.sub(r"\bin [1-9]\d* s\b|\bin \d+ s\b", "in 1 s", text)
    text = re.sub(r"\b(\d+ s ago|now)(?=\)|,|  )", lambda found: "1 s ago" if len(found.group(0)) == 7 else found.group(0), text)
    text = re.sub(r"\((\d+ s ago|now)\)", "(1 s ago)", text)
    return "\n".join(line.rstrip() for line in text.splitlines()).strip("\n")


class Terminal:
    """One tmux server of our own, with a plain shell in it."""

    def __init__(self, folder, environment):
        self.socket = os.path.join(folder, "tmux")
        self.environment = environment
        self.lines = 0
        self.tmux("new-session", "-d", "-x", str(COLUMNS), "-y", str(LINES), "env", "-u", "PROMPT_COMMAND", "bash", "--noprofile", "--norc")
        self.tmux("set-option", "-g", "history-limit", "5000")
        self.type(f"cd {shlex.quote(folder)}; PS1='$ '; stty -echo; clear")

    def tmux(self, *arguments):
        done = subprocess.run(["tmux", "-S", self.socket, "-f", "/dev/null", *arguments], env=self.environment, capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"tmux {arguments[0]}: {done.stderr}")
        return done.stdout

    def type(self, line):
        """Runs one line and returns what the screen shows of it."""
        # A mark of its own for each line, or the end of the one before would be taken for it; not written out, as the shell may echo.
        self.lines += 1
        done = f"[screen {self.lines} is whole]"
        self.tmux("send-keys", "-l", f"clear; tmux -S {shlex.quote(self.socket)} clear-history; {line}; printf '[screen %d is whole]\\n' {self.lines}")
        self.tmux("send-keys", "Enter")
        end = time.monotonic() + LIMIT_SECONDS
        while time.monotonic() < end:
            shown = self.tmux("capture-pane", "-p", "-S", "-1000")
            if done + "\n" in shown:
                return shown[:shown.rindex(done)].removeprefix("$ ")
            time.sleep(0.05)
        sys.exit(f"{line} did not end: {shown}")

    def close(self):
        subprocess.run(["tmux", "-S", self.socket, "kill-server"], capture_output=True)


def capture(folder):
    work = tempfile.mkdtemp(prefix="fleetseal-tour-")
    os.chmod(work, 0o755)
    lab = os.path.join(work, "lab")
    environment = {"PATH": f"{os.path.abspath(folder)}:/usr/bin:/bin", "HOME": work, "LANG": "C.UTF-8", "TERM": "screen",
                   "FLEETSEAL_IDENTITIES": f"{lab}/org/identities", "NO_COLOR": "1"}
    terminal = None
    try:
        subprocess.run(["fleetseal", "lab", "up", "--dir", lab, "--devices", "3", "--populate", "--quiet"], env=environment, check=True,
                       executable=os.path.join(folder, "fleetseal"), stdout=subprocess.DEVNULL)
        with open(os.path.join(work, "pump.img"), "wb") as file:
            file.write(b"FIRMWARE" * 65536)
        terminal = Terminal(work, environment)
        text, known = HEAD, {"LAB": lab}
        for title, commands in SCREENS:
            text += f"\n## {title}\n"
            for command in commands:
                line = command
                for name, value in known.items():
                    line = line.replace(name, value)
                shown = terminal.type(line)
                for name, pattern in (("REQUEST", r"request-[a-z2-7]{26}"), ("PLAN", r"plan-[a-z2-7]{26}")):
                    found = re.search(pattern, shown)
                    if found and name not in known:
                        known[name] = found.group(0)
                text += f"\n```\n$ {command}\n{normalised(shown, lab)}\n```\n"
        return text
    finally:
        if terminal:
            terminal.close()
        subprocess.run([os.path.join(folder, "fleetseal"), "lab", "down", "--dir", lab], capture_output=True)
        shutil.rmtree(work, ignore_errors=True)


def commands_of(page):
    return re.findall(r"^```\n\$ (.*)$", page, re.M)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", default=os.path.join(ROOT, "build/bin"), help="folder with the programs")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    if options.check:
        with open(PAGE, encoding="utf-8") as file:
            is_same = commands_of(file.read()) == [command for _, commands in SCREENS for command in commands]
        if not is_same:
            print("docs/reference/cli-tour.md holds other verbs than tools/capture_cli.py: run ./dev capture", file=sys.stderr)
        return 0 if is_same else 1
    text = capture(os.path.abspath(options.bin))
    with open(PAGE, "w", encoding="utf-8") as file:
        file.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
