"""Access control of the console."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.server.process import serving
from webhook.tls import Seal
from webhook.tls.ca import create_ca

NOW = datetime.now(UTC)
pytestmark = pytest.mark.anyio
PATHS = (
    *("/", "/console.css", "/api/state", "/api/replicas", "/api/decisions"),
    "/api/explain?image=a",
)


@pytest.mark.parametrize(
    ("client", "host", "status"),
    [
        ("127.0.0.1", "localhost:8080", 200),
        ("127.0.0.1", "127.0.0.1:8080", 200),
        ("::1", "[::1]:8080", 200),
        ("::ffff:127.0.0.1", "localhost", 200),
        ("127.0.0.1", "workstation:8080", 200),
        ("127.0.0.1", "console.localhost", 200),
        ("127.0.0.1", "attacker.example", 421),
        ("127.0.0.6", "localhost:8080", 403),
        ("127.0.0.2", "localhost:8080", 403),
        ("127.255.255.254", "localhost:8080", 403),
        ("::ffff:127.0.0.6", "localhost:8080", 403),
        ("::6", "localhost:8080", 403),
        ("10.244.1.7", "localhost:8080", 403),
        ("::ffff:10.244.1.7", "localhost:8080", 403),
        ("fd00::7", "localhost:8080", 403),
        ("", "localhost:8080", 403),
    ],
)
async def test_console_answers_only_through_a_forwarded_port(console, client, host, status):
    for path in PATHS:
        answered = await console.ask(path, client=client, host=host)
        assert answered.status_code == status, path
        assert "frame-ancestors 'none'" in answered.headers["content-security-policy"]
        assert answered.headers["x-content-type-options"] == "nosniff"
    for path in ("/metrics", "/replica"):
        assert (await console.ask(path, client=client)).status_code == 200


async def test_decisions_are_given_to_nobody_but_replicas(console):
    for client in ("127.0.0.1", "10.244.1.7"):
        for seal in (None, Seal([create_ca("a CA", NOW, timedelta(days=1))])):
            console.seal = seal
            answered = await console.ask("/replica/decisions?query=gAAAA", client=client)
            assert answered.status_code == 403
            assert "only other replicas may ask" in answered.text


async def test_refusal_names_the_command_that_works(console):
    answered = await console.ask("/api/state", client="10.0.0.1")
    assert "kubectl --namespace NAMESPACE port-forward POD 8080" in answered.text


async def test_console_is_read_only(console):
    for path in PATHS:
        assert (await console.ask(path)).request.method == "GET"
    routes = [route for route in console.app.routes if hasattr(route, "methods")]
    assert {method for route in routes for method in route.methods} <= {"GET", "HEAD"}


def test_console_shows_decisions_of_a_real_webhook(webhook, review_of):
    webhook.review(review_of("nginx:1.99"))
    (pod,) = webhook.ask("/api/decisions", params={"text": "nginx:1.99"}).json()["pods"]
    assert pod["images"][0]["result"] == "harbor.example.com/dockerhub/library/nginx:1.99"
    assert "nginx:1.99" in webhook.ask("/").text


def test_console_can_be_switched_off(rules, review_of):
    with serving(rules, "--no-console") as webhook:
        webhook.review(review_of("nginx"))
        for path in (*PATHS, "/api/rules", "/replica", "/replica/decisions?query=x"):
            assert webhook.ask(path).status_code == 404
        assert webhook.ask("/readyz").text == "ok\n"
