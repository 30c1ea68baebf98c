"""Names and labels of the objects of a release, and that they belong to it."""

from __future__ import annotations

import pytest
import yaml

from tests.chart.rendering import CHART, render, run_helm
from webhook import __version__

CLUSTER_SCOPED = {
    "ClusterRole",
    "ClusterRoleBinding",
    "MutatingWebhookConfiguration",
    "ValidatingAdmissionPolicy",
    "ValidatingAdmissionPolicyBinding",
}


def identities(rendered):
    return {
        (item["kind"], item["metadata"].get("namespace"), item["metadata"]["name"])
        for item in rendered.objects
    }


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("mirrorhook", "team-a"), ("mirrorhook", "team-b")),
        (("hook", "team-a"), ("mirrorhook", "team-a")),
        # These would collide if the separator were a dash instead of a dot.
        (("mirrorhook-a", "b"), ("mirrorhook", "a-b")),
    ],
)
def test_releases_do_not_collide(one, other):
    first, second = (
        render(release=release, namespace=namespace) for release, namespace in (one, other)
    )
    assert not identities(first) & identities(second)


def test_only_cluster_scoped_objects_have_no_namespace():
    for item in render().objects:
        has_namespace = "namespace" in item["metadata"]
        assert has_namespace is (item["kind"] not in CLUSTER_SCOPED), item["kind"]


def test_objects_except_the_test_pod_belong_to_the_release():
    for item in render().objects:
        annotations = item["metadata"].get("annotations", {})
        assert ("helm.sh/hook" in annotations) is (item["kind"] == "Pod")
        assert "helm.sh/resource-policy" not in annotations


@pytest.mark.parametrize("values", ["monitoring", "labels", "high-availability"])
def test_common_labels_and_annotations_are_on_every_object(values):
    shape = yaml.safe_load((CHART / f"ci/{values}-values.yaml").read_text())
    more = {"commonLabels": {"a": "b"}, "commonAnnotations": {"c": "d"}}
    for item in render({**shape, **more}).objects:
        assert item["metadata"]["labels"]["a"] == "b"
        assert item["metadata"]["annotations"]["c"] == "d"


def test_common_labels_cannot_break_a_selector():
    rendered = render(file=CHART / "ci/labels-values.yaml")
    for item in rendered.objects:
        assert item["metadata"]["labels"]["app.kubernetes.io/name"] == "hook"
    deployment = rendered.one("Deployment")["spec"]
    selector = deployment["selector"]["matchLabels"]
    labels = deployment["template"]["metadata"]["labels"]
    assert selector.items() <= labels.items()
    assert labels["example.com/pod"] == "yes"
    assert labels["cost-center"] == "42"


def test_upgrade_of_the_chart_alone_does_not_restart_pods():
    labels = render().one("Deployment")["spec"]["template"]["metadata"]["labels"]
    assert not {"helm.sh/chart", "app.kubernetes.io/version"} & labels.keys()


def test_long_and_dotted_release_names_give_valid_names():
    rendered = render(release="a.rather.long" + "-name" * 8)
    service = rendered.one("Service")["metadata"]["name"]
    assert len(service) <= 50
    assert "." not in service


def test_release_whose_service_would_have_an_invalid_name_is_refused():
    done = run_helm("template", "2048", CHART, values={})
    assert "would be named 2048-mirrorhook, but its name must start with a letter" in done.stderr
    assert render({"fullnameOverride": "hook"}, release="2048").objects


def test_chart_has_the_version_of_the_package():
    assert render().one("Deployment")["metadata"]["labels"]["app.kubernetes.io/version"] == (
        __version__
    )


def test_chart_has_valid_annotations_for_artifact_hub():
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    annotations = chart["annotations"]
    assert all(isinstance(value, str) for value in annotations.values())
    (image,) = yaml.safe_load(annotations["artifacthub.io/images"])
    (container,) = render().one("Deployment")["spec"]["template"]["spec"]["containers"]
    assert image["image"] == container["image"]
    assert image["platforms"] == ["linux/amd64", "linux/arm64"]
    assert chart["version"] == chart["appVersion"] == __version__
    assert (CHART / "icon.svg").exists()
    assert chart["icon"].endswith("/charts/mirrorhook/icon.svg")
