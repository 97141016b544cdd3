"""Rows of the server: check-ins, handshakes, downloads, beside nginx; enrolments; many devices."""
import base64
import glob
import json
import os
import sqlite3
import ssl
import time

from measure import Row, cpu_seconds, figures, memory, run_json, say
from world import Lab, Nginx, load, make_image, pause


def take_turns(settings, ours, peer):
    """Round after round, ours and the peer by turns, and who begins changes too. Each gives a rate per CPU-second."""
    our_rates, peer_rates = [], []
    for number in range(settings.rounds):
        turns = [(ours, our_rates), (peer, peer_rates)]
        for call, rates in turns if number % 2 == 0 else reversed(turns):
            rates.append(call())
    return our_rates, peer_rates


def ratio_row(key, what, against, budget, our_rates, peer_rates, unit):
    ratios = [one / other for one, other in zip(our_rates, peer_rates)]
    return Row(key, what, against, budget, "x", ratios, ours={"unit": unit, **figures(our_rates)}, peer={"unit": unit, **figures(peer_rates)})


class ServerRows:
    """One lab with devices that are enrolled and silent, and nginx with the same certificates and the same bytes."""

    def __init__(self, settings):
        self.settings = settings
        self.lab = Lab(settings, devices=8)
        self.lab.stop_devices()
        self.server = self.lab.info["pids"]["server"]
        self.ca = self.lab.info["server_ca"]
        # dev-1 is the one that gets an order, for the download: its check-ins are answered with more.
        ids = [device["id"] for device in self.lab.info["devices"][1:]]
        self.check_ins = self.lab.callers("check-in", {one: self.lab.check_in(one) for one in ids})
        self.nginx = None

    def close(self):
        if self.nginx:
            self.nginx.stop()
        self.lab.down()

    def start_nginx(self):
        if not self.nginx:
            self.nginx = Nginx(self.lab, self.answer(), os.path.join(self.lab.directory, "server", "content"))
        return self.nginx

    def answer(self):
        """What the server answers to a check-in: nginx gives the same bytes."""
        import http.client
        device = self.lab.info["devices"][-1]
        context = ssl.create_default_context(cafile=self.ca)
        context.load_cert_chain(device["cert"], device["key"])
        connection = http.client.HTTPSConnection("127.0.0.1", self.lab.device_port, context=context)
        connection.request("POST", "/device/v1/check-in", self.lab.check_in(device["id"]).split("\r\n\r\n", 1)[1], {"Content-Type": "application/json"})
        response = connection.getresponse()
        text = response.read().decode()
        connection.close()
        if response.status != 200 or "'" in text:
            raise RuntimeError("a check-in was answered with " + text)
        return text

    def rate(self, port, pid, callers, **options):
        before = cpu_seconds(pid)
        done = load(self.settings, port, self.ca, callers, **options)
        return done, max(cpu_seconds(pid) - before, 0.01)

    def pair(self, callers, figure, **options):
        nginx = self.start_nginx()
        def measure(port, pid):
            done, cpu = self.rate(port, pid, callers, **options)
            return done[figure] / cpu
        return take_turns(self.settings, lambda: measure(self.lab.device_port, self.server), lambda: measure(nginx.port, nginx.process.pid))

    def check_in(self):
        say("check-ins on kept-alive connections")
        seconds = 1 if self.settings.is_quick else 3
        ours, peer = self.pair(self.check_ins, "answers", mode="keep", connections=32, seconds=seconds)
        yield ratio_row("check-in", "check-ins, mTLS keep-alive", "nginx, fixed body, per CPU-second", 1.0, ours, peer, "answers per CPU-second")

    def handshakes(self):
        seconds = 1.5 if self.settings.is_quick else 4
        for mode, what in (("full", "full mTLS handshakes with one check-in"), ("resumed", "resumed mTLS handshakes with one check-in")):
            say(what)
            ours, peer = self.pair(self.check_ins, "handshakes", mode=mode, connections=8, seconds=seconds)
            yield ratio_row("handshakes-" + mode, what, "nginx, ssl_verify_client on, per CPU-second", 1.1, ours, peer, "handshakes per CPU-second")

    def download(self):
        size = (256 if self.settings.is_quick else 1024) << 20
        image = make_image(os.path.join(self.lab.home, "image"), size)
        say("importing the image")
        update, file = self.lab.release("1.0.0", image)
        os.unlink(image)
        self.lab.start_rollout(update, "dev-1")
        name = base64.urlsafe_b64decode(file["sealedSha256"] + "=").hex()
        stored = [path for path in glob.glob(os.path.join(self.lab.directory, "server", "content", "**", "*"), recursive=True)
                  if os.path.isfile(path) and os.path.getsize(path) == file["sealedSize"]]
        link = os.path.join(self.lab.directory, "server", "content", name)
        if stored[0] != link:
            os.symlink(stored[0], link)
        callers = self.lab.callers("download", {"dev-1": self.lab.request_text("GET", "/content/v1/" + name)})
        say("downloads")
        ours, peer = self.pair(callers, "bytes", mode="keep", connections=1, requests=1, body_bytes=file["sealedSize"])
        if stored[0] != link:
            os.unlink(link)
        self.lab.download = (update, name, file)
        mebibytes = [[value / 2**20 for value in values] for values in (ours, peer)]
        yield ratio_row("download", f"download of {size >> 20} MiB over TLS", "nginx, per CPU-second", 0.95, *mebibytes, "MiB per CPU-second")

    def enrolments(self):
        say("EST enrolments")
        count = 100 if self.settings.is_quick else 300
        rounds = self.settings.rounds
        folder = self.settings.folder("enrol-", self.lab.home)
        run = self.settings.program("make_devices")
        import subprocess
        subprocess.run([run, "--directory", folder, "--count", str(count * rounds), "--prefix", "est-"], check=True)
        self.lab.stop()
        with open(os.path.join(folder, "devices.tsv")) as file:
            rows = [line.rstrip("\n").split("\t") for line in file]
        fill_register(self.lab, [(one, "allowed", key, 1, None, None) for one, key in rows])
        self.lab.start()
        self.server = self.lab.pids["server"]
        signer = self.lab.pids["signer"]
        ratios, ours, peer = [], [], []
        for number in range(rounds):
            lines = [f"- - {os.path.join(folder, one)}.request\n" for one, _ in rows[number * count:(number + 1) * count]]
            callers = self.lab.write("enrol.callers", "".join(lines))
            handshakes, cpu = self.rate(self.lab.device_port, self.server, self.check_ins, mode="full", connections=8, requests=count)
            peer.append(handshakes["handshakes"] / handshakes["seconds"])
            done = load(self.settings, self.lab.device_port, self.ca, callers, mode="full", connections=8, requests=count)
            ours.append(done["handshakes"] / done["seconds"])
            ratios.append(ours[-1] / peer[-1])
        yield Row("est", "EST enrolments, a full handshake each", "handshakes/s of the same run", 0.6, "x", ratios,
                  ours={"unit": "enrolments/s", **figures(ours)}, peer={"unit": "handshakes/s", **figures(peer)})

    def many(self):
        count = 100_000 if self.settings.is_quick else 1_000_000
        say(f"{count:,} devices in the register")
        self.lab.stop()
        fill_register(self.lab, ((f"known-{number:07}", "active", random_text(), 0, random_text(), random_text()) for number in range(count)))
        begin = time.monotonic()
        self.lab.start()
        started = time.monotonic() - begin
        self.server = self.lab.pids["server"]
        rates, resident = [], []
        for _ in range(self.settings.rounds):
            done, cpu = self.rate(self.lab.device_port, self.server, self.check_ins, mode="keep", connections=64, seconds=1 if self.settings.is_quick else 3)
            rates.append(done["answers"] / done["seconds"])
            resident.append(memory(self.server)["resident"])
            per_cpu = done["answers"] / cpu
        yield Row("many-check-ins", f"check-ins/s with {count:,} devices known", "absolute, wall time", 10_000, "/s", rates,
                  ours={"unit": "check-ins per second", **figures(rates)}, peer={"perCpuSecond": round(per_cpu)},
                  note=f"server ready after {started:.1f} s")
        # 2 GiB for a million, and as much of it as there are devices.
        yield Row("many-memory", f"resident memory with {count:,} devices known", "absolute", 2048 * count / 1_000_000, "MiB", resident, is_least=False)
        yield from self.plans(count)

    def plans(self, count):
        say("rollout plans over the whole fleet")
        update = getattr(self.lab, "download", None)
        if not update:
            image = self.lab.write("small.img", "x" * 100_000)
            update = self.lab.release("1.0.0", image)
        seconds = []
        for _ in range(self.settings.rounds):
            begin = time.monotonic()
            answer = self.lab.cli("rollout", "plan", "--update", update[0], "--count", str(count))
            seconds.append(time.monotonic() - begin)
            if answer["devices"] < count:
                raise RuntimeError(f"a plan for {count} devices holds {answer['devices']}")
        reading = []
        for _ in range(3):
            begin = time.monotonic()
            with sqlite3.connect(os.path.join(self.lab.directory, "signer", "signer.db")) as database:
                rows = database.execute("SELECT id, state, product FROM devices").fetchall()
            reading.append(time.monotonic() - begin)
            del rows
        yield Row("plan", f"rollout plan for {count:,} devices", "1 s for a million; reading the rows beside it", count / 1_000_000, "s", seconds, is_least=False,
                  ours={"unit": "s", **figures(seconds)}, peer={"unit": "s, reading the rows", **figures(reading)}, note="with the start of the CLI")


def random_text():
    return base64.urlsafe_b64encode(os.urandom(32)).decode().rstrip("=")


def fill_register(lab, devices):
    """Rows into the signer's register, as if people had allowed and devices enrolled: (id, state, enrolment key, has code, identity, certificate)."""
    properties = json.dumps({"manufacturer": "acme", "model": "pump-1"}, separators=(",", ":"))
    with sqlite3.connect(os.path.join(lab.directory, "signer", "signer.db")) as database:
        template = database.execute("SELECT receipt_jwk, encryption_jwk FROM devices WHERE receipt_jwk IS NOT NULL LIMIT 1").fetchone()
        database.executemany(
            "INSERT INTO devices (id, state, generation, product, environment, properties, enrolment_key, has_est_code, expires, identity_key,"
            " certificate_sha256, receipt_jwk, encryption_jwk, last_sequence, receipt_generation, receipt_number, receipt_sequence)"
            " VALUES (?, ?, 1, 'acme/pump', 'production', ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, 0, 0)",
            ((one, state, properties, key, has_code, int(time.time()) + 86_400, identity, certificate, *(template if identity else (None, None)))
             for one, state, key, has_code, identity, certificate in devices))
    database.close()


def rows(settings, wanted):
    made = None
    try:
        for name in ("check-in", "handshakes", "download", "est", "many"):
            if name not in wanted:
                continue
            made = made or ServerRows(settings)
            method = {"check-in": made.check_in, "handshakes": made.handshakes, "download": made.download, "est": made.enrolments, "many": made.many}[name]
            yield from method()
    finally:
        if made:
            made.close()
