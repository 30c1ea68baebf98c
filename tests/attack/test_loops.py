"""Nobody can stop the rewriting of somebody else's Pods by forged reviews."""

from __future__ import annotations

import time

import httpx

from tests.attack.target import JSON, attacked, pod_of, review_of_pod
from tests.tools.loopback import unverified

RULES = """rules: [{match: docker.io, mirrors: [harbor.example.com/hub]}]
loops: {times: 3}
"""
OWNER = {
    "apiVersion": "example.com/v1",
    "kind": "Database",
    "name": "db",
    "uid": "0b4b1a9e-5f6c-4d3a-9d55-2c9b7f4a1e10",
    "controller": True,
}
BODY = review_of_pod(pod_of("nginx:1", name="db-0", ownerReferences=[OWNER]))


def rewrites(webhook, address):
    """Whether the Pod is rewritten when its review comes from an address."""
    transport = httpx.HTTPTransport(verify=unverified(), local_address=address)
    with httpx.Client(transport=transport, base_url=webhook.reviews) as client:
        return "patch" in client.post("/mutate", content=BODY, headers=JSON).json()["response"]


def test_forged_loops_stop_only_their_sender(tmp_path, figure):
    with attacked(tmp_path, RULES) as webhook:
        forged = []
        for _ in range(5):
            forged.append(rewrites(webhook, "127.0.0.9"))
            time.sleep(1.1)
        assert forged == [True, True, False, False, False]
        figure(
            "10 Pods left unrewritten by forged loops",
            [rewrites(webhook, "127.0.0.1") for _ in range(2)].count(False),
            0,
            "Pods",
        )
