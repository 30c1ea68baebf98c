"""Finding images in real and unusual Pods, and deciding on them."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import jsonpatch
import msgspec
import pytest

from webhook.core import MirrorMap, Rule
from webhook.objects import (
    ObjectMeta,
    Pod,
    decide_images,
    find_images,
    read_pod,
    record_originals,
    replace_images,
)

CASES = Path(__file__).parents[1] / "cases/pods"
INDEX = json.loads((CASES / "index.json").read_text())
DECIDE = MirrorMap([Rule("*", ["m.example/cache"])]).decide


def patch(pod, *, record=False):
    """A Pod after the patch for its images."""
    read = read_pod(pod)
    images = decide_images(find_images(read.spec), DECIDE)
    operations = replace_images(images)
    if record:
        operations += record_originals(read.metadata, images)
    plain = json.loads(msgspec.json.encode(operations))
    return jsonpatch.apply_patch(copy.deepcopy(pod), plain), images


def at(value, pointer):
    for token in pointer.split("/")[1:]:
        value = value[int(token)] if isinstance(value, list) else value[token]
    return value


@pytest.mark.parametrize("case", INDEX, ids=[case["file"] for case in INDEX])
def test_find_images_finds_every_image_of_a_real_pod(case):
    pod = json.loads((CASES / case["file"]).read_text())
    after, images = patch(pod)
    expected = {each["pointer"]: each["image"] for each in case["images"]}
    found = {field.pointer: field.image for field, _ in images}
    assert found == {pointer: image for pointer, image in expected.items() if image}
    for pointer, decision in ((field.pointer, decision) for field, decision in images):
        assert at(after, pointer) == decision.image
        *path, last = pointer.split("/")
        at(after, "/".join(path))[last] = at(pod, pointer)
    assert after == pod


@pytest.mark.parametrize("case", INDEX, ids=[case["file"] for case in INDEX])
def test_read_pod_reads_what_the_typed_decoder_reads(case):
    content = (CASES / case["file"]).read_bytes()
    typed, plain = msgspec.json.decode(content, type=Pod), read_pod(json.loads(content))
    assert typed.metadata == plain.metadata
    assert find_images(typed.spec) == find_images(plain.spec)


def test_find_images_finds_every_image_field():
    spec = {
        "containers": [{"name": "a", "image": "one"}],
        "initContainers": [{"name": "b", "image": "two", "restartPolicy": "Always"}],
        "ephemeralContainers": [{"name": "c", "image": "three"}],
        "volumes": [
            {"name": "d", "emptyDir": {}},
            {"name": "e", "image": {"reference": "four", "pullPolicy": "Never"}},
        ],
    }
    fields = find_images(read_pod({"spec": spec}).spec, "/spec/template/spec")
    assert [(field.pointer, field.name, field.image) for field in fields] == [
        ("/spec/template/spec/containers/0/image", "a", "one"),
        ("/spec/template/spec/initContainers/0/image", "b", "two"),
        ("/spec/template/spec/ephemeralContainers/0/image", "c", "three"),
        ("/spec/template/spec/volumes/1/image/reference", "volume:e", "four"),
    ]


@pytest.mark.parametrize(
    "spec",
    [
        {},
        {"containers": None, "volumes": None},
        {"containers": {}},
        {"containers": "nginx"},
        {"containers": [None, [], "nginx", 1, {}]},
        {"containers": [{"name": "a"}]},
        {"containers": [{"image": None}, {"image": ""}, {"image": 1}, {"image": ["a"]}]},
        {"volumes": [{"image": "a"}, {"image": None}, {"image": {"reference": 5}}, None]},
        {"volumes": [{"image": {}}, {"image": {"reference": ""}}]},
    ],
)
def test_find_images_ignores_values_that_are_not_images(spec):
    assert find_images(read_pod({"spec": spec}).spec) == []


@pytest.mark.parametrize("value", [None, 1, "a", [], {}, {"spec": 1}, {"metadata": [1]}])
def test_read_pod_reads_nothing_of_other_values(value):
    pod = read_pod(value)
    assert pod.spec is None
    assert pod.metadata is None


def test_read_pod_keeps_the_positions_of_entries():
    pod = {"spec": {"containers": [None, 3, {"name": "a", "image": "x"}]}}
    (field,) = find_images(read_pod(pod).spec)
    assert field.pointer == "/spec/containers/2/image"


def test_patch_addresses_containers_by_position():
    containers = [{"name": "a", "image": "x"}, {"name": "a", "image": "y"}]
    after, _ = patch({"spec": {"containers": containers}})
    found = [container["image"] for container in after["spec"]["containers"]]
    assert found == [DECIDE("x").image, DECIDE("y").image]


@pytest.mark.parametrize(
    ("metadata", "read"),
    [
        ({"annotations": {"a": "b", "c": None}}, {"a": "b", "c": None}),
        ({"annotations": None}, None),
        ({}, None),
        ({"annotations": []}, msgspec.UNSET),
        ({"annotations": "a"}, msgspec.UNSET),
        ({"annotations": {"a": 1}}, msgspec.UNSET),
    ],
)
def test_read_pod_distinguishes_invalid_annotations_from_none(metadata, read):
    assert read_pod({"metadata": metadata}).metadata.annotations == read


def test_decide_images_keeps_an_image_that_is_never_pulled():
    spec = {"containers": [{"name": "a", "image": "x", "imagePullPolicy": "Never"}]}
    ((_, decision),) = decide_images(find_images(read_pod({"spec": spec}).spec), DECIDE)
    assert (decision.image, decision.outcome) == ("x", "local")
    assert decision.reason == "its pull policy is Never"


@pytest.mark.parametrize("policy", [None, "Always", "IfNotPresent", "never"])
def test_decide_images_decides_on_images_of_other_pull_policies(policy):
    spec = {"containers": [{"name": "a", "image": "x", "imagePullPolicy": policy}]}
    ((_, decision),) = decide_images(find_images(read_pod({"spec": spec}).spec), DECIDE)
    assert decision.outcome == "rewritten"


def test_object_meta_compares_by_value():
    assert ObjectMeta(name="a") == ObjectMeta(name="a")
