"""One Pod, explained."""

from __future__ import annotations

import pytest

from tests.cli.doctor.reader import MemoryReader, pod, recorded, rules
from webhook.cli.doctor.installation import read_installation
from webhook.cli.doctor.pods import explain_pod
from webhook.cli.doctor.webhooks import CONFIGURATIONS

OPERATOR = {"cnpg.io/podRole": "instance"}
DISABLED = {"mirrorhook.io/rewrite": "disabled"}
STATIC = {"kubernetes.io/config.mirror": "1"}
OLD = "2026-10-01T00:00:00Z"

# By message is the matter: the Pod; then the check, the status, words of message is found and
# words of the fix.
PODS = {
    "rewritten": (
        pod("m.example/hub/library/nginx", annotations=recorded(c0="nginx")),
        *("c0", "ok", "rewritten from nginx", ""),
    ),
    "older than the webhook": (
        pod("nginx", created=OLD),
        *("c0", "wrong", "the Pod is older than the webhook", "rollout restart"),
    ),
    "not reached": (
        pod("nginx"),
        *(
            "c0",
            "wrong",
            "the webhook was not reached",
            "mirrorhook doctor --namespace shop",
        ),
    ),
    "no rule": (
        pod("r.example/x"),
        *("c0", "note", "no rule matches r.example/x", "add a rule"),
    ),
    "kept": (pod("quay.io/our/a"), "c0", "note", "rule quay.io/our keeps it", ""),
    "at the mirror": (pod("m.example/hub/x"), "c0", "note", "is unchanged", ""),
    "no image": (pod("Nginx"), "c0", "wrong", "must be in lower case", "correct the name"),
    "static": (
        pod("nginx", annotations=STATIC),
        *("Pod", "note", "static Pod", "mirrorhook render containerd"),
    ),
    "opted out": (
        pod("nginx", labels=DISABLED),
        *("Pod", "note", "its label mirrorhook.io/rewrite is disabled", "remove"),
    ),
    "of an operator": (
        pod("nginx", labels=OPERATOR),
        *("Pod", "note", "cnpg.io/podRole must not be instance", "docs/install.md"),
    ),
    "not opted in": (
        pod("nginx", namespace="other"),
        *("namespace", "wrong", "mirrorhook.io/rewrite must be enabled", "kubectl label"),
    ),
    "a broken annotation": (
        pod("nginx", annotations={"mirrorhook.io/original-images": "{"}),
        *("c0", "wrong", "would be m.example/hub/library/nginx", "delete pod web"),
    ),
}


@pytest.mark.parametrize("case", PODS)
def test_pod_is_explained_with_its_fix(case):
    given, check, status, message, fix = PODS[case]
    reader = MemoryReader()
    namespace = given["metadata"]["namespace"]
    reader.objects[f"/api/v1/namespaces/{namespace}/pods/web"] = given
    (found,) = explain_pod(reader, read_installation(reader), namespace, "web")
    assert (found.check, found.status) == (check, status)
    assert message in found.text
    assert fix in found.fix


def test_missing_pod_is_found():
    reader = MemoryReader()
    (found,) = explain_pod(reader, read_installation(reader), "shop", "gone")
    assert found.text == "there is no Pod shop/gone"


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (CONFIGURATIONS, [], "has no webhook and no policy"),
        ("/api/v1/namespaces/mirrorhook/configmaps", [], "policy default are unknown"),
        (
            "/api/v1/namespaces/mirrorhook/configmaps",
            [rules("mode: observe\nrules: [{match: docker.io, mirrors: [m.example]}]")],
            "policy default has mode observe",
        ),
        ("/api/v1/namespaces/mirrorhook/configmaps", [rules("rules: x")], "are unknown"),
    ],
)
def test_pod_explanation_reports_unknown_rules(path, value, message):
    reader = MemoryReader()
    reader.lists[path] = value
    reader.objects["/api/v1/namespaces/shop/pods/web"] = pod("nginx")
    (found,) = explain_pod(reader, read_installation(reader), "shop", "web")
    assert message in found.text
