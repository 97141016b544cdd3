"""Rows of the signer and the log."""
import os
import shutil
import subprocess
import time

from measure import Row, cpu_seconds, figures, run_json, say
from world import Organisation, USERS, free_port, wait_until

PRODUCTS = 24


class Signing:
    """An organisation whose policies want so many approvals, with a product for each client."""

    def __init__(self, settings, approvals):
        self.settings, self.approvals = settings, approvals
        self.home = settings.folder("fleetseal-bench-signing-")
        data = os.path.join(self.home, "org")
        identities = os.path.join(data, "identities")
        self.organisation = Organisation(settings, data, identities)
        products = [word for number in range(1, PRODUCTS + 1) for word in ("--product", f"acme/p{number}")]
        ports = free_port(), free_port()
        self.organisation.cli("init", "--data", data, "--organisation", "acme", "--approvals", str(approvals), "--name", "127.0.0.1", "--listen", "127.0.0.1",
                              "--device-port", str(ports[0]), "--admin-port", str(ports[1]), *products)
        self.organisation.start()
        for name, role in (("publisher", "publisher"), ("approver1", "approver"), ("approver2", "approver")):
            self.organisation.cli("user", "add", name, "--role", role)
        # The load plays the server: it runs as the server's user and must be able to read the persons' keys.
        self.keys = os.path.join(self.home, "keys")
        shutil.copytree(identities, self.keys)
        self.identity = {"user": USERS["server"], "group": USERS["server"], "extra_groups": [61000]} if os.geteuid() == 0 else {}
        if self.identity:
            for folder, _, files in os.walk(self.keys):
                for path in [folder, *(os.path.join(folder, one) for one in files)]:
                    os.chown(path, USERS["server"], USERS["server"])
        self.next = 1

    def close(self):
        self.organisation.stop()
        shutil.rmtree(self.home, ignore_errors=True)

    def run(self, requests):
        signer = self.organisation.pids["signer"]
        before = cpu_seconds(signer)
        done = run_json(self.settings.program("signing_load"), "--socket", os.path.join(self.organisation.directory, "run", "signer", "signer.sock"),
                        "--identities", self.keys, "--products", PRODUCTS, "--clients", 64, "--requests", requests, "--approvals", self.approvals,
                        "--first", self.next, **self.identity)
        self.next += requests
        done["cpu"] = cpu_seconds(signer) - before
        return done


def signatures(settings):
    requests = 10 if settings.is_quick else 40
    for approvals, budget, what in ((0, 10_000, "pre-approved"), (2, 3_000, "2 approvals each")):
        say(f"signatures, {what}")
        made = Signing(settings, approvals)
        try:
            made.run(2)
            rates, p99, per_cpu, sums = [], [], [], []
            for _ in range(settings.rounds):
                done = made.run(requests)
                bare = run_json(settings.program("operations_bench"), "--directory", made.home, "--repeats", 200)
                rates.append(done["signatures"] / done["seconds"])
                p99.append(done["p99_ms"])
                per_cpu.append(done["cpu"] / done["signatures"] * 1e6)
                # Documents of people verified, the signature made and verified with its signed key as a device would.
                verified = 1 + approvals + 2
                sums.append(bare["p256_sign_us"] + verified * (bare["p256_verify_us"] + bare["p256_import_us"]))
        finally:
            made.close()
        key = f"signatures-{approvals}"
        yield Row(key, f"signatures with policy and durable record, 64 clients, {what}", "absolute, wall time", budget, "/s", rates,
                  ours={"unit": "CPU us of the signer a signature", **figures(per_cpu)}, peer={"unit": "us, sum of the bare operations", **figures(sums)})
        yield Row(key + "-p99", f"their 99th percentile, {what}", "absolute, wall time", 20, "ms", p99, is_least=False)


def appends(settings):
    say("log appends")
    records, alone, fsyncs = [], [], []
    for _ in range(settings.rounds):
        folder = settings.folder("fleetseal-bench-log-")
        try:
            done = run_json(settings.program("log_bench"), "--directory", folder, "--seconds", 1 if settings.is_quick else 4)
            bare = run_json(settings.program("operations_bench"), "--directory", folder, "--repeats", 200)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        records.append(done["records_s"])
        alone.append(done["alone_us"] / bare["fsync_us"])
        fsyncs.append(bare["fsync_us"])
    yield Row("log-appends", "durable log records/s in groups", "absolute, wall time", 20_000, "/s", records)
    yield Row("log-alone", "one durable log record alone", "one fdatasync of 4 KiB on the same disk", 2.0, "x", alone, is_least=False,
              peer={"unit": "us, fdatasync", **figures(fsyncs)})


def rows(settings, wanted):
    if "signatures" in wanted:
        yield from signatures(settings)
    if "log" in wanted:
        yield from appends(settings)
