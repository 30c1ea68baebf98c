"""Files with custom resources in the place of a rules file."""

from __future__ import annotations

import json

import pytest
import yaml
from click.testing import CliRunner

from webhook.cli.main import mirrorhook

RULE = {"match": "docker.io", "mirrors": [{"target": "harbor.example.com/hub"}]}


def make(kind, *rules, name="rules", namespace="", **spec):
    metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
    return {
        "apiVersion": "mirrorhook.io/v1alpha1",
        "kind": kind,
        "metadata": metadata,
        "spec": {"rules": [*rules], **spec},
    }


PLATFORM = make("ClusterMirrorRules", RULE)
QUAY = {"match": "quay.io", "mirrors": [{"target": "harbor.example.com/shop"}]}
TEAM = make("MirrorRules", QUAY, namespace="shop")


@pytest.fixture
def run(tmp_path):
    def run(objects, *arguments):
        path = tmp_path / "objects.yaml"
        path.write_text(yaml.safe_dump_all(objects))
        return CliRunner().invoke(mirrorhook, [*arguments, "--config", str(path)])

    return run


def explain(result):
    assert result.exit_code == 0, result.output
    return [each["result"] for each in json.loads(result.stdout)]


@pytest.mark.parametrize(
    ("objects", "quay"),
    [
        ([PLATFORM], "quay.io/a"),
        ([PLATFORM, TEAM], "harbor.example.com/shop/a"),
        ([{"apiVersion": "v1", "kind": "List", "items": [TEAM, PLATFORM]}],
         "harbor.example.com/shop/a"),
    ],
)  # fmt: skip
def test_objects_are_rules_of_any_command(run, objects, quay):
    result = run(objects, "explain", "--output", "json", "nginx", "quay.io/a")
    assert explain(result) == ["harbor.example.com/hub/library/nginx", quay]


@pytest.mark.parametrize(
    ("target", "text"),
    [
        ("containerd", "harbor.example.com/v2/hub"),
        ("crio", 'location = "harbor.example.com/hub"'),
        ("policy", "harbor.example.com/hub"),
    ],
)
def test_render_writes_the_rules_of_objects(run, target, text):
    result = run([PLATFORM], "render", target)
    assert result.exit_code == 0, result.output
    assert text in result.stdout


def test_rules_of_another_policy_are_found_by_its_name(run):
    result = run(
        [make("ClusterMirrorRules", RULE, policy="team-a")],
        *("explain", "--output", "json", "--policy", "team-a", "nginx"),
    )
    assert explain(result) == ["harbor.example.com/hub/library/nginx"]


def test_rules_of_several_namespaces_are_refused(run):
    objects = [TEAM, make("MirrorRules", QUAY, namespace="other")]
    result = run(objects, "explain", "nginx")
    assert result.exit_code == 2
    assert "MirrorRules of several namespaces (other, shop)" in result.stderr


def test_object_with_an_error_is_refused_with_its_key(run):
    bad = make("ClusterMirrorRules", {"match": "docker.io", "mirrors": [{"target": "x:y"}]})
    result = run([bad], "render", "containerd")
    assert result.exit_code == 2
    assert "spec.rules[0].mirrors[0].target" in result.stderr
    assert result.stdout == ""
