"""A network that breaks off, dawdles and never ends (X6), and senders who do so to the server: nothing but delay, and
others are served meanwhile.
"""
import os
import select
import socket
import ssl
import threading

import pytest

from lab import Lab
from services import restart_agent, wait_until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to end the lab's agents")


@pytest.fixture(scope="module")
def lab():
    made = Lab(devices=2, is_populated=True)
    yield made
    made.down()


class Proxy:
    """Passes bytes on to the device API. `budget`: what a connection may bring to the device before it ends or stalls."""

    def __init__(self, lab):
        self.target = int(lab.info["device_url"].rsplit(":", 1)[1])
        self.budget, self.is_stalling, self.passed, self.cuts = None, False, 0, 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.released = threading.Event()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve, args=(client,), daemon=True).start()

    def serve(self, client):
        left = self.budget
        with client, socket.create_connection(("127.0.0.1", self.target)) as server:
            while True:
                for source in select.select([client, server], [], [])[0]:
                    try:
                        data = source.recv(16384)
                        if not data:
                            return
                        if source is server and left is not None:
                            if len(data) > left:
                                self.cuts += 1
                                if self.is_stalling:
                                    self.released.wait(60)
                                return
                            left -= len(data)
                        (server if source is client else client).sendall(data)
                    except OSError:
                        return
                    if source is server:
                        self.passed += len(data)

    def close(self):
        self.released.set()
        self.listener.close()


@pytest.fixture
def proxy(lab):
    made = Proxy(lab)
    restart_agent(lab, "dev-1", made.port)
    yield made
    restart_agent(lab, "dev-1", made.target)
    made.close()


def part_files(lab):
    work = os.path.join(lab.device_home(), "..", "agent", "work")
    return {name: os.path.getsize(os.path.join(folder, name)) for folder, _, files in os.walk(work) for name in files if name.endswith(".part")}


def test_X6_a_connection_that_breaks_off_again_and_again_delays_and_repeats_nothing(lab, proxy):
    size = 3_000_000
    update = lab.release("2.0.0", lab.path("pump-2.0.0.img", os.urandom(size)))
    plan = lab.plan(update, "dev-1")
    proxy.budget = 1_600_000
    lab.good("rollout", "start", plan)
    wait_until(lambda: proxy.cuts and part_files(lab), "a cut")
    assert all(0 < kept <= size + 65536 for kept in part_files(lab).values())
    assert lab.watch(plan, 300) == {"dev-1": "installed"}
    # Each byte of the content came once; the rest is documents and what TLS adds.
    assert proxy.passed < 1.5 * size


def test_X6_a_connection_that_falls_silent_holds_up_no_other_device_and_is_resumed(lab, proxy):
    update = lab.release("3.0.0", lab.path("pump-3.0.0.img", os.urandom(2_000_000)))
    plan = lab.plan(update, "dev-1", "dev-2")
    proxy.budget, proxy.is_stalling = 900_000, True
    lab.good("rollout", "start", plan)
    wait_until(lambda: proxy.cuts, "the stall")
    wait_until(lambda: dict((row["id"], row["state"]) for row in lab.good("rollout", "show", plan)["devices"])["dev-2"] == "installed", "the other device")
    proxy.budget = None
    proxy.released.set()
    assert lab.watch(plan, 300) == {"dev-1": "installed", "dev-2": "installed"}


# --- senders to the server ------------------------------------------------------------------------------------------------


def open_connection(lab, url, cert=None, key=None):
    host, port = url.rsplit("/", 1)[1].split(":")
    plain = socket.create_connection((host, int(port)), timeout=30)
    return lab.context(cert=cert, key=key).wrap_socket(plain, server_hostname=host)


def credentials(lab, api):
    if api == "admin_url":
        return lab.info["identities"]["publisher"]["cert"], lab.info["identities"]["publisher"]["key"]
    return lab.device()["cert"], lab.device()["key"]


def serves(lab, api):
    cert, key = credentials(lab, api)
    return lab.request(lab.info[api], "GET", "/healthz", cert=cert, key=key)[0] == 200


@pytest.mark.parametrize("api", ["device_url", "admin_url"])
def test_X6_slow_headers_and_bodies_on_many_connections_hold_nobody_up(lab, api):
    cert, key = credentials(lab, api)
    path = b"/device/v1/check-in" if api == "device_url" else b"/admin/v1/requests"
    slow = [open_connection(lab, lab.info[api], cert, key) for _ in range(40)]
    bare = [socket.create_connection(("127.0.0.1", int(lab.info[api].rsplit(":", 1)[1])), timeout=30) for _ in range(40)]
    for number, connection in enumerate(slow):
        head = b"POST " + path + b" HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        connection.sendall(head if number % 2 else head + b"Content-Length: 1000\r\n\r\n{")
    for _ in range(3):
        assert serves(lab, api)
        for connection in slow:
            connection.sendall(b" " if slow.index(connection) % 2 == 0 else b"X-A: b\r\n")
    for connection in slow + bare:
        connection.close()
    assert serves(lab, api)


def answer_of(connection):
    data = b""
    try:
        while b"\r\n\r\n" not in data:
            piece = connection.recv(4096)
            if not piece:
                break
            data += piece
    except (ssl.SSLError, ConnectionError):
        pass
    return data


def pour(connection, piece, most):
    """Sends until the other side has enough; how many bytes it took."""
    sent = 0
    connection.settimeout(30)
    try:
        while sent < most and not select.select([connection], [], [], 0)[0]:
            connection.sendall(piece)
            sent += len(piece)
    except (ssl.SSLError, OSError):
        pass
    return sent


@pytest.mark.parametrize("api", ["device_url", "admin_url"])
def test_X6_an_endless_header_is_cut_at_its_limit(lab, api):
    with open_connection(lab, lab.info[api], *credentials(lab, api)) as connection:
        connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n")
        sent = pour(connection, b"X-Filler: " + b"a" * 1000 + b"\r\n", 64 << 20)
        assert sent < 8 << 20
        answer = answer_of(connection)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 431"), answer[:100]
    assert serves(lab, api)


@pytest.mark.parametrize("api", ["device_url", "admin_url"])
@pytest.mark.parametrize("framing", [b"Content-Length: 9000000000", b"Transfer-Encoding: chunked"])
def test_X6_an_endless_body_is_cut_at_its_limit(lab, api, framing):
    path = b"/device/v1/check-in" if api == "device_url" else b"/admin/v1/requests"
    with open_connection(lab, lab.info[api], *credentials(lab, api)) as connection:
        connection.sendall(b"POST " + path + b" HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n" + framing + b"\r\n\r\n")
        piece = b" " * 65536 if b"Length" in framing else b"10000\r\n" + b" " * 65536 + b"\r\n"
        sent = pour(connection, piece, 256 << 20)
        assert sent < 32 << 20
        answer = answer_of(connection)
    assert answer == b"" or answer[9:12] in (b"411", b"413", b"400", b"501"), answer[:100]
    assert serves(lab, api)
