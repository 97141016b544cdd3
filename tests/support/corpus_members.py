"""Cases of the refusal corpus: each member of each document missing, of the wrong type, doubled, out of its range, altered."""
import json
import re

from documents import b64u, compact

TOO_LARGE = "9007199254740992"


def dashed(name):
    return re.sub(r"([A-Z]+)", lambda match: "-" + match.group(1).lower(), name).replace(".", "-").strip("-")


def wrong_type(value):
    if isinstance(value, bool) or isinstance(value, int):
        return str(value)
    return {str: 7, list: {"zz": 1}, dict: ["zz"]}[type(value)]


def altered(value):
    """A value of the same type that a parser would take, too."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int):
        return value + 1
    if isinstance(value, str):
        # In the middle: the last character of a base64 text may have bits that must stay zero.
        place = len(value) // 2
        return value[:place] + ("A" if value[place] != "A" else "B") + value[place + 1:]
    return value[:-1] if isinstance(value, list) and value else value


def without(value, name):
    return {key: one for key, one in value.items() if key != name}


def shapes(payload, optional=(), missing=None):
    """(name, title, text, code): what is wrong with the shape of one member. `missing`: codes of members that may be missing by themselves."""
    text = compact(payload)
    for name, value in payload.items():
        short = dashed(name)
        if name not in optional:
            yield f"{short}-missing", f"{name} is missing", compact(without(payload, name)), (missing or {}).get(name, "MemberMissing")
        yield f"{short}-type", f"{name} is of another type", compact({**payload, name: wrong_type(value)}), "MemberTypeWrong"
        yield f"{short}-twice", f"{name} is there twice", "{" + compact({name: value})[1:-1] + "," + text[1:], "JsonDuplicateMember"
        if isinstance(value, int):
            yield f"{short}-too-large", f"{name} is 2^53", text.replace(f'"{name}":{value}', f'"{name}":{TOO_LARGE}', 1), "JsonNumberInvalid"
    yield "unknown", "a member that nobody knows", '{"zz":1,' + text[1:], "MemberUnknown"
    first = next(iter(payload))
    yield "other-case", f"{first} in other case", compact({first.upper() if name == first else name: value for name, value in payload.items()}), "MemberMissing"
    escaped = f'"\\u{ord(first[0]):04x}{first[1:]}":'
    yield "twice-escaped", f"{first} is there twice, once spelt with an escape", "{" + escaped + compact(payload[first]) + "," + text[1:], "JsonDuplicateMember"


def numbers(payload, name):
    """One number in every spelling that is not the one."""
    text, value = compact(payload), payload[name]
    for short, spelt, code in (("negative", "-1", "ValueOutOfRange"), ("fraction", f"{value}.0", "JsonNumberInvalid"), ("exponent", f"{value}e0", "JsonNumberInvalid"),
                               ("leading-zero", f"0{value}", "JsonInvalid"), ("minus-zero", "-0", "JsonNumberInvalid"), ("true", "true", "MemberTypeWrong"),
                               ("two-64", "18446744073709551616", "JsonNumberInvalid"), ("plus", f"+{value}", "JsonInvalid"), ("hexadecimal", "0x1", "JsonInvalid")):
        yield f"{dashed(name)}-{short}", f"{name} is written {spelt}", text.replace(f'"{name}":{value}', f'"{name}":{spelt}', 1), code


def add_members(signed, optional=(), missing=None, number=None, altered_codes=None):
    """Shapes and numbers properly signed; and each member altered after it was signed."""
    group = "members-" + signed.group.removeprefix("form-")
    for name, title, text, code in shapes(signed.payload, optional, missing):
        signed.refuse(name, title, "S1.46" if "package" in group else "S1.28 S1.30", code, signed.make(payload=text), group=group)
    for name, title, text, code in numbers(signed.payload, number) if number else ():
        signed.refuse(name, title, "S1.30", code, signed.make(payload=text), group=group)
    head, _, signature = signed.make().split(".")
    for name, value in signed.payload.items():
        other = altered(value)
        other = {**value, "zz": 1} if isinstance(value, dict) else [*value, "zz"] if other == value else other
        text = compact({**signed.payload, name: other})
        signed.refuse(f"{dashed(name)}-altered", f"{name} was altered after it was signed", "S1.26 S1.30", (altered_codes or {}).get(name, "SignatureInvalid"),
                      f"{head}.{b64u(text.encode())}.{signature}", group=group)
    reordered = compact(dict(reversed(signed.payload.items())))
    for name, title, text in (("reordered", "the same members in another order", reordered), ("spaced", "a blank more", "{ " + compact(signed.payload)[1:]),
                              ("escaped", "a letter spelt as an escape", re.sub(r'^\{"(.)', lambda match: f'{{"\\u{ord(match.group(1)):04x}', compact(signed.payload)))):
        signed.refuse(f"altered-{name}", f"{title}, and the old signature", "S1.30", "SignatureInvalid", f"{head}.{b64u(text.encode())}.{signature}", group=group)


# --- what is hashed, not signed: the manifest ------------------------------------------------------------------------------------


def manifest_shapes(manifest):
    """(name, title, text, code): a manifest of a wrong shape, whose hash is signed all the same."""
    value = json.loads(manifest)
    yield from shapes(value)
    first = next(iter(value["files"]))
    changed = lambda **changes: compact({**value, **changes})
    file = lambda **changes: changed(files={first: {**value["files"][first], **changes}})
    step = lambda **changes: changed(instructions={"steps": [{**value["instructions"]["steps"][0], **changes}]})
    yield "files-none", "no files", changed(files={}), "ValueOutOfRange"
    yield "file-id-path", "a file id with a path", changed(files={"../etc": value["files"][first]}), "IdInvalid"
    yield "file-name-path", "a file name with a path", file(fileName="../pump.img"), "IdInvalid"
    yield "file-name-empty", "an empty file name", file(fileName=""), "IdInvalid"
    yield "file-name-nul", "a file name with a NUL", file(fileName="pump\0.img"), "IdInvalid"
    yield "file-size-missing", "a file without its size", changed(files={first: without(value["files"][first], "sizeInBytes")}), "MemberMissing"
    yield "file-size-above", "a file above 64 GiB", file(sizeInBytes=2 ** 36 + 1), "ValueOutOfRange"
    yield "hash-missing", "a file without SHA-256", file(hashes={}), "MemberMissing"
    yield "hash-sha1", "a file with SHA-1 besides", file(hashes={**value["files"][first]["hashes"], "sha1": "AAAA"}), "KeyWeak"
    yield "hash-md5-only", "a file with MD5 alone", file(hashes={"md5": "AAAA"}), "KeyWeak"
    yield "hash-short", "a SHA-256 of 31 bytes", file(hashes={"sha256": "A" * 40 + "AA=="}), "Base64Invalid"
    yield "hash-base64url", "a SHA-256 in base64url", file(hashes={"sha256": "-" * 43 + "="}), "Base64Invalid"
    yield "steps-none", "no steps", changed(instructions={"steps": []}), "ValueOutOfRange"
    yield "step-file-unknown", "a step names a file that is not there", step(files=["f" + "0" * 16]), "ValueOutOfRange"
    yield "step-two-files", "a slot step with two files", step(files=[first, first]), "ValueOutOfRange"
    yield "step-unknown-member", "a step with a member that nobody knows", step(zz=1), "MemberUnknown"
    yield "step-target-path", "a target that leaves its directory", step(handler="fleetseal/file:1", handlerProperties={"target": "../x"}), "IdInvalid"
    yield "compatibility-none", "no compatibility", changed(compatibility=[]), "ValueOutOfRange"
    yield "compatibility-empty-set", "a compatibility set that fits everything", changed(compatibility=[{}]), "ValueOutOfRange"
    yield "version-4-dots", "a version of five parts", changed(updateId={**value["updateId"], "version": "1.2.3.4.5"}), "ValueOutOfRange"
    yield "provider-path", "a provider with a path", changed(updateId={**value["updateId"], "provider": "../acme"}), "IdInvalid"
    yield "manifest-version-3", "a manifest of version 3", changed(manifestVersion="3"), "FormatVersionUnknown"
    yield "component-path", "a component with a path", changed(component="../main"), "IdInvalid"
    yield "date-wrong", "a date that the calendar does not have", changed(createdDateTime="2026-02-30T00:00:00Z"), "TextInvalid"
    yield "deep", "17 levels", '{"zz":' + "[" * 17 + "]" * 17 + "," + manifest[1:], "JsonTooDeep"
    yield "two", "a second object behind", manifest + "{}", "JsonInvalid"
    yield "no-json", "no JSON", manifest[:-1], "JsonInvalid"


def manifest_changes(manifest):
    """(name, title, text): other bytes than those whose hash is signed."""
    value = json.loads(manifest)
    for name in value:
        yield f"altered-{dashed(name)}", f"{name} was altered", manifest.replace(compact(value[name]), compact({"zz": 1}), 1)
    yield "altered-blank", "a blank more", manifest.replace(",", ", ", 1)
    yield "altered-newline", "a line break behind", manifest + "\n"
    yield "altered-order", "the same members in another order", compact(dict(reversed(value.items())))
    yield "altered-escape", "a letter spelt as an escape", manifest.replace('"manifestVersion"', '"\\u006danifestVersion"', 1)
    yield "altered-cut", "the last byte is missing", manifest[:-1]
    yield "altered-digit", "one digit of a size", re.sub(r'"sizeInBytes":(\d)', lambda match: f'"sizeInBytes":{(int(match.group(1)) + 1) % 9 + 1}', manifest)
    yield "altered-empty", "an empty manifest", ""
