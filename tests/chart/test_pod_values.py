"""Values that users know from other charts."""

from __future__ import annotations

import pytest
import yaml

from tests.chart.rendering import CHART, refusal, render

GIVEN = yaml.safe_load((CHART / "ci/every-pod-value-values.yaml").read_text())
PODS = "monitoring"


@pytest.fixture(scope="module")
def rendered():
    return render(file=CHART / "ci/every-pod-value-values.yaml")


@pytest.fixture(scope="module")
def deployment(rendered):
    return rendered.one("Deployment")


@pytest.mark.parametrize("key", ["revisionHistoryLimit", "minReadySeconds"])
def test_value_is_a_field_of_the_deployment(deployment, key):
    assert deployment["spec"][key] == GIVEN[key]


@pytest.mark.parametrize(
    "key",
    [
        "automountServiceAccountToken",
        "dnsConfig",
        "dnsPolicy",
        "hostAliases",
        "initContainers",
        "runtimeClassName",
        "terminationGracePeriodSeconds",
    ],
)
def test_value_is_a_field_of_the_pods(deployment, key):
    assert deployment["spec"]["template"]["spec"][key] == GIVEN[key]


def test_webhook_is_the_first_of_several_containers(deployment):
    webhook, *others = deployment["spec"]["template"]["spec"]["containers"]
    assert webhook["name"] == "webhook"
    assert others == GIVEN["extraContainers"]
    assert webhook["envFrom"] == GIVEN["envFrom"]


def test_probes_keep_what_is_not_overridden(deployment):
    webhook, _ = deployment["spec"]["template"]["spec"]["containers"]
    healthz = {"httpGet": {"path": "/healthz", "port": "operations"}}
    assert webhook["startupProbe"] == healthz | {"periodSeconds": 1, "failureThreshold": 120}
    assert webhook["livenessProbe"]["initialDelaySeconds"] == 5
    assert webhook["livenessProbe"]["periodSeconds"] == 10
    assert webhook["readinessProbe"]["httpGet"]["path"] == "/readyz"
    assert webhook["readinessProbe"]["periodSeconds"] == 5


def test_labels_and_annotations_are_on_their_objects(rendered, deployment):
    assert deployment["metadata"]["annotations"] == GIVEN["deploymentAnnotations"]
    account = rendered.one("ServiceAccount")
    assert account["metadata"]["labels"].items() >= GIVEN["serviceAccount"]["labels"].items()
    assert account["automountServiceAccountToken"] is True
    service = rendered.one("Service")
    assert service["metadata"]["labels"].items() >= GIVEN["service"]["labels"].items()
    assert service["spec"]["type"] == "NodePort"
    assert service["spec"]["ipFamilies"] == ["IPv4"]


def test_off_is_a_mode_without_quotes_too():
    # YAML reads off as false.
    autoscaler = {"enabled": True, "updateMode": False}
    spec = render({"verticalPodAutoscaler": autoscaler}).one("VerticalPodAutoscaler")["spec"]
    assert spec["updatePolicy"] == {"updateMode": "Off"}
    assert render({"verticalPodAutoscaler": autoscaler, "autoscaling": {"enabled": True}}).objects


def test_autoscaling_by_memory_alone(rendered):
    spec = rendered.one("HorizontalPodAutoscaler")["spec"]
    (metric,) = spec["metrics"]
    assert metric["resource"]["name"] == "memory"
    assert spec["behavior"] == GIVEN["autoscaling"]["behavior"]


@pytest.mark.parametrize(
    ("budget", "field"),
    [
        ({}, {"maxUnavailable": 1}),
        ({"maxUnavailable": 0}, {"maxUnavailable": 0}),
        ({"maxUnavailable": "50%"}, {"maxUnavailable": "50%"}),
        ({"minAvailable": 0}, {"minAvailable": 0}),
        ({"minAvailable": 2}, {"minAvailable": 2}),
    ],
)
def test_disruption_budget_has_one_limit(budget, field):
    spec = render({"podDisruptionBudget": budget}).one("PodDisruptionBudget")["spec"]
    assert {key: spec[key] for key in spec if key.endswith("vailable")} == field


def test_extra_objects_are_objects_or_text_and_templates(rendered):
    names = {each["metadata"]["name"] for each in rendered.of_kind("ConfigMap")}
    assert {"mirrorhook-more", "mirrorhook-text"} <= names


@pytest.mark.parametrize("kind", ["PodMonitor", "PrometheusRule", "ConfigMap"])
def test_object_in_another_namespace_has_a_name_that_no_other_release_has(kind):
    monitored = render(file=CHART / "ci/pod-monitor-values.yaml", namespace="team-a")
    (found,) = [
        each["metadata"]
        for each in monitored.of_kind(kind)
        if each["metadata"]["namespace"] == PODS
    ]
    assert found["name"].endswith(".team-a")


def test_monitor_in_another_namespace_selects_that_of_the_release():
    monitor = render(file=CHART / "ci/pod-monitor-values.yaml").one("PodMonitor")["spec"]
    assert monitor["namespaceSelector"] == {"matchNames": ["mirrorhook"]}
    (endpoint,) = monitor["podMetricsEndpoints"]
    assert endpoint["scrapeTimeout"] == "10s"
    assert endpoint["relabelings"]
    assert endpoint["metricRelabelings"]


def test_cilium_policy_replaces_the_network_policy():
    rendered = render(file=CHART / "ci/cilium-values.yaml")
    assert not rendered.of_kind("NetworkPolicy")
    spec = rendered.one("CiliumNetworkPolicy")["spec"]
    reviews, test, *_ = spec["ingress"]
    assert reviews["fromEntities"] == ["kube-apiserver", "remote-node", "host"]
    assert reviews["toPorts"] == test["toPorts"]
    assert spec["egress"][0] == {"toEntities": ["kube-apiserver"]}


@pytest.mark.parametrize(
    ("values", "first"),
    [
        ({"certificates": {"mode": "cert-manager"}}, {}),
        ({"availability": {"mode": "check"}}, {"toEntities": ["all"]}),
    ],
)
def test_cilium_policy_allows_only_the_egress_that_is_needed(values, first):
    rendered = render({"networkPolicy": {"flavor": "cilium"}, **values})
    assert rendered.one("CiliumNetworkPolicy")["spec"]["egress"][0] == first


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        (
            {"podDisruptionBudget": {"minAvailable": 0, "maxUnavailable": 1}},
            "podDisruptionBudget has both minAvailable and maxUnavailable",
        ),
        (
            {"autoscaling": {"enabled": True, "targetCPUUtilizationPercentage": None}},
            "there is nothing to scale by",
        ),
        (
            {
                "autoscaling": {"enabled": True, "targetMemoryUtilizationPercentage": 80},
                "resources": {"requests": {"memory": None}},
            },
            "set resources.requests.memory",
        ),
        (
            {"autoscaling": {"enabled": True}, "verticalPodAutoscaler": {"enabled": True}},
            "autoscaling and verticalPodAutoscaler both react",
        ),
        ({"automountServiceAccountToken": False}, "self-managed certificates need the token"),
        ({"dnsPolicy": "None"}, "set dnsConfig.nameservers"),
        ({"extraVolumes": [{"name": "tmp"}]}, "a volume with the name tmp, which the chart uses"),
        ({"extraContainers": [{"name": "webhook"}]}, "a container with the name webhook, which"),
        ({"terminationGracePeriodSeconds": 5}, "serves for 5 seconds after SIGTERM"),
        (
            {"terminationGracePeriodSeconds": 10, "extraArgs": ["--drain=20"]},
            "serves for 20 seconds after SIGTERM",
        ),
        (
            {"service": {"ipFamilyPolicy": "SingleStack", "ipFamilies": ["IPv4", "IPv6"]}},
            "service.ipFamilies has two",
        ),
        (
            {"networkPolicy": {"flavor": "cilium", "reviewsFrom": [{"podSelector": {}}]}},
            "use networkPolicy.cilium.reviewsFrom",
        ),
        (
            {"networkPolicy": {"cilium": {"extraEgress": [{"toEntities": ["all"]}]}}},
            "networkPolicy.cilium.extraEgress is for the flavor cilium",
        ),
        ({"monitoring": {"scrapeTimeout": "1m"}}, "monitoring.scrapeTimeout (1m) is greater"),
    ],
)
def test_values_that_contradict_each_other_are_refused(values, sentence):
    assert sentence in refusal(values)


@pytest.mark.parametrize(
    "values",
    [
        {"automountServiceAccountToken": False, "certificates": {"mode": "cert-manager"}},
        {"terminationGracePeriodSeconds": 5, "extraArgs": ["--drain=1"]},
    ],
)
def test_values_that_fit_together_are_accepted(values):
    assert render(values).objects
