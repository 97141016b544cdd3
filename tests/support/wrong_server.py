"""A server that is not what it should be, on one device's way to the right one."""
import os
import select
import socket
import ssl
import threading

ENOUGH = 64 << 20  # far above what sockets hold


class WrongServer:
    """Stands on the device's way with the server's own key. With `how` None it passes bytes on to the right server; else it
    reads requests, has the right server answer those that `how` leaves alone, and treats the device badly."""

    def __init__(self, lab, name="dev-1"):
        self.lab, self.name, self.how = lab, name, None
        self.sent, self.done = [], 0
        self.target = int(lab.info["device_url"].rsplit(":", 1)[1])
        tls = os.path.join(lab.folder, "org", "server", "tls")
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(os.path.join(tls, "server.crt"), os.path.join(tls, "server.key"))
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.is_closed = threading.Event()
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self.serve if self.how else self.pass_on, args=(client,), daemon=True).start()

    def pass_on(self, client):
        with client, socket.create_connection(("127.0.0.1", self.target)) as server:
            while True:
                for source in select.select([client, server], [], [])[0]:
                    try:
                        data = source.recv(65536)
                        if not data:
                            return
                        (server if source is client else client).sendall(data)
                    except OSError:
                        return

    def serve(self, client):
        client.settimeout(60)
        how = self.how
        try:
            with self.context.wrap_socket(client, server_side=True) as connection:
                while True:
                    request = self.read_request(connection)
                    if request is None:
                        return
                    method, path, headers, body = request
                    if how.covers(path):
                        how(self, connection, path, headers)
                        self.done += 1
                        return
                    status, answer_headers, answer = self.lab.as_device(self.name, method, path, body or None, {
                        key: value for key, value in headers.items() if key in ("content-type", "range")})
                    if hasattr(how, "edit"):
                        answer = how.edit(path, answer)
                        if answer is None:
                            return
                    kind = answer_headers.get("Content-Type") or answer_headers.get("content-type", "application/json")
                    connection.sendall(f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(answer)}\r\n\r\n".encode() + answer)
        except (OSError, ssl.SSLError):
            pass

    @staticmethod
    def read_request(connection):
        data = b""
        while b"\r\n\r\n" not in data:
            piece = connection.recv(65536)
            if not piece:
                return None
            data += piece
        head, body = data.split(b"\r\n\r\n", 1)
        first, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, value in (line.split(":", 1) for line in lines)}
        while len(body) < int(headers.get("content-length", 0)):
            body += connection.recv(65536)
        return *first.split(" ")[:2], headers, body

    def pour(self, connection, piece):
        """Sends until the device has enough; what it took is recorded."""
        self.sent.append(0)
        try:
            while self.sent[-1] < ENOUGH:
                connection.sendall(piece)
                self.sent[-1] += len(piece)
        except (OSError, ssl.SSLError):
            pass

    def close(self):
        self.is_closed.set()
        self.listener.close()


class How:
    def __init__(self, act, route="/content/v1/"):
        self.act, self.route = act, route

    def covers(self, path):
        return path.startswith(self.route)

    def __call__(self, server, connection, path, headers):
        self.act(server, connection, path, headers)
