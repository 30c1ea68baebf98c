"""The chart refuses combinations of values that cannot work."""

from __future__ import annotations

import pytest

from tests.chart.rendering import HELM_VERSIONS, refusal


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (
            {"webhook": {"port": 443}, "cloud": {"gkePrivateCluster": True}},
            "webhook.port is 443, but cloud.gkePrivateCluster sets it to 10250",
        ),
        (
            {"webhook": {"port": 8080}},
            "The ports for reviews and metrics are both 8080",
        ),
        (
            {"webhook": {"port": 10250}, "hostNetwork": True},
            "port 10250 is used by the kubelet",
        ),
        (
            {"cloud": {"gkePrivateCluster": True, "eksOverlayNetwork": True}},
            "port 10250 is used by the kubelet",
        ),
        (
            {"certificates": {"mode": "existing"}},
            "set certificates.existing.secretName to the name of the Secret",
        ),
        (
            {"certificates": {"clients": {"secretName": "a", "configMapName": "b"}}},
            "certificates.clients has both configMapName and secretName",
        ),
        (
            {"certificates": {"clients": {"names": ["kube-apiserver"]}}},
            "set configMapName or secretName, too",
        ),
        (
            {"certificates": {"existing": {"secretName": "tls"}}},
            "certificates.existing is set, but certificates.mode is self",
        ),
        (
            {"certificates": {"certManager": {"issuerRef": {"name": "ca"}}}},
            "issuerRef is set, but certificates.mode is self",
        ),
        (
            {"serviceAccount": {"create": False}},
            "set serviceAccount.name",
        ),
        (
            {"autoscaling": {"enabled": True, "minReplicas": 6}},
            "autoscaling.minReplicas (6) is greater than autoscaling.maxReplicas (5)",
        ),
        (
            {"autoscaling": {"enabled": True}, "resources": {"requests": {"cpu": None}}},
            "set resources.requests.cpu",
        ),
        (
            {"policies": {"default": {"selection": {"mode": "all"}}}},
            "the top-level rules are already the policy default",
        ),
        (
            {"selection": {"namespaces": ["mirrorhook"]}},
            "selection.namespaces includes mirrorhook, the namespace of the release",
        ),
        (
            {"policies": {"a": {"selection": {"namespaces": ["mirrorhook"]}}}},
            "policies.a.selection.namespaces includes mirrorhook",
        ),
        (
            {"selection": {"namespaces": ["x"], "excludedNamespaces": ["x"]}},
            "selection has x in both namespaces and excludedNamespaces",
        ),
        (
            {"policies": {"a": {"selection": {}}}},
            "policies.a.selection lists no namespaces: add them to policies.a",
        ),
        ({"selection": {"mode": "listed"}}, "selection lists no namespaces"),
        ({"rules": [{"match": "gcr.io"}]}, "rules[0]: the rule has neither mirrors nor keep"),
        (
            {"policies": {"a": {"selection": {"mode": "all"}, "rules": [{"match": "gcr.io"}]}}},
            "policies.a.rules[0]: the rule has neither mirrors nor keep",
        ),
    ],
)
def test_impossible_combination_is_refused_with_a_message(values, sentence):
    assert sentence in refusal(values)


@pytest.mark.parametrize("helm", HELM_VERSIONS)
def test_all_problems_are_reported_at_once(helm):
    message = refusal({"webhook": {"port": 8080}, "rules": [{"match": "gcr.io"}]}, helm=helm)
    assert "both 8080" in message
    assert "rules[0]: the rule has neither mirrors" in message
