"""The JSON of the console."""

from __future__ import annotations

import json
from pathlib import Path

import jsonschema
import pytest

from tests.server.console.conftest import Console
from webhook.config import parse_rules
from webhook.registry import CheckResult, CheckStatus

DESCRIPTION = Path(__file__).parents[3] / "docs/reference/operations.openapi.json"

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
    page = await console.json("/api/rules")
    rules = page["rules"]
    assert (page["total"], page["offset"]) == (5, 0)
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
    (rule,) = (await console.json("/api/rules"))["rules"]
    assert [(m["status"], m["reason"]) for m in rule["mirrors"]] == [
        ("answers", "does not have it"),
        ("failing", "fails (HTTP 502)"),
        ("down", "c.example cannot be reached"),
        ("not-asked-yet", ""),
    ]
    watch.on_circuit_change("c.example", is_open=False, result=CheckResult(CheckStatus.PRESENT))
    watch.on_result("c.example", CheckResult(CheckStatus.PRESENT))
    (rule,) = (await console.json("/api/rules"))["rules"]
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
    ("wanted", "pods"),
    [
        ({}, ["blog-1", "web"]),
        ({"namespace": "shop"}, ["web"]),
        ({"namespace": "ho"}, ["web"]),
        ({"outcome": "invalid"}, ["blog-1"]),
        ({"outcome": "patched"}, ["web"]),
        ({"problems": True}, ["blog-1"]),
        ({"text": "NGINX"}, ["web"]),
        ({"text": "h.example/quay"}, ["web"]),
        ({"text": "blog-1"}, ["blog-1"]),
        ({"text": "Not An Image"}, ["blog-1"]),
        ({"namespace": "blog", "text": "nginx"}, []),
        ({"limit": 1}, ["blog-1"]),
    ],
)
async def test_decisions_are_filtered(console, wanted, pods):
    console.review("nginx", "quay.io/a/b")
    console.now += 1
    console.review("Not An Image", namespace="blog", object=POD)
    found = await console.json("/api/decisions", **wanted)
    assert [each["pod"] for each in found["pods"]] == pods


POD = {"metadata": {"name": "blog-1"}, "spec": {"containers": [{"image": "Not An Image"}]}}


async def test_decision_has_the_pod_with_its_images_and_what_to_do(console):
    console.review("nginx", "ghcr.io/a/b")
    answer = await console.json("/api/decisions", text="shop/web")
    (pod,) = answer["pods"]
    images = pod.pop("images")
    assert pod == {
        "namespace": "shop",
        "name": "web",
        "pod": "web",
        "generated": False,
        "owner": "",
        "policy": "default",
        "operation": "CREATE",
        "dry": False,
        "outcome": "patched",
        "reason": "",
        "next": "",
        "problem": False,
        "first": "2027-01-15T08:00:00Z",
        "last": "2027-01-15T08:00:00Z",
        "count": 1,
        "match": "pod",
        "more": 0,
    }
    assert images[0] == {
        "name": "c0",
        "image": "nginx",
        "outcome": "rewritten",
        "reason": "rule docker.io → h.example/hub",
        "rule": "docker.io",
        "result": "h.example/hub/library/nginx",
        "next": "",
    }
    assert images[1]["reason"] == "no rule matches ghcr.io/a/b"
    assert images[1]["next"].startswith("to rewrite it, add a rule")
    assert answer["time"] == answer["since"] == "2027-01-15T08:00:00Z"
    assert (answer["replicas"], answer["answered"], answer["found"]) == (1, 1, 1)
    (space,) = answer["namespaces"]
    assert (space["name"], space["reviews"], space["selection"]) == ("shop", 1, None)


async def test_pod_of_a_deployment_is_found_by_its_kubectl_name(console):
    owner = {"kind": "ReplicaSet", "name": "web-7-7d4b9c6f5", "controller": True}
    labels = {"pod-template-hash": "7d4b9c6f5"}
    for _ in range(3):
        console.create("web-7-7d4b9c6f5-", labels=labels, ownerReferences=[owner])
    for text in ("web-7-7d4b9c6f5-x2x7k", "shop/web-7-7d4b9c6f5-x2x7k", "deployment/web-7"):
        (pod,) = (await console.json("/api/decisions", text=text))["pods"]
        assert (pod["pod"], pod["owner"], pod["count"]) == (
            "web-7-7d4b9c6f5-",
            "Deployment/web-7",
            3,
        )
        assert pod["name"] == (pod["pod"] if "deployment" in text else "web-7-7d4b9c6f5-x2x7k")


async def test_policy_that_observes_never_says_rewritten(console):
    console.review("quay.io/a/b", policy="team-a")
    answered = await console.ask("/api/decisions")
    assert "rewritten" not in answered.text
    (pod,) = answered.json()["pods"]
    (image,) = pod["images"]
    assert (pod["outcome"], image["outcome"]) == ("observed", "observed")
    assert image["result"] == "j.example/quay.io/a/b"
    explained = await console.json("/api/explain", image="quay.io/a/b", policy="team-a")
    assert (explained["outcome"], explained["result"]) == ("observed", "quay.io/a/b")
    assert (await console.json("/api/rewrites"))[-1]["rewritten"] == 0


async def test_explain_lists_the_rules_that_match(console):
    answer = await console.json("/api/explain", image="quay.io/our-team/a")
    assert (answer["outcome"], answer["result"]) == ("kept", "quay.io/our-team/a")
    assert [(r["rule"], r["match"], r["winner"]) for r in answer["considered"]] == [
        ("quay.io/our-team", "applies", ""),
        ("quay.io", "shadowed", "quay.io/our-team"),
    ]
    assert answer["unmatched"] == 2
    answer = await console.json("/api/explain", image="nginx", policy="team-a")
    assert answer["candidates"][0]["image"] == "j.example/docker.io/library/nginx"


async def test_large_sets_of_rules_are_paged():
    many = "".join(f"  - {{match: r{n}.example, mirrors: [h.example/{n}]}}\n" for n in range(2000))
    console = Console(f"rules:\n{many}")
    explained = await console.ask("/api/explain?image=r77.example/a")
    assert len(explained.content) < 2_000
    assert explained.json()["unmatched"] == 1999
    for image in ("", "r77.example/a"):
        assert len((await console.ask(f"/?lang=en&image={image}")).content) < 60_000
    page = await console.json("/api/rules", offset=1990)
    assert (page["total"], [rule["rule"] for rule in page["rules"]][-1]) == (2000, "r1999.example")
    assert len((await console.json("/api/rules"))["rules"]) == 100
    (found,) = (await console.json("/api/rules", text="R1234."))["rules"]
    assert found["rule"] == "r1234.example"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/explain?image=nginx&policy=nope", 404),
        ("/api/explain", 422),
        ("/api/decisions?limit=0", 422),
        ("/api/decisions?limit=99999", 422),
        ("/api/rules?limit=0", 422),
        ("/api/rules?offset=-1", 422),
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
    assert description == json.loads(DESCRIPTION.read_text())
    schema = description["components"]["schemas"]["MirrorState"]
    assert "down" in schema["enum"]


@pytest.mark.parametrize("path", json.loads(DESCRIPTION.read_text())["paths"])
def test_answer_of_a_running_webhook_fits_its_description(webhook, review_of, path):
    webhook.review(review_of("nginx", "quay.io/a/b", "Not An Image"))
    description = json.loads(DESCRIPTION.read_text())
    content = description["paths"][path]["get"]["responses"]["200"]["content"]
    answer = webhook.ask(f"{path}?image=nginx" if path == "/api/explain" else path)
    jsonschema.validate(answer.json(), content["application/json"]["schema"] | description)


async def test_rules_follow_a_reload_at_once(console):
    changed = parse_rules("rules: [{match: ghcr.io, mirrors: [h.example/g]}]", "rules.yaml")
    console.rules._use(changed, "rules reloaded")
    assert [rule["rule"] for rule in (await console.json("/api/rules"))["rules"]] == ["ghcr.io"]
