"""CPU time and memory of processes, rounds that take turns, and what a row of the table is."""
import json
import os
import statistics
import subprocess
import sys

TICKS = os.sysconf("SC_CLK_TCK")


def say(text):
    print("bench: " + text, file=sys.stderr, flush=True)


def process_tree(pid):
    """pid and all that descend from it."""
    children = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open(f"/proc/{name}/stat") as file:
                    children.setdefault(int(file.read().rsplit(")", 1)[1].split()[1]), []).append(int(name))
            except OSError:
                pass  # it has ended
    found, waiting = [], [pid]
    while waiting:
        one = waiting.pop()
        found.append(one)
        waiting += children.get(one, [])
    return found


def cpu_seconds(*pids):
    """User and system time of the processes, their descendants, and children that have ended."""
    total = 0
    for pid in pids:
        for one in process_tree(pid):
            try:
                with open(f"/proc/{one}/stat") as file:
                    fields = file.read().rsplit(")", 1)[1].split()
                total += sum(int(field) for field in fields[11:15])
            except OSError:
                pass
    return total / TICKS


def memory(pid):
    """Private and resident memory now, and the greatest resident memory so far, in MiB."""
    values = {}
    with open(f"/proc/{pid}/smaps_rollup") as file:
        for line in file:
            words = line.split()
            if len(words) == 3 and words[2] == "kB":
                values[words[0].rstrip(":")] = int(words[1])
    with open(f"/proc/{pid}/status") as file:
        peak = next(int(line.split()[1]) for line in file if line.startswith("VmHWM"))
    return {"private": (values["Private_Clean"] + values["Private_Dirty"]) / 1024, "resident": values["Rss"] / 1024, "peak": peak / 1024}


def run_json(program, *arguments, **options):
    """The JSON object that one of our programs prints."""
    words = [program, *(str(argument) for argument in arguments)]
    done = subprocess.run(words, capture_output=True, text=True, **options)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr[-2000:]}")
    return json.loads(done.stdout)


class Row:
    """One line of the table. `values` has one figure a round; the median is judged against the budget."""

    def __init__(self, key, what, against, budget, unit, values, is_least=True, ours=None, peer=None, note=""):
        self.key, self.what, self.against, self.unit, self.note = key, what, against, unit, note
        self.budget, self.is_least = budget, is_least
        self.values = [float(value) for value in values]
        self.ours, self.peer = ours, peer

    @property
    def median(self):
        return statistics.median(self.values)

    @property
    def is_reached(self):
        if self.budget is None:
            return None
        return self.median >= self.budget if self.is_least else self.median <= self.budget

    def as_json(self):
        return {"key": self.key, "what": self.what, "against": self.against, "unit": self.unit, "budget": self.budget,
                "budgetIs": "at least" if self.is_least else "at most", "median": round(self.median, 4),
                "least": round(min(self.values), 4), "greatest": round(max(self.values), 4), "rounds": [round(value, 4) for value in self.values],
                "reached": self.is_reached, "ours": self.ours, "peer": self.peer, "note": self.note}


def figures(values, digits=4):
    return {"median": round(statistics.median(values), digits), "rounds": [round(value, digits) for value in values]}
