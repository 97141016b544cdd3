"""Holds every #include to cmake/layers.txt.

A file may include headers of its own module and of modules that its line names, directly or through them. Vendor headers
stand only in .cc files of modules that name the vendor, or in headers of a backend folder.
"""
import re
import sys

import source_text

VENDORS = {
    "tl/": "tl", "p11-kit/": "p11-kit", "fmt/": "fmt", "boost/": "boost", "openssl/": "openssl", "curl/": "curl", "soci/": "soci",
    "sqlite3.h": "soci", "libpq-fe.h": "soci", "spdlog/": "spdlog", "toml++/": "toml", "CLI/": "cli11",
    "zstd.h": "zstd", "seccomp.h": "seccomp", "gtest/": "test", "gmock/": "test", "benchmark/": "test",
}
# Small enough to stand in headers, and handed on by the modules that name them.
IN_HEADERS = {"tl"}
HANDED_ON = {"tl", "fmt"}
# Folders whose headers may show a vendor, besides the one of its own name.
BACKENDS = {"boost": {"asio"}, "openssl": {"tls"}}
# The installer decides alone: no network, no TLS, no database can come in by way of a library (design section 7).
INSTALLER_MAY_REACH = {"base", "sys", "codec", "crypto", "jose", "merkle", "sealing", "manifest", "trust",
                       "api/installer", "installer/config", "config/findings"}

INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.MULTILINE)
LINE = re.compile(r"^(lib|program) +([a-z0-9_/]+) *([a-z0-9-]*) *:([^:]*):?(.*)$")


def read_layers(problems):
    """module -> (reachable modules, own vendors)"""
    reachable, vendors = {}, {}
    for number, line in enumerate(source_text.read("cmake/layers.txt").splitlines(), 1):
        if not line.strip() or line.startswith("#"):
            continue
        match = LINE.match(line)
        if not match:
            problems.append(f"cmake/layers.txt:{number}: cannot be read")
            continue
        module = match.group(2)
        reachable[module] = {module}
        for name in match.group(4).split():
            if name not in reachable:
                problems.append(f"cmake/layers.txt:{number}: {module} names {name}, which is not above it")
                continue
            reachable[module] |= reachable[name]
        vendors[module] = {vendor.replace("boost-asio", "boost") for vendor in match.group(5).split()}
    return reachable, vendors


def module_of(path, modules):
    """The module with the longest name that `path` (below src/) lies in."""
    parts = path.split("/")[:-1]
    while parts:
        if "/".join(parts) in modules:
            return "/".join(parts)
        parts.pop()
    return None


def vendor_of(header):
    for prefix, vendor in VENDORS.items():
        if header == prefix or (prefix.endswith("/") and header.startswith(prefix)):
            return vendor
    return None


def check_vendor(path, module, vendor, reachable, vendors):
    is_test = path.endswith("_test.cc") or "/testing/" in path
    if vendor == "test":
        return None if is_test else "test libraries are for tests"
    handed_on = set().union(*(vendors[name] for name in reachable[module])) & HANDED_ON
    if vendor not in vendors[module] | handed_on:
        return f"{module} does not name the vendor {vendor} in cmake/layers.txt"
    backends = {vendor} | BACKENDS.get(vendor, set())
    if path.endswith(".h") and vendor not in IN_HEADERS and not backends & set(path.split("/")[:-1]):
        return f"vendor headers of {vendor} stand in .cc files and in {' or '.join(sorted(backends))}/ only"
    return None


def main():
    problems = []
    reachable, vendors = read_layers(problems)
    extra = reachable.get("installer", set()) - INSTALLER_MAY_REACH - {"installer"}
    if extra:
        problems.append(f"cmake/layers.txt: the installer may not reach {', '.join(sorted(extra))}")
    files = [path for path in source_text.cpp_files(".h", ".cc") if path.parts[0] == "src"]
    for file in files:
        path = "/".join(file.parts[1:])
        module = module_of(path, reachable)
        if module is None:
            problems.append(f"{file}: belongs to no module of cmake/layers.txt")
            continue
        text = source_text.without_comments(source_text.read(file), keep_literals=True)
        for match in INCLUDE.finditer(text):
            where = f"{file}:{source_text.line_of(text, match.start(2))}"
            header = match.group(2)
            if match.group(1) == "<":
                if header == "iostream":
                    problems.append(f"{where}: no iostream")
                vendor = vendor_of(header)
                complaint = vendor and check_vendor(path, module, vendor, reachable, vendors)
                if complaint:
                    problems.append(f"{where}: <{header}>: {complaint}")
                continue
            if not (source_text.ROOT / "src" / header).is_file():
                problems.append(f'{where}: "{header}": ours are written from src/ on, others in <>')
                continue
            target = module_of(header, reachable)
            if target not in reachable[module]:
                problems.append(f'{where}: "{header}": {module} may not include {target}')
    return source_text.finish("layers", problems, f"{len(files)} files keep to cmake/layers.txt")


if __name__ == "__main__":
    sys.exit(main())
