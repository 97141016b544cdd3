"""What the checks share: the project's C++ files, and C++ text without comments and literals."""
import pathlib
import re

ROOT = pathlib.Path(__file__).resolve().parent.parent

_TOKEN = re.compile(
    r"""(?P<line>//[^\n]*)
      | (?P<block>/\*.*?\*/)
      | (?P<raw>R"(?P<tag>[^()\\\s]{0,16})\(.*?\)(?P=tag)")
      | (?P<text>"(?:[^"\\\n]|\\.)*")
      | (?P<character>(?<![0-9a-fA-F])'(?:[^'\\\n]|\\.)*')""",
    re.VERBOSE | re.DOTALL)


def cpp_files(*suffixes):
    """The project's files with one of these suffixes, sorted, as paths below ROOT."""
    found = []
    for folder in ("src", "fuzz", "bench"):
        if (ROOT / folder).is_dir():
            found += [path for path in (ROOT / folder).rglob("*") if path.suffix in suffixes and path.is_file()]
    return sorted(path.relative_to(ROOT) for path in found)


def read(path):
    return (ROOT / path).read_text(encoding="utf-8")


def without_comments(text, keep_literals=False):
    """Comments (and literals) become blanks; line numbers stay."""
    def blank(match):
        token = match.group(0)
        if keep_literals and not (match.group("line") or match.group("block")):
            return token
        if match.group("line") or match.group("block"):
            return re.sub(r"[^\n]", " ", token)
        return '"' + re.sub(r"[^\n]", " ", token[1:-1]) + '"'
    return _TOKEN.sub(blank, text)


def line_of(text, offset):
    return text.count("\n", 0, offset) + 1


def finish(name, problems, checked):
    """Prints the problems; returns the exit status."""
    for problem in problems:
        print(problem)
    if problems:
        print(f"{name}: {len(problems)} problem(s)")
        return 1
    print(f"{name}: {checked}")
    return 0
