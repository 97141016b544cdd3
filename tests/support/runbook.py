"""Runs the commands of a runbook as they are printed: on a lab, in the folder of whoever holds the roots."""
import os
import re
import shutil
import subprocess

import printed
from lab import BIN


class Runbook:
    """Each fenced block has a name behind `sh`. What a page writes for a name of its own (publisher-0123…) is replaced."""

    def __init__(self, lab, page, names=None):
        self.lab, self.page, self.names = lab, page, names or {}
        self.folder = os.path.join(lab.folder, "holders-" + os.path.basename(page).replace(".md", ""))
        offline = os.path.join(lab.folder, "org", "offline")
        os.makedirs(self.folder)
        for name in ("roots", "sjwk"):
            shutil.copytree(os.path.join(offline, name), os.path.join(self.folder, name))
        shutil.copy(os.path.join(offline, "passphrase"), os.path.join(self.folder, "pass"))
        shutil.copy(os.path.join(offline, "root-package-1.json"), self.folder)
        self.left = re.findall(r"^```sh (\S+)$", self.text(), re.M)

    def text(self):
        with open(os.path.join(printed.sources.ROOT, self.page)) as file:
            return file.read()

    def path(self, name):
        return os.path.join(self.folder, name)

    def run(self, block):
        """The blocks come in the order of the page, each once. Returns what they said."""
        assert self.left.pop(0) == block
        said = ""
        environment = {**self.lab.environment, "PATH": BIN + ":" + os.environ["PATH"]}
        for command, expected in printed.commands(self.page, rf"```sh {block}\n(.*?)```"):
            for name, value in self.names.items():
                command = command.replace(name, value)
            done = subprocess.run(["bash", "-c", command], cwd=self.folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True,
                                  text=True, timeout=120)
            assert done.returncode == expected, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}{self.lab.logs()}"
            said += done.stdout
        return said

    def done(self):
        assert not self.left, f"{self.page}: not run: {self.left}"
