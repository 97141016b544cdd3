"""What our C++ parsers ask for, read from their sources: the names that a page of docs/ has to list.

Our readers (codec::ObjectReader, config::TomlReader) refuse every member that was never asked for, so the names in the
calls are exactly what is accepted.
"""
import glob
import os
import re

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..")
READS = (r"(?:String|OptionalString|StringOr|Integer|IntegerOr|OptionalInteger|Bool|BoolOr|OptionalBool|Strings|OptionalStrings|Path|"
         r"OptionalPath|PathOr|Required|HttpsUrl|OptionalHttpsUrl|Parsed|OptionalParsed|Table|OptionalTable|Tables|Has|Object|OptionalObject|"
         r"Array|OptionalArray|Any|Time|OptionalTime|Base64Url|Base64UrlSha256|OptionalBase64UrlSha256|Base64Sha256)")
METHOD = re.compile(r"\.\s*" + READS + r'(?:<[\w:]+>)?\(\s*"([^"]+)"')
# Our helpers take the reader first, then one or two names.
HELPER = re.compile(r'\b(?:Named|Text|OptionalText|Compact|Key|ParsedList<\w+>|TextMap|Texts|Read\w+)\(\s*(?:\w+|\*\w+),\s*"([$A-Za-z]\w*)"'
                    r'(?:,\s*"([A-Za-z]\w*)")?')
LAMBDA = re.compile(r'\b(?:table|read)\("([^"]+)"')


def read(*patterns):
    text = ""
    for pattern in patterns:
        names = sorted(glob.glob(os.path.join(ROOT, pattern), recursive=True))
        assert names, pattern
        for name in names:
            with open(name) as file:
                text += file.read()
    return text


def body(text, function):
    """The body of the function defined as `...function(...) ... {`; functions end with a brace in the first column."""
    # One of several names, for a function that may be split: the first that is there.
    for name in function.split("|"):
        found = re.search(r"^[^\s/#].*?\b" + re.escape(name) + r"\([^;{]*?\)[^;{]*\{(.*?)^\}", text, re.M | re.S)
        if found:
            break
    assert found, f"{function} is not there any more"
    return found.group(1)


def names(text, *functions):
    """The members that these functions ask their reader for."""
    found = set()
    for function in functions:
        code = body(text, function)
        found.update(METHOD.findall(code))
        found.update(LAMBDA.findall(code))
        for pair in HELPER.findall(code):
            found.update(name for name in pair if name)
        if re.search(r"\bDates\(", code):
            found.update(("issued", "expires"))
        if re.search(r"\bNonce\(reader\)", code):
            found.add("nonce")
    return found


def page(name):
    with open(os.path.join(ROOT, "docs", name)) as file:
        return file.read()


def section(text, heading):
    """The part of a page below the heading that begins so, up to the next one of its level."""
    level = heading.split(" ")[0]
    found = re.search(r"^" + re.escape(heading) + r".*?\n(.*?)(?=^#{1," + str(len(level)) + r"} |\Z)", text, re.M | re.S)
    assert found, heading
    return found.group(1)


def rows(text):
    """Cells of every table row; the head and the line below it are left out."""
    kept, lines = [], text.splitlines()
    for number, line in enumerate(lines):
        is_head = number + 1 < len(lines) and re.match(r"\|[-|\s:]+\|$", lines[number + 1])
        if not line.startswith("|") or is_head or re.match(r"\|[-|\s:]+\|$", line):
            continue
        kept.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
    return kept


def codes(cell):
    return re.findall(r"`([^`]+)`", cell)
