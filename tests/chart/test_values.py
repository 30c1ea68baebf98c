"""The schema of the values is strict and matches the defaults."""

from __future__ import annotations

import json

import pytest

from tests.chart.rendering import CHART, DEFAULTS, HELM_VERSIONS, refusal, render

SCHEMA = json.loads((CHART / "values.schema.json").read_text())


def resolved(schema):
    reference = schema.get("$ref")
    if reference is None:
        return schema
    return SCHEMA["definitions"][reference.removeprefix("#/definitions/")]


def closed_objects(schema, value, path=""):
    """Yield the path, schema and default of each object with a fixed set of keys."""
    schema = resolved(schema)
    if "properties" in schema:
        yield path, schema, value
        for key, below in schema["properties"].items():
            if isinstance(value, dict) and isinstance(value.get(key), dict):
                yield from closed_objects(below, value[key], f"{path}.{key}".lstrip("."))


OBJECTS = list(closed_objects(SCHEMA, DEFAULTS))


@pytest.mark.parametrize("helm", HELM_VERSIONS)
@pytest.mark.parametrize(
    ("values", "key"),
    [
        ({"selektion": {"mode": "all"}}, "selektion"),
        ({"selection": {"mod": "all"}}, "mod"),
        ({"webhook": {"failurePolcy": "Fail"}}, "failurePolcy"),
        ({"certificates": {"mode": "none"}}, "mode"),
        ({"webhook": {"timeoutSeconds": 31}}, "timeoutSeconds"),
        ({"webhook": {"failurePolicy": "Nope"}}, "failurePolicy"),
        ({"rules": [{"match": "docker.io", "mirror": ["a.example.com"]}]}, "mirror"),
        ({"rules": [{"match": "docker.io", "mirrors": {}}]}, "mirrors"),
        ({"policies": {"a": {}}}, "selection"),
        ({"policies": {"a/b": {"selection": {}}}}, "a/b"),
        ({"policies": {"a": {"selection": {}, "rule": []}}}, "rule"),
        ({"selection": {"namespaces": ["Shop"]}}, "namespaces"),
        ({"image": {"digest": "sha256:abc"}}, "digest"),
        ({"env": [{"name": "GOMAXPROCS", "value": 2}]}, "value"),
        ({"image": {"registry": "https://ghcr.io"}}, "registry"),
        ({"global": {"imageRegistry": "https://harbor.example.com/x"}}, "imageRegistry"),
        ({"certificates": {"existing": {"caBundle": "TUlJ"}}}, "caBundle"),
        ({"monitoring": {"kind": "servicemonitor"}}, "kind"),
        ({"loops": {"times": 2}}, "times"),
        ({"console": {"enabled": "no"}}, "enabled"),
        ({"logLevel": "trace"}, "logLevel"),
        ({"replicas": "two"}, "replicas"),
    ],
)
def test_misspelt_values_are_refused(values, key, helm):
    message = refusal(values, helm=helm)
    assert "values don't meet the specifications of the schema" in message
    assert key in message


@pytest.mark.parametrize(("path", "schema", "value"), OBJECTS, ids=[o[0] for o in OBJECTS])
def test_schema_and_defaults_have_the_same_keys(path, schema, value):
    own = set(schema["properties"])
    if value or path == "":
        assert set(value) <= own
    if path and not path.endswith(
        ("Selector", "issuerRef", "availability", "loops", "delegation", "Probe")
    ):
        assert own == set(value), path


def test_schema_objects_except_global_are_closed():
    for path, schema, _ in OBJECTS:
        assert (schema.get("additionalProperties") is False) is (path != "global"), path


def test_schema_uses_the_draft_that_both_helm_versions_support():
    assert SCHEMA["$schema"] == "http://json-schema.org/draft-07/schema#"


@pytest.mark.parametrize("helm", HELM_VERSIONS)
def test_values_that_were_removed_are_refused_with_what_to_do(helm):
    message = refusal({"certificates": {"self": {"recreateSecret": True}}}, helm=helm)
    assert "certificates.self.recreateSecret was removed" in message
    assert "Remove certificates.self" in message


def nullified(values, schema=SCHEMA):
    """Return all values that may be missing as null, the others as they are."""
    found = {}
    for key, value in values.items():
        below = resolved(schema.get("properties", {}).get(key, {}))
        if isinstance(value, dict) and "properties" in below:
            found[key] = nullified(value, below)
        elif isinstance(value, dict | list):
            found[key] = None
    return found


@pytest.mark.parametrize("helm", HELM_VERSIONS)
def test_lists_and_mappings_may_be_null(helm):
    enabled = {
        "fill": {"enabled": True},
        "monitoring": {
            "kind": "ServiceMonitor",
            "dashboard": {"enabled": True},
            "prometheusRule": {"enabled": True},
        },
        "networkPolicy": {"enabled": True},
    }
    values = nullified(DEFAULTS)
    for key, block in enabled.items():
        for name, value in block.items():
            own = values[key].get(name)
            values[key][name] = own | value if isinstance(own, dict) else value
    assert render(values, helm=helm).objects
