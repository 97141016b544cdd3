"""Whole Debian machines for tests: each a clean root with a systemd, host name, processes and network of its own.

A machine is an overlay over a root that mmdebstrap makes once (kept below the build folder), in namespaces of its own;
commands run in it by nsenter. The root has in apt's cache what our packages depend on, because a machine reaches no
network but the other machine. Needs root.
"""
import glob
import hashlib
import os
import re
import shutil
import signal
import subprocess
import threading

BUILD = os.path.dirname(os.path.abspath(os.environ["FLEETSEAL_BIN"]))
SOURCE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

BOOT = """
set -e
mount --make-rprivate /
cd "$1"
for place in run dev tmp; do mount -t tmpfs -o mode=755 tmpfs "$place"; done
chmod 1777 tmp
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
for node in null zero full random urandom tty; do touch "dev/$node"; mount --bind "/dev/$node" "dev/$node"; done
mkdir dev/pts dev/shm old
mount -t tmpfs tmpfs dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
hostname "$2"
pivot_root . old
umount -l old
rmdir old
exec env -i container=fleetseal-test PATH=/usr/sbin:/usr/bin:/sbin:/bin \
  /lib/systemd/systemd --log-target=console --show-status=no systemd.unit=multi-user.target
"""


def run(*arguments, **options):
    done = subprocess.run(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **options)
    assert done.returncode == 0, f"{arguments} ended with {done.returncode}:\n{done.stdout[-4000:]}"
    return done.stdout


def wait_until(condition, what, seconds=120):
    pause = threading.Event()
    for _ in range(seconds * 10):
        answer = condition()
        if answer:
            return answer
        pause.wait(0.1)
    raise AssertionError("waited in vain for " + what)


def build_packages(folder):
    """Packages of the programs under test; returns their paths by name."""
    # Packed fast: they live as long as the test.
    run(os.path.join(SOURCE, "packaging", "build"), BUILD, folder, env={**os.environ, "DPKG_DEB_COMPRESSOR_LEVEL": "0"})
    return {os.path.basename(path).split("_")[0]: path for path in glob.glob(os.path.join(folder, "*.deb"))}


def dependencies(packages):
    names = set()
    for path in packages.values():
        for clause in run("dpkg-deb", "-f", path, "Depends").strip().split(","):
            name = re.match(r"\s*([a-z0-9.+-]+)", clause).group(1)
            if name not in packages:
                names.add(name)
    return sorted(names)


def suite():
    with open("/etc/os-release") as file:
        return re.search(r"^VERSION_CODENAME=(\w+)$", file.read(), re.MULTILINE).group(1)


def mirror(name):
    """Where this machine's apt gets the release from."""
    for line in run("apt-get", "indextargets", "--format", "$(ORIGIN) $(CODENAME) $(COMPONENT) $(REPO_URI)").splitlines():
        fields = line.split()
        if fields[:3] == ["Debian", name, "main"]:
            return fields[3]
    raise AssertionError(f"this machine's apt has no source for {name}; run apt-get update")


def base_root(packages):
    """A clean root with systemd, made unless it is there."""
    name = suite()
    wanted = dependencies(packages)
    root = os.path.join(BUILD, "roots", name + "-" + hashlib.sha256(" ".join(wanted).encode()).hexdigest()[:12])
    if os.path.isdir(root):
        return root
    made = root + ".new"
    shutil.rmtree(made, ignore_errors=True)
    os.makedirs(os.path.dirname(root), exist_ok=True)
    proxies = [f"--aptopt={line}" for line in run("apt-config", "dump").splitlines() if re.match(r"Acquire::https?::Proxy", line)]
    run("mmdebstrap", "--variant=minbase", "--include=systemd,dbus", "--skip=cleanup/apt", *proxies,
        "--customize-hook=chroot \"$1\" apt-get clean",
        "--customize-hook=chroot \"$1\" apt-get install -y -q --download-only -o APT::Install-Recommends=true " + " ".join(wanted), name, made, mirror(name))
    os.rename(made, root)
    return root


class Machine:
    def __init__(self, folder, name, root, hosts):
        self.name = name
        self.folder = os.path.join(folder, name)
        self.root = os.path.join(self.folder, "root")
        for part in ("root", "upper", "work"):
            os.makedirs(os.path.join(self.folder, part))
        layers = f"lowerdir={root},upperdir={self.folder}/upper,workdir={self.folder}/work"
        run("mount", "-t", "overlay", "overlay", "-o", layers, self.root)
        with open(os.path.join(self.root, "etc/hosts"), "w") as file:
            file.write("127.0.0.1 localhost\n" + hosts)
        with open(os.path.join(self.root, "etc/hostname"), "w") as file:
            file.write(name + "\n")
        # The kernel is this machine's: there are no modules to load.
        os.symlink("/dev/null", os.path.join(self.root, "etc/systemd/system/systemd-modules-load.service"))
        with open(os.path.join(self.folder, "console"), "wb") as console:
            # What is killed with unshare: the first process, and with it all others.
            self.process = subprocess.Popen(
                ["unshare", "--mount", "--pid", "--uts", "--ipc", "--cgroup", "--net", "--fork", "--kill-child=KILL",
                 "sh", "-c", BOOT, "sh", self.root, name], stdin=subprocess.DEVNULL, stdout=console, stderr=console, start_new_session=True)
        self.pid = wait_until(self._first_process, "the first process of " + name)
        wait_until(lambda: self.run("systemctl is-system-running", check=False)[1].strip() in ("running", "degraded"),
                   f"systemd on {name}: {self.console()}")

    def _first_process(self):
        assert self.process.poll() is None, f"{self.name} does not boot:\n{self.console()}"
        done = subprocess.run(["pgrep", "-x", "systemd", "-P", str(self.process.pid)], capture_output=True, text=True)
        return int(done.stdout.split()[0]) if done.stdout.split() else None

    def console(self):
        with open(os.path.join(self.folder, "console"), errors="replace") as file:
            return file.read()[-3000:]

    def inside(self, *arguments):
        # Its root by name: where the tests run in a chroot, the root of its mount namespace is another one.
        return ["nsenter", "-t", str(self.pid), "-m", "-p", "-u", "-i", "-C", "-n", "-r", "-w", "--", *arguments]

    def run(self, script, check=True, seconds=300):
        """Runs a script of bash as root in /root; what it exported is there for the next one. Returns exit code, output."""
        keep = f". /root/.walk 2>/dev/null; set -e; cd /root; trap 'export -p >/root/.walk' EXIT\n{script}\n"
        done = subprocess.run(self.inside("env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8", "bash", "-c", keep),
                              stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=seconds)
        assert not check or done.returncode == 0, f"{self.name}: {script}\nended with {done.returncode}:\n{done.stdout[-4000:]}"
        return done.returncode, done.stdout

    def put(self, path):
        shutil.copy(path, os.path.join("/proc", str(self.pid), "root/root"))

    def path(self, inside):
        return os.path.join("/proc", str(self.pid), "root", inside.lstrip("/"))

    def address(self, address):
        run("nsenter", "-t", str(self.pid), "-n", "ip", "addr", "add", address, "dev", "eth0")
        run("nsenter", "-t", str(self.pid), "-n", "ip", "link", "set", "eth0", "up")

    def stop(self):
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.wait()
        wait_until(lambda: not os.path.exists(f"/proc/{self.pid}"), "the end of " + self.name)
        run("umount", self.root)


def connect(first, first_address, second, second_address):
    run("ip", "link", "add", "eth0", "netns", str(first.pid), "type", "veth", "peer", "name", "eth0", "netns", str(second.pid))
    first.address(first_address)
    second.address(second_address)
