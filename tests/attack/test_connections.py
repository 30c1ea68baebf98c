"""A flood of connections leaves a replica its memory, and others their connections."""

from __future__ import annotations

import socket
import time
from contextlib import ExitStack, contextmanager, suppress
from urllib.parse import urlsplit

import pytest

from tests.attack.target import (
    JSON,
    attacked,
    connect,
    resident_mebibytes,
    review_of_images,
    watched,
)

ONE_RULE = "rules: [{match: docker.io, mirrors: [harbor.example.com/hub]}]\n"
FLOOD = 450
HEAD = b"POST /mutate HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
LARGE = b"content-length: 2000000\r\n\r\n" + b" " * 200_000
KINDS = {
    "silent before TLS": None,
    "without a request": b"",
    "unfinished heads": HEAD + b"a: " + b"x" * 60_000,
    "unfinished bodies": HEAD + LARGE,
    "requests in a row": b"GET / HTTP/1.1\r\nhost: x\r\n\r\n" * 1000,
}


@contextmanager
def flooded(open_one, count=FLOOD):
    """Open connections until the end of the block."""
    with ExitStack() as held:
        for number in range(count):
            with suppress(OSError):
                held.enter_context(open_one(f"127.0.{1 + number % 4}.1"))
        yield


@pytest.mark.parametrize(("kind", "sent"), KINDS.items(), ids=KINDS)
def test_flood_fills_no_memory_and_starves_nobody(tmp_path, figure, kind, sent):
    with attacked(tmp_path, ONE_RULE) as webhook:

        def open_one(source):
            if sent is None:
                return socket.create_connection(webhook.address, 5, source_address=(source, 0))
            connection = connect(webhook, source)
            connection.settimeout(5)
            with suppress(OSError):
                connection.sendall(sent)
            return connection

        body = review_of_images("nginx:1")
        with webhook.client() as ours, watched(webhook) as bystander:
            assert ours.post("/mutate", content=body, headers=JSON).status_code == 200
            with flooded(open_one):
                time.sleep(1)
                assert ours.post("/mutate", content=body, headers=JSON).status_code == 200
                size = resident_mebibytes(webhook.process)
        assert bystander.failures == []
        figure(f"6  {FLOOD} connections {kind}: memory", size, 200, "MiB")
        figure(f"6  {FLOOD} connections {kind}: others wait", bystander.worst, 100, "ms")
        if kind == "silent before TLS":
            assert webhook.metric('mirrorhook_connections_closed_total{reason="full"}') > 0


def test_flood_of_the_operations_port_fills_no_memory(tmp_path, figure):
    with attacked(tmp_path, ONE_RULE) as webhook:
        url = urlsplit(webhook.operations)
        before = resident_mebibytes(webhook.process)

        def open_one(source):
            there = (url.hostname, url.port)
            connection = socket.create_connection(there, 5, source_address=(source, 0))
            with suppress(OSError):
                connection.sendall(b"GET /healthz HTTP/1.1\r\nhost: x\r\na: " + b"x" * 15_000)
            return connection

        with watched(webhook) as bystander, flooded(open_one, 1500):
            time.sleep(0.5)
            size = resident_mebibytes(webhook.process) - before
            assert webhook.ask("/healthz").status_code == 200
        assert bystander.failures == []
        figure(
            "6  1,500 unfinished heads at the operations port: others wait",
            bystander.worst,
            100,
            "ms",
        )
        figure("6  1,500 unfinished heads at the operations port: growth", size, 60, "MiB")
