"""What one connection sends cannot change the meaning of what follows, or of what another sends."""

from __future__ import annotations

import json
import random
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from tests.attack.target import attacked, connect, review_of_images

RULES = """rules: [{match: docker.io, mirrors: [harbor.example.com/hub]}]
policies: {other: {rules: [{match: docker.io, mirrors: [harbor.example.com/other]}]}}
"""
REVIEW = review_of_images("nginx:1")
JSON = "content-type: application/json"
LENGTH = f"content-length: {len(REVIEW)}"
CHUNKED = "transfer-encoding: chunked"
CHUNK = b"%x\r\n%s\r\n" % (len(REVIEW), REVIEW)
LAST = b"0\r\n\r\n"
SMUGGLED = b"POST /mutate/smuggled HTTP/1.1\r\nhost: x\r\n\r\n"


@pytest.fixture(scope="module")
def webhook(tmp_path_factory):
    with attacked(tmp_path_factory.mktemp("http"), RULES) as webhook:
        yield webhook


def build(body, *fields, line="POST /mutate HTTP/1.1", host="host: x", end="\r\n"):
    head = [line, *([host] if host else []), *fields]
    return end.join(head).encode("latin-1") + 2 * end.encode() + body


def post(*fields, **options):
    """Return a review with its length, and then what would be a request of its own."""
    return build(REVIEW, JSON, LENGTH, *fields, **options)


def exchange(webhook, sent, cuts=()):
    """Send bytes in parts, and return all that comes back before the connection ends."""
    with connect(webhook) as connection:
        connection.settimeout(15)
        ends = [*sorted(cuts), len(sent)]
        for start, end in zip([0, *ends], ends, strict=False):
            connection.sendall(sent[start:end])
            if cuts:
                time.sleep(0.002)
        received = b""
        try:
            while part := connection.recv(65536):
                received += part
        except (ConnectionResetError, TimeoutError):
            pass
        return received


def statuses(received):
    return [int(part[:3]) for part in received.split(b"HTTP/1.1 ")[1:]]


CLOSE = "connection: close"
REQUESTS = {
    "a review": (post(CLOSE), 200),
    "a review in chunks": (build(CHUNK + LAST, JSON, CHUNKED, CLOSE), 200),
    "chunk extensions": (
        build(CHUNK.replace(b"\r\n", b';a=b;c="d"\r\n', 1) + LAST, JSON, CHUNKED, CLOSE),
        200,
    ),
    "a trailer": (
        build(CHUNK + b"0\r\ncontent-type: text/plain\r\n\r\n", JSON, CHUNKED, CLOSE),
        200,
    ),
    "a type in the trailer alone": (
        build(CHUNK + b"0\r\ncontent-type: application/json\r\n\r\n", CHUNKED, CLOSE),
        415,
    ),
    "a length in the trailer": (
        build(CHUNK + b"0\r\ncontent-length: 5\r\n\r\n" + SMUGGLED, JSON, CHUNKED),
        400,
    ),
    "two lengths": (build(REVIEW + SMUGGLED, JSON, LENGTH, "content-length: 0"), 400),
    "one length twice": (build(REVIEW + SMUGGLED, JSON, LENGTH, LENGTH), 400),
    "a list of lengths": (build(REVIEW, JSON, f"{LENGTH}, {len(REVIEW)}"), 400),
    "a signed length": (build(REVIEW, JSON, f"content-length: +{len(REVIEW)}"), 400),
    "a space before the colon": (build(REVIEW, JSON, f"content-length : {len(REVIEW)}"), 400),
    "chunks and a length": (build(LAST + SMUGGLED, JSON, CHUNKED, LENGTH), 400),
    "a length and chunks": (build(LAST + SMUGGLED, JSON, LENGTH, CHUNKED), 400),
    "chunks twice": (build(CHUNK + LAST, JSON, CHUNKED, CHUNKED), 400),
    "another coding": (build(REVIEW, JSON, "transfer-encoding: identity"), 501),
    "another coding of chunks": (
        build(CHUNK + LAST, JSON, "transfer-encoding: gzip, chunked"),
        501,
    ),
    "a coding that is no name": (build(CHUNK + LAST, JSON, "transfer-encoding: \x0bchunked"), 400),
    "a size of a chunk that is no number": (build(b"0x2\r\n{}\r\n" + LAST, JSON, CHUNKED), 400),
    "a chunk that is longer than its size": (build(b"1\r\n{}\r\n" + LAST, JSON, CHUNKED), 400),
    "bare line feeds": (build(REVIEW, JSON, LENGTH, end="\n"), 400),
    "bare line feeds of chunks": (build(b"2\n{}\n0\n\n", JSON, CHUNKED), 400),
    "bare carriage returns": (build(REVIEW, f"{JSON}\r{LENGTH}"), 400),
    "a folded field": (post("a: b\r\n c"), 400),
    "a folded coding": (build(LAST, JSON, "transfer-encoding:\r\n chunked"), 400),
    "a null in a field": (post("a: \0"), 400),
    "a field without a colon": (post("abc"), 400),
    "no host": (post(host=""), 400),
    "two hosts": (post("host: y"), 400),
    "no host in HTTP/1.0": (post(host="", line="POST /mutate HTTP/1.0"), 200),
    "HTTP/2.0": (post(line="POST /mutate HTTP/2.0"), 505),
    "HTTP/0.9": (post(line="POST /mutate HTTP/0.9"), 505),
    "HTTP/1.2": (post(line="POST /mutate HTTP/1.2"), 400),
    "a method in lower case": (post(line="post /mutate HTTP/1.1"), 400),
    "an unknown method": (post(line="REVIEW /mutate HTTP/1.1"), 400),
    "another method": (post(CLOSE, line="PUT /mutate HTTP/1.1"), 405),
    "CONNECT": (post(line="CONNECT x:443 HTTP/1.1"), 400),
    "an absolute target": (post(CLOSE, line="POST http://y/mutate HTTP/1.1"), 200),
    "an absolute target without a path": (post(line="POST http://y HTTP/1.1"), 400),
    "a fragment": (post(line="POST /mutate#a HTTP/1.1"), 400),
    "a policy": (post(CLOSE, line="POST /mutate/other HTTP/1.1"), 200),
    "two slashes": (post(CLOSE, line="POST //mutate HTTP/1.1"), 404),
    "a slash behind": (post(CLOSE, line="POST /mutate/ HTTP/1.1"), 404),
    "an encoded slash": (post(CLOSE, line="POST /mutate%2Fother HTTP/1.1"), 404),
    "an encoded letter": (post(CLOSE, line="POST /mutate/%6fther HTTP/1.1"), 404),
    "dots": (post(CLOSE, line="POST /mutate/../mutate HTTP/1.1"), 404),
    "encoded dots": (post(CLOSE, line="POST /mutate/%2e%2e/mutate HTTP/1.1"), 404),
    "two types": (build(REVIEW, JSON, "content-type: text/plain", LENGTH, CLOSE), 415),
    "two types the other way": (
        build(REVIEW, "content-type: text/plain", JSON, LENGTH, CLOSE),
        415,
    ),
    "one type twice": (post(JSON, CLOSE), 415),
    "a type with two parts": (
        build(REVIEW, f"{JSON}; charset=utf-8, text/plain", LENGTH, CLOSE),
        415,
    ),
    "a type with a parameter": (build(REVIEW, f"{JSON}; charset=utf-8", LENGTH, CLOSE), 200),
    "many fields": (post(*[f"a{n}: b" for n in range(90)], CLOSE), 200),
    "too many fields": (post(*[f"a{n}: b" for n in range(101)]), 431),
    "a long field": (post(f"a: {'b' * 70_000}"), 431),
    "Expect with another value": (post("expect: 200-ok", CLOSE), 200),
    "an upgrade": (post("connection: upgrade", "upgrade: h2c"), 200),
    "an upgrade in chunks": (
        build(CHUNK + LAST, JSON, CHUNKED, "connection: upgrade", "upgrade: websocket"),
        200,
    ),
}


@pytest.mark.parametrize(("sent", "status"), REQUESTS.values(), ids=REQUESTS)
def test_request_has_one_meaning_wherever_it_is_split(webhook, sent, status):
    generator = random.Random(16)
    splits = [(), (1,), (len(sent) - 1,)]
    splits += [sorted(generator.sample(range(1, len(sent)), 3)) for _ in range(3)]
    with ThreadPoolExecutor() as threads:
        answers = threads.map(lambda cuts: exchange(webhook, sent, cuts), splits)
    for cuts, received in zip(splits, answers, strict=True):
        assert statuses(received) == [status], (cuts, received)
        body = json.loads(received.rpartition(b"\r\n\r\n")[2])
        assert body["kind"] == ("AdmissionReview" if status == 200 else "Status")
        assert status != 200 or body["response"]["patchType"] == "JSONPatch"


@pytest.mark.parametrize("junk", [b"GARBAGE\r\n\r\n", b"POST /mutate HTTP/1.1\r\na b: c\r\n\r\n"])
def test_malformed_request_is_answered_after_the_one_ahead_of_it(webhook, junk):
    for cuts in [(), (10,), (len(post()),), (len(post()) + 3,)]:
        assert statuses(exchange(webhook, post() + junk, cuts)) == [200, 400], cuts
        assert statuses(exchange(webhook, post() * 3 + junk, cuts)) == [200, 200, 200, 400], cuts


def test_malformed_body_is_answered_after_the_request_ahead_of_it(webhook):
    broken = build(b"zz\r\n", JSON, CHUNKED)
    for cuts in [(), (len(post()) + 20,)]:
        assert statuses(exchange(webhook, post() + broken, cuts)) == [200, 400], cuts


def test_pipelined_reviews_are_answered_in_their_order(webhook):
    reviews = [REVIEW.replace(b'"uid":"1"', b'"uid":"%d"' % (100 + n)) for n in range(50)]
    fields = [JSON, f"content-length: {len(reviews[0])}"]
    sent = b"".join(build(each, *fields) for each in reviews[:-1])
    received = exchange(webhook, sent + build(reviews[-1], *fields, CLOSE))
    answers = [part.partition(b"\r\n\r\n")[2] for part in received.split(b"HTTP/1.1 ")[1:]]
    assert [json.loads(each)["response"]["uid"] for each in answers] == [
        str(100 + n) for n in range(50)
    ]
