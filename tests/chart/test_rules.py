"""The webhook accepts the rules file that the chart renders from values."""

from __future__ import annotations

import json
from contextlib import chdir
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.chart.rendering import CHART, WEBHOOK_VALUES, render
from webhook.config import ConfigurationError, Mode, parse_rules
from webhook.config.rules import MIRROR_KEYS, RULE_KEYS
from webhook.config.settings import AVAILABILITY_KEYS, LOOP_KEYS
from webhook.core import LoopLimits, OnUnknown


def configuration(rendered):
    """The configuration that the webhook reads from the mounted folder."""
    (files,) = (
        each["data"]
        for each in rendered.of_kind("ConfigMap")
        if each["metadata"]["name"].endswith("-rules")
    )
    with TemporaryDirectory() as folder:
        for name, content in files.items():
            Path(folder, name).write_text(content)
        with chdir(folder):
            return parse_rules(files["rules.yaml"], "rules.yaml")


@pytest.mark.parametrize("values", WEBHOOK_VALUES, ids=lambda path: path.stem)
def test_rules_file_is_accepted_by_the_webhook(values):
    rendered = render(file=values)
    policies = configuration(rendered).policies
    paths = {webhook["clientConfig"]["service"]["path"] for webhook in rendered.webhooks.values()}
    assert paths == {"/mutate" if name == "default" else f"/mutate/{name}" for name in policies}


def test_default_values_give_a_policy_without_rules():
    read = configuration(render())
    assert list(read.policies) == ["default"]
    assert read.policies["default"].mirrors.rules == ()
    assert read.warnings == ("rules.yaml:1:1: policy default has no rules: it changes nothing",)


def test_rules_reach_the_webhook_unchanged():
    policies = configuration(render(file=CHART / "ci/policies-values.yaml")).policies
    decided = policies["default"].mirrors.decide
    assert {
        image: decided(image).image
        for image in (
            "nginx:1.27",
            "registry.k8s.io/pause:3.10",
            "eu.gcr.io/project/app",
            "quay.io/our-team/app:1",
            "bitnami/redis:7",
        )
    } == {
        "nginx:1.27": "harbor.example.com/dockerhub/library/nginx:1.27",
        "registry.k8s.io/pause:3.10": "harbor.example.com/k8s/pause:3.10",
        "eu.gcr.io/project/app": "harbor.example.com/gcr/project/app",
        "quay.io/our-team/app:1": "quay.io/our-team/app:1",
        "bitnami/redis:7": "harbor.example.com/legacy/redis:7",
    }
    assert policies["edge"].mode is Mode.OBSERVE
    assert policies["edge"].record is False
    assert policies["edge"].profiles == ("daocloud",)
    assert policies["team-a"].record is True


@pytest.mark.parametrize("text", ["off", "012", "1:30", "yes", "~"])
def test_strings_that_yaml_reads_otherwise_stay_strings(text):
    rendered = render({"rules": [{"regex": text, "keep": True}]})
    (rule,) = configuration(rendered).policies["default"].mirrors.rules
    assert rule.name == f"/{text}/"


TARGET = {"target": "m.example.com"}
SAMPLES = {
    "rule": [
        {"match": "docker.io", "mirrors": [TARGET]},
        {"regex": "docker.io/(.+)", "mirrors": ["m.example.com/\\1"], "original": "first"},
        {"match": "docker.io", "keep": True},
        {
            "match": "docker.io",
            "mirrors": [TARGET],
            "enforced": True,
            "verify": "digest",
            "trusted": {"target": "t.example.com", "flatten": True, "ca": "ca.pem"},
        },
    ],
    "mirror": [
        TARGET,
        {**TARGET, "flatten": True},
        {**TARGET, "pullSecrets": ["name"], "ca": "ca.pem", "allowlist": "allows.txt"},
    ],
}


def accepted(rule, folder):
    (folder / "allows.txt").write_text("docker.io/**")
    rules = {"rules": [rule], "availability": {"mode": "check"}}
    try:
        parse_rules(json.dumps(rules), str(folder / "rules.yaml"))
    except ConfigurationError:
        return False
    return True


@pytest.mark.parametrize(("kind", "keys"), [("rule", RULE_KEYS), ("mirror", MIRROR_KEYS)])
def test_schema_has_the_keys_of_rules_and_mirrors(kind, keys, tmp_path):
    schema = json.loads((CHART / "values.schema.json").read_text())["definitions"][kind]
    *_, form = schema.get("anyOf", [schema])
    taken = {
        key
        for sample in SAMPLES[kind]
        if accepted(
            sample if kind == "rule" else {"match": "docker.io", "mirrors": [sample]},
            tmp_path,
        )
        for key in sample
    }
    assert {key for sample in SAMPLES[kind] for key in sample} == set(keys)
    assert taken == set(form["properties"])


def test_availability_reaches_the_webhook_with_its_files():
    rendered = render(file=CHART / "ci/availability-values.yaml")
    policy = configuration(rendered).policies["default"]

    assert policy.availability is not None
    assert policy.availability.timeout == 0.5
    assert policy.availability.on_unknown is OnUnknown.MIRROR
    (spec, _) = rendered.pod_specs
    (container,) = spec["containers"]
    (mount,) = [each for each in container["volumeMounts"] if each["name"] == "credentials"]
    (path,) = policy.availability.credentials
    assert path == f"{mount['mountPath']}/.dockerconfigjson"
    assert "credentials" in {volume["name"] for volume in spec["volumes"]}


def test_credential_helper_and_proxy_reach_the_webhook():
    rendered = render(file=CHART / "ci/credential-helper-values.yaml")
    policy = configuration(rendered).policies["default"]
    (spec, _) = rendered.pod_specs
    (container,), (helper,) = spec["containers"], spec["initContainers"]
    environment = {each["name"]: each["value"] for each in container["env"]}

    assert policy.availability.use_proxies
    assert policy.availability.credentials == ("config.json",)
    (folder,) = [each["mountPath"] for each in helper["volumeMounts"]]
    assert folder in environment["PATH"].split(":")
    assert folder in [each["mountPath"] for each in container["volumeMounts"]]
    assert environment["NO_PROXY"]


def test_schema_has_the_keys_of_availability():
    schema = json.loads((CHART / "values.schema.json").read_text())

    assert set(schema["definitions"]["availability"]["properties"]) == set(AVAILABILITY_KEYS)


CHECK = {"availability": {"mode": "check"}}
OFF = {"availability": {"mode": "off"}}
SELECTED = {"selection": {"namespaces": ["a"]}}


@pytest.mark.parametrize(
    ("values", "asks"),
    [
        ({}, False),
        (OFF, False),
        ({"availability": {"mode": False}}, False),
        (CHECK, True),
        ({"policies": {"a": SELECTED | OFF}}, False),
        ({"policies": {"a": SELECTED | CHECK}}, True),
        ({"certificates": {"mode": "cert-manager"}} | CHECK, True),
    ],
)
def test_pods_that_check_mirrors_can_reach_them(values, asks):
    rendered = render(values)
    egress = rendered.one("NetworkPolicy")["spec"]["egress"]

    assert (egress == [{}]) is asks
    policies = configuration(rendered).policies.values()
    assert any(policy.availability is not None for policy in policies) is asks


def test_loop_limits_reach_each_policy():
    team = {"selection": {"namespaces": ["a"]}, "loops": {"mode": "off"}}
    values = {"loops": {"times": 5, "within": "30m"}, "policies": {"team-a": team}}
    policies = configuration(render(values)).policies
    assert policies["default"].loops == LoopLimits(5, 1800)
    assert policies["team-a"].loops is None


def test_schema_has_the_keys_of_loops():
    schema = json.loads((CHART / "values.schema.json").read_text())
    assert set(schema["definitions"]["loops"]["properties"]) == set(LOOP_KEYS)
