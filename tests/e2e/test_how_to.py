"""The pages of docs/how-to that no other test runs, as printed: each block, in order, on a lab."""
import json
import os
import re
import shutil
import subprocess

import pytest

from documents import Log, b64
from lab import BIN, Lab
from runbook import Runbook
from test_rotate_keys import in_use, keys

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to run the programs as their users")
SOFTHSM = "/usr/lib/softhsm/libsofthsm2.so"


@pytest.fixture
def lab():
    made = Lab(devices=1, is_populated=True)
    yield made
    made.down()


def test_rotate_keys_md(lab):
    old = in_use(lab, "director")
    book = Runbook(lab, "docs/how-to/rotate-keys.md", {"root-package-4": "root-package-2", "root-package-3": "root-package-1",
                                                       "director-fedcba9876543210": old})
    for block in ("key", "word", "package", "publish"):
        book.run(block)
    new = in_use(lab, "director")
    assert new != old
    update = lab.release("2.0.0", lab.path("two.img", b"two" * 1000))
    assert lab.watch(lab.roll_out(update, "dev-1")) == {"dev-1": "installed"}
    for block in ("retire", "resign"):
        book.run(block)
    book.done()
    assert {key["kid"]: key["state"] for key in keys(lab, "director")}[old] == "retired"


def test_roll_back_md_beside_its_first_block(lab):
    """The first block is run by test_roll_back.py."""
    newer = lab.release("1.1.0", lab.path("new.img", b"new" * 1000))
    assert lab.watch(lab.roll_out(newer, "dev-1")) == {"dev-1": "installed"}
    book = Runbook(lab, "docs/how-to/roll-back.md", {"pump-17": "dev-1"})
    assert book.left.pop(0) == "back"
    # The page's plan-2 is what its first command prints.
    plan = lab.good("rollout", "plan", "--update", "acme/pump@1.0.0", "--count", "1")["planId"]
    book.names["plan-2"] = plan
    said = book.run("ahead")
    assert re.search(r"permit-[a-z2-7]{26}", said) and re.search(r"plan-[a-z2-7]{26}", said)
    said = book.run("few")
    book.done()
    waiting = lab.good("permit", "list")["permits"]
    assert len(waiting) == 2 and all(row["permitId"] in said for row in waiting)


def test_verify_md(lab, tmp_path):
    update = lab.good("update", "list")["updates"][0]
    book = Runbook(lab, "docs/how-to/verify.md", {"acme/pump@1.2.0": "acme/pump@1.0.0", "pump-17": "dev-1"})
    said = book.run("ask")
    # The page's time is the one that this command prints.
    book.names["2026-11-22T04:00:00Z"] = re.search(r"verify evidence/release .*--as-of (\S+)", said).group(1)
    assert "approval" in book.run("judge")
    lab.good("update", "show", update["id"], "--documents", book.path("documents"), "--device", "dev-1")
    said = book.run("run")
    assert "trusted from root-key package 1" in said
    # In the place of a device that has only its first package.
    home = lab.device_home()
    shutil.copy(os.path.join(home, "provisioning", "device.json"), book.path("device.json"))
    with open(book.path("trust-state.json"), "w") as file:
        file.write(fresh_state(lab, tmp_path))
    os.unlink(book.path("documents/checkpoint"))  # no device is offered one
    said = book.run("device")
    assert "order" in said
    assert book.left == ["adu"]  # interop/test_adu.py judges with that profile


def fresh_state(lab, folder):
    """The trust state of a device that was provisioned and has seen nothing since: made by an installer that was just started."""
    from installer import Installer
    device = Installer.__new__(Installer)
    device.prepare(folder)
    source = os.path.join(lab.device_home(), "provisioning")
    for name in ("device.json", "package.json"):
        with open(os.path.join(source, name)) as file:
            device.write("provisioning/" + name, file.read())
    device.start()
    device.stop()
    with open(os.path.join(device.folder, "state", "state.json")) as file:
        trust = json.load(file)["trust"]
    return trust if isinstance(trust, str) else json.dumps(trust, separators=(",", ":"))


def write(path, text):
    with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "w") as file:
        file.write(text)


@pytest.mark.skipif(not os.path.exists(SOFTHSM), reason="softhsm2 is not installed")
def test_root_ceremony_md(lab):
    kid = in_use(lab, "publisher")
    director = in_use(lab, "director")
    book = Runbook(lab, "docs/how-to/root-ceremony.md", {
        "> pass)": "> another)", "--folder roots": "--folder made", "--folder mine": "--folder roots", "offline/sjwk": "sjwk",
        "director-0123456789abcdef": director, "/root/pin": "pin"})
    book.names["pin-source=pin"] = "pin-source=" + book.path("pin")
    write(book.path("pin"), "1234\n")
    write(book.path("softhsm2.conf"), f"directories.tokendir = {book.path('tokens')}\nlog.level = ERROR\n")
    os.mkdir(book.path("tokens"))
    lab.environment["SOFTHSM2_CONF"] = book.path("softhsm2.conf")
    subprocess.run(["softhsm2-util", "--init-token", "--free", "--label", "ada", "--so-pin", "12345678", "--pin", "1234"], check=True,
                   env=lab.environment, capture_output=True)
    book.run("make")
    book.run("each")
    shutil.copy(book.path("ada/ada.pub.json"), book.path("root-4.pub.json"))
    shutil.rmtree(book.path("ada"))
    book.run("token")
    shutil.copy(book.path("made/roots.json"), book.path("roots.json"))
    book.run("renew")

    # Every row of the table drafts a package; the last one that a root signs is the first row's.
    lab.good("key", "create", "--role", "publisher", "--product", "acme/pump", "--package", book.path("root-package-1.json"), "-o", book.path("publisher.json"))
    lab.good("key", "rotate", "director", "--package", book.path("root-package-1.json"), "-o", book.path("director.json"))
    subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", book.path("ca.key"), "-out",
                    book.path("ca.crt"), "-days", "300", "-subj", "/CN=new server CA", "-addext", "keyUsage=critical,keyCertSign,cRLSign"],
                   check=True, capture_output=True)
    rows = re.findall(r"^\| [^|]+ \| `(fleetseal root [^`]+)`", book.text(), re.M)
    assert len(rows) == 10
    log = Log("log.acme.2")
    vkey = f"{log.origin}+{log.key_id().hex()}+{b64(bytes([1]) + log.raw_public())}"
    for row in reversed(rows):
        for name in ("root-package-2.json", "root-package-2.transcript.json"):
            if os.path.exists(book.path(name)):
                os.unlink(book.path(name))
        command = row.replace("VKEY", vkey).replace("--disable-key KID", f"--disable-key {director}").replace("KID", kid)
        done = subprocess.run(["bash", "-c", command + " --package root-package-1.json -o root-package-2.json"], cwd=book.folder,
                              env={**lab.environment, "PATH": BIN + ":" + os.environ["PATH"]}, capture_output=True, text=True)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        assert "BEFORE" in done.stdout and "AFTER" in done.stdout and "CHANGES" in done.stdout, done.stdout
    # root-1 signs the step that takes it away, then another of those before.
    book.run("sign")
    for root in ("root-2", "root-3"):
        lab.good("root", "package", "--draft", book.path("root-package-2.json"), "--folder", book.path("roots"), "--root", root, "--passphrase-file",
                 book.path("pass"), "-o", book.path("root-package-2.json"))
    book.run("word")
    publisher = book.path("publisher-again.jws")
    done = lab.run("root", "sign-key", "--folder", book.path("roots"), "--root", "root-2", "--key", book.path(f"sjwk/{kid}.jws"), "--passphrase-file",
                   book.path("pass"), "-o", publisher)
    assert done.code == 0, done.error
    book.run("publish")
    lab.good("key", "accept", publisher)
    said = book.run("audit")
    book.done()
    assert "root-1" in said and "root-2" in said, said
