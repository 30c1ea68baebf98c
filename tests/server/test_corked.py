"""An answer leaves in one piece, whatever is written of it."""

from __future__ import annotations

import pytest

from webhook.server.corked import Corked

HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n"
CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Transport:
    def __init__(self):
        self.written = []
        self.closed = False

    def write(self, data):
        assert not self.closed
        self.written.append(data)

    def close(self):
        self.closed = True

    def is_closing(self):
        return self.closed


@pytest.mark.parametrize(
    ("parts", "written"),
    [
        ([HEAD, b"ok"], [HEAD + b"ok"]),
        ([HEAD, b""], [HEAD]),
        ([HEAD, b"a", b"b", b"c"], [HEAD + b"a", b"b", b"c"]),
        ([CONTINUE, HEAD, b"ok"], [CONTINUE, HEAD + b"ok"]),
        ([CONTINUE], [CONTINUE]),
        ([HEAD], []),
        ([], []),
    ],
)
def test_the_head_waits_for_the_first_of_the_body(parts, written):
    transport = Transport()
    corked = Corked(transport)
    for part in parts:
        corked.write(part)
    assert transport.written == written


@pytest.mark.parametrize("parts", [[HEAD], [HEAD, b"ok"], [CONTINUE, HEAD], []])
def test_nothing_is_lost_when_the_connection_is_closed(parts):
    transport = Transport()
    corked = Corked(transport)
    for part in parts:
        corked.write(part)
    corked.close()
    assert b"".join(transport.written) == b"".join(parts)
    assert corked.is_closing()
