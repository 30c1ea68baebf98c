"""The FastAPI applications of both ports, asked in this process."""

from __future__ import annotations

import subprocess
import sys

import httpx
import pytest
from fastapi import FastAPI
from opentelemetry.sdk.trace import TracerProvider

from tests.server.conftest import review_of
from tests.server.parts import Parts
from tests.server.process import JSON
from webhook.server.app import create_app
from webhook.server.limits import MAX_BODY
from webhook.server.operations import create_operations_app
from webhook.telemetry import Tracing

REVIEW = review_of("nginx", "quay.io/a/b:1")
TEXT = {"content-type": "text/plain"}
REQUESTS = {
    "a review": ("POST", "/mutate", REVIEW, JSON),
    "a review of another policy": ("POST", "/mutate/default", REVIEW, JSON),
    "a review with a deadline": ("POST", "/mutate?timeout=3s", REVIEW, JSON),
    "a content type with parameters": (
        "POST",
        "/mutate",
        REVIEW,
        {"content-type": "Application/JSON; a=b"},
    ),
    "another content type": ("POST", "/mutate", REVIEW, TEXT),
    "no content type": ("POST", "/mutate", REVIEW, {}),
    "a body that is not JSON": ("POST", "/mutate", b"nginx", JSON),
    "no body": ("POST", "/mutate", b"", JSON),
    "a body that is too large": ("POST", "/mutate", b" " * (MAX_BODY + 1), JSON),
    "an unknown policy": ("POST", "/mutate/none", REVIEW, JSON),
    "an empty policy": ("POST", "/mutate/", REVIEW, JSON),
    "a path below a policy": ("POST", "/mutate/default/x", REVIEW, JSON),
    "a path beside the route": ("POST", "/mutated", REVIEW, JSON),
    "another path": ("POST", "/", REVIEW, JSON),
    "GET": ("GET", "/mutate", b"", {}),
    "PUT": ("PUT", "/mutate/default", REVIEW, JSON),
    "HEAD": ("HEAD", "/mutate", b"", {}),
    "OPTIONS": ("OPTIONS", "/mutate", b"", {}),
}


@pytest.fixture
def anyio_backend():
    return "asyncio"


def client_of(app):
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="https://x")


async def answers_of(name, *, through_middleware, draining):
    method, path, body, headers = REQUESTS[name]
    parts = Parts()
    if draining:
        parts.readiness.drain()
    app = create_app(parts.webhook())

    async def stock(scope, receive, send):
        await FastAPI.__call__(app, scope, receive, send)

    async with client_of(stock if through_middleware else app) as client:
        answer = await client.request(method, path, content=body, headers=headers)
    exposition = parts.metrics.render("")[0].decode().splitlines()
    counted = [
        line
        for line in exposition
        if line.startswith(("mirrorhook_re", "mirrorhook_im")) and "seconds_" not in line
    ]
    logged = [{**line, "time": ""} for line in parts.lines]
    return answer.status_code, answer.content, sorted(answer.headers.items()), counted, logged


@pytest.mark.anyio
@pytest.mark.parametrize("draining", [False, True])
@pytest.mark.parametrize("name", REQUESTS)
async def test_bypassing_the_middleware_changes_no_answer(name, draining):
    before, through = [
        await answers_of(name, through_middleware=each, draining=draining) for each in (False, True)
    ]
    assert before == through


@pytest.mark.anyio
@pytest.mark.parametrize("name", REQUESTS)
async def test_tracing_changes_no_answer(name):
    method, path, body, headers = REQUESTS[name]
    answers = []
    for tracing in (None, Tracing(TracerProvider())):
        async with client_of(create_app(Parts().webhook(), tracing)) as client:
            answer = await client.request(method, path, content=body, headers=headers)
        answers.append((answer.status_code, answer.content, sorted(answer.headers.items())))
    assert answers[0] == answers[1]


@pytest.mark.anyio
async def test_mutate_is_a_route_of_the_application():
    paths = {route.path: route.methods for route in Parts().app().routes}
    assert paths == {"/mutate": {"POST"}, "/mutate/{policy:path}": {"POST"}}


@pytest.mark.anyio
@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics", "/openapi.json"])
@pytest.mark.parametrize("is_ready", [True, False])
async def test_operations_port_answers_only_get_and_head(path, is_ready):
    parts = Parts()
    if not is_ready:
        parts.readiness.hold("certificate", "it has not been issued yet")
    async with client_of(create_operations_app(parts.readiness, parts.metrics)) as client:
        got, head, posted = [
            await client.request(method, path) for method in ("GET", "HEAD", "POST")
        ]
    assert got.status_code == (503 if path == "/readyz" and not is_ready else 200)
    assert (head.status_code, posted.status_code) == (got.status_code, 405)
    assert head.headers["content-type"] == got.headers["content-type"]


def test_serve_imports_neither_kubernetes_nor_rich():
    code = (
        "import sys, webhook.server.main; print(sorted({'kubernetes', 'rich'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout == b"[]\n"
