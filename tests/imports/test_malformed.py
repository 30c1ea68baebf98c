"""Files in which one value has another type: they are refused, or give warnings."""

from __future__ import annotations

import json
import tomllib
from contextlib import suppress

import pytest
import yaml

from tests.imports import test_imageswap, test_policies, test_runtimes, test_webhooks
from tests.imports.tools import import_text
from webhook.imports import UnreadableFileError

SAMPLES = {
    "harbor-container-webhook": [test_webhooks.HARBOR],
    "kube-image-keeper": [
        test_policies.NAMESPACED,
        test_policies.make_replicas(test_policies.NGINX),
        test_policies.make_mirrors("filter: {include: [{image: a.io/.*, label: b}]}"),
    ],
    "mutating-registry-webhook": [test_webhooks.REWRITES],
    "registry-proxy": [yaml.safe_load(test_webhooks.REGISTRY_PROXY)["data"]["config.yaml"]],
    "k8s-image-swapper": [test_webhooks.SWAPPER.format(policy="exists", region="x")],
    "kyverno": [test_policies.HARBOR, test_policies.REPLACE],
    "openshift": [next(iter(test_runtimes.OPENSHIFT.split("---")))],
    "k3s": [test_runtimes.K3S_ALL],
    "daemon.json": ['{"registry-mirrors": ["https://m.io"]}'],
    "imageswap": [test_imageswap.CONFIG_MAP],
    "registries.conf": [test_runtimes.REGISTRIES, '[registries.search]\nregistries = ["a"]\n'],
    "hosts.toml": [
        test_runtimes.CONFIG_TOML,
        'server = "a.io"\n[host."https://m.io"]\ncapabilities = ["pull"]\n[header]\na = "b"\n',
    ],
}
TOML = ("registries.conf", "hosts.toml")
VALUES = (None, "x", ["x"], [{}], {"a": ["b"]}, [None])


def replace_each(value, other):
    """Yield *value* with *other* in place of each part of it."""
    yield other
    if isinstance(value, dict):
        for key, part in value.items():
            for changed in replace_each(part, other):
                yield {**value, key: changed}
    elif isinstance(value, list):
        for number, part in enumerate(value):
            for changed in replace_each(part, other):
                yield [*value[:number], changed, *value[number + 1 :]]


def dump_toml(value):
    """Return a table as TOML, with inline tables."""
    if isinstance(value, dict):
        items = (f"{json.dumps(key)} = {dump_toml(part)}" for key, part in value.items())
        return "{" + ", ".join(items) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(dump_toml, value)) + "]"
    return json.dumps("" if value is None else value)


@pytest.mark.parametrize("format_", SAMPLES)
def test_value_of_another_type_does_not_fail(format_):
    load = tomllib.loads if format_ in TOML else yaml.safe_load
    for sample in SAMPLES[format_]:
        document = load(sample)
        for other in VALUES:
            for changed in replace_each(document, other):
                if format_ not in TOML:
                    text = yaml.dump(changed, Dumper=yaml.CSafeDumper)
                elif isinstance(changed, dict):
                    text = "".join(
                        f"{json.dumps(key)} = {dump_toml(part)}\n" for key, part in changed.items()
                    )
                else:
                    continue
                with suppress(UnreadableFileError):
                    rule_set = import_text(format_, text, "certs.d/a.io/hosts.toml")
                    assert isinstance(rule_set.rules, tuple)
