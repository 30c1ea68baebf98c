"""The head of a request is known again where nothing but the length of the body differs."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhook.server.heads import known_head

HEAD = b"POST /mutate?timeout=10s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\nAccept: */*\r\n\r\n"


def request(body):
    return HEAD % len(body) + body


def answer(body):
    return body


@given(first=st.binary(max_size=12_000), second=st.binary(max_size=12_000))
def test_the_body_is_what_stands_behind_the_head(first, second):
    known = known_head(request(first), answer)
    assert known is not None
    assert known.body_of(request(second)) == second
    assert known.answer is answer


KNOWN = known_head(request(b"{}"), answer)
OTHERS = {
    "more than the body": request(b"{}") + b"P",
    "less than the body": request(b"{}")[:-1],
    "two requests": request(b"{}") * 2,
    "a part of the head": request(b"{}")[:50],
    "nothing": b"",
    "another path": request(b"{}").replace(b"/mutate", b"/mutate/other"),
    "another case": request(b"{}").replace(b"Host", b"host"),
    "a field more": request(b"{}").replace(b"Accept", b"Expect: 100-continue\r\nAccept"),
    "a field less": request(b"{}").replace(b"Accept: */*\r\n", b""),
    "a field behind": request(b"{}").replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"),
    "no length": request(b"{}").replace(b": 2\r", b": \r"),
    "a length with a sign": request(b"{}").replace(b": 2\r", b": +2\r"),
    "a length with a space": request(b"{}").replace(b": 2\r", b": 2 \r"),
    "a length of no digits": request(b"{}").replace(b": 2\r", b": two\r"),
    "a length of other digits": request(b"{}").replace(b": 2\r", ": ²\r".encode("latin-1")),
    "a length without end": request(b"{}").replace(b": 2\r", b": %s2\r" % (b"0" * 9)),
}


@pytest.mark.parametrize("name", OTHERS)
def test_what_differs_in_more_than_the_length_is_not_known(name):
    assert KNOWN.body_of(request(b"[]")) == b"[]"
    assert KNOWN.body_of(OTHERS[name]) is None


UNUSUAL = {
    "another method": request(b"{}").replace(b"POST", b"PUT"),
    "an empty line before it": b"\r\n" + request(b"{}"),
    "the rest of another before it": b"{}" + request(b"{}"),
    "no length": request(b"{}").replace(b"Content-Length: 2\r\n", b""),
    "a length without space": request(b"{}").replace(b": 2\r", b":2\r"),
    "chunks": request(b"{}").replace(b"Content-Length: 2", b"Transfer-Encoding: chunked"),
    "no end": request(b"{}").replace(b"\r\n\r\n", b"\r\n"),
    "more than the body": request(b"{}") + b"{",
    "nothing": b"",
}


@pytest.mark.parametrize("name", UNUSUAL)
def test_of_an_unusual_request_no_head_is_known(name):
    assert known_head(UNUSUAL[name], answer) is None
