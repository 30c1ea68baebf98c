"""Where the kinds of Kubernetes have images, and custom kinds with an option."""

from __future__ import annotations

import json
from functools import reduce
from pathlib import Path

import pytest

from webhook.manifests import ImagePath, InvalidImagePathError

NEW = "m.example/hub/library/nginx"
TEMPLATE = ("spec", "template")
KINDS = {
    "v1/Pod": (),
    "v1/PodTemplate": ("template",),
    "v1/ReplicationController": TEMPLATE,
    "apps/v1/ReplicaSet": TEMPLATE,
    "apps/v1/Deployment": TEMPLATE,
    "extensions/v1beta1/Deployment": TEMPLATE,
    "apps/v1/StatefulSet": TEMPLATE,
    "apps/v1/DaemonSet": TEMPLATE,
    "batch/v1/Job": TEMPLATE,
    "batch/v1/CronJob": ("spec", "jobTemplate", *TEMPLATE),
}
SPEC = {
    "containers": [{"name": "a", "image": "nginx"}],
    "initContainers": [{"name": "b", "image": "nginx"}],
    "ephemeralContainers": [{"name": "c", "image": "nginx"}],
    "volumes": [{"name": "d", "image": {"reference": "nginx"}}],
}
NAMES = ["a", "b", "c", "volume:d"]


def of_kind(name, value, path):
    """Return an object of a kind with *value* at *path*."""
    version, _, kind = name.rpartition("/")
    body = reduce(lambda inner, key: {key: inner}, reversed(path), value)
    return {"apiVersion": version, "kind": kind, **body}


@pytest.mark.parametrize(("name", "path"), KINDS.items())
def test_kind_with_pods_is_rewritten(rewritten, name, path):
    result = rewritten(json.dumps(of_kind(name, {"spec": SPEC}, path)))
    assert sorted(image.name for image in result.images) == NAMES
    assert all(image.changes for image in result.images)


@pytest.mark.parametrize("name", ["batch.volcano.sh/v1alpha1/Job", "v1/ConfigMap", "v1/Node"])
def test_kind_without_pods_is_unchanged(rewritten, name):
    assert rewritten(json.dumps(of_kind(name, {"spec": SPEC}, TEMPLATE))).images == ()


def test_list_has_all_items_rewritten(rewritten):
    items = [of_kind(name, {"spec": SPEC}, path) for name, path in KINDS.items()]
    inner = {"apiVersion": "v1", "kind": "List", "items": items}
    typed = {"kind": "PodList", "apiVersion": "v1", "items": [{"spec": SPEC}]}
    outer = {"apiVersion": "v1", "kind": "List", "items": [inner, typed, None, 1]}
    images = rewritten(json.dumps(outer)).images
    assert len(images) == 4 * (len(items) + 1)


def test_nested_lists_terminate(rewritten):
    text = '{"kind":"List","items":[' * 50 + "]}" * 50
    assert rewritten(text + '{"image":1}').images == ()


@pytest.mark.parametrize(
    "metadata",
    [
        {"labels": {"mirrorhook.io/rewrite": "disabled"}},
        {"annotations": {"mirrorhook.io/rewrite": "disabled"}},
        {"annotations": {"kubernetes.io/config.mirror": "x"}},
    ],
)
def test_opted_out_template_is_unchanged(rewritten, metadata):
    pod = {"metadata": metadata, "spec": SPEC}
    assert rewritten(json.dumps(of_kind("apps/v1/Deployment", pod, TEMPLATE))).images == ()


def test_image_with_pull_policy_never_is_unchanged(rewritten):
    containers = [{"name": "a", "image": "nginx", "imagePullPolicy": "Never"}]
    text = json.dumps(of_kind("v1/Pod", {"spec": {"containers": containers}}, ()))
    result = rewritten(text)
    assert result.content.decode() == text
    assert result.images[0].decision.reason == "its pull policy is Never"


@pytest.mark.parametrize(
    ("option", "path", "value"),
    [
        ("Tool.example.com=spec.template", ("spec", "template"), {"spec": SPEC}),
        ("Tool=.spec.template.spec", ("spec", "template", "spec"), SPEC),
        ("Tool=spec.pod", ("spec", "pod"), SPEC),
        ("Tool=spec.image", ("spec", "image"), "nginx"),
        ("Tool=spec.images[*]", ("spec", "images"), ["nginx", "nginx", 5]),
        (
            "Tool=spec.tasks[].template",
            ("spec", "tasks"),
            [{"template": {"spec": SPEC}}],
        ),
        ("Tool=spec.tasks[0].image", ("spec", "tasks"), [{"image": "nginx"}]),
    ],
)
def test_image_path_rewrites_a_custom_kind(rewritten, option, path, value):
    text = json.dumps(of_kind("example.com/v1/Tool", value, path))
    assert rewritten(text).images == ()
    result = rewritten(text, option)
    assert result.content.decode() == text.replace('"nginx"', f'"{NEW}"')


@pytest.mark.parametrize(
    "option",
    ["Tool.other.io=spec.template", "Other=spec.template", "Tool=spec.absent[*].x"],
)
def test_image_path_of_another_kind_does_nothing(rewritten, option):
    value = {"spec": SPEC}
    text = json.dumps(of_kind("example.com/v1/Tool", value, TEMPLATE))
    assert rewritten(text, option).images == ()


@pytest.mark.parametrize(
    "text", ["", "Tool", "Tool=", "=spec", ".x=spec", "Tool=a[b]", "Tool=a..b"]
)
def test_invalid_image_path_is_refused_with_an_example(text):
    with pytest.raises(InvalidImagePathError, match=r"is not KIND\[\.GROUP\]=PATH, as in"):
        ImagePath.parse(text)


PODS = Path(__file__).parents[1] / "cases/pods"


@pytest.mark.parametrize("path", sorted(PODS.glob("*.json")), ids=lambda path: path.stem)
def test_real_pods_change_only_their_images(rewritten, path):
    text = path.read_text()
    result = rewritten(text)
    assert not result.problems
    before, after = json.loads(text), json.loads(result.content)
    assert masked(before) == masked(after)


def masked(value, key=""):
    """Return an object without its images."""
    if isinstance(value, dict):
        return {k: masked(v, k) for k, v in value.items()}
    if isinstance(value, list):
        return [masked(item, key) for item in value]
    return None if key in ("image", "reference") and isinstance(value, str) else value
