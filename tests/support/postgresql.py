"""A PostgreSQL of a test's own: a new cluster, a local socket only, as a user without rights, gone at the end."""
import glob
import os
import pwd
import shutil
import signal
import subprocess
import tempfile

from services import is_alive, wait_until


class Postgresql:
    def __init__(self):
        self.binaries = sorted(glob.glob("/usr/lib/postgresql/*/bin"), key=lambda path: int(path.split("/")[4]))[-1]
        self.folder = tempfile.mkdtemp(prefix="fleetseal-pg-")
        os.chmod(self.folder, 0o755)
        self.user = {}
        if os.geteuid() == 0:  # it refuses to run as root
            entry = pwd.getpwnam("postgres")
            self.user = {"user": entry.pw_uid, "group": entry.pw_gid, "extra_groups": []}
            os.chown(self.folder, entry.pw_uid, entry.pw_gid)
        self.data = os.path.join(self.folder, "data")
        subprocess.run([self.program("initdb"), "-D", self.data, "-U", "fleetseal", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"],
                       check=True, stdout=subprocess.DEVNULL, cwd=self.folder, **self.user)
        self.process = None
        self.start()

    def program(self, name):
        return os.path.join(self.binaries, name)

    @property
    def url(self):
        return f"postgresql:host={self.folder} user=fleetseal dbname=postgres"

    def answers(self):
        return subprocess.run([self.program("pg_isready"), "-q", "-h", self.folder], cwd=self.folder).returncode == 0

    def start(self):
        """Returns when it answers. Processes of one that was killed may still be ending: then it is started again."""
        def answers_now():
            if self.process is None or self.process.poll() is not None:
                with open(os.path.join(self.folder, "server.log"), "ab") as log:
                    self.process = subprocess.Popen(
                        [self.program("postgres"), "-D", self.data, "-k", self.folder, "-c", "listen_addresses=", "-c", "shared_buffers=16MB", "-c",
                         "logging_collector=off"], stdout=log, stderr=log, cwd=self.folder, **self.user)
            return self.answers()

        wait_until(answers_now, "PostgreSQL")

    def backends(self):
        """The processes that serve its clients."""
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children") as file:
            children = file.read().split()
        found = []
        for pid in children:
            try:
                with open(f"/proc/{pid}/cmdline") as file:
                    if "[local]" in file.read():
                        found.append(int(pid))
            except FileNotFoundError:
                pass
        return found

    def kill(self):
        """All at once, as a machine that loses its power."""
        self.process.kill()
        self.process.wait(30)

    def rows(self, statement):
        done = subprocess.run([self.program("psql"), "-h", self.folder, "-U", "fleetseal", "-d", "postgres", "-At", "-c", statement], cwd=self.folder,
                              capture_output=True, text=True, check=True)
        return done.stdout.splitlines()

    def close(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)  # does not wait for its clients
            self.process.wait(30)
        assert not is_alive(self.process.pid)
        shutil.rmtree(self.folder)
