"""Combinations that cannot work are refused with a sentence."""

from __future__ import annotations

import pytest

from tests.chart.rendering import HELM_VERSIONS, refusal

RULE = {"match": "docker.io", "mirrors": ["harbor.example.com/hub"]}


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (
            {"webhook": {"port": 443}, "cloud": {"gkePrivateCluster": True}},
            "webhook.port is 443, and cloud.gkePrivateCluster sets it to 10250",
        ),
        (
            {"webhook": {"port": 8080}},
            "The ports for reviews and for metrics are both 8080",
        ),
        (
            {"webhook": {"port": 10250}, "hostNetwork": True},
            "port 10250 is the kubelet's",
        ),
        (
            {"cloud": {"gkePrivateCluster": True, "eksOverlayNetwork": True}},
            "port 10250 is the kubelet's",
        ),
        (
            {"certificates": {"mode": "existing"}},
            "name the Secret in certificates.existing.secretName",
        ),
        (
            {"certificates": {"existing": {"secretName": "tls"}}},
            "certificates.existing is filled in, and certificates.mode is self",
        ),
        (
            {"certificates": {"certManager": {"issuerRef": {"name": "ca"}}}},
            "issuerRef is given, and certificates.mode is self",
        ),
        (
            {"serviceAccount": {"create": False}},
            "name it in serviceAccount.name",
        ),
        (
            {"autoscaling": {"enabled": True, "minReplicas": 6}},
            "autoscaling.minReplicas is 6, more than autoscaling.maxReplicas, which is 5",
        ),
        (
            {"autoscaling": {"enabled": True}, "resources": {"requests": {"cpu": None}}},
            "resources.requests.cpu is not set",
        ),
        (
            {"policies": {"default": {"selection": {"mode": "all"}}}},
            "the rules at the top are the policy default",
        ),
        (
            {"selection": {"namespaces": ["mirrorhook"]}},
            "selection.namespaces has mirrorhook, the namespace of the release itself",
        ),
        (
            {"policies": {"a": {"selection": {"namespaces": ["mirrorhook"]}}}},
            "policies.a.selection.namespaces has mirrorhook",
        ),
        (
            {"selection": {"namespaces": ["x"], "excludedNamespaces": ["x"]}},
            "selection has x both in namespaces and in excludedNamespaces",
        ),
        (
            {"policies": {"a": {"selection": {}}}},
            "policies.a.selection lists no namespaces: name them in policies.a",
        ),
        ({"selection": {"mode": "listed"}}, "selection lists no namespaces"),
        (
            {"rules": [{"mirrors": ["a.example.com"]}]},
            "rules[0] has neither match nor regex",
        ),
        ({"rules": [RULE, {**RULE, "regex": ".*"}]}, "rules[1] has both match and regex"),
        ({"rules": [{**RULE, "keep": True}]}, "rules[0] has both mirrors and keep: true"),
        ({"rules": [{"match": "gcr.io"}]}, "rules[0] has no mirrors"),
        (
            {"policies": {"a": {"selection": {"mode": "all"}, "rules": [{"match": "gcr.io"}]}}},
            "policies.a.rules[0] has no mirrors",
        ),
    ],
)
def test_what_cannot_work_is_refused_with_a_sentence(values, sentence):
    assert sentence in refusal(values)


@pytest.mark.parametrize("helm", HELM_VERSIONS)
def test_every_problem_is_told_at_once(helm):
    told = refusal({"webhook": {"port": 8080}, "rules": [{"match": "gcr.io"}]}, helm=helm)
    assert "both 8080" in told
    assert "rules[0] has no mirrors" in told
