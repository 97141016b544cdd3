"""Sees to it that every header compiles alone, so that each includes what it uses.

Where foo.cc (or foo_test.cc) includes foo.h before all else, the build itself shows it. The other headers are compiled
here, and again only when they, or one of ours that they include, have changed; build/lint/headers.json remembers.
"""
import concurrent.futures
import hashlib
import json
import os
import re
import subprocess
import sys

import source_text

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"]+)"', re.MULTILINE)
ANY_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*[<"]([^">]+)[">]', re.MULTILINE)
FLAGS = ["-std=c++20", "-fsyntax-only", "-DTOML_EXCEPTIONS=0", "-iquote", "src",
         "-isystem", "/usr/include/soci", "-isystem", "/usr/include/postgresql", "-x", "c++", "-"]
# <fleetseal/...> is what users of the library include.
PUBLIC = ["-I", "src/trust_api/include"]
MEMORY = source_text.ROOT / "build" / "lint" / "headers.json"


def closure(header, known):
    """`header` (below src/) and every header of ours that it reaches."""
    if header in known:
        return known[header]
    known[header] = {header}  # ends recursion on cycles
    path = source_text.ROOT / "src" / header
    if path.is_file():
        for name in INCLUDE.findall(path.read_text(encoding="utf-8")):
            known[header] = known[header] | closure(name, known)
    return known[header]


def fingerprint(header, known):
    digest = hashlib.sha256(" ".join(FLAGS).encode())
    for name in sorted(closure(header, known)):
        path = source_text.ROOT / "src" / name
        digest.update(name.encode() + b"\0" + (path.read_bytes() if path.is_file() else b"") + b"\0")
    return digest.hexdigest()


def is_first_somewhere(header):
    stem = source_text.ROOT / "src" / header.removesuffix(".h")
    for path in (stem.with_name(stem.name + ".cc"), stem.with_name(stem.name + "_test.cc")):
        first = ANY_INCLUDE.search(path.read_text(encoding="utf-8")) if path.is_file() else None
        if first and first.group(1) == header:
            return True
    return False


def compile_alone(header):
    public = PUBLIC if header.startswith("trust_api/") else []
    done = subprocess.run([os.environ.get("CXX", "g++"), *public, *FLAGS], input=f'#include "{header}"\n', text=True,
                          cwd=source_text.ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return done.returncode == 0, done.stdout


def main():
    headers = ["/".join(path.parts[1:]) for path in source_text.cpp_files(".h") if path.parts[0] == "src"]
    count = len(headers)
    headers = [header for header in headers if not is_first_somewhere(header)]
    known = {}
    marks = {header: fingerprint(header, known) for header in headers}
    try:
        good = json.loads(MEMORY.read_text())
    except (OSError, ValueError):
        good = {}
    pending = [header for header in headers if good.get(header) != marks[header]]
    problems = []
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for header, (is_good, output) in zip(pending, pool.map(compile_alone, pending)):
            if is_good:
                good[header] = marks[header]
            else:
                problems.append(f"src/{header}: does not compile alone:\n{output[:600]}")
    MEMORY.parent.mkdir(parents=True, exist_ok=True)
    MEMORY.write_text(json.dumps({header: good[header] for header in headers if header in good}))
    return source_text.finish("headers", problems, f"{count} compile alone ({len(pending)} compiled here)")


if __name__ == "__main__":
    sys.exit(main())
