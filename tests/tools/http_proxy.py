"""An HTTP proxy on loopback that knows hosts which DNS does not."""

from __future__ import annotations

import base64
import socket
import ssl
from contextlib import contextmanager, suppress
from threading import Thread
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["HTTPProxy", "http_proxy"]


class HTTPProxy:
    """A proxy for CONNECT and for requests with whole URLs.

    Attributes:
        address: Its ``host:port``.
        hosts: What it connects to, by the ``host:port`` that it is asked for.
        login: ``user:password`` that it requires; empty for none.
        heads: The first lines of the requests that it received.
    """

    def __init__(self, hosts: dict[str, str], login: str, tls: ssl.SSLContext | None) -> None:
        self.hosts = hosts
        self._tls = tls
        self.login = login
        self.heads: list[str] = []
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listening.getsockname()[1]}"
        Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        with suppress(OSError):
            self._listening.shutdown(socket.SHUT_RDWR)
        self._listening.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        if self._tls is not None:
            client = self._tls.wrap_socket(client, server_side=True, do_handshake_on_connect=False)
        with client, suppress(OSError):
            if isinstance(client, ssl.SSLSocket):
                try:
                    client.do_handshake()
                except ssl.SSLError:
                    # Closed with something unread, it would take the alert from the client.
                    client.shutdown(socket.SHUT_WR)
                    while socket.socket.recv(client, 65536):
                        pass
                    return
            head = b""
            while b"\r\n\r\n" not in head:
                part = client.recv(65536)
                if not part:
                    return
                head += part
            first = head.split(b"\r\n")[0].decode()
            self.heads.append(first)
            method, url, _ = first.split(" ")
            wanted = f"Basic {base64.b64encode(self.login.encode()).decode()}"
            if self.login and f"Proxy-Authorization: {wanted}".encode() not in head:
                client.sendall(b"HTTP/1.1 407 s3cr3t\r\nContent-Length: 0\r\n\r\n")
                return
            target = url if method == "CONNECT" else url.split("/")[2]
            host, _, port = self.hosts.get(target, "").partition(":")
            if not host:
                client.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")
                return
            with socket.create_connection((host, int(port))) as upstream:
                if method == "CONNECT":
                    client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                else:
                    upstream.sendall(head.replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
                Thread(target=self._copy, args=(client, upstream), daemon=True).start()
                self._copy(upstream, client)

    def _copy(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
            target.shutdown(socket.SHUT_WR)


@contextmanager
def http_proxy(
    hosts: dict[str, str], login: str = "", tls: ssl.SSLContext | None = None
) -> Iterator[HTTPProxy]:
    """Run a proxy until the end of the block.

    Args:
        hosts: What it connects to, by the ``host:port`` that it is asked for.
        login: ``user:password`` that it requires; empty for none.
        tls: Its certificate, if clients reach it over TLS.
    """
    proxy = HTTPProxy(hosts, login, tls)
    try:
        yield proxy
    finally:
        proxy.close()
