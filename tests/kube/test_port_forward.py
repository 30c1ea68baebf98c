"""Reading the certificate of a Pod through a forwarded port, as the API server serves it."""

from __future__ import annotations

import base64
import hashlib
import json
import socket
import ssl
import struct
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from threading import Thread

import pytest

from webhook.kube import UnavailableError, open_client
from webhook.tls.ca import create_ca

HOST = "mirrorhook.mirrorhook.svc"
PORT = 8443
GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455, 1.3
AUTHORITY = create_ca("ours", datetime.now(UTC), timedelta(days=1))
STRANGER = create_ca("stranger", datetime.now(UTC), timedelta(days=1))


def served(lifetime=timedelta(hours=1), names=(HOST,), since=timedelta()):
    return AUTHORITY.issue(list(names), datetime.now(UTC) - since, lifetime)


class Forwarder:
    """A websocket that leads to a TLS server, message by message.

    Args:
        folder: For the files of the server.
        certificate: What it serves with.
        ending: ``refuse`` and ``drop`` the connection, or send an ``error`` of the node.
    """

    def __init__(self, folder, certificate, ending=""):
        (folder / "crt").write_bytes(certificate.chain)
        (folder / "key").write_bytes(certificate.key)
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(folder / "crt", folder / "key")
        self.ending = ending
        self.requests = []
        self.handshakes = 0

    def serve(self, connection):
        with connection, connection.makefile("rb") as stream:
            head = {}
            self.requests.append(stream.readline().decode().split()[1])
            while line := stream.readline().strip():
                name, _, value = line.decode().partition(": ")
                head[name.lower()] = value
            if self.ending == "refuse":
                connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
                return
            digest = hashlib.sha1((head["sec-websocket-key"] + GUID).encode()).digest()
            connection.sendall(
                b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                b"Connection: Upgrade\r\nSec-WebSocket-Protocol: v4.channel.k8s.io\r\n"
                b"Sec-WebSocket-Accept: " + base64.b64encode(digest) + b"\r\n\r\n"
            )
            for channel in b"\0\1":
                self.send(connection, bytes([channel]) + struct.pack("<H", PORT))
            if self.ending == "error":
                self.send(connection, b"\1nothing listens there")
            elif self.ending == "drop":
                connection.shutdown(socket.SHUT_RDWR)
            else:
                with suppress(ConnectionError):  # the client leaves when it has what it wants
                    self.shake_hands(connection, stream)
            with suppress(ConnectionError):
                stream.read()

    def shake_hands(self, connection, stream):
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        server = self.context.wrap_bio(incoming, outgoing, server_side=True)
        while message := self.receive(stream):
            assert message[:1] == b"\0"
            incoming.write(message[1:])
            try:
                server.do_handshake()
                self.handshakes += 1
            except ssl.SSLWantReadError:
                pass
            finally:
                data = outgoing.read()
                for start in range(0, len(data), 500):  # as small as on the way from a node
                    self.send(connection, b"\0" + data[start : start + 500])

    def send(self, connection, message):
        connection.sendall(struct.pack(">BBH", 0x82, 126, len(message)) + message)

    def receive(self, stream):
        kind, size = stream.read(2) or b"\x88\0"
        if kind != 0x82:
            return b""
        size &= 0x7F
        size = struct.unpack(">H", stream.read(2))[0] if size == 126 else size
        mask = stream.read(4)
        return bytes(c ^ mask[n % 4] for n, c in enumerate(stream.read(size)))


@contextmanager
def forwarding(folder, certificate, ending=""):
    """A client of an API server that forwards ports."""
    forwarder = Forwarder(folder, certificate, ending)
    with socket.create_server(("127.0.0.1", 0)) as listening:
        address = f"http://127.0.0.1:{listening.getsockname()[1]}"
        thread = Thread(target=lambda: forwarder.serve(listening.accept()[0]))
        thread.start()
        content = {
            "current-context": "t",
            "clusters": [{"name": "t", "cluster": {"server": address}}],
            "users": [{"name": "t", "user": {"token": "secret"}}],
            "contexts": [{"name": "t", "context": {"cluster": "t", "user": "t"}}],
        }
        (folder / "kubeconfig").write_text(json.dumps(content))
        yield open_client(folder / "kubeconfig"), forwarder
        thread.join(5)
        assert not thread.is_alive()


def read(reader, authority=AUTHORITY):
    return reader.get_pod_certificate("n", "p", PORT, HOST, authority.pem)


def test_certificate_of_a_pod_is_read_and_verified(tmp_path):
    certificate = served()
    with forwarding(tmp_path, certificate) as (reader, forwarder):
        assert read(reader).strip() in certificate.chain
    assert forwarder.handshakes == 1
    assert forwarder.requests == [f"/api/v1/namespaces/n/pods/p/portforward?ports={PORT}"]


@pytest.mark.parametrize(
    ("certificate", "authority", "words"),
    [
        (served(), STRANGER, "unable to get local issuer certificate"),
        (served(since=timedelta(hours=2)), AUTHORITY, "certificate has expired"),
        (served(names=["other.example"]), AUTHORITY, "Hostname mismatch"),
    ],
)
def test_untrusted_certificate_raises_what_is_wrong(tmp_path, certificate, authority, words):
    with (
        forwarding(tmp_path, certificate) as (reader, _),
        pytest.raises(ssl.SSLCertVerificationError) as raised,
    ):
        read(reader, authority)
    assert words in raised.value.verify_message


@pytest.mark.parametrize(
    ("ending", "words"),
    [("refuse", "403"), ("error", "nothing listens there"), ("drop", "")],
)
def test_port_that_cannot_be_forwarded_is_unavailable(tmp_path, ending, words, capfd):
    with (
        forwarding(tmp_path, served(), ending) as (reader, _),
        pytest.raises(UnavailableError, match="cannot reach port 8443 of Pod n/p") as raised,
    ):
        read(reader)
    assert words in str(raised.value)
    assert "Traceback" not in capfd.readouterr().err
