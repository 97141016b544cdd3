#!/usr/bin/python3
"""The demo: one real firmware image signed, delivered and installed, then three attacks that come to nothing.

A story for people: each step says what is wanted, what is typed, what happened and why it is safe. Everything is done with
the `fleetseal` command on a lab of three devices; each command is printed before it runs, without the --json that it is
read with, and with $LAB for the lab's folder.
"""
import argparse
import base64
import hashlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import textwrap
import time

PRODUCT = "acme/pump"
COMPATIBLE = "manufacturer=acme,model=pump-1"
UBOOT = "/usr/lib/u-boot/qemu_arm64/u-boot.bin"
WIDTH = 80
IS_TERMINAL = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
BOLD, DIM, RED, GREEN = "1", "2", "31", "32"


def styled(text, code):
    return f"\x1b[{code}m{text}\x1b[0m" if IS_TERMINAL else text


def chapter(number, title):
    print(f"\n{styled(f'{number}. {title}', BOLD)}", flush=True)


def say(label, text, style=None):
    """One labelled paragraph, wrapped; long names and paths stay whole."""
    lines = textwrap.wrap(text, WIDTH - 10, break_long_words=False, break_on_hyphens=False)
    for number, line in enumerate(lines):
        head = styled(f"{label if number == 0 else '':<7}", DIM)
        print(f"   {head}{styled(line, style) if style else line}", flush=True)


def show(words):
    """A command as it can be typed; past the width it goes on in the next line."""
    line, head = "   $ ", "   $ "
    # An option and its value stay together.
    for word in re.findall(r"--?[\w-]+ [^-\s]\S*|\S+", " ".join(words)):
        if len(line) + len(word) > WIDTH - 3 and line != head:
            print(line.rstrip() + " \\", flush=True)
            line = "       "
        line += word + " "
    print(line.rstrip(), flush=True)


class Failed(Exception):
    pass


class Lab:
    def __init__(self, program, folder):
        self.program = program
        self.folder = folder
        self.environment = dict(os.environ)
        self.info = None

    def run(self, *arguments, is_shown=True, expect=0):
        """Runs one verb; returns (exit code, standard output, standard error)."""
        if is_shown:
            show(["fleetseal", *(argument.replace(self.folder, "$LAB") for argument in arguments if argument != "--json")])
        done = subprocess.run([self.program, *arguments], env=self.environment, capture_output=True, text=True)
        if expect is not None and done.returncode != expect:
            raise Failed(f"fleetseal {' '.join(arguments)} ended with {done.returncode}\n{done.stdout}{done.stderr}")
        return done.returncode, done.stdout, done.stderr

    def read(self, *arguments, is_shown=True):
        return json.loads(self.run(*arguments, "--json", is_shown=is_shown)[1])

    def up(self):
        show([f"LAB={self.folder}"])
        show(["fleetseal", "lab", "up", "--dir", "$LAB", "--devices", "3"])
        done = subprocess.run([self.program, "lab", "up", "--dir", self.folder, "--devices", "3", "--json"],
                              capture_output=True, text=True)
        if done.returncode != 0:
            raise Failed(f"the lab did not start; see {self.folder}/logs\n{done.stderr}")
        self.info = json.loads(done.stdout)
        self.environment.update(self.info["env"])

    def device(self, name):
        return next(device for device in self.read("lab", "status", "--dir", self.folder, is_shown=False)["devices"]
                    if device["id"] == name)

    def down(self):
        subprocess.run([self.program, "lab", "down", "--dir", self.folder], stdin=subprocess.DEVNULL, capture_output=True)

    def fingerprint(self, name):
        """What an attack must not change: both slots, the boot choice and the trust state of a device."""
        device = self.device(name)
        home = os.path.dirname(device["state_dir"])
        parts = {}
        for path in [*device["slots"], *(os.path.join(home, "boot", entry) for entry in sorted(os.listdir(os.path.join(home, "boot"))))]:
            if os.path.isfile(path):
                with open(path, "rb") as file:
                    parts[path] = hashlib.sha256(file.read()).hexdigest()
        return parts

    def last_words(self, name, event):
        """The newest line of that event in the log of a device's installer: what the device itself says."""
        with open(os.path.join(self.folder, "logs", f"{name}-installer.log")) as file:
            lines = [json.loads(line) for line in file if line.startswith("{")]
        return next(line for line in reversed(lines) if line["event"] == event)

    def receipt(self, name, code):
        """Waits until the server has the device's receipt with that code; the operator's view of a refusal."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            for event in self.read("audit", "events", "--device", name, "--limit", "10", is_shown=False)["events"]:
                if code in json.dumps(event):
                    return event
            time.sleep(0.2)
        raise Failed(f"no receipt of {name} with {code} came")

    def active_image(self, name):
        device = self.device(name)
        with open(os.path.join(os.path.dirname(device["state_dir"]), "boot", "active")) as file:
            active = file.read().strip()
        return device["slots"][0 if active == "a" else 1]


def check_firmware(firmware):
    source = firmware or UBOOT
    if not os.path.isfile(source):
        raise Failed(f"no firmware at {source}; " + ("give --firmware a file that is there" if firmware else
                                                     "run ./dev setup (Debian package u-boot-qemu) or give --firmware FILE"))
    if os.path.getsize(source) == 0:
        raise Failed(f"the firmware {source} is empty")


def make_images(folder, firmware):
    """Versions of one real image: the same payload under different headers when mkimage is there."""
    os.makedirs(folder, exist_ok=True)
    source = firmware or UBOOT
    images = {}
    for version in ("1.0.0", "1.1.0", "1.2.0"):
        image = os.path.join(folder, f"pump-{version}.img")
        if shutil.which("mkimage") and not firmware:
            subprocess.run(["mkimage", "-A", "arm64", "-T", "firmware", "-C", "none", "-n", f"pump {version}", "-d", source, image],
                           check=True, stdout=subprocess.DEVNULL)
        else:
            shutil.copyfile(source, image)
            with open(image, "ab") as file:
                file.write(f"\nfleetseal demo version {version}\n".encode())
        images[version] = image
    return images


def release(lab, version, image, is_shown=False):
    """submit, two approvals, signature, log record, sealing."""
    submitted = lab.read("update", "submit", "--product", PRODUCT, "--version", version, "--compatible", COMPATIBLE, "--file", image,
                         is_shown=is_shown)
    for approver in ("approver1", "approver2"):
        answer = lab.read("approval", "approve", submitted["requestId"], "--as", approver, is_shown=is_shown)
    update = lab.read("update", "import", f"{PRODUCT}@{version}", image, is_shown=is_shown)
    update["name"] = f"{PRODUCT}@{version}"
    update["logIndex"] = answer["logIndex"]
    return update


def roll_out(lab, update, devices):
    plan = lab.read("rollout", "plan", "--update", update["name"], *(part for device in devices for part in ("--device", device)))
    lab.read("rollout", "start", plan["planId"])
    return plan["planId"]


def watch(lab, plan, expect=0):
    code, output, error = lab.run("rollout", "watch", plan, "--timeout", "120", "--json", expect=None)
    if code != expect:
        raise Failed(f"rollout watch ended with {code} instead of {expect}\n{output}{error}")
    decoder = json.JSONDecoder()
    rollout, _ = decoder.raw_decode(output)
    return {device["id"]: (device["state"], device.get("code")) for device in rollout["devices"]}


def installed_everywhere(lab, image, devices):
    with open(image, "rb") as file:
        wanted = file.read()
    for device in devices:
        with open(lab.active_image(device), "rb") as file:
            if not file.read(len(wanted)) == wanted:
                raise Failed(f"{device} does not run {image}")


def offer(lab, device, documents, content=None):
    """Plays a device's taken-over agent; returns the refusal's code."""
    arguments = ["lab", "offer", "--dir", lab.folder, "--device", device, "--documents", documents]
    if content:
        arguments += ["--content", content]
    code, output, _ = lab.run(*arguments, "--json", expect=None)
    if code != 3:
        raise Failed(f"the installer of {device} did not refuse (exit code {code}): {output}")
    return json.loads(output)["error"]


def explain_refusal(lab, device, event, code):
    """A refused attack, as the device and as the operator see it."""
    words = lab.last_words(device, event)
    where = f" ({words['where']})" if words.get("where") else ""
    say("device", f"{device} refuses: {code}. Its log says: {words['event']} {words['code']}, {words['detail']}{where}", RED)
    lab.receipt(device, code)
    say("you", f"see a receipt, signed by {device}: refused {code} (fleetseal audit events --device {device})")


def must_be_unchanged(before, after, device):
    if after != before:
        raise Failed(f"the attack changed {device}")


def attack_content(lab, update, device):
    agent = lab.device(device)["agent_pid"]
    os.kill(agent, signal.SIGSTOP)
    try:
        plan = roll_out(lab, update, [device])
        documents = os.path.join(lab.folder, "attack-content")
        lab.run("update", "show", update["name"], "--documents", documents, "--device", device)
        sealed = update["files"][0]["sealedSha256"]
        name = base64.urlsafe_b64decode(sealed + "=").hex()
        (path,) = subprocess.run(["find", os.path.join(lab.folder, "org/server/content"), "-type", "f", "-name", name],
                                 capture_output=True, text=True, check=True).stdout.split()
        tampered = os.path.join(lab.folder, "tampered.sealed")
        with open(path, "rb") as file:
            content = bytearray(file.read())
        place = min(5000, len(content) - 1)
        say("then", f"the sealed file {sealed[:16]}… gets one bit changed, in its byte {place}")
        content[place] ^= 1
        with open(tampered, "wb") as file:
            file.write(content)
        # The idle slot is written while its content is checked; what runs, and what will run, may not change.
        kept = (lab.active_image(device), "/boot/active", "/boot/next")
        before = {path: value for path, value in lab.fingerprint(device).items() if path.endswith(kept)}
        error = offer(lab, device, documents, tampered)
        must_be_unchanged(before, {path: lab.fingerprint(device).get(path) for path in before}, device)
    finally:
        os.kill(agent, signal.SIGCONT)
    if watch(lab, plan, expect=3)[device] != ("refused", error["code"]):
        raise Failed(f"{device} did not report the refusal")
    explain_refusal(lab, device, "content.refused", error["code"])


def story_of_updates(lab, images, devices):
    chapter(2, "Release a real image")
    say("want", f"Release 1.0.0 of the pump's firmware: {lab.image_name}, {os.path.getsize(images['1.0.0'])} bytes.")
    first = release(lab, "1.0.0", images["1.0.0"], is_shown=True)
    say("then", f"You sent only a manifest with the image's hashes. Two people approved, the publisher key signed, and record {first['logIndex']} "
        "went on the log. Then the image was uploaded, compared with the signed hashes, and sealed.")
    say("safe", "No one person can release. Whoever takes the server gets no signing key, and finds only ciphertext in its store.", GREEN)

    chapter(3, "Install it everywhere")
    say("want", "All three devices run 1.0.0.")
    watch(lab, roll_out(lab, first, devices))
    installed_everywhere(lab, images["1.0.0"], devices)
    say("then", "A second key, the director's, signed an order for each device. Each device checked roots, signatures, log proof and order by itself, "
        "wrote its idle slot, switched (the restart is simulated), passed its health check and signed a receipt. "
        "The demo compared the slots with the image: equal.")
    say("safe", "An order names one device, and the content key in it opens for that device alone.", GREEN)

    chapter(4, "The next release")
    say("want", "1.1.0 goes out; 1.0.0 stays in the other slot, to go back to.")
    say("type", "The four commands of step 2, for 1.1.0, then:")
    second = release(lab, "1.1.0", images["1.1.0"])
    watch(lab, roll_out(lab, second, devices))
    installed_everywhere(lab, images["1.1.0"], devices)
    say("then", "All three run 1.1.0 (slots compared with the image).")
    return first


def story_of_attacks(lab, images, first):
    chapter(5, "Attack: one changed bit")
    say("want", "An attacker has taken over the agent of dev-1 and wants it to start other code. (The demo stops the agent and talks to the installer "
        "in its place.)")
    say("type", "Release 1.2.0 is made as in step 2, then:")
    third = release(lab, "1.2.0", images["1.2.0"])
    attack_content(lab, third, "dev-1")
    say("safe", "Running slot and boot choice are byte for byte as before. The idle slot got some bytes that nothing will ever start.", GREEN)

    chapter(6, "Attack: the order of another device")
    say("want", "The attacker hands the genuine order of dev-2 to dev-3.")
    documents = os.path.join(lab.folder, "attack-order")
    watch(lab, roll_out(lab, third, ["dev-2"]))
    lab.run("update", "show", third["name"], "--documents", documents, "--device", "dev-2")
    before = lab.fingerprint("dev-3")
    error = offer(lab, "dev-3", documents)
    must_be_unchanged(before, lab.fingerprint("dev-3"), "dev-3")
    explain_refusal(lab, "dev-3", "document.refused", error["code"])
    say("safe", "Both slots and the boot choice of dev-3 are byte for byte as before.", GREEN)

    chapter(7, "Attack: back to an older release")
    say("want", "Someone who may operate orders dev-3 back to 1.0.0, which has a known hole. Release, log record and order are all genuine.")
    before = lab.fingerprint("dev-3")
    outcome = watch(lab, roll_out(lab, first, ["dev-3"]), expect=3)
    if outcome["dev-3"] != ("refused", "RollbackRefused"):
        raise Failed(f"dev-3 did not refuse the older release: {outcome}")
    must_be_unchanged(before, lab.fingerprint("dev-3"), "dev-3")
    explain_refusal(lab, "dev-3", "document.refused", "RollbackRefused")
    say("safe", "A device goes back only with a permit that the publisher key signs.", GREEN)
    return third


def story(lab, firmware):
    devices = ["dev-1", "dev-2", "dev-3"]
    lab.image_name = firmware or "U-Boot for arm64, as Debian ships it"
    chapter(1, "Make an organisation, with three devices")
    say("want", "A place to try things: people, keys, a server, devices.")
    lab.up()
    say("then", "Three root keys were made, of which two must sign; publisher and director keys, a log, TLS certificates. Now run: signer, sealer, server, "
        "and an agent and an installer for each device" + (", each program as a user of its own." if os.getuid() == 0 else
                                                           " (all as you; as root each would be a user of its own)."))
    say("where", f"It all lies in {lab.folder}: org/ the organisation, devices/, firmware/, logs/. Admin API {lab.info['admin_url']}, "
        f"device API {lab.info['device_url']}.")
    images = make_images(os.path.join(lab.folder, "firmware"), firmware)
    first = story_of_updates(lab, images, devices)
    third = story_of_attacks(lab, images, first)

    chapter(8, "Prove it")
    say("want", "An auditor believes nobody, and checks.")
    say("then", lab.run("audit", "verify")[1].strip().replace("\n", "; "))
    documents = os.path.join(lab.folder, "documents")
    lab.run("update", "show", third["name"], "--documents", documents, "--device", "dev-2")
    _, output, _ = lab.run("verify", documents, "--package", lab.info["root_package"], "--json")
    # The package stands among the documents once more.
    found = list(dict.fromkeys(finding["document"] for finding in json.loads(output)["findings"] if finding["outcome"] == "ok"))
    say("then", f"trusted, offline, by the code of the devices: {', '.join(found)}")
    say("safe", "The proof needs no server of ours: a root-key package, the documents, and one command.", GREEN)
    return third


def try_next(lab, update):
    """Commands that work as they are printed, against the lab that goes on running."""
    waiting = lab.read("rollout", "plan", "--update", update["name"], "--device", "dev-1", is_shown=False)["planId"]
    folder = os.path.dirname(lab.program)
    print(f"""
{styled("Try next", BOLD)} (the lab is still running; these work as printed)

   export PATH={folder}:$PATH
   export FLEETSEAL_IDENTITIES={lab.info['env']['FLEETSEAL_IDENTITIES']}

   # What runs where, and what happened to dev-3:
   fleetseal device list
   fleetseal audit events --device dev-3 --limit 5

   # dev-1 missed 1.2.0 when its agent was taken over. A plan is ready:
   fleetseal rollout start {waiting}
   fleetseal rollout watch {waiting}

   # Take a release back: no device installs it from now on.
   fleetseal update withdraw {update['name']} --reason 'trying it out'

   # What is signed, and the log of it:
   fleetseal audit query --type manifest-signature

   # End it:
   fleetseal lab down --dir {lab.folder} && rm -r {lab.folder}

   Your own from scratch: docs/quick-start.md. Why it is safe: docs/concepts.md.""")


def main():
    parser = argparse.ArgumentParser(description="one real firmware image signed, delivered and installed")
    parser.add_argument("--bin", required=True, help="folder with the programs")
    parser.add_argument("--firmware", help="an image of your own")
    parser.add_argument("--once", action="store_true", help="end the lab and remove it afterwards")
    parser.add_argument("--dir", help="folder for the lab; a temporary one by default")
    parser.add_argument("--check", action="store_true", help="only look at --firmware")
    options = parser.parse_args()
    try:
        if options.firmware or not options.check:
            check_firmware(options.firmware)
    except Failed as failure:
        print(f"demo: {failure}", file=sys.stderr)
        return 2
    if options.check:
        return 0
    folder = options.dir or tempfile.mkdtemp(prefix="fleetseal-demo-")
    lab = Lab(os.path.join(os.path.abspath(options.bin), "fleetseal"), folder)
    started = time.monotonic()
    try:
        last = story(lab, options.firmware)
    except (Exception, KeyboardInterrupt) as failure:  # whatever it is, nothing goes on running
        lab.down()
        why = "was interrupted" if isinstance(failure, KeyboardInterrupt) else f"failed: {failure}"
        if not isinstance(failure, (Failed, KeyboardInterrupt)):
            why = f"failed: {type(failure).__name__}: {failure}"
        print(f"\nthe demo {why}\nits processes have ended; logs: {folder}/logs", file=sys.stderr)
        return 1
    print(f"\n{styled('Done', BOLD)} in {time.monotonic() - started:.0f} s: two releases on three devices, three attacks refused;\n"
          "no running slot or boot choice was touched by them.")
    if options.once:
        lab.down()
        if not options.dir:
            shutil.rmtree(folder, ignore_errors=True)
        return 0
    try_next(lab, last)
    return 0


if __name__ == "__main__":
    sys.exit(main())
