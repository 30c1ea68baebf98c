"""The Pods of the chart: their images, arguments and permissions."""

from __future__ import annotations

import pytest

from tests.chart.rendering import CHART, WEBHOOK_VALUES, render
from webhook.tls.ca_secret import SECRET_TYPE

IMAGE = "ghcr.io/mirrorhook/mirrorhook:0.1.0"


def container(rendered):
    containers = rendered.one("Deployment")["spec"]["template"]["spec"]["containers"]
    return next(each for each in containers if each["name"] == "webhook")


@pytest.mark.parametrize("values", WEBHOOK_VALUES, ids=lambda path: path.stem)
def test_pods_meet_the_restricted_standard(values):
    for spec in render(file=values).pod_specs:
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        for one in spec["containers"] + spec.get("initContainers", []):
            # Containers of users may have another group than ours.
            assert one["securityContext"] | {"runAsGroup": 65532} == {
                "runAsGroup": 65532,
                "allowPrivilegeEscalation": False,
                "capabilities": {"drop": ["ALL"]},
                "readOnlyRootFilesystem": True,
            }
        allowed = {"configMap", "emptyDir", "secret", "projected", "name"}
        assert {key for volume in spec["volumes"] for key in volume} <= allowed


def test_webhook_does_not_run_in_the_group_of_root():
    assert container(render())["securityContext"]["runAsGroup"] == 65532


def test_pods_use_only_the_image_of_mirrorhook():
    for spec in render().pod_specs:
        assert [one["image"] for one in spec["containers"]] == [IMAGE]


def test_images_come_from_the_given_registry():
    digest = "sha256:" + "0123456789abcdef" * 4
    for spec in render(file=CHART / "ci/private-registry-values.yaml").pod_specs:
        assert [one["image"] for one in spec["containers"]] == [
            f"harbor.example.com:8443/platform/mirrorhook:1.2.3@{digest}"
        ]
        assert spec["imagePullSecrets"] == [{"name": "harbor"}, {"name": "other"}]


def test_arguments_name_the_secret_and_the_webhook_configuration():
    rendered = render()
    arguments = container(rendered)["args"]
    assert arguments == [
        "serve",
        "--config=/etc/mirrorhook/rules/rules.yaml",
        "--wait-for-rules",
        "--port=8443",
        "--operations-port=8080",
        "--certificate-secret=mirrorhook/mirrorhook-ca",
        "--service-name=mirrorhook",
        "--service-namespace=mirrorhook",
        "--webhook-configuration=mirrorhook.mirrorhook",
    ]
    names = {item["metadata"]["name"] for item in rendered.of_kind("Secret")}
    assert names == {"mirrorhook-ca"}
    assert rendered.one("Secret")["type"] == SECRET_TYPE
    assert "data" not in rendered.one("Secret")
    assert "stringData" not in rendered.one("Secret")


@pytest.mark.parametrize(
    ("values", "secret"),
    [
        ("ci/cert-manager-values.yaml", "mirrorhook-tls"),
        ("ci/existing-secret-values.yaml", "webhook-certificate"),
    ],
)
def test_external_certificates_are_mounted_as_a_folder(values, secret):
    rendered = render(file=CHART / values)
    one = container(rendered)
    assert one["args"][-2:] == [
        "--tls-cert=/etc/mirrorhook/tls/tls.crt",
        "--tls-key=/etc/mirrorhook/tls/tls.key",
    ]
    (mount,) = (mount for mount in one["volumeMounts"] if mount["name"] == "tls")
    assert mount == {"name": "tls", "mountPath": "/etc/mirrorhook/tls", "readOnly": True}
    spec = rendered.one("Deployment")["spec"]["template"]["spec"]
    assert {"name": "tls", "secret": {"secretName": secret}} in spec["volumes"]
    assert not rendered.of_kind("Secret")


def test_volumes_are_never_mounted_as_a_single_file():
    for values in WEBHOOK_VALUES:
        for mount in container(render(file=values))["volumeMounts"]:
            assert "subPath" not in mount


def test_new_rules_do_not_restart_pods():
    before = render({"rules": [{"match": "gcr.io", "mirrors": ["a.example.com"]}]})
    after = render({"rules": [{"match": "gcr.io", "mirrors": ["b.example.com"]}]})
    assert before.one("ConfigMap") != after.one("ConfigMap")
    assert before.one("Deployment") == after.one("Deployment")


def test_service_targets_the_ports_of_the_pods():
    rendered = render({"webhook": {"port": 10250, "operationsPort": 9090}})
    ports = {port["name"]: port["containerPort"] for port in container(rendered)["ports"]}
    assert ports == {"webhook": 10250, "operations": 9090}
    service = rendered.one("Service")["spec"]
    assert {port["name"]: port["port"] for port in service["ports"]} == {
        "webhook": 443,
        "operations": 8080,
    }
    assert {port["targetPort"] for port in service["ports"]} == set(ports)
    assert {"--port=10250", "--operations-port=9090"} <= set(container(rendered)["args"])
    (webhook,) = rendered.webhooks.values()
    assert webhook["clientConfig"]["service"]["port"] == 443


def test_private_gke_cluster_uses_the_open_port():
    rendered = render({"cloud": {"gkePrivateCluster": True}})
    assert container(rendered)["ports"][0]["containerPort"] == 10250


@pytest.mark.parametrize("values", [{"hostNetwork": True}, {"cloud": {"eksOverlayNetwork": True}}])
def test_pods_on_the_host_network_are_replaced_in_place(values):
    rendered = render(values)
    deployment = rendered.one("Deployment")["spec"]
    spec = deployment["template"]["spec"]
    assert spec["hostNetwork"] is True
    assert spec["dnsPolicy"] == "ClusterFirstWithHostNet"
    assert deployment["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}
    assert not rendered.of_kind("NetworkPolicy")


def test_rollout_never_goes_below_the_number_of_replicas():
    deployment = render().one("Deployment")["spec"]
    assert deployment["replicas"] == 2
    assert deployment["strategy"]["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}


@pytest.mark.parametrize("replicas", [1, 2, 5])
def test_disruption_budget_never_blocks_a_drain(replicas):
    budget = render({"replicas": replicas}).one("PodDisruptionBudget")["spec"]
    assert budget["maxUnavailable"] == 1
    assert "minAvailable" not in budget


def test_autoscaler_alone_sets_the_number_of_replicas():
    rendered = render({"autoscaling": {"enabled": True}})
    assert "replicas" not in rendered.one("Deployment")["spec"]
    scaler = rendered.one("HorizontalPodAutoscaler")["spec"]
    assert (scaler["minReplicas"], scaler["maxReplicas"]) == (2, 5)
    assert scaler["scaleTargetRef"]["name"] == rendered.one("Deployment")["metadata"]["name"]


def test_pods_are_spread_across_zones_and_nodes():
    spec = render().one("Deployment")["spec"]["template"]["spec"]
    assert [
        (each["topologyKey"], each["whenUnsatisfiable"])
        for each in spec["topologySpreadConstraints"]
    ] == [
        ("topology.kubernetes.io/zone", "ScheduleAnyway"),
        ("kubernetes.io/hostname", "ScheduleAnyway"),
    ]


def test_probes_use_the_operations_port():
    one = container(render())
    assert one["readinessProbe"]["httpGet"] == {"path": "/readyz", "port": "operations"}
    for probe in ("livenessProbe", "startupProbe"):
        assert one[probe]["httpGet"] == {"path": "/healthz", "port": "operations"}


def test_grace_period_allows_for_draining():
    spec = render().one("Deployment")["spec"]["template"]["spec"]
    # `mirrorhook serve` drains for 5 seconds, 25 at most.
    assert spec["terminationGracePeriodSeconds"] == 30


@pytest.mark.parametrize("enabled", [True, False])
def test_console_can_be_disabled(enabled):
    arguments = container(render({"console": {"enabled": enabled}}))["args"]
    assert ("--no-console" not in arguments) is enabled


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
def test_log_level_is_passed_to_the_webhook(level):
    arguments = container(render({"logLevel": level}))["args"]
    assert (f"--log-level={level}" in arguments) is (level != "info")
