#!/usr/bin/python3
"""Writes docs/reference/error-codes.md from src/base/error_codes.inc; with --check only says whether it is up to date."""
import os
import re
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
TABLE = os.path.join(ROOT, "src/base/error_codes.inc")
PAGE = os.path.join(ROOT, "docs/reference/error-codes.md")
EXITS = {"Ok": 0, "Failed": 1, "Usage": 2, "Refused": 3, "Unreachable": 4}
ROW = re.compile(r'FLEETSEAL_ERROR_CODE\((\d+), (\w+), (\w+), (\d+), "(.*)", "(.*)"\)$')
BLOCK = re.compile(r"// (\d+-\d+): (.*)$")

HEAD = """# Error codes

Made by `tools/make_error_codes.py` from `src/base/error_codes.inc`; do not edit this page. Numbers and names never change and are never reused.

The name stands in the `code` of every `application/problem+json` answer, in receipts, in logs and on the command line. Programs end with the exit
code; HTTP answers carry the status. What a person reads is the text beside it and, below it, what to do.

| Exit code | Meaning |
|---|---|
| 0 | done |
| 1 | failed: something broke here or on the other side |
| 2 | usage: the command or the configuration is not right |
| 3 | refused: a rule, a policy or a check said no |
| 4 | unreachable: nobody answered, in time or in a connection that can be trusted |

Reserved, given by nothing at present: `TrailingData` `NotIsolated`
"""


def page():
    text = HEAD
    with open(TABLE, encoding="utf-8") as file:
        for number, line in enumerate(file.read().splitlines(), 1):
            block, row = BLOCK.match(line), ROW.match(line)
            if block:
                title = block.group(2)
                text += f"\n## {block.group(1)}: {title}\n\n| Number | Code | Exit | HTTP | What happened | What to do |\n|---|---|---|---|---|---|\n"
            elif row:
                code, name, end, status, title, advice = row.groups()
                title, advice = (part.replace('\\"', '"').replace("|", "\\|") for part in (title, advice))
                text += f"| {code} | `{name}` | {EXITS[end]} | {status} | {title} | {advice} |\n"
            elif line.startswith("FLEETSEAL_ERROR_CODE"):
                sys.exit(f"{TABLE}:{number}: the row cannot be read")
    return text


def main():
    text = page()
    old = ""
    if os.path.exists(PAGE):
        with open(PAGE, encoding="utf-8") as file:
            old = file.read()
    if sys.argv[1:] == ["--check"]:
        if old != text:
            print("docs/reference/error-codes.md is out of date: run tools/make_error_codes.py", file=sys.stderr)
        return 0 if old == text else 1
    with open(PAGE, "w", encoding="utf-8") as file:
        file.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
