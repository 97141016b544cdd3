"""The refusal corpus: how its cases are collected and written, and how they are read again by those who judge.

tests/conformance/refusals/README.md says what a case is. Nothing here judges anything.
"""
import json
import os
import re

from documents import b64u

FOLDER = os.path.normpath(os.path.join(os.path.dirname(__file__), "..", "conformance", "refusals"))
# Where each document lies in a case's folder.
FILES = {"status": "status.jws", "order": "order.jws", "manifest": "manifest.json", "manifestSignature": "manifest.jws", "logProof": "log.proof",
         "consistency": "consistency.json"}
JUDGES = ["installer", "library", "verify"]


class Ref(str):
    """A document that lies somewhere in the corpus already: its path from the corpus's root."""


class Pieces(list):
    """A document too large to be kept: texts, each with the number of times that it is repeated."""


class Corpus:
    def __init__(self):
        self.files = {}  # path from the root -> text
        self.cases = {}

    def put(self, path, text):
        assert path not in self.files and isinstance(text, str), path
        self.files[path] = text
        return Ref(path)

    def put_json(self, path, value):
        return self.put(path, json.dumps(value, indent=1, ensure_ascii=False) + "\n")

    def _place(self, folder, name, value):
        """Writes a document into a case's folder unless it lies somewhere already; what case.json says of it."""
        if value is None or isinstance(value, Ref):
            return value
        if isinstance(value, Pieces):
            return {"pieces": value}
        self.put(f"{folder}/{name}", json.dumps(value) + "\n" if name == "consistency.json" else value)
        return name

    def _documents(self, folder, documents):
        placed = {}
        if "packages" in documents:
            placed["packages"] = [self._place(folder, f"package-{number}.json", text)
                                  for number, text in enumerate(documents["packages"], 1)]
        for slot, name in FILES.items():
            if slot in documents:
                placed[slot] = self._place(folder, name, documents[slot])
        return placed

    def base(self, name, title, device, package, walk, state):
        """`walk`: documents that are taken one after the other, each perhaps with sealed content (file id, hash, path)."""
        folder = f"bases/{name}"
        steps = []
        for number, (documents, content) in enumerate(walk, 1):
            step = {"documents": self._documents(f"{folder}/{number}", documents)}
            steps.append({**step, "content": content} if content else step)
        device = self.put_json(f"{folder}/device.json", device)
        self.put(f"{folder}/trust-state.json", state)
        self.put_json(f"{folder}/base.json", {"title": title, "device": str(device), "package": str(package), "walk": steps,
                                              "trustState": f"{folder}/trust-state.json"})

    def control(self, name, title, base, documents, accepted, now):
        """What is right: every case is one of these with a change."""
        folder = f"controls/{name}"
        placed = self._documents(folder, documents)
        self.put_json(f"{folder}/case.json", {"title": title, "base": base, "now": now, "documents": placed, "accepted": accepted})
        return Control(self, folder, placed, accepted)


class Control:
    def __init__(self, corpus, folder, documents, accepted):
        self.corpus, self.folder, self.documents, self.accepted = corpus, folder, documents, accepted

    def ref(self, slot):
        return Ref(resolved(self.folder, self.documents[slot]))

    def refuse(self, path, title, rows, code, document, changes, kept=(), now=None, judges=None, why=None, content=None, because=None):
        """One case: this control with `changes` (None takes a document out), and perhaps `content` for it: file id, hash of the order, bytes.
        `because`: the code of what lies inside the refused document."""
        assert re.fullmatch(r"[a-z0-9-]+/[a-z0-9-]+", path), path
        assert path not in self.corpus.cases, path
        value = {"title": title, "rows": rows.split(), "control": os.path.basename(self.folder), "documents": self.corpus._documents(path, changes),
                 "refused": {"document": document, "code": code, **({"because": because} if because else {})}}
        if content:
            self.corpus.put(f"{path}/content.hex", content[2].hex() + "\n")
            value["content"] = {"fileId": content[0], "sealedSha256": content[1], "hex": "content.hex"}
        for name, given in (("kept", list(kept)), ("now", now), ("judges", judges), ("why", why)):
            if given:
                value[name] = given
        self.corpus.cases[path] = value
        self.corpus.put_json(f"{path}/case.json", value)


def resolved(folder, document):
    """The path of a document from the corpus's root: without a slash it lies in the case's own folder."""
    return document if "/" in document else f"{folder}/{document}"


# --- on disk -----------------------------------------------------------------------------------------------------------------


def on_disk(folder=FOLDER):
    """Everything below the folder but its own page, as path -> bytes."""
    found = {}
    for top, _, names in os.walk(folder):
        for name in names:
            path = os.path.join(top, name)
            if path != os.path.join(folder, "README.md"):
                with open(path, "rb") as file:
                    found[os.path.relpath(path, folder)] = file.read()
    return found


def differences(corpus, folder=FOLDER):
    made = {path: text.encode() for path, text in corpus.files.items()}
    there = on_disk(folder)
    return sorted(path for path in made.keys() | there.keys() if made.get(path) != there.get(path))


def write(corpus, folder=FOLDER):
    there = on_disk(folder)
    for path in there.keys() - corpus.files.keys():
        os.unlink(os.path.join(folder, path))
    for path, text in corpus.files.items():
        if there.get(path) == text.encode():
            continue
        os.makedirs(os.path.dirname(os.path.join(folder, path)), exist_ok=True)
        with open(os.path.join(folder, path), "wb") as file:
            file.write(text.encode())
    for top, folders, names in os.walk(folder, topdown=False):
        if not os.listdir(top):
            os.rmdir(top)


def read_text(path):
    with open(os.path.join(FOLDER, path), encoding="utf-8", newline="") as file:
        return file.read()


def read_json(path):
    return json.loads(read_text(path))


class Case:
    """A case or a control as it lies on disk, with all its documents: a case has those of its control but for its changes."""

    def __init__(self, path):
        value = read_json(f"{path}/case.json")
        self.path, self.title = path, value["title"]
        self.control = Case("controls/" + value["control"]) if "control" in value else None
        self.rows = value.get("rows", [])
        self.base = self.control.base if self.control else value["base"]
        self.now = value["now"] if "now" in value else self.control.now
        self.refused = value.get("refused")
        self.accepted = value.get("kept", []) if self.refused else value["accepted"]
        self.judges = value.get("judges", JUDGES)
        self.why = value.get("why")
        self.changes = value["documents"]
        self.content = value.get("content")
        if self.content:
            self.content["bytes"] = bytes.fromhex(read_text(f"{path}/{self.content['hex']}"))
        self.documents = dict(self.control.documents) if self.control else {}
        for slot, document in self.changes.items():
            self.documents[slot] = [at(path, one) for one in document] if slot == "packages" else at(path, document)

    def offer(self):
        """The message of docs/protocol/installer-socket.md in which an agent brings these documents."""
        return offer_of(self.documents)


def at(folder, document):
    return resolved(folder, document) if isinstance(document, str) else document


def read_document(document):
    """`document`: a path from the corpus's root, or pieces."""
    if isinstance(document, dict):
        return "".join(piece["text"] * piece.get("times", 1) for piece in document["pieces"])
    return read_text(document)


def offer_of(documents):
    offer = {"verb": "offer-documents", "packages": [read_document(one) for one in documents.get("packages", [])]}
    for slot in FILES:
        if documents.get(slot) is None:
            continue
        text = read_document(documents[slot])
        if slot == "manifest":
            offer[slot] = b64u(text.encode())
        else:
            offer[slot] = json.loads(text) if slot == "consistency" else text
    return offer


def paths():
    """Of all cases, without the controls."""
    found = [os.path.dirname(path) for path in on_disk() if os.path.basename(path) == "case.json"]
    return sorted(path for path in found if not path.startswith("controls/"))


def control_paths():
    return sorted(os.path.dirname(path) for path in on_disk() if path.startswith("controls/") and path.endswith("/case.json"))


def base_names():
    return sorted(os.path.basename(os.path.dirname(path)) for path in on_disk() if path.endswith("/base.json"))


def people_kinds():
    return sorted(os.path.basename(path).removesuffix(".json") for path in on_disk() if path.startswith("people/"))
