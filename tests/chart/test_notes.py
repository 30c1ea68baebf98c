"""The notes that Helm prints after an installation."""

from __future__ import annotations

import json
from functools import cache

import pytest
import yaml

from tests.chart.rendering import CHART, run_helm

RULES = [{"match": "docker.io", "mirrors": ["harbor.example.com/hub"]}]


def notes(values=None, namespace="mirrorhook"):
    return printed(json.dumps(values or {}), namespace)


@cache
def printed(values, namespace):
    done = run_helm(
        "install",
        "mirrorhook",
        CHART,
        "--namespace",
        namespace,
        "--dry-run=client",
        values=json.loads(values),
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.partition("NOTES:\n")[2]


def test_notes_show_how_to_opt_a_namespace_in_and_how_to_try_it():
    text = notes()
    assert "kubectl label namespace NAME mirrorhook.io/rewrite=enabled" in text
    assert "--dry-run=server" in text
    assert "helm test mirrorhook --namespace mirrorhook" in text
    assert "kubectl delete mutatingwebhookconfiguration mirrorhook.mirrorhook" in text


def test_notes_without_rules_say_so():
    assert "There are no rules yet" in notes()
    assert "There are no rules yet" not in notes({"rules": RULES})
    assert "There are no rules yet" not in notes({"profiles": ["daocloud"]})
    assert "There are no rules yet" not in notes(
        {"policies": {"a": {"selection": {"mode": "all"}, "rules": RULES}}}
    )


def test_notes_give_a_valid_example_of_rules():
    text = notes()
    example = text[text.index("  rules:\n") : text.index("or use a profile")]
    assert notes(yaml.safe_load(example))


def test_notes_say_that_the_namespace_default_is_not_rewritten():
    assert "Pods in the namespace default keep their images" in notes(namespace="default")


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"mode": "observe"}, "The mode is observe"),
        ({"hostNetwork": True}, "pod-security.kubernetes.io/enforce=privileged"),
        (
            {"replicas": 1, "webhook": {"failurePolicy": "Fail"}},
            "WARNING: failurePolicy is Fail",
        ),
        ({"selection": {"mode": "all"}}, "NAME mirrorhook.io/rewrite=disabled"),
        ({"selection": {"namespaces": ["shop"]}}, "Pods are rewritten in shop."),
        ({"selection": {"namespaces": ["shop"]}}, "To opt another namespace in"),
        ({"customResources": {"enabled": True}}, "kubectl get mirrorrules --all-namespaces"),
        ({"customResources": {"enabled": True}}, "No namespace may bring MirrorRules"),
        (
            {"customResources": {"enabled": True}},
            "kubectl delete crd clustermirrorrules.mirrorhook.io mirrorrules.mirrorhook.io",
        ),
        (
            {"customResources": {"enabled": True, "keep": False}},
            "WARNING: customResources.keep is false",
        ),
        (
            {"certificates": {"mode": "existing", "existing": {"secretName": "tls"}}},
            "certificates.existing.caBundle is empty",
        ),
    ],
)
def test_notes_mention_what_a_value_requires(values, sentence):
    assert sentence in notes(values)
    assert sentence not in notes()


@pytest.mark.parametrize("enabled", [True, False])
def test_notes_show_how_to_open_the_console_if_it_is_enabled(enabled):
    text = notes({"console": {"enabled": enabled}, "webhook": {"operationsPort": 9000}})
    command = "kubectl port-forward deployment/mirrorhook 8080:9000 --namespace mirrorhook"
    assert (command in text) is enabled


def test_notes_of_a_policy_mention_no_webhook():
    text = notes({"rewriter": "policy", "rules": RULES, "replicas": 1})
    assert "kubectl label namespace NAME mirrorhook.io/rewrite=enabled" in text
    assert "--dry-run=server" in text
    assert "mirrorhook doctor --namespace NAME" in text
    assert "kubectl delete mutatingadmissionpolicy mirrorhook.mirrorhook" in text
    for absent in ("rollout", "helm test", "mutatingwebhookconfiguration"):
        assert absent not in text


@pytest.mark.parametrize(
    ("enforce", "sentence"), [("warn", "causes a warning to its user"), ("deny", "is refused")]
)
def test_notes_say_what_is_enforced_and_how_to_stop_it(enforce, sentence):
    text = notes({"enforce": enforce, "rules": RULES})
    assert sentence in text
    command = "kubectl delete validatingadmissionpolicy enforce.mirrorhook.mirrorhook"
    assert command in text
    assert "validatingadmissionpolicy" not in notes({"rules": RULES})
