#!/usr/bin/python3
"""Takes the examples of docs/protocol from a real run, and shows them in the pages.

Without options: starts a lab, plays one device's agent by hand, writes each document as it travelled to
docs/protocol/examples/, then renders the pages. --render only renders again what lies there; --check says whether the
pages show it.
"""
import argparse
import base64
import hashlib
import http.client
import json
import os
import re
import signal
import sqlite3
import sys
import time
from urllib.parse import urlsplit

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PROTOCOL = os.path.join(ROOT, "docs/protocol")
EXAMPLES = os.path.join(PROTOCOL, "examples")
MARKED = re.compile(r"(<!-- example: ([\w./-]+)[^>]*-->\n).*?(<!-- end of example -->)", re.S)


# --- taking ------------------------------------------------------------------------------------------------------------


def write(name, text):
    path = os.path.join(EXAMPLES, name)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w", encoding="utf-8") as file:
        file.write(text)


def write_json(name, value):
    write(name, json.dumps(value, indent=1, ensure_ascii=False) + "\n")


class Agent:
    """One device's agent, played by hand: what it says to the server and to the installer is kept."""

    def __init__(self, lab, name):
        self.lab, self.name = lab, name
        self.installer = []
        self.server = []

    def call(self, method, path, body=None):
        status, _, data = self.lab.as_device(self.name, method, path, body)
        assert status == 200, (path, status, data)
        answer = json.loads(data)
        self.server.append({"call": f"{method} {path}", **({"body": body} if body is not None else {}), "answer": answer})
        return answer

    def content(self, digest):
        device = self.lab.device(self.name)
        parts = urlsplit(self.lab.info["device_url"])
        connection = http.client.HTTPSConnection(parts.hostname, parts.port, timeout=30,
                                                 context=self.lab.context(cert=device["cert"], key=device["key"]))
        connection.request("GET", f"/content/v1/{digest.hex()}")
        return connection.getresponse().read()

    def ask(self, messages):
        """Asks as the agent's user, in a child process; [(message, content or None)] gives the answers."""
        home = self.lab.device_home(self.name)
        with open(os.path.join(home, "installer.json")) as file:
            config = json.load(file)
        path = os.path.join(home, config["socket"])
        read_end, write_end = os.pipe()
        child = os.fork()
        if child == 0:
            if os.getuid() == 0:
                os.setgroups([])
                os.setresgid(config["agentUid"], config["agentUid"], config["agentUid"])
                os.setresuid(config["agentUid"], config["agentUid"], config["agentUid"])
            with os.fdopen(write_end, "w") as pipe:
                json.dump([converse(path, message, content) for message, content in messages], pipe)
            os._exit(0)
        os.close(write_end)
        with os.fdopen(read_end) as pipe:
            answers = json.load(pipe)
        os.waitpid(child, 0)
        for (message, _), answer in zip(messages, answers):
            self.installer.append({"request": message, "answer": answer})
        return answers


def converse(path, message, content):
    from installer import Channel
    channel = Channel(path)
    if content is None:
        channel.send(message)
        return channel.receive()
    read_end, write_end = os.pipe()
    channel.send(message, read_end)
    os.close(read_end)
    with os.fdopen(write_end, "wb") as pipe:
        pipe.write(content)
    return channel.receive()


def b64u(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64u(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def check_in(state):
    """The check-in that an agent makes of the installer's state."""
    body = {"deviceId": state["deviceId"], "generation": state["generation"], "packageVersion": state["packageVersion"]}
    if "statusEpoch" in state:
        body["status"] = {"epoch": state["statusEpoch"], "version": state["statusVersion"]}
    if "orderEpoch" in state:
        body["order"] = {"epoch": state["orderEpoch"], "sequence": state["orderSequence"]}
    for name in ("checkpoint", "installed"):
        if name in state:
            body[name] = state[name]
    return {**body, "phase": state["phase"], "agentVersion": "by-hand"}


def play_install(lab, agent, update):
    """From the check-in that brings the order to the receipt that the server acknowledges."""
    plan = lab.good("rollout", "plan", "--update", update, "--device", agent.name, "--deadline-seconds", "86400")["planId"]
    lab.good("rollout", "start", plan)
    agent.server.clear()
    agent.installer.clear()
    agent.call("GET", "/device/v1/packages?from=1")
    agent.call("GET", "/device/v1/status?nonce=" + b64u(b"once-per-boot-16"))
    state = agent.ask([({"verb": "state"}, None)])[0]
    answer = agent.call("POST", "/device/v1/check-in", check_in(state))
    offer = {name: answer[name] for name in ("packages", "status", "order", "manifest", "manifestSignature", "logProof", "consistency")
             if name in answer}
    offered = agent.ask([({"verb": "offer-documents", **offer}, None)])[0]
    for wanted in offered["wanted"]:
        sealed = agent.content(unb64u(wanted["sealedSha256"]))
        agent.ask([({"verb": "offer-content", "fileId": wanted["fileId"], "sealedSha256": wanted["sealedSha256"]}, sealed)])
    phase = "installed"
    while phase != "idle":
        kept = list(agent.installer)
        state = agent.ask([({"verb": "state", "waitMs": 20000, "phase": phase}, None)])[0]
        agent.installer[:] = kept
        phase = state["phase"]
    agent.installer.append({"request": {"verb": "state"}, "answer": state})
    agent.call("POST", "/device/v1/receipts", {"receipts": state["receipts"]})
    from documents import jws_parts
    number = json.loads(jws_parts(state["receipts"][-1])[1])["number"]
    agent.ask([({"verb": "state", "acknowledged": number}, None)])
    agent.ask([({"verb": "abort-before-switch"}, None)])
    return plan, sealed


def take_documents(lab):
    """What lies in the signer's database: documents of people, cancel orders, receipts and their keys."""
    with sqlite3.connect(f"file:{lab.folder}/org/signer/signer.db?mode=ro", uri=True) as database:
        keys = {kid: json.loads(jwk) for kid, jwk in database.execute("SELECT kid, jwk FROM people")}
        security = json.loads(database.execute("SELECT security_keys FROM register_state").fetchone()[0])
        receipt_jwk, code_key = database.execute("SELECT receipt_jwk, enrolment_key FROM devices WHERE id = 'dev-1'").fetchone()
        by_typ = {}
        for typ, compact in database.execute("SELECT typ, compact FROM documents ORDER BY received, log_index"):
            by_typ.setdefault(typ, []).append(compact)
        cancel = database.execute("SELECT compact FROM cancel_orders").fetchone()[0]
    from documents import sha256
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519

    def kid_of(jwk):
        if jwk["kty"] == "OKP":
            public = ed25519.Ed25519PublicKey.from_public_bytes(unb64u(jwk["x"]))
        else:
            public = ec.EllipticCurvePublicNumbers(*(int.from_bytes(unb64u(jwk[part]), "big") for part in "xy"), ec.SECP256R1()).public_key()
        return b64u(sha256(public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)))

    extra = [json.loads(receipt_jwk), {"kty": "OKP", "crv": "Ed25519", "x": code_key}]
    extra += security if isinstance(security, list) else []
    keys.update({kid_of(jwk if isinstance(jwk, dict) else json.loads(jwk)): jwk if isinstance(jwk, dict) else json.loads(jwk) for jwk in extra})
    write_json("people/keys.json", keys)
    return by_typ, cancel


def take_permit(lab):
    """Back from a second release to the first, for one device: asked for, approved, signed."""
    newer = lab.release("1.1.0", lab.path("pump-1.1.0.img", b"what the pump runs, version 1.1.0\n"))
    asked = lab.good("permit", "request", "--device", "dev-1", "--from", newer, "--to", "acme/pump@1.0.0")["permitId"]
    for approver in ("approver1", "approver2"):
        answer = lab.good("permit", "approve", asked, "--as", approver)
    write("permit/permit.jws", answer["permit"])
    with open(os.path.join(EXAMPLES, "update", "root-package-1.json")) as file:
        write("permit/root-package-1.json", file.read())


def take(folder):
    sys.path.insert(0, os.path.join(ROOT, "tests/support"))
    os.environ["FLEETSEAL_BIN"] = os.path.abspath(folder)
    from documents import jws_parts
    from lab import Lab
    lab = Lab(devices=2)
    agent = Agent(lab, "dev-1")
    pids = {device["id"]: device["agent_pid"] for device in lab.status()["devices"]}
    try:
        os.makedirs(os.path.join(lab.folder, "firmware"), exist_ok=True)
        update = lab.release("1.0.0", lab.path("pump-1.0.0.img", b"what the pump runs, version 1.0.0\n"), "--description", "first release")
        for pid in pids.values():
            os.kill(pid, signal.SIGSTOP)
        proof = agent.ask([({"verb": "identify", "csrSha256": b64u(hashlib.sha256(b"the request").digest())}, None)])[0]["proof"]
        identify = agent.installer[:]
        _, sealed = play_install(lab, agent, update)
        lab.good("update", "show", update, "--documents", os.path.join(EXAMPLES, "update"), "--device", "dev-1")
        plan = lab.roll_out(update, "dev-2")
        lab.good("rollout", "cancel", plan, "--reason", "the valve test is not done")
        lab.run("rollout", "show", plan)
        wait_for(lambda: lab.good("rollout", "show", plan)["state"] == "cancelling")
        wait_for(lambda: has_cancel(lab))
        by_typ, cancel = take_documents(lab)
        for name in ("request", "approval", "plan", "revocation"):
            write(f"people/{name}.jws", by_typ[f"fleetseal-{name}+jws"][0])
        changes = by_typ["fleetseal-register-change+jws"]
        write("people/register-change.jws", next(text for text in changes if b"allow-device" in jws_parts(text)[1]))
        write("people/register-change-people.jws", next(text for text in changes if b"add-person" in jws_parts(text)[1]))
        write("device/enrolment.jws", proof)
        write("device/device-keys.jws", json.loads(jws_parts(proof)[1])["keys"])
        write("device/receipt.jws", agent.server[-1]["body"]["receipts"][-1])
        write("cancel/order.jws", cancel)
        for name in ("root-package-1.json", "status.jws"):
            with open(os.path.join(EXAMPLES, "update", name)) as file:
                write("cancel/" + name, file.read())
        with open(os.path.join(EXAMPLES, "update/order.jws")) as file:
            write("sealed/content-key.jwe", json.loads(jws_parts(file.read().strip())[1])["contentKey"])
        with open(os.path.join(EXAMPLES, "update/manifest.jws")) as file:
            write("sjwk/publisher.jws", jws_parts(file.read().strip())[0]["sjwk"])
        write("sealed/file.hex", sealed.hex() + "\n")
        take_permit(lab)
        leaves = {}
        for entry in lab.good("audit", "query", "--limit", "1000")["entries"]:
            leaf = entry["leaf"] if isinstance(entry["leaf"], str) else json.dumps(entry["leaf"], separators=(",", ":"))
            leaves.setdefault(json.loads(leaf)["type"], leaf)
        write("log/leaves.jsonl", "".join(leaf + "\n" for _, leaf in sorted(leaves.items())))
        write_json("device/device-api.json", agent.server)
        write_json("device/installer-socket.json", identify + agent.installer)
        with open(os.path.join(lab.device("dev-1")["state_dir"], "state.json")) as file:
            trust = json.load(file)["trust"]
        write_json("device/trust-state.json", json.loads(trust) if isinstance(trust, str) else trust)
        write_json("facts.json", {"taken": int(time.time())})
    finally:
        for pid in pids.values():
            try:
                os.kill(pid, signal.SIGCONT)
            except ProcessLookupError:
                pass
        lab.down()


def wait_for(is_done):
    deadline = time.monotonic() + 60
    while not is_done():
        if time.monotonic() > deadline:
            sys.exit("make_examples: waited 60 s in vain")
        time.sleep(0.2)


def has_cancel(lab):
    with sqlite3.connect(f"file:{lab.folder}/org/signer/signer.db?mode=ro", uri=True) as database:
        return database.execute("SELECT count(*) FROM cancel_orders").fetchone()[0] > 0


# --- showing -----------------------------------------------------------------------------------------------------------


def shortened(value, most=72):
    """Long texts are cut with an ellipsis; the whole ones lie in examples/."""
    if isinstance(value, dict):
        return {name: shortened(inner, most) for name, inner in value.items()}
    if isinstance(value, list):
        return [shortened(inner, most) for inner in value]
    if isinstance(value, str) and len(value) > most:
        return value[:40] + f"… ({len(value)} characters)"
    return value


def pretty(value, indent=0, width=112):
    """JSON with whatever fits on a line on one line."""
    line = json.dumps(value, ensure_ascii=False)
    if not isinstance(value, (dict, list)) or not value or len(line) + indent <= width:
        return line
    inner = " " * (indent + 1)
    if isinstance(value, list):
        return "[\n" + ",\n".join(inner + pretty(each, indent + 1) for each in value) + "\n" + " " * indent + "]"
    parts = (f"{inner}{json.dumps(name)}: {pretty(each, indent + 1)}" for name, each in value.items())
    return "{\n" + ",\n".join(parts) + "\n" + " " * indent + "}"


def shown(name):
    with open(os.path.join(EXAMPLES, name), encoding="utf-8") as file:
        text = file.read()
    if name.endswith(".jws"):
        header, payload, _ = text.strip().split(".")
        head, body = json.loads(unb64u(header)), json.loads(unb64u(payload))
        return f"```json\n{pretty(shortened(head))}\n.\n{pretty(shortened(body))}\n```"
    if name.endswith(".jwe"):
        return f"```json\n{pretty(shortened(json.loads(unb64u(text.split('.')[0]))))}\n```"
    if name.endswith(".json"):
        return f"```json\n{pretty(shortened(json.loads(text)))}\n```"
    if name.endswith(".jsonl"):
        return "```json\n" + "\n".join(json.dumps(shortened(json.loads(line)), ensure_ascii=False) for line in text.splitlines()) + "\n```"
    if name.endswith(".proof"):
        lines = [line if len(line) < 100 else line[:60] + f"… ({len(line)} characters)" for line in text.splitlines()]
        return "```\n" + "\n".join(lines) + "\n```"
    return "```\n" + "\n".join(re.findall(".{1,96}", text.strip())) + "\n```"


def render(is_check):
    stale = []
    for page in sorted(os.listdir(PROTOCOL)):
        path = os.path.join(PROTOCOL, page)
        if not page.endswith(".md"):
            continue
        with open(path, encoding="utf-8") as file:
            old = file.read()
        text = MARKED.sub(lambda found: found.group(1) + shown(found.group(2)) + "\n" + found.group(3), old)
        if text != old:
            stale.append(page)
            if not is_check:
                with open(path, "w", encoding="utf-8") as file:
                    file.write(text)
    if is_check and stale:
        print("examples are not shown as they lie in docs/protocol/examples: run tools/make_examples.py --render: " + " ".join(stale),
              file=sys.stderr)
    return 1 if is_check and stale else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", default=os.path.join(ROOT, "build/bin"), help="folder with the programs")
    parser.add_argument("--render", action="store_true")
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    if not options.render and not options.check:
        take(options.bin)
    return render(options.check)


if __name__ == "__main__":
    sys.exit(main())
