"""What is measured: labs, organisations, and nginx with the lab's own certificates beside them."""
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading

from measure import run_json, say

PRODUCT = "acme/pump"
USERS = {"signer": 61001, "server": 61003}


class Settings:
    def __init__(self, bin_directory, work, rounds, is_quick):
        self.bin, self.work, self.rounds, self.is_quick = os.path.abspath(bin_directory), work, rounds, is_quick

    def program(self, name):
        return os.path.join(self.bin, name)

    def folder(self, prefix, parent=None):
        # Servers of a lab run as users of their own and pass through here.
        path = tempfile.mkdtemp(prefix=prefix, dir=parent or self.work)
        os.chmod(path, 0o755)
        return path


def pause(seconds):
    threading.Event().wait(seconds)


def wait_until(condition, what, seconds=120):
    for _ in range(seconds * 20):
        answer = condition()
        if answer:
            return answer
        pause(0.05)
    raise RuntimeError("waited in vain for " + what)


def is_alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def end(pid):
    if is_alive(pid):
        os.kill(pid, signal.SIGTERM)
        wait_until(lambda: not is_alive(pid), f"the end of process {pid}")


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


class Organisation:
    """`fleetseal run` over a directory that `fleetseal init` made."""

    def __init__(self, settings, directory, identities):
        self.settings, self.directory = settings, directory
        self.environment = {**os.environ, "FLEETSEAL_IDENTITIES": identities}
        self.process = None

    def cli(self, *arguments, timeout=900):
        done = subprocess.run([self.settings.program("fleetseal"), *arguments, "--json", "--quiet"], env=self.environment, capture_output=True,
                              text=True, timeout=timeout, stdin=subprocess.DEVNULL)
        if done.returncode != 0:
            raise RuntimeError(f"fleetseal {' '.join(arguments)}: {done.stdout}{done.stderr}")
        return json.loads(done.stdout) if done.stdout.strip() else None

    @property
    def pids(self):
        with open(os.path.join(self.directory, "run", "pids.json")) as file:
            return json.load(file)

    def start(self):
        read_end, write_end = os.pipe()
        with open(os.path.join(os.path.dirname(self.directory), "org-bench.log"), "ab") as log:
            self.process = subprocess.Popen([self.settings.program("fleetseal"), "run", "--data", self.directory, "--ready-fd", str(write_end)],
                                            pass_fds=[write_end], stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.environment)
        os.close(write_end)
        with os.fdopen(read_end) as ready:
            if not ready.readline():
                raise RuntimeError("the organisation did not start: see " + log.name)

    def stop(self):
        if self.process:
            self.process.terminate()
            self.process.wait(60)
            self.process = None
            return
        pids = self.pids
        end(pids["supervisor"])
        for pid in pids.values():
            wait_until(lambda pid=pid: not is_alive(pid), "the end of the organisation")


class Lab(Organisation):
    """A lab. Its devices are enrolled; `stop_devices` ends their programs, so that only the load asks."""

    def __init__(self, settings, devices, parent=None):
        self.home = settings.folder("fleetseal-bench-", parent)
        super().__init__(settings, os.path.join(self.home, "org"), os.path.join(self.home, "org", "identities"))
        self.info = run_json(settings.program("fleetseal"), "lab", "up", "--dir", self.home, "--devices", devices, "--json", "--quiet",
                             stdin=subprocess.DEVNULL)

    def stop_devices(self):
        end(self.info["pids"]["devices_supervisor"])

    @property
    def device_port(self):
        return int(self.info["device_url"].rsplit(":", 1)[1])

    def down(self):
        if self.process:
            self.stop()
        subprocess.run([self.settings.program("fleetseal"), "lab", "down", "--dir", self.home], capture_output=True, stdin=subprocess.DEVNULL)
        shutil.rmtree(self.home, ignore_errors=True)

    def write(self, name, text):
        path = os.path.join(self.home, name)
        with open(path, "w", newline="") as file:
            file.write(text)
        return path

    def release(self, version, path):
        """A signed update with its content in the store; returns its id and the hash of the sealed content."""
        compatible = "manufacturer=acme,model=pump-1"
        submitted = self.cli("update", "submit", "--product", PRODUCT, "--version", version, "--compatible", compatible, "--file", path)
        for approver in ("approver1", "approver2"):
            self.cli("approval", "approve", submitted["requestId"], "--as", approver)
        update = self.cli("update", "import", submitted["id"], path)
        return update["id"], update["files"][0]

    def start_rollout(self, update, *devices):
        words = [word for device in devices for word in ("--device", device)]
        plan = self.cli("rollout", "plan", "--update", update, *words)["planId"]
        self.cli("rollout", "start", plan)
        return plan

    def request_text(self, method, path, body="", headers=""):
        return f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{headers}Content-Length: {len(body)}\r\n\r\n{body}" if method == "POST" else \
            f"{method} {path} HTTP/1.1\r\nHost: localhost\r\n{headers}\r\n"

    def check_in(self, device):
        # As a device asks that is up to date: nothing is new for it.
        body = json.dumps({"deviceId": device, "generation": 1, "packageVersion": 1, "status": {"epoch": 1, "version": 2**40},
                           "checkpoint": {"origin": "log.acme", "size": 1}, "phase": "idle", "agentVersion": "0.1.0"}, separators=(",", ":"))
        return self.request_text("POST", "/device/v1/check-in", body, "Content-Type: application/json\r\n")

    def callers(self, name, requests):
        """A list for the load generator: device id -> request text."""
        lines = []
        for device in self.info["devices"]:
            if device["id"] in requests:
                path = self.write(f"{name}-{device['id']}.request", requests[device["id"]])
                lines.append(f"{device['cert']} {device['key']} {path}\n")
        return self.write(name + ".callers", "".join(lines))


NGINX = """
user root;
worker_processes 1;
daemon off;
pid {folder}/nginx.pid;
error_log {folder}/error.log crit;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  sendfile on;
  keepalive_timeout 600s;
  keepalive_requests 1000000000;
  client_body_temp_path {folder}/body;
  proxy_temp_path {folder}/proxy;
  fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi;
  scgi_temp_path {folder}/scgi;
  types {{ }}
  default_type application/octet-stream;
  server {{
    listen 127.0.0.1:{port} ssl backlog=4096;
    ssl_certificate {certificate};
    ssl_certificate_key {key};
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_conf_command Ciphersuites TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384;
    ssl_conf_command NumTickets 1;
    ssl_ecdh_curve X25519:prime256v1;
    ssl_session_tickets off;
    ssl_session_cache shared:bench:32m;
    ssl_session_timeout 600s;
    ssl_verify_client on;
    ssl_client_certificate {device_ca};
    location = /device/v1/check-in {{ default_type application/json; return 200 '{answer}'; }}
    location /content/v1/ {{ alias {content}/; }}
  }}
}}
"""


class Nginx:
    def __init__(self, lab, answer, content_folder):
        self.port = free_port()
        self.folder = lab.settings.folder("nginx-", lab.home)
        tls = os.path.join(lab.directory, "server", "tls")
        names = sorted(os.listdir(tls))
        certificate = next(name for name in names if name.endswith((".crt", ".pem")) and "key" not in name)
        key = next(name for name in names if "key" in name)
        text = NGINX.format(folder=self.folder, port=self.port, certificate=os.path.join(tls, certificate), key=os.path.join(tls, key),
                            device_ca=lab.info["device_ca"], answer=answer, content=content_folder)
        path = os.path.join(self.folder, "nginx.conf")
        with open(path, "w") as file:
            file.write(text)
        self.process = subprocess.Popen(["/usr/sbin/nginx", "-e", os.path.join(self.folder, "error.log"), "-c", path, "-p", self.folder],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        wait_until(self.is_listening, "nginx", 10)

    def is_listening(self):
        if self.process.poll() is not None:
            raise RuntimeError("nginx: " + self.process.stderr.read())
        with socket.socket() as one:
            return one.connect_ex(("127.0.0.1", self.port)) == 0

    def stop(self):
        self.process.terminate()
        self.process.wait(30)
        self.process.stderr.close()


def load(settings, port, ca, callers, **options):
    words = [word for name, value in options.items() for word in ("--" + name.replace("_", "-"), value)]
    done = run_json(settings.program("load_generator"), "--port", port, "--ca", ca, "--callers", callers, *words)
    if done["failed"] or not done["answers"]:
        raise RuntimeError(f"the load generator counted {done['failed']} failures, {done['answers']} answers: {done['fault']}")
    return done


def make_image(path, size):
    say(f"making an image of {size >> 20} MiB")
    block = os.urandom(1 << 20)
    with open(path, "wb") as file:
        for number in range(size >> 20):
            file.write(number.to_bytes(8, "big") + block[8:])
    return path
