"""Opting out, and the record of original images."""

from __future__ import annotations

import json

import pytest

from webhook.core import MirrorMap, Rule
from webhook.objects import (
    ORIGINAL_IMAGES,
    decide_images,
    find_images,
    find_stale_originals,
    has_room_for_originals,
    opt_out_reason,
    read_pod,
    record_originals,
)

DECIDE = MirrorMap([Rule("docker.io", ["m.example/hub"])]).decide
POD = {"spec": {"containers": [{"name": "a", "image": "nginx"}, {"name": "b", "image": "x.y/z"}]}}
IMAGES = decide_images(find_images(read_pod(POD).spec), DECIDE)


def record(metadata, images=IMAGES):
    operations = record_originals(read_pod({"metadata": metadata}).metadata, images)
    assert len(operations) <= 1
    return operations[0] if operations else None


def test_record_originals_adds_the_annotations_if_there_are_none():
    operation = record({"name": "a"})
    assert (operation.op, operation.path) == ("add", "/metadata/annotations")
    assert operation.value == {ORIGINAL_IMAGES: '{"a":"nginx"}'}


def test_record_originals_adds_an_annotation_to_others():
    operation = record({"annotations": {"x": "y"}})
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
def test_record_originals_keeps_an_earlier_record(before, after):
    operation = record({"annotations": {ORIGINAL_IMAGES: before}})
    assert json.loads(operation.value) == after


def test_record_originals_records_nothing_if_nothing_changes():
    assert record({}, IMAGES[1:]) is None


@pytest.mark.parametrize("metadata", [None, {"annotations": []}, {"annotations": {"a": 1}}])
def test_record_originals_records_nothing_in_unusable_metadata(metadata):
    assert record(metadata) is None


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
def test_has_room_for_originals_requires_half_of_the_annotations_free(metadata, has_room):
    assert has_room_for_originals(read_pod({"metadata": metadata}).metadata) is has_room


@pytest.mark.parametrize(("text", "fits"), [("x" * 262_000, True), ("é" * 131_060, False)])
def test_record_originals_keeps_to_the_limit_of_annotations(text, fits):
    assert (record({"annotations": {"x": text}}) is not None) is fits


def test_find_stale_originals_looks_up_no_more_names_than_real_pods_have():
    names = [f"c{n}" for n in range(150)]
    record = json.dumps(dict.fromkeys(names, "nginx"))
    metadata = {"annotations": {ORIGINAL_IMAGES: record}}
    containers = [{"name": name, "image": "nginx"} for name in names]
    given = read_pod({"metadata": metadata, "spec": {"containers": containers}})
    asked = []

    def decide(image):
        asked.append(image)
        return MirrorMap([]).decide(image)

    assert find_stale_originals(given, [], decide) == {*names}
    assert len(asked) == 100


def test_record_originals_ignores_unnamed_containers():
    spec = read_pod({"spec": {"containers": [{"image": "nginx"}]}}).spec
    assert record({}, decide_images(find_images(spec), DECIDE)) is None


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
def test_opt_out_reason_explains_opted_out_pods(metadata, reason):
    found = opt_out_reason(read_pod({"metadata": metadata}).metadata)
    assert found.startswith(reason)
    assert bool(found) == bool(reason)
