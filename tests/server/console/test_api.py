"""The JSON of the console."""

from __future__ import annotations

import pytest

from tests.server.console.conftest import Console
from webhook.config import parse_rules
from webhook.registry import CheckResult, CheckStatus

pytestmark = pytest.mark.anyio


async def test_state_has_rules_policies_and_certificate(console):
    state = await console.json("/api/state")
    assert state["ready"] is True
    assert state["reviewed"] is None
    assert state["replica"] == "mirrorhook-7d4b9-x2x7k"
    assert state["certificate"] == {
        "source": "certificate of a test",
        "expires": "2027-03-01T00:00:00Z",
    }
    assert state["rules"]["loaded"] == "2027-01-15T08:00:00Z"
    assert len(state["rules"]["digest"]) == 12
    assert [(p["name"], p["mode"], p["rules"]) for p in state["policies"]] == [
        ("default", "rewrite", 4),
        ("team-a", "observe", 1),
    ]


async def test_state_has_the_reason_why_the_replica_is_not_ready(console):
    console.readiness.hold("certificate", "it has not been issued yet")
    state = await console.json("/api/state")
    assert (state["ready"], state["problems"]) == (
        False,
        ["certificate: it has not been issued yet"],
    )


async def test_state_has_the_problems_of_a_rejected_file(console):
    console.rules.refused = ("rules.yaml:1: no such key",)
    assert (await console.json("/api/state"))["rules"]["refused"]


async def test_rules_have_mirrors_with_shares(console):
    console.review("nginx", "redis", "quay.io/our-team/a")
    rules = await console.json("/api/rules")
    assert [rule["rule"] for rule in rules] == [
        "docker.io",
        "docker.io/bitnami",
        "quay.io",
        "quay.io/our-team",
        "*",
    ]
    first, second = rules[0]["mirrors"]
    assert (first["target"], first["images"], first["share"]) == ("h.example/hub", 2, 1.0)
    assert (second["flatten"], second["images"], second["share"]) == (True, 0, 0.0)
    assert rules[2]["mirrors"][0]["share"] is None
    assert (rules[3]["keep"], rules[3]["mirrors"]) == (True, [])
    assert first["status"] == "not-asked"


async def test_checked_mirrors_have_a_status():
    console = Console(
        "availability: {mode: check}\n"
        "rules: [{match: docker.io, mirrors: [a.example, b.example, c.example, d.example]}]"
    )
    (watch,) = console.mirror_health._observers.values()
    down = CheckResult(CheckStatus.UNREACHABLE)
    watch.on_result("a.example", CheckResult(CheckStatus.ABSENT))
    watch.on_result("b.example", CheckResult(CheckStatus.FAILED, "HTTP 502"))
    watch.on_result("c.example", down)
    watch.on_circuit_change("c.example", is_open=True, result=down)
    (rule,) = await console.json("/api/rules")
    assert [(m["status"], m["reason"]) for m in rule["mirrors"]] == [
        ("answers", "does not have it"),
        ("failing", "fails (HTTP 502)"),
        ("down", "c.example cannot be reached"),
        ("not-asked-yet", ""),
    ]
    watch.on_circuit_change("c.example", is_open=False, result=CheckResult(CheckStatus.PRESENT))
    watch.on_result("c.example", CheckResult(CheckStatus.PRESENT))
    (rule,) = await console.json("/api/rules")
    assert rule["mirrors"][2]["status"] == "answers"
    explained = await console.json("/api/explain", image="nginx")
    assert explained["checks"] is True
    assert explained["candidates"][1]["status"] == "failing"


async def test_rewrites_are_counted_by_minute(console):
    console.review("nginx", "quay.io/our-team/a", "Not An Image")
    minutes = await console.json("/api/rewrites")
    assert len(minutes) == 60
    assert minutes[-1] == {
        "start": "2027-01-15T08:00:00Z",
        "rewritten": 1,
        "unchanged": 1,
        "warned": 1,
    }


@pytest.mark.parametrize(
    ("wanted", "images"),
    [
        ({}, ["Not An Image", "quay.io/a/b", "nginx"]),
        ({"namespace": "shop"}, ["quay.io/a/b", "nginx"]),
        ({"outcome": "invalid"}, ["Not An Image"]),
        ({"text": "NGINX"}, ["nginx"]),
        ({"text": "h.example/quay"}, ["quay.io/a/b"]),
        ({"text": "blog-1"}, ["Not An Image"]),
        ({"namespace": "blog", "text": "nginx"}, []),
        ({"limit": 1}, ["Not An Image"]),
    ],
)
async def test_decisions_are_filtered(console, wanted, images):
    console.review("nginx", "quay.io/a/b")
    console.review("Not An Image", namespace="blog", name="blog-1")
    found = await console.json("/api/decisions", **wanted)
    assert [each["image"] for each in found] == images


async def test_decision_has_rule_candidate_and_reason(console):
    console.review("nginx")
    (decision,) = await console.json("/api/decisions")
    assert decision == {
        "time": "2027-01-15T08:00:00Z",
        "policy": "default",
        "namespace": "shop",
        "pod": "web",
        "operation": "CREATE",
        "dry": False,
        "container": "c0",
        "image": "nginx",
        "outcome": "rewritten",
        "rule": "docker.io",
        "candidate": "h.example/hub/library/nginx",
        "reason": "rule docker.io → h.example/hub",
    }


async def test_explain_lists_every_rule(console):
    answer = await console.json("/api/explain", image="quay.io/our-team/a")
    assert (answer["outcome"], answer["result"]) == ("kept", "quay.io/our-team/a")
    assert [(r["rule"], r["match"], r["winner"]) for r in answer["considered"]] == [
        ("quay.io/our-team", "applies", ""),
        ("quay.io", "shadowed", "quay.io/our-team"),
        ("docker.io", "unmatched", ""),
        ("docker.io/bitnami", "unmatched", ""),
    ]
    answer = await console.json("/api/explain", image="nginx", policy="team-a")
    assert answer["result"] == "j.example/docker.io/library/nginx"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/explain?image=nginx&policy=nope", 404),
        ("/api/explain", 422),
        ("/api/decisions?limit=0", 422),
        ("/api/decisions?limit=99999", 422),
        (f"/api/explain?image={'a' * 5000}", 422),
        ("/docs", 404),
        ("/redoc", 404),
    ],
)
async def test_api_refuses_invalid_queries_and_unknown_paths(console, path, status):
    assert (await console.ask(path)).status_code == status


async def test_openapi_describes_every_route(console):
    description = await console.json("/openapi.json")
    assert {path for path in description["paths"] if path.startswith("/api/")} == {
        "/api/state",
        "/api/replicas",
        "/api/rules",
        "/api/rewrites",
        "/api/decisions",
        "/api/explain",
    }
    schema = description["components"]["schemas"]["MirrorState"]
    assert "down" in schema["enum"]


async def test_rules_follow_a_reload_at_once(console):
    changed = parse_rules("rules: [{match: ghcr.io, mirrors: [h.example/g]}]", "rules.yaml")
    console.rules._use(changed, "rules reloaded")
    assert [rule["rule"] for rule in await console.json("/api/rules")] == ["ghcr.io"]
