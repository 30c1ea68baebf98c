"""The end of the process: no request is lost."""

from __future__ import annotations

import json
import signal
import socket
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.server.process import JSON, serving, until
from tests.tools.loopback import unverified

DRAIN = 1.5


def steady(webhook, body, ended, answered):
    """Send reviews over one kept connection, as the API server does, and say so."""
    with webhook.client() as client:
        while not ended.is_set():
            answer = client.post("/mutate", content=body, headers=JSON)
            assert answer.json()["response"]["patch"]
            answered()


def fresh(webhook, body, ended, answered):
    """Send each review over a connection of its own, and say so."""
    while not ended.is_set():
        assert webhook.review(body).json()["response"]["patch"]
        answered()


def test_shutdown_loses_no_review(rules, review_of):
    body = review_of("nginx")
    ended = threading.Event()
    counts = [0] * 6

    def counting(number):
        def answered():
            counts[number] += 1

        return answered

    with (
        serving(rules, "--drain", str(DRAIN)) as webhook,
        ThreadPoolExecutor(6) as pool,
    ):
        clients = [
            pool.submit(client, webhook, body, ended, counting(number))
            for number, client in enumerate((steady,) * 3 + (fresh,) * 3)
        ]
        until(lambda: min(counts) > 0, "an answer to each client")
        webhook.process.send_signal(signal.SIGTERM)
        # Endpoints are withdrawn while the replica drains, and not at once.
        ended.wait(DRAIN / 2)
        ended.set()
        for client in clients:
            client.result()
        assert webhook.process.wait(20) == 0
    assert [line["event"] for line in webhook.log[-2:]][-1] == "shut down"


def test_draining_replica_is_not_ready_and_closes_connections(rules, review_of):
    with serving(rules, "--drain", str(DRAIN)) as webhook:
        with webhook.client() as client:
            before = client.post("/mutate", content=review_of("nginx"), headers=JSON)
            webhook.process.send_signal(signal.SIGTERM)
            webhook.wait_for("shutting down")
            ready = webhook.ask("/readyz")
            after = client.post("/mutate", content=review_of("nginx"), headers=JSON)
        assert webhook.ask("/healthz").status_code == 200
    assert "connection" not in before.headers
    assert after.headers["connection"] == "close"
    assert after.status_code == 200
    assert (ready.status_code, ready.text) == (503, "server: it is shutting down\n")


def whole(connection):
    """Read one answer, which may come in several pieces."""
    answer = b""
    while not answer.endswith(b"}}"):
        answer += connection.recv(65536)
    return answer


@pytest.mark.parametrize("kept", [False, True], ids=["a new connection", "a kept one"])
def test_shutdown_answers_a_request_that_is_still_arriving(rules, review_of, kept):
    body = review_of("nginx")
    head = b"POST /mutate HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
    request = head + b"content-length: %d\r\n\r\n" % len(body) + body
    with (
        serving(rules) as webhook,
        socket.create_connection(webhook.address) as plain,
        unverified().wrap_socket(plain) as connection,
    ):
        if kept:
            connection.sendall(request)
            assert whole(connection).startswith(b"HTTP/1.1 200")
        connection.sendall(request[:20])  # within the head
        time.sleep(0.2)
        webhook.process.send_signal(signal.SIGTERM)
        webhook.wait_for("shutting down")
        time.sleep(0.5)
        connection.sendall(request[20:])
        answer = whole(connection)
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"connection: close" in answer
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["response"]["patch"]


def test_second_signal_ends_the_drain(rules):
    with serving(rules, "--drain", "20") as webhook:
        webhook.process.send_signal(signal.SIGTERM)
        webhook.wait_for("shutting down")
        began = time.monotonic()
        webhook.process.send_signal(signal.SIGTERM)
        assert webhook.process.wait(20) == 0
        assert time.monotonic() - began < 15


def test_ctrl_c_skips_the_drain(rules):
    with serving(rules, "--drain", "20") as webhook:
        began = time.monotonic()
        assert webhook.stop(signal.SIGINT) == 0
        assert time.monotonic() - began < 15


def test_port_refuses_connections_after_shutdown(rules):
    with serving(rules) as webhook:
        assert webhook.stop() == 0
        with pytest.raises(httpx.ConnectError):
            webhook.ask("/healthz")
        until(lambda: webhook.logged("shut down"))
