"""Values that are valid, but unusual: text like a number, nulls, large numbers."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.chart.rendering import CHART, DEFAULTS, HELM_VERSIONS, render, run_helm
from webhook.config import parse_rules

SCHEMA = json.loads((CHART / "values.schema.json").read_text())
every_helm = pytest.mark.parametrize("helm", HELM_VERSIONS)

EVERYTHING = {
    "rules": [{"match": "docker.io", "mirrors": ["a.example.com"]}],
    "autoscaling": {"enabled": True, "targetMemoryUtilizationPercentage": 80},
    "verticalPodAutoscaler": {"enabled": True, "updateMode": "Off"},
    "fill": {"enabled": True},
    "enforce": "warn",
    "monitoring": {
        "kind": "ServiceMonitor",
        "dashboard": {"enabled": True},
        "prometheusRule": {"enabled": True},
    },
}
MODES = [
    {"certificates": {"mode": "self"}, "customResources": {"enabled": True}},
    {"certificates": {"mode": "cert-manager"}, "networkPolicy": {"flavor": "cilium"}},
    {"rewriter": "policy", "enforce": ""},
]


def merge(*values: dict[str, Any]) -> dict[str, Any]:
    merged: dict[str, Any] = {}
    for each in values:
        for key, value in each.items():
            both = isinstance(value, dict) and isinstance(merged.get(key), dict)
            merged[key] = merge(merged[key], value) if both else value
    return merged


def values_with(text):
    """Return values with a text wherever Kubernetes takes any name."""
    return merge(
        EVERYTHING,
        {
            "nameOverride": text,
            "fullnameOverride": "hook",
            "priorityClassName": text,
            "runtimeClassName": text,
            "serviceAccount": {"name": text, "labels": {"a": text}, "annotations": {"a": text}},
            "commonLabels": {"a": text},
            "podAnnotations": {text: text},
            "imagePullSecrets": [text, {"name": f"{text}.b"}],
            "files": {text: text},
            "extraArgs": [f"--log-level={text}"],
            "certificates": {
                "clients": {"secretName": text, "names": [text, f"{text}: {text} # {text}"]}
            },
            "monitoring": {"namespace": text, "prometheusRule": {"namespace": text}},
            "fill": {"credentialsSecret": text, "timeZone": text, "schedule": text},
            "extraObjects": [{"apiVersion": "v1", "kind": "Secret", "metadata": {"name": text}}],
        },
    )


def in_order(objects):
    return sorted(json.dumps(each, sort_keys=True) for each in objects)


@pytest.mark.parametrize("mode", MODES, ids=json.dumps)
@pytest.mark.parametrize("text", ["1234", "1e3", "true", "null", "off"])
def test_text_that_looks_like_something_else_stays_text(text, mode):
    def render_with(text):
        values = merge(values_with(text), mode)
        return render(values, release=text, namespace=text).objects

    expected = json.dumps(render_with("sample")).replace("sample", text)
    assert in_order(json.loads(expected)) == in_order(render_with(text))


def test_large_numbers_in_text_have_no_exponent():
    large = 1_000_000
    values = {
        "fill": {"alertMinutes": large},
        "monitoring": {"prometheusRule": {"certificateHours": large, "quietHours": large}},
    }
    rendered = json.dumps(render(merge(EVERYTHING, values)).of_kind("PrometheusRule"))
    assert f'"{large}m"' in rendered
    assert f"< {large} * 3600" in rendered
    assert f"[{large}h]" in rendered


def iterate_scalars(values, path=()):
    for key, value in values.items():
        if isinstance(value, dict):
            yield from iterate_scalars(value, (*path, key))
        elif not isinstance(value, bool):
            yield (*path, key)


def nest(path, value):
    for key in reversed(path):
        value = {key: value}
    return value


def missing(values, helm="4.3"):
    """Return the values that Helm says are missing."""
    done = run_helm("template", "mirrorhook", CHART, version=helm, values=values)
    assert "These values are missing or null: " in done.stderr, done.stderr
    return done.stderr.partition("null: ")[2].partition(". ")[0].split(", ")


SCALARS = list(iterate_scalars(DEFAULTS))
NULLS = merge(*(nest(path, None) for path in SCALARS))


@every_helm
def test_values_that_templates_need_are_refused_by_their_names(helm):
    found = missing(NULLS | {"enabled": None}, helm)
    assert {"enabled", "mode", "rewriter", "webhook.port", "fill.image.tag"} <= set(found)
    assert set(found) - {"enabled"} <= {".".join(path) for path in SCALARS}


@every_helm
def test_every_missing_block_is_refused_by_its_name(helm):
    closed = {key for key, schema in SCHEMA["properties"].items() if "properties" in schema}
    blocks = {key for key in closed if DEFAULTS[key] and not key.endswith("Probe")}
    assert len(blocks) > 15
    assert blocks <= set(missing(dict.fromkeys(blocks), helm))


@pytest.mark.parametrize("mode", MODES, ids=json.dumps)
def test_other_values_may_be_null(mode):
    needed = missing(NULLS)
    nulls = (nest(path, None) for path in SCALARS if ".".join(path) not in needed)
    requests = {"resources": {"requests": {"cpu": "1m", "memory": "1Mi"}}}
    rendered = render(merge(EVERYTHING, *nulls, EVERYTHING, requests, {"rules": []}, mode))
    for each in rendered.of_kind("ConfigMap"):
        if "rules.yaml" in each["data"]:
            parse_rules(each["data"]["rules.yaml"], "rules.yaml")
    for each in rendered.of_kind("Deployment"):
        for argument in each["spec"]["template"]["spec"]["containers"][0]["args"]:
            assert not argument.endswith("=")
