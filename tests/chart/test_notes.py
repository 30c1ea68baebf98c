"""What Helm says after an installation."""

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


def test_they_tell_how_to_opt_a_namespace_in_and_how_to_see_it_work():
    told = notes()
    assert "kubectl label namespace NAME mirrorhook.io/rewrite=enabled" in told
    assert "--dry-run=server" in told
    assert "helm test mirrorhook --namespace mirrorhook" in told
    assert "kubectl delete mutatingwebhookconfiguration mirrorhook.mirrorhook" in told


def test_they_say_that_there_are_no_rules_yet():
    assert "There are no rules yet" in notes()
    assert "There are no rules yet" not in notes({"rules": RULES})
    assert "There are no rules yet" not in notes({"profiles": ["daocloud"]})
    assert "There are no rules yet" not in notes(
        {"policies": {"a": {"selection": {"mode": "all"}, "rules": RULES}}}
    )


def test_they_give_an_example_that_is_accepted():
    told = notes()
    example = told[told.index("  rules:\n") : told.index("or take a profile")]
    assert notes(yaml.safe_load(example))


def test_they_say_that_the_namespace_default_is_not_rewritten():
    assert "Pods in the namespace default keep their images" in notes(namespace="default")


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"mode": "observe"}, "It observes only"),
        ({"hostNetwork": True}, "pod-security.kubernetes.io/enforce=privileged"),
        (
            {"replicas": 1, "webhook": {"failurePolicy": "Fail"}},
            "WARNING: failurePolicy is Fail",
        ),
        ({"selection": {"mode": "all"}}, "NAME mirrorhook.io/rewrite=disabled"),
        ({"selection": {"namespaces": ["shop"]}}, "Pods are rewritten in shop."),
        ({"selection": {"namespaces": ["shop"]}}, "Opt another namespace in"),
        (
            {"certificates": {"mode": "existing", "existing": {"secretName": "tls"}}},
            "certificates.existing.caBundle is empty",
        ),
    ],
)
def test_they_name_what_a_choice_asks_for(values, sentence):
    assert sentence in notes(values)
    assert sentence not in notes()


@pytest.mark.parametrize("enabled", [True, False])
def test_they_tell_the_way_to_the_console_where_there_is_one(enabled):
    told = notes({"console": {"enabled": enabled}, "webhook": {"operationsPort": 9000}})
    way = "kubectl port-forward deployment/mirrorhook 8080:9000 --namespace mirrorhook"
    assert (way in told) is enabled


def test_of_a_policy_they_tell_nothing_that_is_not_there():
    told = notes({"rewriter": "policy", "rules": RULES, "replicas": 1})
    assert "kubectl label namespace NAME mirrorhook.io/rewrite=enabled" in told
    assert "--dry-run=server" in told
    assert "mirrorhook doctor --namespace NAME" in told
    assert "kubectl delete mutatingadmissionpolicy mirrorhook.mirrorhook" in told
    for absent in ("rollout", "helm test", "mutatingwebhookconfiguration"):
        assert absent not in told


@pytest.mark.parametrize(
    ("enforce", "said"), [("warn", "brings its user a warning"), ("deny", "is refused")]
)
def test_they_say_what_is_enforced_and_how_that_ends(enforce, said):
    told = notes({"enforce": enforce, "rules": RULES})
    assert said in told
    ending = "kubectl delete validatingadmissionpolicy enforce.mirrorhook.mirrorhook"
    assert ending in told
    assert "validatingadmissionpolicy" not in notes({"rules": RULES})
