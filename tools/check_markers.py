"""Finds what must not stay: markers of unfinished work, throw outside adapters, SQL outside store/ and storage/, sleeping
tests, and temporaries in co_await expressions."""
import re
import sys

import source_text

MARKER = re.compile(r"\b(TO" r"DO|FIX" r"ME|XX" r"X|HA" r"CK)\b")
THROW = re.compile(r"\bthrow\b(?!\s*[(;])")
# Adapters that throw into their library's own exception handling, and catch it themselves.
ADAPTERS = {"src/storage/session.cc"}
SQL = re.compile(r'"\s*(SELECT\s|INSERT INTO\s|UPDATE\s+\w+\s+SET\b|DELETE FROM\s|CREATE TABLE\s)')
SLEEP = re.compile(r"\bsleep_for\b|\bsleep_until\b|\busleep\s*\(|\bnanosleep\s*\(|\btime\.sleep\(\s*[1-9]")
# gcc 12 frees an aggregate temporary inside a co_await expression twice: a named local and a move instead.
CO_AWAIT = re.compile(r"\bco_await\b[^;]*?[(,]\s*(?:[\w:]+\s*)?\{")

TEXT_SUFFIXES = {".cc", ".h", ".py", ".md", ".txt", ".cmake", ".toml", ".ts", ".tsx", ".sh", ".inc", ".sql"}
TEXT_FOLDERS = ("src", "tests", "tools", "docs", "bench", "fuzz", "cmake", "packaging", "web")


def text_files():
    for folder in TEXT_FOLDERS:
        for path in sorted((source_text.ROOT / folder).rglob("*")):
            if path.suffix in TEXT_SUFFIXES and path.is_file() and "node_modules" not in path.parts:
                yield path.relative_to(source_text.ROOT)
    yield from sorted(path.relative_to(source_text.ROOT) for path in source_text.ROOT.glob("*.md"))


def main():
    problems = []
    count = 0

    def look(path, text, pattern, what):
        for match in pattern.finditer(text):
            problems.append(f"{path}:{source_text.line_of(text, match.start())}: {what}")

    for path in text_files():
        count += 1
        text = source_text.read(path)
        look(path, text, MARKER, "a marker of unfinished work")
        is_test = path.name.endswith(("_test.cc", "_test.py")) or path.parts[0] == "tests" or "testing" in path.parts
        if is_test:
            look(path, text, SLEEP, "a test must not sleep")
        if path.suffix not in (".cc", ".h"):
            continue
        look(path, source_text.without_comments(text), CO_AWAIT, "a temporary in a co_await expression (gcc 12)")
        if is_test or path.parts[0] != "src":
            continue
        if str(path) not in ADAPTERS:
            look(path, source_text.without_comments(text), THROW, "our code does not throw")
        if not {"store", "storage"} & set(path.parts):
            look(path, source_text.without_comments(text, keep_literals=True), SQL, "SQL outside store/ and storage/")
    return source_text.finish("markers", problems, f"{count} files are clean")


if __name__ == "__main__":
    sys.exit(main())
