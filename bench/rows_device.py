"""Rows of the device: its decision, an installation, its memory."""
import base64
import datetime
import json
import os

from measure import Row, cpu_seconds, figures, memory, run_json, say
from world import Lab, make_image, wait_until


def decision(settings):
    say("device decisions")
    done = run_json(settings.program("decision_bench"), "--rounds", settings.rounds, "--repeats", 100 if settings.is_quick else 500)
    ratios = [ours / bare for ours, bare in zip(done["decision_us"], done["bare_us"])]
    yield Row("decision", "full device decision", "the OpenSSL imports and verifications in it", 1.15, "x", ratios, is_least=False,
              ours={"unit": "us", **figures(done["decision_us"])}, peer={"unit": "us", **figures(done["bare_us"])})
    yield Row("decision", "decision at the largest documents", "absolute", None, "us", done["largest_us"], is_least=False)
    yield Row("decision", "50 package steps in one call", "50 x one step", 1.0, "x",
              [chain / (50 * step) for chain, step in zip(done["chain_us"], done["step_us"])], is_least=False)
    weighed = run_json(settings.program("decision_heap"))
    yield Row("decision", "heap of a decision", "absolute", 256, "KiB", weighed["heap_kib"], is_least=False)
    yield Row("decision", "heap at the largest documents", "absolute", 256, "KiB", weighed["largest_heap_kib"], is_least=False)


class Installations:
    """Two devices under one plan: dev-1 installs, dev-2's program is silent, and the bare peer fetches with its certificate."""

    def __init__(self, settings, parent, size):
        self.settings, self.size = settings, size
        self.lab = Lab(settings, devices=2, parent=parent)
        self.version = 0
        self.image = make_image(os.path.join(self.lab.home, "image"), size)
        self.samples = {"agent": [], "installer": []}

    def close(self):
        self.lab.down()

    def log_path(self):
        return os.path.join(self.lab.home, "logs", "dev-1-agent.log")

    def steps(self, offset):
        with open(self.log_path()) as file:
            file.seek(offset)
            for line in file:
                if line.startswith("{") and line.endswith("}\n"):
                    event = json.loads(line)
                    yield datetime.datetime.fromisoformat(event["time"].replace("Z", "+00:00")).timestamp(), event.get("what", "")

    def pids(self):
        with open(os.path.join(self.lab.home, "devices", "pids.json")) as file:
            pids = json.load(file)
        return {part: pids["dev-1." + part] for part in ("agent", "installer")}, pids["dev-2.agent"]

    def install(self):
        """Wall and CPU seconds from the accepted order to the verified content, ours and the bare peer's."""
        self.version += 1
        with open(self.image, "r+b") as file:
            file.write(self.version.to_bytes(8, "little"))
        update, file = self.lab.release(f"1.{self.version}.0", self.image)
        parts, silent = self.pids()
        os.kill(silent, 19)  # SIGSTOP: else it would fetch too
        offset = os.path.getsize(self.log_path())
        before = cpu_seconds(*parts.values())
        plan = self.lab.start_rollout(update, "dev-1", "dev-2")
        peaks = {part: {"private": 0, "resident": 0} for part in parts}

        def is_done():
            for part, pid in parts.items():
                now = memory(pid)
                peaks[part]["private"] = max(peaks[part]["private"], now["private"])
                peaks[part]["resident"] = max(peaks[part]["resident"], now["resident"])
            return any("order was carried out" in what for _, what in self.steps(offset))

        wait_until(is_done, "the installation", 900)
        cpu = cpu_seconds(*parts.values()) - before
        steps = list(self.steps(offset))
        begin = next(time for time, what in steps if "accepted the order" in what)
        verified = next(time for time, what in steps if "installer has verified" in what)
        for part in parts:
            self.samples[part].append(peaks[part])
        peer = self.bare(file)
        self.lab.cli("rollout", "cancel", plan, "--reason", "measured")
        return verified - begin, cpu, peer

    def bare(self, file):
        name = base64.urlsafe_b64decode(file["sealedSha256"] + "=").hex()
        request = self.lab.write("bare.request", self.lab.request_text("GET", "/content/v1/" + name))
        device = self.lab.info["devices"][1]
        output = os.path.join(self.lab.home, "bare.out")
        done = run_json(self.settings.program("bare_install"), "--port", self.lab.device_port, "--ca", self.lab.info["server_ca"],
                        "--certificate", device["cert"], "--key", device["key"], "--request", request, "--output", output)
        os.unlink(output)
        return done

    def idle(self):
        return {part: memory(pid) for part, pid in self.pids()[0].items()}

    def rows(self, where, budget, key):
        wall, cpu, idle = [], [], self.idle()
        ours, peer = [], []
        for number in range(self.settings.rounds):
            say(f"installation {number + 1} of {self.settings.rounds} of {self.size >> 20} MiB on {where}")
            seconds, used, bare = self.install()
            ours.append(seconds)
            peer.append(bare["seconds"])
            wall.append(bare["seconds"] / seconds)
            cpu.append(used / bare["cpu"])
        yield Row("install-" + key, f"fetch, open, hash, write {self.size >> 20} MiB on {where}", "the same steps bare and overlapped, wall time", budget, "x",
                  wall, ours={"unit": "s", **figures(ours), "cpuRatio": figures(cpu)}, peer={"unit": "s", **figures(peer)})
        if key == "disk":
            yield from self.memory_rows(idle)

    def memory_rows(self, idle):
        budgets = {"agent": {"private": 4, "resident": 16}, "installer": {"private": 4, "resident": 8}}
        for part, sizes in budgets.items():
            for kind, most in sizes.items():
                yield Row(f"memory-{part}-{kind}-idle", f"{kind} memory of the {part}, idle", "absolute", most, "MiB", [idle[part][kind]], is_least=False)
                values = [sample[kind] for sample in self.samples[part]]
                yield Row(f"memory-{part}-{kind}-peak", f"{kind} memory of the {part}, most during an update", "absolute", most, "MiB", values, is_least=False)


def rows(settings, wanted):
    if "decision" in wanted:
        yield from decision(settings)
    if "install" in wanted:
        size = (128 if settings.is_quick else 1024) << 20
        for key, parent, where, budget in (("disk", None, "disk", 0.8), ("tmpfs", "/dev/shm", "tmpfs", 0.7)):
            made = Installations(settings, parent, size)
            try:
                yield from made.rows(where, budget, key)
            finally:
                made.close()
