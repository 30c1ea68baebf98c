"""Who may read the console."""

from __future__ import annotations

import httpx
import pytest

from tests.attack.target import attacked

RULES = "rules: [{match: docker.io, mirrors: [harbor.example.com/hub]}]\n"


@pytest.fixture(scope="module")
def webhook(tmp_path_factory):
    with attacked(tmp_path_factory.mktemp("access"), RULES) as webhook:
        yield webhook


@pytest.mark.parametrize(
    ("source", "allowed"),
    [("127.0.0.1", True), ("127.0.0.6", False), ("127.0.0.2", False), ("127.255.255.254", False)],
)
def test_console_is_for_the_loopback_address_alone(webhook, source, allowed):
    transport = httpx.HTTPTransport(local_address=source)
    with httpx.Client(transport=transport) as client:
        for path in ("/", "/api/decisions"):
            status = client.get(f"{webhook.operations}{path}").status_code
            assert (status == 200) == allowed, (path, status)
        assert client.get(f"{webhook.operations}/healthz").status_code == 200
