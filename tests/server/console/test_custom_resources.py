"""The console names the custom resource that a rule comes from."""

from __future__ import annotations

import pytest

from tests.server.console.conftest import Console
from webhook.resources import read_object
from webhook.server.console.reasons import translate_reason
from webhook.server.policies import ObjectSnapshot

pytestmark = pytest.mark.anyio

RULES = """\
rules:
  - {match: docker.io, mirrors: [h.example/hub], enforced: true}
  - {match: quay.io, mirrors: [h.example/quay]}
delegation: {namespaces: {matchLabels: {team: a}}, mirrors: [h.example/*]}
"""


def make(kind, name, namespace="", **spec):
    metadata = {"name": name, "uid": f"{namespace}/{name}", "generation": 1}
    metadata["creationTimestamp"] = "2026-11-01T00:00:00Z"
    if namespace:
        metadata["namespace"] = namespace
    return read_object({"kind": kind, "metadata": metadata, "spec": spec})


def rule(match, target):
    return {"match": match, "mirrors": [{"target": target}]}


@pytest.fixture
async def console():
    console = Console(RULES)
    platform = make("ClusterMirrorRules", "gcr", rules=[rule("gcr.io", "h.example/gcr")])
    team = make("MirrorRules", "own", "shop", rules=[rule("quay.io", "h.example/shop")])
    await console.rules.use_objects(ObjectSnapshot([platform], [team], {"shop": {"team": "a"}}))
    return console


async def test_rules_of_objects_are_listed_with_their_objects(console):
    page = await console.json("/api/rules")
    found = [(each["rule"], each["object"]) for each in page["rules"]]
    assert found == [
        ("docker.io", ""),
        ("quay.io", ""),
        ("gcr.io", "ClusterMirrorRules gcr"),
        ("quay.io", "MirrorRules shop/own"),
    ]
    page = await console.json("/api/rules", text="shop/own")
    assert [each["mirrors"][0]["target"] for each in page["rules"]] == ["h.example/shop"]
    assert (await console.json("/api/state"))["policies"][0]["rules"] == 3


@pytest.mark.parametrize(
    ("namespace", "result", "objects"),
    [
        ("", "h.example/quay/a", [""]),
        ("other", "h.example/quay/a", [""]),
        ("shop", "h.example/shop/a", ["MirrorRules shop/own", ""]),
    ],
)
async def test_image_is_explained_by_the_rules_of_a_namespace(console, namespace, result, objects):
    found = await console.json("/api/explain", image="quay.io/a", namespace=namespace)
    assert found["result"] == result
    assert [each["object"] for each in found["considered"]] == objects


async def test_page_names_the_object_of_a_pod_of_a_rule_and_of_an_image(console):
    console.create("web", "quay.io/a", namespace="shop")
    text = await console.text(text="shop/web", image="quay.io/a", namespace="shop")
    assert text.count("MirrorRules shop/own") >= 3
    assert 'name="namespace"' in text
    chinese = await console.text(text="shop/web", lang="zh")
    assert "Pod 的命名空间" in chinese
    assert "规则 quay.io (MirrorRules shop/own)" in chinese


async def test_page_without_custom_resources_asks_for_no_namespace():
    assert 'name="namespace"' not in await Console(RULES).text()


@pytest.mark.parametrize(
    "origin",
    [
        "(profile daocloud)",
        "(ClusterMirrorRules hub)",
        "(MirrorRules shop/own)",
        "(profile daocloud of MirrorRules shop/own)",
    ],
)
async def test_reason_with_the_origin_of_a_rule_is_translated(origin):
    for reason in (f"rule quay.io {origin} → h.example", f"rule quay.io {origin} keeps it"):
        translated = translate_reason("zh", reason)
        assert f"规则 quay.io {origin}" in translated
        assert "keeps" not in translated
