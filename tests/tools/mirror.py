"""A mirror that has every image, and that can be down."""

from __future__ import annotations

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock

__all__ = ["Mirror"]


class Server(ThreadingHTTPServer):
    """A server that does not mind clients that leave."""

    daemon_threads = True

    def handle_error(self, *_: object) -> None:
        pass


class Mirror:
    """A registry that has every image, while it is up.

    Attributes:
        up: Whether it is up.
        address: Its host and port.
        answered: How many questions it has answered.
        refused: How many questions came while it was down.
        connections: How many connections are open.
    """

    def __init__(self) -> None:
        self.up = Event()
        self.up.set()
        self.answered = 0
        self.refused = 0
        self.connections = 0
        lock = Lock()
        mirror = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self) -> None:
                super().setup()
                with lock:
                    mirror.connections += 1

            def finish(self) -> None:
                with lock:
                    mirror.connections -= 1
                super().finish()

            def do_HEAD(self) -> None:
                if mirror.up.is_set():
                    mirror.answered += 1
                    self.send_response(200)
                else:
                    mirror.refused += 1
                    self.send_response(503)
                self.send_header("Content-Type", "application/vnd.oci.image.index.v1+json")
                self.send_header("Content-Length", "0")
                self.send_header("Docker-Content-Digest", f"sha256:{'a' * 64}")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = Server(("127.0.0.1", 0), Handler)
        self.address = f"127.0.0.1:{self._server.server_port}"

    def run(self) -> None:
        """Answer, until the process ends."""
        self._server.serve_forever()
