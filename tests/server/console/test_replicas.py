"""All replicas, each asked over a real socket."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from tests.server.console.conftest import Console
from tests.server.console.test_page import Page
from tests.server.console.test_reasons import CHINESE
from webhook import __version__
from webhook.kube import Endpoint, ForbiddenError
from webhook.server.console import replicas
from webhook.server.console.reasons import translate_reason
from webhook.server.console.replicas import MAX_ANSWER, _fetch
from webhook.tls import CertificateError, ManagedCertificate, Seal
from webhook.tls.ca import create_ca

pytestmark = pytest.mark.anyio
OURS = Endpoint("mirrorhook-7d4b9-x2x7k", "10.1.0.1", 8080)
PLACE = ManagedCertificate("system", "ca", "system", "mirrorhook", "mirrorhook.system")


@asynccontextmanager
async def replica(answer, name="mirrorhook-7d4b9-other"):
    """A server at loopback that answers every request with these bytes, or never if None."""

    async def serve(reader, writer):
        asked.append(await reader.readuntil(b"\r\n\r\n"))
        if answer is None:
            await reader.read()
        else:
            writer.write(answer)
        writer.close()

    asked = []
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        endpoint = Endpoint(name, "127.0.0.1", port)
        yield endpoint, asked


def saying(**changes):
    """Return the answer of a replica with the state of the console's own, except for *changes*."""
    state = {
        "identity": "other",
        "name": "other",
        "version": __version__,
        "started": "2027-01-15T08:00:00Z",
        "ready": True,
        "problems": [],
        "rules": {"digest": "0" * 12, "loaded": "2027-01-15T08:00:00Z", "refused": False},
        "certificate_expires": "2027-03-01T00:00:00Z",
    }
    return b"HTTP/1.1 200 OK\r\n\r\n" + json.dumps(state | changes).encode()


class Cluster:
    """An API server that knows the Pods of the Service, or fails."""

    def __init__(self, *endpoints, error=None):
        self.endpoints, self.error, self.finds = endpoints, error, 0

    async def list_endpoints(self, namespace, service, port):
        assert (namespace, service, port) == ("system", "mirrorhook", "operations")
        self.finds += 1
        if self.error:
            raise self.error
        return self.endpoints


def found(console, *endpoints, error=None):
    console.cluster = Cluster(*endpoints, error=error)
    console.directory.managed, console.directory._cluster = PLACE, None
    console.directory.connect = lambda: console.cluster


def same_rules(console):
    rules = console.views.get_replica_state().rules
    return {
        "digest": rules.digest,
        "loaded": rules.loaded.isoformat(),
        "refused": rules.refused,
    }


async def read(console, lang="en"):
    return Page(await console.text(lang=lang)).text


async def test_replica_reports_its_state_without_any_rule(console):
    console.readiness.hold("certificate", "it has not been issued yet")
    console.rules.refused = ("rules.yaml:1: no such key h.example/hub",)
    console.review("nginx")
    answered = await console.ask("/replica", client="10.244.1.7", host="10.244.1.8:8080")
    shown = answered.json()
    assert shown.pop("identity") == console.views.identity
    assert shown.pop("rules") == {
        "digest": console.rules.configuration.digest[:12],
        "loaded": "2027-01-15T08:00:00Z",
        "refused": True,
    }
    assert shown == {
        "name": "mirrorhook-7d4b9-x2x7k",
        "version": __version__,
        "started": "2027-01-15T08:00:00Z",
        "ready": False,
        "problems": ["certificate: it has not been issued yet"],
        "certificate_expires": "2027-03-01T00:00:00Z",
    }
    assert "example" not in answered.text


async def test_replicas_are_listed_with_their_states(console):
    async with replica(saying(rules=same_rules(console))) as (other, asked):
        found(console, OURS, other)
        shown = await console.json("/api/replicas")
        text = await read(console)
    first, second = shown["replicas"]
    assert (shown["complete"], shown["reason"], shown["differences"]) == (True, "", [])
    assert [(r["name"], r["this"], r["status"]) for r in shown["replicas"]] == [
        (other.pod, False, "ready"),
        (OURS.pod, True, "ready"),
    ]
    assert first["address"] == f"127.0.0.1:{other.port}"
    assert first["state"]["certificate_expires"] == "2027-03-01T00:00:00Z"
    assert second["state"]["rules"]["digest"] == console.views.get_replica_state().rules.digest
    assert "All 2 replicas have the same version and the same rules." in text
    assert other.pod in text
    # The page came within two seconds of the JSON.
    assert len([each for each in asked if b"GET /replica HTTP" in each]) == 1


async def test_replicas_include_a_real_one(console, webhook):
    address = httpx.URL(webhook.operations)
    found(console, OURS, Endpoint("real", address.host, address.port))
    (_, real) = (await console.json("/api/replicas"))["replicas"]
    assert (real["name"], real["status"]) == ("real", "ready")
    state = webhook.ask("/api/state").json()
    assert real["state"]["name"] == state["replica"]
    assert real["state"]["rules"]["digest"] == state["rules"]["digest"]
    assert real["state"]["certificate_expires"] == state["certificate"]["expires"]
    assert webhook.ask("/api/replicas").json()["complete"] is False


OLDER = "version", saying(version="0.0.9"), "Versions differ: a rolling update"
BEHIND = "rules", saying(), "Rules differ: a change of the file is still spreading"


@pytest.mark.parametrize(("aspect", "answer", "sentence"), [OLDER, BEHIND])
async def test_replicas_that_differ_are_reported(console, aspect, answer, sentence):
    async with replica(answer) as (other, _):
        found(console, OURS, other)
        assert aspect in (await console.json("/api/replicas"))["differences"]
        text = await read(console)
    assert sentence in text
    assert "All 2 replicas" not in text


async def test_replica_that_rejected_the_file_is_shown(console):
    behind = same_rules(console) | {"refused": True, "digest": "1" * 12}
    async with replica(saying(rules=behind)) as (other, _):
        found(console, OURS, other)
        text = await read(console)
    assert f"{'1' * 12}  since  2027-01-15 08:00:00 UTC" in text
    assert "file rejected" in text


async def test_replica_that_is_not_ready_has_the_reason(console):
    answer = saying(ready=False, problems=["certificate: it has not been issued yet"])
    async with replica(answer) as (other, _):
        found(console, OURS, other)
        (row, _) = (await console.json("/api/replicas"))["replicas"]
    assert (row["status"], row["reason"]) == (
        "not-ready",
        "certificate: it has not been issued yet",
    )


OTHER = "did not return its state (HTTP 200): it runs another version"
OK = b"HTTP/1.1 200 OK\r\n\r\n"
SILENCES = {
    "nothing": (None, "did not answer within 0.2 seconds: it hangs, or a NetworkPolicy blocks"),
    "an end": (b"", "/replica did not return its state (no HTTP): it runs another version"),
    "no HTTP": (b"SSH-2.0-x\r\n\r\n", "did not return its state (no HTTP)"),
    "no such page": (b"HTTP/1.1 404 Not Found\r\n\r\n{}", "did not return its state (HTTP 404)"),
    "no JSON": (OK + b"<html>", OTHER),
    "a list": (OK + b"[]", OTHER),
    "too much": (OK + b"[" * 200_000, "did not return its state (more than 65,536 bytes): it runs"),
    "too little": (saying(rules=None), OTHER),
    "no time": (saying(started="noon"), OTHER),
    "no zone": (saying(started="2027-01-15T08:00:00"), OTHER),
    "no text": (saying(version=1), OTHER),
}


@pytest.mark.parametrize("case", SILENCES)
async def test_replica_without_an_answer_has_the_reason(case):
    answer, reason = SILENCES[case]
    console = Console(patience=20.0 if answer is not None else 0.2)
    async with replica(answer) as (other, _):
        found(console, OURS, other)
        began = time.monotonic()
        shown = await console.json("/api/replicas")
        assert time.monotonic() - began < 15
    row = shown["replicas"][0]
    assert (row["name"], row["status"], row["state"]) == (other.pod, "no-answer", None)
    assert reason in row["reason"]
    assert CHINESE.search(translate_reason("zh", row["reason"]))
    assert CHINESE.search(translate_reason("zh", f"pod-1: {row['reason']}"))
    assert (shown["complete"], shown["differences"]) == (True, [])
    assert "1 of 2 replicas do not answer." in await read(console)


async def test_replica_at_a_closed_port_has_the_reason(console):
    async with replica(b"") as (other, _):
        pass
    found(console, OURS, replace(other, pod=""))
    row = (await console.json("/api/replicas"))["replicas"][0]
    assert row["name"] == row["address"] == f"127.0.0.1:{other.port}"
    assert row["reason"].endswith("cannot be reached: Connection refused")


async def test_replica_texts_are_cut_and_escaped(console):
    hostile = "<script>" + "x" * 1000
    async with replica(saying(version=hostile, name=hostile), name="") as (other, _):
        found(console, OURS, other)
        shown = Page(await console.text())
    assert not shown.all("script")
    assert hostile[:512] in shown.text
    assert hostile[:513] not in shown.text


async def test_this_replica_is_recognized_by_its_identity(console):
    state = console.views.get_replica_state()
    async with replica(saying(identity=state.identity), name="pod-1") as (ours, _):
        found(console, ours)
        (row,) = (await console.json("/api/replicas"))["replicas"]
    assert (row["name"], row["this"]) == ("pod-1", True)


async def test_this_replica_is_listed_before_the_service_has_it(console):
    async with replica(saying()) as (other, _):
        found(console, other)
        rows = (await console.json("/api/replicas"))["replicas"]
    assert [row["this"] for row in rows] == [False, True]


async def test_replicas_are_asked_only_for_visitors_who_share_the_answers(console):
    async with replica(saying()) as (other, asked):
        found(console, OURS, other)
        for path in ("/metrics", "/replica", "/readyz", "/api/state", "/api/rules"):
            await console.ask(path)
        await console.ask("/api/replicas", client="10.0.0.1")
        assert (console.cluster.finds, asked) == (0, [])
        await asyncio.gather(*(console.json("/api/replicas") for _ in range(5)))
        assert (console.cluster.finds, len(asked)) == (1, 1)
        console.seconds += 2
        await console.json("/api/replicas")
        assert (console.cluster.finds, len(asked)) == (2, 2)


async def test_visitor_who_leaves_cancels_no_answer_of_others(console):
    async with replica(saying()) as (other, asked):
        found(console, OURS, other)
        leaving = asyncio.create_task(console.directory.list_replicas())
        staying = asyncio.create_task(console.directory.list_replicas())
        await asyncio.sleep(0)
        leaving.cancel()
        assert len((await staying).replicas) == 2
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (None, "Look at each replica: kubectl port-forward pod/NAME"),
        (ForbiddenError("cannot list: you may not"), "cannot list: you may not"),
    ],
)
async def test_replicas_have_the_reason_why_only_this_one_is_known(console, error, reason):
    if error:
        found(console, error=error)
    shown = await console.json("/api/replicas")
    assert shown["complete"] is False
    assert reason in shown["reason"]
    (row,) = shown["replicas"]
    assert row["this"] is True
    text = await read(console)
    assert "Only this replica is known" in text
    assert shown["reason"] in text


async def test_reason_is_in_the_language_of_the_visitor(console):
    text = await read(console, "zh")
    assert "只知道这一个副本" in text
    assert "逐个查看" in text


def test_identity_differs_between_consoles():
    assert Console().views.identity != Console().views.identity


# -- What they decided


CAS = [create_ca("a CA", datetime.now(UTC), timedelta(days=1)) for _ in range(2)]


@asynccontextmanager
async def deciding(other, name="mirrorhook-7d4b9-other"):
    """Another console, which answers with its own decisions over a socket."""

    async def serve(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        asked.append(head)
        url = httpx.URL(head.split()[1].decode())
        try:
            body, status = await other.exchange.answer(url.params.get("query", "")), b"200 OK"
        except CertificateError as error:
            body, status = str(error).encode(), b"403 Forbidden"
        writer.write(b"HTTP/1.1 %b\r\ncontent-length: %d\r\n\r\n%b" % (status, len(body), body))
        if status == b"200 OK":
            sent.append(body)
        writer.close()

    asked, sent = [], []
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        yield Endpoint(name, "127.0.0.1", port), asked, sent


def share_ca(*consoles):
    for each in consoles:
        each.seal = Seal(CAS[:1])


async def test_decisions_of_all_replicas_are_merged(console):
    other = Console()
    share_ca(console, other)
    console.create("web-7d4b9-")
    other.now += 5
    for _ in range(2):
        other.create("web-7d4b9-")
    other.create("secret-0", "quay.io/a/b", namespace="elsewhere")
    async with deciding(other) as (endpoint, asked, sent):
        found(console, OURS, endpoint)
        answer = await console.json("/api/decisions", text="web-7d4b9-x2x7k")
        alone = await console.json("/api/decisions", text="elsewhere/secret-0")
        text = await read(console)
    assert (answer["replicas"], answer["answered"], answer["missing"]) == (2, 2, [])
    (pod,) = answer["pods"]
    assert (pod["count"], pod["first"], pod["last"]) == (
        3,
        "2027-01-15T08:00:00Z",
        "2027-01-15T08:00:05Z",
    )
    assert alone["pods"][0]["images"][0]["rule"] == "quay.io"
    assert "2 of 2 replicas answered" in text
    # Nobody else can read what they tell each other.
    for message in (*asked, *sent):
        # Longer than what is in a text of Base64 by chance.
        for text in (b"web-7d4b9", b"secret-0", b"elsewhere", b"docker.io"):
            assert text not in message


async def test_replica_with_another_ca_is_reported_as_missing(console):
    other = Console()
    console.seal, other.seal = Seal(CAS[:1]), Seal(CAS[1:])
    console.create("web-0")
    other.create("web-1")
    async with deciding(other) as (endpoint, *_):
        found(console, OURS, endpoint)
        answer = await console.json("/api/decisions")
        text = await read(console)
        chinese = await read(console, lang="zh")
    assert (answer["replicas"], answer["answered"]) == (2, 1)
    assert [pod["pod"] for pod in answer["pods"]] == ["web-0"]
    assert "refused the query (HTTP 403): it has another CA" in answer["missing"][0]
    assert "拒绝了查询（HTTP 403）" in chinese
    assert "1 of 2 replicas answered: what the others decided is missing here." in text


@pytest.mark.parametrize("case", SILENCES)
async def test_replica_that_answers_no_decisions_is_reported_as_missing(case):
    answer, _ = SILENCES[case]
    console = Console(patience=20.0 if answer is not None else 0.2)
    share_ca(console)
    console.create("web-0")
    async with replica(answer) as (other, _):
        found(console, OURS, other)
        shown = await console.json("/api/decisions")
    assert (shown["replicas"], shown["answered"]) == (2, 1)
    assert shown["missing"][0].startswith(f"{other.pod}: 127.0.0.1:{other.port}")
    assert CHINESE.search(translate_reason("zh", shown["missing"][0]))
    assert [pod["pod"] for pod in shown["pods"]] == ["web-0"]


async def test_replica_that_does_not_know_its_own_name_is_not_counted_twice(console):
    # On the network of the host, its host name is that of the node.
    share_ca(console)
    console.create("web-0")
    async with deciding(console, name="pod-1") as (ours, *_):
        found(console, ours)
        answer = await console.json("/api/decisions")
    assert (answer["replicas"], answer["answered"]) == (1, 1)
    assert answer["pods"][0]["count"] == 1


async def test_answer_to_another_query_is_refused(console):
    other = Console()
    share_ca(console, other)
    async with deciding(other) as (endpoint, _, sent):
        found(console, OURS, endpoint)
        await console.json("/api/decisions")
    async with replica(OK + sent[-1]) as (replayed, _):
        found(console, OURS, replayed)
        answer = await console.json("/api/decisions")
    assert "returned the answer to another query" in answer["missing"][0]


async def test_no_more_of_an_answer_is_read_than_its_bound():
    sent = 0

    async def serve(reader, writer):
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        writer.write(OK)
        with suppress(OSError):
            while sent < 100 * MAX_ANSWER:
                writer.write(bytes(1 << 16))
                await writer.drain()
                sent += 1 << 16
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        body = await _fetch(f"127.0.0.1:{port}/", 20.0, MAX_ANSWER)
    assert "did not return its state (more than 8,388,608 bytes)" in body
    assert sent < 2 * MAX_ANSWER


@pytest.fixture
def other(console):
    """Another replica, which decided on forty Pods."""
    other = Console()
    share_ca(console, other)
    for number in range(40):
        other.now += 1
        other.create(f"web-{number}")
    return other


async def test_many_replicas_send_no_more_together_than_a_few(console, other, monkeypatch):
    monkeypatch.setattr(replicas, "MAX_FOUND_TOTAL", 30_000)
    async with deciding(other) as (endpoint, _, sent):
        many = [Endpoint(f"replica-{n}", endpoint.address, endpoint.port) for n in range(10)]
        found(console, OURS, *many)
        answer = await console.json("/api/decisions")
    assert (answer["answered"], answer["missing"]) == (11, [])
    assert len(sent) == 10
    assert sum(map(len, sent)) < 30_000 * 4 / 3 + 10 * 200
    assert [pod["name"] for pod in answer["pods"]][:2] == ["web-39", "web-38"]


async def test_replica_with_too_many_decisions_sends_the_best(console, other, monkeypatch):
    monkeypatch.setattr(replicas, "MAX_FOUND", 5000)
    async with deciding(other) as (endpoint, _, sent):
        found(console, OURS, endpoint)
        answer = await console.json("/api/decisions")
    assert len(sent[-1]) < 5000 * 4 / 3 + 200
    assert (answer["answered"], answer["missing"], answer["found"]) == (2, [], 40)
    assert [pod["name"] for pod in answer["pods"]][:2] == ["web-39", "web-38"]
    assert 1 < len(answer["pods"]) < 40
