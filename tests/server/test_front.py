"""What answers without FastAPI, and the FastAPI applications that have the same routes."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from datetime import UTC, datetime

import httpx
import pytest

from tests.server.conftest import review_of
from tests.server.parts import Parts
from tests.server.process import JSON
from webhook.server.admission import is_review
from webhook.server.apps import operations_app, reviews_app
from webhook.server.front import Front
from webhook.server.operations import Operations
from webhook.server.replicas import ReplicaState, RulesInReplica

# What another moment has other values of.
CHANGING = re.compile(r"process_|python_gc_")
NOON = datetime(2027, 1, 1, 12, tzinfo=UTC)
STATE = ReplicaState(
    identity="1",
    name="é",
    version="0",
    started=NOON,
    ready=True,
    problems=[],
    rules=RulesInReplica("a", NOON, refused=False),
    certificate_expires=NOON,
)


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def parts():
    return Parts()


def asking(app):
    transport = httpx.ASGITransport(app)
    return httpx.AsyncClient(transport=transport, base_url="https://x")


def never():
    raise AssertionError("made")


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/mutate", "/mutate/default", "/mutate/none", "/mutate/"])
async def test_both_answer_reviews_alike(parts, path):
    body = review_of("nginx")
    endpoint = parts.endpoint()
    answers = []
    for app in (Front(is_review, endpoint, never), reviews_app(endpoint)):
        async with asking(app) as client:
            posted = await client.post(path, content=body, headers=JSON)
            got = await client.get(path)
            answers.append([(each.status_code, each.content) for each in (posted, got)])
    assert answers[0] == answers[1]


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/replica"])
@pytest.mark.parametrize("ready", [True, False])
async def test_both_answer_operators_alike(parts, path, ready):
    if not ready:
        parts.readiness.hold("certificate", "there is none yet")
    operations = Operations(parts.readiness, parts.metrics, lambda: STATE)
    assert operations.answers(path)
    answers = []
    for app in (
        Front(operations.answers, operations, never),
        operations_app(operations),
    ):
        async with asking(app) as client:
            got, head = await client.get(path), await client.head(path)
            lines = [line for line in got.text.splitlines() if not CHANGING.match(line)]
            answers.append((got.status_code, lines, got.headers["content-type"]))
            assert head.status_code == got.status_code
            assert (await client.post(path)).status_code == 405
    assert answers[0] == answers[1]


@pytest.mark.anyio
async def test_the_application_is_made_once_for_all_that_come_at_once(parts):
    made = []

    def make():
        made.append(reviews_app(parts.endpoint()))
        return made[-1]

    async with asking(Front(is_review, never, make)) as client:
        answers = await asyncio.gather(*[client.get(f"/{n}") for n in range(5)])
    assert len(made) == 1
    assert {answer.status_code for answer in answers} == {404}
    assert json.loads(answers[0].text)["message"].startswith("there is nothing at /0;")


def test_neither_fastapi_nor_cryptography_is_imported_to_serve():
    code = (
        "import sys, webhook.server.run; "
        "heavy = {'fastapi', 'pydantic', 'cryptography', 'kubernetes', 'httpx', 'rich'}; "
        "print(sorted(heavy & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout == b"[]\n"
