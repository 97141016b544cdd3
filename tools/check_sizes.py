"""Holds functions, files and headers to their greatest sizes (house rule "Size").

tools/size_exceptions.txt lists what is larger for a reason: "<lines> <path>" or "<lines> <path>:<function>", then "# why".
The list may only shrink: an entry that is no longer needed, or that has grown past its lines, fails.
"""
import re
import sys

import source_text

FUNCTION_LINES_MAX = 70
SOURCE_LINES_MAX = 600
HEADER_LINES_MAX = 200

CONTAINER = re.compile(r"\b(namespace|class|struct|union|enum|extern)\b")
NAME = re.compile(r"([~\w:]+)\s*\(")


def functions(text):
    """(name, first line, number of lines) of each brace block at namespace or class level, by counting braces."""
    text = re.sub(r"^[ \t]*#.*?(?<!\\)$", lambda match: re.sub(r"[^\n]", " ", match.group(0)), text,
                  flags=re.MULTILINE | re.DOTALL)
    stack = []  # for each open brace: None for a container, else (name, first line)
    start = 0   # where the current statement begins
    found = []
    for match in re.finditer(r"[{};]", text):
        inside = bool(stack) and stack[-1] is not None
        if match.group(0) == "{":
            head = text[start:match.start()]
            if inside:
                stack.append(stack[-1])
            elif CONTAINER.search(head.split("(")[0]) and not re.search(r"\)\s*(const|noexcept|override|->|$)", head.strip()):
                stack.append(None)
            else:
                name = NAME.search(head)
                first = source_text.line_of(text, start + len(head) - len(head.lstrip()))
                stack.append((name.group(1) if name else "?", first))
        elif match.group(0) == "}" and stack:
            closed = stack.pop()
            if closed is not None and not (stack and stack[-1] is closed):
                found.append((closed[0], closed[1], source_text.line_of(text, match.start()) - closed[1] + 1))
        if not (stack and stack[-1] is not None):
            start = match.end()
    return found


def read_exceptions(problems):
    entries = {}
    for number, line in enumerate(source_text.read("tools/size_exceptions.txt").splitlines(), 1):
        entry = line.split("#")[0].split()
        if not entry:
            continue
        if len(entry) != 2 or not entry[0].isdigit() or "#" not in line:
            problems.append(f"tools/size_exceptions.txt:{number}: not '<lines> <path>[:<function>]  # why'")
            continue
        entries[entry[1]] = int(entry[0])
    return entries


def main():
    problems = []
    exceptions = read_exceptions(problems)
    used = set()
    count = 0

    def judge(key, where, lines, lines_max, what):
        if lines <= lines_max:
            return
        if key not in exceptions:
            problems.append(f"{where}: {what} has {lines} lines, at most {lines_max}")
            return
        used.add(key)
        if lines > exceptions[key]:
            problems.append(f"{where}: {what} has grown to {lines} lines, past the {exceptions[key]} of its exception")

    for path in source_text.cpp_files(".h", ".cc"):
        text = source_text.read(path)
        lines_max = HEADER_LINES_MAX if path.suffix == ".h" else SOURCE_LINES_MAX
        judge(str(path), str(path), text.count("\n"), lines_max, "the file")
        for name, line, lines in functions(source_text.without_comments(text)):
            count += 1
            judge(f"{path}:{name}", f"{path}:{line}", lines, FUNCTION_LINES_MAX, name)
    for key in sorted(set(exceptions) - used):
        problems.append(f"tools/size_exceptions.txt: {key} is no longer too large: remove its line")
    return source_text.finish("sizes", problems, f"{count} functions are small enough")


if __name__ == "__main__":
    sys.exit(main())
