#!/usr/bin/python3
"""The demo: one real firmware image signed, delivered and installed, then three attacks that come to nothing.

Everything is done with the `fleetseal` command on a lab of three devices; each command is printed before it runs, without
the --json that it is read with, and with $LAB for the lab's folder.
"""
import argparse
import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

PRODUCT = "acme/pump"
COMPATIBLE = "manufacturer=acme,model=pump-1"
UBOOT = "/usr/lib/u-boot/qemu_arm64/u-boot.bin"
IS_TERMINAL = sys.stdout.isatty() and not os.environ.get("NO_COLOR")


def bold(text):
    return f"\x1b[1m{text}\x1b[0m" if IS_TERMINAL else text


def chapter(number, title):
    print(f"\n{bold(f'{number}. {title}')}", flush=True)


def say(text):
    print(f"   {text}", flush=True)


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
            words = (argument.replace(self.folder, "$LAB") for argument in arguments if argument != "--json")
            say("$ fleetseal " + " ".join(words))
        done = subprocess.run([self.program, *arguments], env=self.environment, capture_output=True, text=True)
        if expect is not None and done.returncode != expect:
            raise Failed(f"fleetseal {' '.join(arguments)} ended with {done.returncode}\n{done.stdout}{done.stderr}")
        return done.returncode, done.stdout, done.stderr

    def read(self, *arguments, is_shown=True):
        return json.loads(self.run(*arguments, "--json", is_shown=is_shown)[1])

    def up(self):
        say(f"LAB={self.folder}")
        say("$ fleetseal lab up --dir $LAB --devices 3")
        done = subprocess.run([self.program, "lab", "up", "--dir", self.folder, "--devices", "3", "--json"],
                              stdout=subprocess.PIPE, text=True)
        if done.returncode != 0:
            raise Failed("the lab did not start; see " + self.folder + "/logs")
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

    def active_image(self, name):
        device = self.device(name)
        with open(os.path.join(os.path.dirname(device["state_dir"]), "boot", "active")) as file:
            active = file.read().strip()
        return device["slots"][0 if active == "a" else 1]


def make_images(folder, firmware):
    """Two versions of one real image: the same payload under two headers when mkimage is there."""
    os.makedirs(folder, exist_ok=True)
    source = firmware or UBOOT
    if not os.path.exists(source):
        raise Failed(f"no firmware at {source}; run ./dev setup (Debian package u-boot-qemu) or give --firmware FILE")
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


def release(lab, version, image):
    """submit, two approvals, signature, log record, sealing."""
    submitted = lab.read("update", "submit", "--product", PRODUCT, "--version", version, "--compatible", COMPATIBLE, "--file", image)
    say(f"only the manifest of {version} was sent, with the image's hashes; it waits for two approvers")
    for approver in ("approver1", "approver2"):
        answer = lab.read("approval", "approve", submitted["requestId"], "--as", approver)
        say(f"{approver} signed an approval: {answer['state']}")
    say(f"the publisher key signed; the record is on the log at index {answer['logIndex']}, and only then was the signature handed out")
    update = lab.read("update", "import", f"{PRODUCT}@{version}", image)
    update["name"] = f"{PRODUCT}@{version}"
    sealed = update["files"][0]["sealedSha256"]
    say(f"uploaded, compared with the signed manifest, encrypted: the server stores ciphertext {sealed[:16]}…; the update is {update['state']}")
    return update


def roll_out(lab, update, devices):
    plan = lab.read("rollout", "plan", "--update", update["name"], *(part for device in devices for part in ("--device", device)))
    lab.read("rollout", "start", plan["planId"])
    number = "one order" if len(devices) == 1 else f"{len(devices)} orders, one for each device"
    say(f"the director key signed {number}; the content key in an order is wrapped for its device alone")
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


def refused(lab, device, before, error):
    if lab.fingerprint(device) != before:
        raise Failed(f"the attack changed {device}")
    say(bold(f"refused: {error['code']}") + f" — {error['title']}")
    say(f"{device}: both slots and the boot choice are byte for byte as before")


def attack_content(lab, update, devices):
    device = devices[0]
    agent = lab.device(device)["agent_pid"]
    say(f"suppose that someone has taken over the agent of {device}: it is stopped, and we talk to the installer in its place")
    os.kill(agent, signal.SIGSTOP)
    try:
        plan = roll_out(lab, update, [device])
        documents = os.path.join(lab.folder, "attack-content")
        lab.run("update", "show", update["name"], "--documents", documents, "--device", device)
        sealed = update["files"][0]["sealedSha256"]
        stored = subprocess.run(["find", os.path.join(lab.folder, "org/server/content"), "-type", "f", "-size", "+1k"],
                                capture_output=True, text=True, check=True).stdout.split()
        path = max((path for path in stored), key=os.path.getmtime)
        say(f"taking the sealed file {sealed[:16]}… and changing one bit of its byte 5000")
        tampered = os.path.join(lab.folder, "tampered.sealed")
        with open(path, "rb") as file:
            content = bytearray(file.read())
        content[5000] ^= 1
        with open(tampered, "wb") as file:
            file.write(content)
        # The idle slot is written while its content is checked; what runs, and what will run, may not change.
        kept = (lab.active_image(device), "/boot/active", "/boot/next")
        before = {path: value for path, value in lab.fingerprint(device).items() if path.endswith(kept)}
        error = offer(lab, device, documents, tampered)
        after = {path: lab.fingerprint(device).get(path) for path in before}
        if after != before:
            raise Failed(f"the attack changed {device}")
        say(bold(f"refused: {error['code']}") + f" — {error['title']}")
        say(f"{device}: the running slot and the boot choice are byte for byte as before; what the idle slot got is never started")
    finally:
        os.kill(agent, signal.SIGCONT)
    return plan


def story(lab, firmware):
    devices = ["dev-1", "dev-2", "dev-3"]
    chapter(1, "An organisation with three devices, on this machine")
    lab.up()
    say("made: three root keys of which two must sign, publisher and director keys in the signer, a Merkle log, TLS certificates")
    say("running: signer, sealer and server, and an agent and an installer for each device" +
        (", each program as a user of its own" if os.getuid() == 0 else " (all as you; as root each would be a user of its own)"))
    say(f"admin API {lab.info['admin_url']}, device API {lab.info['device_url']}; dev-1, dev-2 and dev-3 have enrolled")

    chapter(2, "A real image: release 1.0.0")
    images = make_images(os.path.join(lab.folder, "firmware"), firmware)
    say(f"{firmware or 'U-Boot for arm64, as Debian ships it'}: {os.path.getsize(images['1.0.0'])} bytes with a header of its version")
    first = release(lab, "1.0.0", images["1.0.0"])

    chapter(3, "Rollout to all devices")
    watch(lab, roll_out(lab, first, devices))
    installed_everywhere(lab, images["1.0.0"], devices)
    say("each device checked roots, signatures, log proof and order by itself, wrote its idle slot, switched to it (the restart is")
    say("simulated here), passed its health check, committed and sent a signed receipt; slots compared with the image: equal")

    chapter(4, "The next release: 1.1.0 into the other slot")
    second = release(lab, "1.1.0", images["1.1.0"])
    watch(lab, roll_out(lab, second, devices))
    installed_everywhere(lab, images["1.1.0"], devices)
    say("all three run 1.1.0 (slots compared with the image); 1.0.0 lies in the idle slots now")

    chapter(5, "Attack: one changed bit in the content")
    third = release(lab, "1.2.0", images["1.2.0"])
    attack_content(lab, third, devices)

    chapter(6, "Attack: the order of another device")
    documents = os.path.join(lab.folder, "attack-order")
    watch(lab, roll_out(lab, third, ["dev-2"]))
    lab.run("update", "show", third["name"], "--documents", documents, "--device", "dev-2")
    before = lab.fingerprint("dev-3")
    refused(lab, "dev-3", before, offer(lab, "dev-3", documents))

    chapter(7, "Attack: an older release, with a genuine order")
    before = lab.fingerprint("dev-3")
    outcome = watch(lab, roll_out(lab, first, ["dev-3"]), expect=3)
    if outcome["dev-3"] != ("refused", "RollbackRefused"):
        raise Failed(f"dev-3 did not refuse the older release: {outcome}")
    refused(lab, "dev-3", before, {"code": "RollbackRefused", "title": "signed, approved, on the log, ordered for dev-3, but older than what it runs"})

    chapter(8, "Proof")
    say(lab.run("audit", "verify")[1].strip().replace(", every tile", "\n   every tile"))
    documents = os.path.join(lab.folder, "documents")
    lab.run("update", "show", third["name"], "--documents", documents, "--device", "dev-2")
    for line in lab.run("verify", documents, "--package", lab.info["root_package"])[1].strip().splitlines():
        say(line.replace(lab.folder, "$LAB"))


def main():
    parser = argparse.ArgumentParser(description="one real firmware image signed, delivered and installed")
    parser.add_argument("--bin", required=True, help="folder with the programs")
    parser.add_argument("--firmware", help="an image of your own")
    parser.add_argument("--once", action="store_true", help="end the lab and remove it afterwards")
    parser.add_argument("--dir", help="folder for the lab; a temporary one by default")
    options = parser.parse_args()
    folder = options.dir or tempfile.mkdtemp(prefix="fleetseal-demo-")
    lab = Lab(os.path.join(os.path.abspath(options.bin), "fleetseal"), folder)
    started = time.monotonic()
    try:
        story(lab, options.firmware)
    except (Failed, KeyboardInterrupt) as failure:
        lab.down()
        why = "was interrupted" if isinstance(failure, KeyboardInterrupt) else f"failed: {failure}"
        print(f"\nthe demo {why}\nits processes have ended; logs: {folder}/logs", file=sys.stderr)
        return 1
    print(f"\n{bold('Done')} in {time.monotonic() - started:.0f} s: two releases on three devices, three attacks refused; "
          "no running slot or boot choice was touched by them.")
    if options.once:
        lab.down()
        if not options.dir:
            shutil.rmtree(folder, ignore_errors=True)
        return 0
    print(f"""The lab is still running. Try:
   export PATH={os.path.dirname(lab.program)}:$PATH FLEETSEAL_IDENTITIES={lab.info['env']['FLEETSEAL_IDENTITIES']}
   fleetseal device list          fleetseal device timeline dev-1
   fleetseal update list          fleetseal audit query --type manifest-signature
and to end it:
   fleetseal lab down --dir {folder} && rm -r {folder}""")
    return 0


if __name__ == "__main__":
    sys.exit(main())
