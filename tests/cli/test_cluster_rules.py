"""Commands that use the rules of a cluster: its ConfigMap with its custom resources."""

from __future__ import annotations

import json

import pytest
import yaml
from click.testing import CliRunner

from tests.cli.listing_api import Api, pod
from webhook.cli.main import mirrorhook

GROUP = "/apis/mirrorhook.io/v1alpha1"
WEBHOOKS = "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations"
NAMESPACE = "/api/v1/namespaces/mirrorhook"
DEPLOYMENT = "/apis/apps/v1/namespaces/mirrorhook/deployments/mirrorhook"
FILE = {
    "rules": [
        {"match": "docker.io", "mirrors": ["harbor.example.com/hub"], "enforced": True},
        {"match": "quay.io", "mirrors": ["harbor.example.com/quay"]},
        {"match": "gcr.io", "mirrors": ["harbor.example.com/gcr"]},
    ],
    "delegation": {
        "namespaces": {"matchLabels": {"team": "yes"}},
        "mirrors": ["harbor.example.com/*"],
    },
}
LABELS = {"shop": {"team": "yes"}, "other": {}}


def rule(match, target):
    return {"match": match, "mirrors": [{"target": f"harbor.example.com/{target}"}]}


def custom(name, *rules, namespace="", generation=1, **spec):
    metadata = {
        "name": name,
        "uid": f"{namespace}/{name}",
        "generation": generation,
        "creationTimestamp": "2026-11-01T00:00:00Z",
    }
    if namespace:
        metadata["namespace"] = namespace
    return {"metadata": metadata, "spec": {"rules": [*rules], **spec}}


def webhook(name="mirrorhook", policy="/mutate"):
    service = {"namespace": "mirrorhook", "name": "mirrorhook", "path": policy}
    hook = {"name": "default.mirrorhook.io", "clientConfig": {"service": service}}
    return {"metadata": {"name": name}, "webhooks": [hook]}


def deployment(*arguments):
    containers = [{"name": "webhook", "args": ["serve", *arguments]}]
    return {
        "metadata": {"name": "mirrorhook", "namespace": "mirrorhook"},
        "spec": {"template": {"spec": {"containers": containers}}},
    }


@pytest.fixture
def api(tmp_path):
    api = Api(tmp_path)
    config_map = {
        "metadata": {"name": "mirrorhook-rules"},
        "data": {"rules.yaml": yaml.safe_dump(FILE)},
    }
    teams = [custom("team", rule("quay.io", "shop"), namespace="shop", generation=4)]
    api.collections = {
        WEBHOOKS: [webhook()],
        f"{NAMESPACE}/configmaps": [config_map],
        DEPLOYMENT: deployment("--custom-resources"),
        f"{GROUP}/clustermirrorrules": [custom("gcr", rule("gcr.io", "new"), generation=2)],
        f"{GROUP}/mirrorrules": teams,
        f"{GROUP}/namespaces/shop/mirrorrules": teams,
        "/api/v1/namespaces": [
            {"metadata": {"name": name, "labels": labels}} for name, labels in LABELS.items()
        ],
    }
    for name, labels in LABELS.items():
        found = {"metadata": {"name": name, "labels": labels}}
        api.collections[f"/api/v1/namespaces/{name}"] = found
    yield api
    api.close()


def run(api, command, *arguments, **environment):
    options = ("--cluster", "--kubeconfig", str(api.kubeconfig))
    return CliRunner(env=environment).invoke(mirrorhook, [command, *options, *arguments])


def explain(api, *arguments, **environment):
    result = run(api, "explain", "--output", "json", *arguments, **environment)
    assert result.exit_code == 0, result.output
    return [
        (each["result"], [tuple(one.values()) for one in each["origins"]])
        for each in json.loads(result.stdout)
    ]


MAP = ("ConfigMap", "mirrorhook", "mirrorhook-rules", None)


@pytest.mark.parametrize(
    ("options", "quay", "origin"),
    [
        ((), "quay/a", ("quay.io", *MAP, "rules[1]")),
        (("-n", "other"), "quay/a", ("quay.io", *MAP, "rules[1]")),
        (("-n", "shop"), "shop/a", ("quay.io", "MirrorRules", "shop", "team", 4, "spec.rules[0]")),
    ],
)
def test_explain_says_which_object_key_and_generation_decided(api, options, quay, origin):
    found = explain(api, "nginx", "quay.io/a", "gcr.io/a", *options)
    cluster = ("gcr.io", "ClusterMirrorRules", None, "gcr", 2, "spec.rules[0]")
    assert found == [
        ("harbor.example.com/hub/library/nginx", [("docker.io", *MAP, "rules[0]")]),
        (f"harbor.example.com/{quay}", [origin]),
        ("harbor.example.com/new/a", [cluster]),
    ]


def test_explain_shows_people_the_object_under_the_reason(api):
    result = run(api, "explain", "-n", "shop", "quay.io/a:1")
    assert result.exit_code == 0
    assert result.stdout == (
        "quay.io/a:1\n"
        "  rewritten    harbor.example.com/shop/a:1\n"
        "  why          rule quay.io (MirrorRules shop/team) → harbor.example.com/shop\n"
        "  from         MirrorRules shop/team, generation 4, spec.rules[0]\n"
    )


def test_profile_in_an_object_is_named_with_its_place(api):
    path = f"{GROUP}/clustermirrorrules"
    api.collections[path] = [custom("profiles", profiles=["k8s-gcr-io"])]
    ((_, origins),) = explain(api, "k8s.gcr.io/pause:3.10")
    assert origins[0][1:] == ("ClusterMirrorRules", None, "profiles", 1, "spec.profiles[0]")


def test_object_that_is_not_in_use_is_a_warning(api):
    path = f"{GROUP}/clustermirrorrules"
    api.collections[path] = [custom("next", rule("docker.io/a", "x:y"), generation=3)]
    result = run(api, "explain", "docker.io/a/b")
    assert result.exit_code == 0
    assert result.stderr.startswith(
        "Warning: ClusterMirrorRules next, generation 3, is not in use (Invalid): "
        "spec.rules[0].mirrors[0].target: "
    )
    assert "harbor.example.com/hub/a/b" in result.stdout


def test_objects_have_no_effect_if_the_release_does_not_read_them(api):
    api.collections[DEPLOYMENT] = deployment()
    assert explain(api, "gcr.io/a", "-n", "shop")[0][0] == "harbor.example.com/gcr/a"
    assert not any("mirrorrules" in each for each in api.requests)


def test_explain_reads_only_the_namespace_that_is_asked_for(api):
    explain(api, "quay.io/a", "-n", "shop")
    paths = [each.partition("?")[0] for each in api.requests]
    assert f"{GROUP}/namespaces/shop/mirrorrules" in paths
    assert not {f"{GROUP}/mirrorrules", "/api/v1/namespaces"} & {*paths}


def test_rules_file_of_the_environment_gives_way_to_the_cluster(api, tmp_path):
    path = tmp_path / "rules.yaml"
    path.write_text("rules: []")
    environment = {"MIRRORHOOK_CONFIG": str(path)}
    assert explain(api, "gcr.io/a", **environment)[0][0] == "harbor.example.com/new/a"
    result = run(api, "explain", "--config", str(path), "gcr.io/a")
    assert result.exit_code == 2
    assert "give either --cluster, or --config or --profile" in result.stderr


@pytest.mark.parametrize(
    ("change", "options", "problem"),
    [
        ({WEBHOOKS: []}, (), "the cluster has no webhook for policy default; mirrorhook doctor"),
        ({}, ("--policy", "x"), "no webhook for policy x; known policies: default"),
        ({f"{NAMESPACE}/configmaps": []}, (), "there is no ConfigMap with the rules"),
    ],
)
def test_explain_says_why_a_cluster_has_no_rules(api, change, options, problem):
    api.collections |= change
    result = run(api, "explain", "nginx", *options)
    assert result.exit_code == 2
    assert problem in result.stderr


def test_explain_names_what_it_may_not_read(api):
    api.forbidden = f"{GROUP}/clustermirrorrules"
    result = run(api, "explain", "nginx")
    assert result.exit_code == 2
    assert "clustermirrorrules" in result.stderr


def test_explain_refuses_the_options_of_a_cluster_without_a_cluster(tmp_path):
    arguments = ["explain", "--profile", "daocloud", "--namespace", "shop", "nginx"]
    result = CliRunner().invoke(mirrorhook, arguments)
    assert result.exit_code == 2
    assert "--namespace and --context need --cluster" in result.stderr


def test_audit_applies_the_rules_of_each_namespace(api):
    pods = [pod("a", "quay.io/a"), pod("b", "gcr.io/b")]
    other = pod("c", "quay.io/a")
    other["metadata"]["namespace"] = "other"
    api.collections["/api/v1/pods"] = [*pods, other]
    result = run(api, "audit", "--output", "json")
    assert result.exit_code == 0, result.output
    entries = json.loads(result.stdout)["images"]
    assert [(each["namespace"], each["result"], each["rule"]) for each in entries] == [
        ("other", "harbor.example.com/quay/a", "quay.io"),
        ("shop", "harbor.example.com/shop/a", "quay.io (MirrorRules shop/team)"),
        ("shop", "harbor.example.com/new/b", "gcr.io (ClusterMirrorRules gcr)"),
    ]


def test_audit_names_namespaces_in_which_nothing_is_changed(api):
    team = custom("team", namespace="other", mode="observe")
    api.collections[f"{GROUP}/mirrorrules"] = [team]
    api.collections["/api/v1/namespaces"][1]["metadata"]["labels"] = {"team": "yes"}
    without = {**FILE, "rules": FILE["rules"][1:]}
    (found,) = api.collections[f"{NAMESPACE}/configmaps"]
    found["data"]["rules.yaml"] = yaml.safe_dump(without)
    api.collections["/api/v1/pods"] = [pod("a", "quay.io/a")]
    api.collections["/api/v1/pods"][0]["metadata"]["namespace"] = "other"
    result = run(api, "audit")
    assert result.exit_code == 0
    assert "Note: the MirrorRules of other have mode observe" in result.stderr


def test_copy_takes_each_image_to_the_mirror_of_its_namespace(api):
    other = pod("c", "quay.io/a:1")
    other["metadata"]["namespace"] = "other"
    api.collections["/api/v1/pods"] = [pod("a", "quay.io/a:1"), other]
    result = run(api, "copy", "--plan", "list")
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        "quay.io/a:1 harbor.example.com/quay/a:1",
        "quay.io/a:1 harbor.example.com/shop/a:1",
    ]


def test_copy_adds_custom_resources_to_a_rules_file(api, tmp_path):
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump(FILE))
    api.collections["/api/v1/pods"] = [pod("a", "quay.io/a:1"), pod("b", "gcr.io/b:1")]
    result = run(api, "copy", "--plan", "list", "--custom-resources", "--config", str(path))
    assert result.exit_code == 0, result.output
    assert result.stdout.splitlines() == [
        "gcr.io/b:1 harbor.example.com/new/b:1",
        "quay.io/a:1 harbor.example.com/shop/a:1",
    ]
    assert not any("webhookconfigurations" in each for each in api.requests)


def test_copy_with_rules_uses_these_alone(api, tmp_path):
    path = tmp_path / "rules.yaml"
    path.write_text(yaml.safe_dump(FILE))
    api.collections["/api/v1/pods"] = [pod("a", "quay.io/a:1")]
    result = run(api, "copy", "--plan", "list", "--config", str(path))
    assert result.stdout == "quay.io/a:1 harbor.example.com/quay/a:1\n"
