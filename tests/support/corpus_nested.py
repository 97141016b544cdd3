"""Cases of the refusal corpus: what lies inside a member, in objects and lists at every depth, and the members of headers.

Of a list the first element is walked; of a map (an object whose names are ids or free) the first entry.
"""
import json
import re

from corpus_members import TOO_LARGE, altered, dashed, without, wrong_type
from corpus_world import FILE_ID
from documents import compact


class Raw(str):
    """JSON text as it stands."""


class Pairs(list):
    """The members of an object, in order; a name may be there twice."""


def spelt(value):
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, (Pairs, dict)):
        members = value if isinstance(value, Pairs) else value.items()
        return "{" + ",".join(f"{json.dumps(name)}:{spelt(one)}" for name, one in members) + "}"
    if isinstance(value, list):
        return "[" + ",".join(spelt(one) for one in value) + "]"
    return compact(value)


def changed(value, path, change):
    """A copy in which what lies at `path` is `change` of it."""
    if not path:
        return change(value)
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[path[0]] = changed(value[path[0]], path[1:], change)
    return copy


def walked(value, maps, path=()):
    """(path, what lies there) of every object and list below the top."""
    if isinstance(value, list):
        children = list(enumerate(value))[:1]
    elif isinstance(value, dict):
        children = list(value.items())[:1 if path in maps else None]
    else:
        return
    if path and children:
        yield path, value
    for name, child in children:
        yield from walked(child, maps, (*path, name))


def short(path):
    text = "-".join("first" if name == 0 else "file" if name == FILE_ID else dashed(name) for name in path)
    return re.sub(r"[^a-z0-9]+", "-", text.lower())


def member_shapes(payload, path, name, is_needed):
    """(kind, title, text, code) of one member of the object at `path`."""
    where = ".".join(str(one) for one in (*path, name))
    at = lambda change: spelt(changed(payload, path, change))
    first = lambda found: Pairs([(name, found[name]), *found.items()])
    value = payload
    for one in (*path, name):
        value = value[one]
    if is_needed:
        yield "missing", f"{where} is missing", at(lambda found: without(found, name)), "MemberMissing"
    yield "type", f"{where} is of another type", at(lambda found: {**found, name: wrong_type(found[name])}), "MemberTypeWrong"
    yield "twice", f"{where} is there twice", at(first), "JsonDuplicateMember"
    if type(value) is int:
        yield "too-large", f"{where} is 2^53", at(lambda found: {**found, name: Raw(TOO_LARGE)}), "JsonNumberInvalid"


def nested_shapes(payload, maps=(), optional=(), is_top=False):
    """(name, title, text, code) of whatever can be wrong with a shape below the top. `maps`: paths of objects whose names are free; `optional`: paths of
    members that may be missing, of which those of the first level are walked, too. `is_top`: so are all others of the first level."""
    for path, value in [*([((), payload)] if is_top else []), *walked(payload, maps)]:
        if isinstance(value, list):
            yield short(path) + "-first-type", f"the first of {path[-1]} is of another type", spelt(changed(payload, path, lambda found: [wrong_type(found[0]), *found[1:]])), \
                "MemberTypeWrong"
            continue
        for name in list(value)[:1 if path in maps else None]:
            for kind, title, text, code in member_shapes(payload, path, name, path not in maps and (*path, name) not in optional):
                yield f"{short((*path, name))}-{kind}", title, text, code
        if path not in maps:
            where = "-".join([short(path), "unknown"]) if path else "unknown"
            yield where, f"{path[-1] if path else 'it'} has a member that nobody knows", spelt(changed(payload, path, lambda found: {**found, "zz": 1})), "MemberUnknown"
    for (name,) in [path for path in optional if len(path) == 1 and not is_top]:
        for kind, title, text, code in member_shapes(payload, (), name, False):
            yield f"{short((name,))}-{kind}", title, text, code


def nested_changes(payload, maps=(), others=None, is_top=False):
    """(name, title, text): each member below the top (`is_top`: and there, too) with another value of its type. `others`: values that a parser takes, by path."""
    for path, value in [*([((), payload)] if is_top else []), *walked(payload, maps)]:
        for name in [] if isinstance(value, list) else list(value)[:1 if path in maps else None]:
            place = (*path, name)
            if isinstance(value[name], dict):
                continue
            other = (others or {}).get(place, altered(value[name]))
            other = other if other != value[name] else ["zz"]
            yield f"{short(place)}-altered", f"{'.'.join(str(one) for one in place)} was altered after it was signed", \
                spelt(changed(payload, path, lambda found: {**found, name: other}))
