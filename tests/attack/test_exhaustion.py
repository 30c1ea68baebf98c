"""A replica that gets no more memory or descriptors serves those it can, and then all again."""

from __future__ import annotations

import resource
from contextlib import ExitStack, contextmanager, suppress
from http.client import HTTPException, HTTPSConnection

import pytest

from tests.attack.target import JSON, attacked, review_of_images
from tests.tools.exhaustion import exhausted
from tests.tools.loopback import unverified

RULES = "rules: [{match: docker.io, mirrors: [harbor.example.com/hub]}]\n"
USUAL = review_of_images("nginx")
LARGE = b'{"a": "' + b"x" * (6 << 20) + b'"}'


@pytest.fixture
def webhook(tmp_path):
    with attacked(tmp_path, RULES) as webhook:
        yield webhook


@contextmanager
def connected(webhook, seconds=10):
    """Yield a connection of its own, which is closed whatever happens."""
    connection = HTTPSConnection(*webhook.address, timeout=seconds, context=unverified())
    try:
        yield connection
    finally:
        connection.close()


def begin(connection, body):
    """Send all of a request but its last byte."""
    with suppress(OSError):
        connection.putrequest("POST", "/mutate")
        connection.putheader("Content-Type", JSON["content-type"])
        connection.putheader("Content-Length", str(len(body)))
        connection.endheaders(body[:-1])


def status(connection, body, *, begun=False):
    """Return the status of an answer, or None if there is none."""
    if not begun:
        begin(connection, body)
    try:
        connection.send(body[-1:])
        response = connection.getresponse()
        response.read()
    except (OSError, HTTPException):
        return None
    return response.status


def ask(webhook, body):
    with connected(webhook) as connection:
        return status(connection, body)


def test_replica_without_memory_refuses_what_does_not_fit_and_recovers(webhook):
    # Together more than Python has in reserve, and within what the webhook accepts.
    with ExitStack() as stack:
        several = [stack.enter_context(connected(webhook)) for _ in range(4)]
        for connection in several:
            connection.connect()
        with exhausted(webhook.process.pid, resource.RLIMIT_DATA):
            for connection in several:
                begin(connection, LARGE)
            assert None in [status(connection, LARGE, begun=True) for connection in several]
    assert ask(webhook, USUAL) == 200
    assert ask(webhook, LARGE) == 400
    assert webhook.process.poll() is None


def test_replica_without_descriptors_answers_kept_connections_and_recovers(webhook):
    with connected(webhook) as kept:
        assert status(kept, USUAL) == 200
        with exhausted(webhook.process.pid, resource.RLIMIT_NOFILE):
            with connected(webhook, seconds=1) as fresh:
                assert status(fresh, USUAL) is None
            assert status(kept, USUAL) == 200
    assert ask(webhook, USUAL) == 200
