"""The commands of the quick start work as printed, in that order; no page points to a place that is not there."""
import glob
import os
import re

import printed
import sources


def test_the_quick_start_works_as_printed():
    seen = printed.run("docs/quick-start.md", r"```sh\n(.*?)```")
    assert len(seen) == 30  # every block was found


def pages():
    found = glob.glob(os.path.join(sources.ROOT, "docs/**/*.md"), recursive=True) + glob.glob(os.path.join(sources.ROOT, "*.md"))
    return sorted(os.path.relpath(path, sources.ROOT) for path in found)


def anchors(path):
    with open(path) as file:
        heads = re.findall(r"^#+ (.*)$", file.read(), re.M)
    return {re.sub(r"[^\w -]", "", head.lower()).replace(" ", "-") for head in heads}


def test_every_link_between_the_pages_leads_somewhere():
    for page in pages():
        with open(os.path.join(sources.ROOT, page)) as file:
            text = re.sub(r"^```.*?^```", "", file.read(), flags=re.M | re.S)
        for target in re.findall(r"\]\(([^)\s]+)\)", text):
            if re.match(r"\w+:", target):
                continue
            path, _, anchor = target.partition("#")
            whole = os.path.normpath(os.path.join(sources.ROOT, os.path.dirname(page), path)) if path else os.path.join(sources.ROOT, page)
            assert os.path.exists(whole), f"{page} -> {target}"
            assert not anchor or anchor in anchors(whole), f"{page} -> {target}"


def test_every_page_is_reached_from_the_readme():
    reached, waiting = set(), ["README.md"]
    while waiting:
        page = waiting.pop()
        if os.path.isdir(os.path.join(sources.ROOT, page)):  # a link to a folder is one to each page in it
            waiting += [path for path in pages() if os.path.dirname(path) == page]
        if page in reached or not page.endswith(".md"):
            continue
        reached.add(page)
        with open(os.path.join(sources.ROOT, page)) as file:
            links = re.findall(r"\]\(([^)\s#]+)", file.read())
        waiting += [os.path.normpath(os.path.join(os.path.dirname(page), link)) for link in links if not re.match(r"\w+:", link)]
    missing = {page for page in pages() if page.startswith("docs/")} - reached
    assert not missing
