#!/usr/bin/python3
"""Writes docs/reference/cli.md from the help of the built programs; with --check only says whether it is up to date."""
import argparse
import os
import re
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PAGE = os.path.join(ROOT, "docs/reference/cli.md")
SERVICES = ("fleetseal-signer", "fleetseal-sealer", "fleetseal-server", "fleetseal-agent", "fleetseal-installer")

HEAD = """# Command line

Made by `tools/make_cli_reference.py` from the help of the programs; do not edit this page.

`fleetseal NOUN VERB` is for people; every verb takes the options of `fleetseal` itself too, before or after the verb. The other programs are started by
`fleetseal run`, by systemd units or by `fleetseal lab`. What a code in an error means: [error-codes.md](error-codes.md).
"""


def help_of(folder, program, *words):
    done = subprocess.run([os.path.join(folder, program), *words, "--help"], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          env={"PATH": "/usr/bin:/bin", "NO_COLOR": "1"})
    # The installer takes options of its own only and shows its usage for anything else.
    if done.returncode != 0 and not done.stderr.startswith("usage: "):
        sys.exit(f"{program} {' '.join(words)} --help ended with {done.returncode}: {done.stderr}")
    return (done.stdout or done.stderr).rstrip() + "\n"


def commands(text):
    """Names below "Subcommands:" or the title of a group, each at the beginning of a line with two spaces."""
    found = []
    for title, block in re.findall(r"^(\S.*):\n((?:  .*\n)+)", text, re.M):
        if title not in ("Options", "Positionals", "Example", "Examples"):
            found += re.findall(r"^  (\w[\w-]*)", block, re.M)
    return found


def chapters(folder, *words):
    text = help_of(folder, "fleetseal", *words)
    title = " ".join(("fleetseal", *words))
    out = f"\n{'##' if len(words) < 2 else '###'} {title}\n\n```\n{text}```\n"
    for word in commands(text):
        out += chapters(folder, *words, word)
    return out


def page(folder):
    text = HEAD + chapters(folder)
    for program in SERVICES:
        text += f"\n## {program}\n\n```\n{help_of(folder, program)}```\n"
    return text


def words(text):
    """What a page says, whichever version of the library set it: newer ones write "NAME [default]" for "NAME=default", and break lines elsewhere."""
    return re.sub(r" \[(\[?[^\[\]]*\]?)\]", r"=\1", " ".join(text.split())).split()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", default=os.path.join(ROOT, "build/bin"), help="folder with the programs")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    text = page(options.bin)
    if not options.check:
        with open(PAGE, "w", encoding="utf-8") as file:
            file.write(text)
        return 0
    old = ""
    if os.path.exists(PAGE):
        with open(PAGE, encoding="utf-8") as file:
            old = file.read()
    is_same = words(old) == words(text)
    if not is_same:
        print("docs/reference/cli.md is out of date: run tools/make_cli_reference.py --bin FOLDER", file=sys.stderr)
    return 0 if is_same else 1


if __name__ == "__main__":
    sys.exit(main())
