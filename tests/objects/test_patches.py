"""Patches: `replace` on images that are there, `add` of our own annotation, nothing else."""

from __future__ import annotations

import copy
import json

import jsonpatch
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhook.core import MirrorMap, Rule
from webhook.objects import (
    ORIGINAL_IMAGES,
    ObjectMeta,
    decide_images,
    find_images,
    has_room_for_originals,
    opt_out_reason,
    read_pod,
    record_originals,
    replace_images,
)

DECIDE = MirrorMap([Rule("docker.io", ["m.example/hub"])]).decide
POD = {"spec": {"containers": [{"name": "a", "image": "nginx"}, {"name": "b", "image": "x.y/z"}]}}
PLACEMENTS = decide_images(find_images(read_pod(POD).spec), DECIDE)


def recorded(metadata, placements=PLACEMENTS):
    operations = record_originals(read_pod({"metadata": metadata}).metadata, placements)
    assert len(operations) <= 1
    return operations[0] if operations else None


def test_only_images_that_change_are_replaced():
    assert [(each.op, each.path, each.value) for each in replace_images(PLACEMENTS)] == [
        ("replace", "/spec/containers/0/image", "m.example/hub/library/nginx")
    ]


def test_the_annotation_comes_with_its_map_where_there_is_none():
    operation = recorded({"name": "a"})
    assert (operation.op, operation.path) == ("add", "/metadata/annotations")
    assert operation.value == {ORIGINAL_IMAGES: '{"a":"nginx"}'}


def test_the_annotation_joins_others():
    operation = recorded({"annotations": {"x": "y"}})
    path = "/metadata/annotations/mirrorhook.io~1original-images"
    assert (operation.op, operation.path) == ("add", path)
    assert operation.value == '{"a":"nginx"}'


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ('{"b":"old"}', {"b": "old", "a": "nginx"}),
        ('{"a":"first"}', {"a": "nginx"}),
        ("no JSON", {"a": "nginx"}),
        ("[1]", {"a": "nginx"}),
        ('{"b":1,"c":"x"}', {"c": "x", "a": "nginx"}),
        ("[" * 100_000, {"a": "nginx"}),
        ("", {"a": "nginx"}),
        (None, {"a": "nginx"}),
    ],
)
def test_what_an_earlier_round_wrote_stays(before, after):
    operation = recorded({"annotations": {ORIGINAL_IMAGES: before}})
    assert json.loads(operation.value) == after


def test_nothing_is_written_down_when_nothing_changes():
    assert recorded({}, PLACEMENTS[1:]) is None


@pytest.mark.parametrize("metadata", [None, {"annotations": []}, {"annotations": {"a": 1}}])
def test_nothing_is_written_where_there_is_no_place_for_it(metadata):
    assert recorded(metadata) is None


@pytest.mark.parametrize(
    ("metadata", "has_room"),
    [
        (None, False),
        ({}, True),
        ({"annotations": {}}, True),
        ({"annotations": []}, False),
        ({"annotations": {"a": None, "b": "c"}}, True),
        ({"annotations": {ORIGINAL_IMAGES: "{}"}}, False),
        ({"annotations": {"x": "y" * 131_071}}, True),
        ({"annotations": {"x": "y" * 131_072}}, False),
        ({"annotations": {"x": "é" * 65_536}}, False),
    ],
)
def test_has_room_for_record_wants_half_of_the_annotations_free(metadata, has_room):
    assert has_room_for_originals(read_pod({"metadata": metadata}).metadata) is has_room


@pytest.mark.parametrize(("text", "fits"), [("x" * 262_000, True), ("é" * 131_060, False)])
def test_nothing_is_written_beyond_what_annotations_may_hold(text, fits):
    assert (recorded({"annotations": {"x": text}}) is not None) is fits


def test_containers_without_a_name_are_not_written_down():
    spec = read_pod({"spec": {"containers": [{"image": "nginx"}]}}).spec
    assert recorded({}, decide_images(find_images(spec), DECIDE)) is None


@pytest.mark.parametrize(
    ("metadata", "reason"),
    [
        (None, ""),
        ({}, ""),
        ({"labels": {"mirrorhook.io/rewrite": "enabled"}}, ""),
        ({"annotations": {"mirrorhook.io/rewrite": "no"}}, ""),
        (
            {"annotations": {"mirrorhook.io/rewrite": "disabled"}},
            "its annotation mirrorhook",
        ),
        (
            {"labels": {"mirrorhook.io/rewrite": "disabled"}},
            "its label mirrorhook.io/rewrite",
        ),
        ({"annotations": {"kubernetes.io/config.mirror": ""}}, "it is a mirror Pod"),
        ({"annotations": [], "labels": {"mirrorhook.io/rewrite": "disabled"}}, "its label"),
    ],
)
def test_pods_that_are_left_alone_have_a_reason(metadata, reason):
    found = opt_out_reason(read_pod({"metadata": metadata}).metadata)
    assert found.startswith(reason)
    assert bool(found) == bool(reason)


texts = st.text(max_size=8) | st.sampled_from(["nginx", "a/b:1", "x.y/z", "Bad One"])
odd = st.none() | st.integers() | texts | st.lists(texts, max_size=2)
containers = st.lists(
    odd | st.dictionaries(st.sampled_from(["name", "image", "imagePullPolicy"]), odd | texts),
    max_size=4,
)
volumes = st.lists(
    odd
    | st.fixed_dictionaries(
        {"name": texts, "image": odd | st.fixed_dictionaries({"reference": odd})}
    ),
    max_size=3,
)
annotations = odd | st.dictionaries(
    st.sampled_from(["a/b", "c~d", ORIGINAL_IMAGES, ""]),
    odd | st.sampled_from(['{"a":"b"}']),
)
pods = st.fixed_dictionaries(
    {},
    optional={
        "metadata": odd
        | st.fixed_dictionaries({}, optional={"annotations": annotations, "x": odd}),
        "spec": odd
        | st.fixed_dictionaries(
            {},
            optional={
                "containers": odd | containers,
                "initContainers": odd | containers,
                "ephemeralContainers": odd | containers,
                "volumes": odd | volumes,
            },
        ),
    },
)


@given(pods)
def test_a_patch_applies_to_any_pod_and_changes_only_what_is_meant(pod):
    read = read_pod(pod)
    placements = decide_images(find_images(read.spec), DECIDE) if read.spec else []
    operations = replace_images(placements)
    record = record_originals(read.metadata, placements)
    everything = [*operations, *record]
    assert all(each.op in {"replace", "add"} for each in everything)
    plain = json.loads(msgspec.json.encode(everything))
    after = jsonpatch.apply_patch(copy.deepcopy(pod), plain)
    for field, decision in placements:
        assert jsonpatch.JsonPointer(field.pointer).resolve(after) == decision.image
        jsonpatch.JsonPointer(field.pointer).set(after, field.image)
    if record:
        restore(pod, after)
    assert after == pod


def restore(pod, after):
    """Take our annotation out of a Pod again."""
    before = pod["metadata"].get("annotations")
    written = json.loads(after["metadata"]["annotations"].pop(ORIGINAL_IMAGES))
    assert all(isinstance(image, str) for image in written.values())
    if isinstance(before, dict) and ORIGINAL_IMAGES in before:
        after["metadata"]["annotations"][ORIGINAL_IMAGES] = before[ORIGINAL_IMAGES]
    elif before is None:
        assert after["metadata"].pop("annotations") == {}
        if "annotations" in pod["metadata"]:
            after["metadata"]["annotations"] = None


def test_metadata_is_a_value():
    assert ObjectMeta(name="a") == ObjectMeta(name="a")
