"""A proxy in front of a registry that simulates faults of registries."""

from __future__ import annotations

import socket
import struct
from contextlib import contextmanager, suppress
from threading import Event, Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["UNKNOWN_HOST", "FaultyProxy", "faulty_proxy", "has_dns", "unused_port"]

# A name that never exists (RFC 6761).
UNKNOWN_HOST = "no-such-host.invalid"

DIGEST = "sha256:" + "f" * 64
KIND = "application/vnd.oci.image.manifest.v1+json"
# Responses that it sends instead of the registry's.
ANSWERS = {
    "fails": "503 Service Unavailable\r\nContent-Length: 0",
    "limits": "429 Too Many Requests\r\nContent-Length: 0",
    "page": "200 OK\r\nContent-Type: text/html\r\nContent-Length: 0",
    "lies": f"200 OK\r\nContent-Type: {KIND}\r\nDocker-Content-Digest: {DIGEST}\r\n"
    "Content-Length: 0",
    "garbles": "I am no HTTP",
}
DRIP_SECONDS = 0.2
_taken: list[socket.socket] = []
RESET_ON_CLOSE = struct.pack("ii", 1, 0)  # SO_LINGER with a timeout of 0


class FaultyProxy:
    """A proxy on loopback.

    Attributes:
        mode: What it does with a request: ``passes``, ``hangs``, ``drips``,
            ``resets``, or one of ANSWERS.
        cuts: How many connections it breaks while it passes data.
        cut_after: After how many bytes in one direction it breaks them.
        cut_by: How it breaks them: ``resets``, or ``drips`` the rest.
        then: Its mode after it broke a connection.
        connections: The number of connections so far.
        heads: The requests that it received.
    """

    def __init__(self, upstream: str = "") -> None:
        self.upstream = upstream
        self.mode = "passes"
        self.cuts = 0
        self.cut_after = 300_000
        self.cut_by = "resets"
        self.then = "passes"
        self.connections = 0
        self.heads: list[bytes] = []
        self._ended = Event()
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.address = f"127.0.0.1:{self._listening.getsockname()[1]}"
        Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._ended.set()
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self) -> None:
        while not self._ended.is_set():
            try:
                client, _ = self._listening.accept()
            except OSError:
                return
            self.connections += 1
            Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            while head := client.recv(65536):
                self.heads.append(head)
                mode = self.mode
                if mode == "passes":
                    self._passed(client, head)
                elif mode == "hangs":
                    self._ended.wait()
                elif mode == "drips":
                    self._dripped(client)
                elif mode == "resets":
                    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
                    return
                else:
                    client.sendall(f"HTTP/1.1 {ANSWERS[mode]}\r\n\r\n".encode())

    def _passed(self, client: socket.socket, head: bytes) -> None:
        host, _, port = self.upstream.partition(":")
        with socket.create_connection((host, int(port))) as upstream:
            first, _, rest = head.partition(b"\r\n")
            upstream.sendall(first + b"\r\nConnection: close\r\n" + rest)
            Thread(target=self._carried, args=(client, upstream), daemon=True).start()
            self._carried(upstream, client)
        client.shutdown(socket.SHUT_WR)

    def _carried(self, one: socket.socket, other: socket.socket) -> None:
        """Copy data from one connection to the other, or break both on the way."""
        count = 0
        with suppress(OSError):
            while data := one.recv(65536):
                count += len(data)
                if self.cuts and count > self.cut_after:
                    self.cuts -= 1
                    self.mode = self.then
                    self._cut(other, data)
                    for each in (one, other):
                        each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET_ON_CLOSE)
                        each.shutdown(socket.SHUT_RDWR)
                    return
                other.sendall(data)

    def _cut(self, end: socket.socket, data: bytes) -> None:
        if self.cut_by == "drips":
            for number in data:
                end.sendall(bytes([number]))
                if self._ended.wait(DRIP_SECONDS):
                    return

    def _dripped(self, client: socket.socket) -> None:
        for letter in f"HTTP/1.1 {ANSWERS['lies']}\r\n\r\n":
            client.sendall(letter.encode())
            if self._ended.wait(DRIP_SECONDS):
                return


@contextmanager
def faulty_proxy(upstream: str = "") -> Iterator[FaultyProxy]:
    """Run a proxy until the end of the block.

    Args:
        upstream: ``host:port`` of the registry behind it.
    """
    proxy = FaultyProxy(upstream)
    try:
        yield proxy
    finally:
        proxy.close()


def unused_port() -> str:
    """Return an address on which nothing listens, now and until the end of the tests."""
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    _taken.append(taken)
    return f"127.0.0.1:{taken.getsockname()[1]}"


def has_dns() -> bool:
    """Return whether DNS answers that a name does not exist, as it does not on every machine."""
    try:
        socket.getaddrinfo(UNKNOWN_HOST, 443)
    except socket.gaierror as error:
        return error.errno == socket.EAI_NONAME
    return False
