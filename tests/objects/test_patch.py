"""Patches: `replace` of images, `add` of the annotation and of pull secrets, and nothing else."""

from __future__ import annotations

import copy
import json

import jsonpatch
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhook.core import Mirror, MirrorMap, Rule
from webhook.objects import (
    ORIGINAL_IMAGES,
    PodSpec,
    add_pull_secrets,
    decide_images,
    find_images,
    read_pod,
    record_originals,
    replace_images,
)

RULES = MirrorMap(
    [
        Rule("docker.io", [Mirror("a.example", pull_secrets=("one", "two"))]),
        Rule("quay.io", [Mirror("b.example", pull_secrets=("two", "three"))]),
        Rule("gcr.io", ["c.example"]),
        Rule("ghcr.io", [Mirror("quay.io/gh", pull_secrets=("between",))]),
    ]
)
DECIDE = MirrorMap([Rule("docker.io", ["m.example/hub"])]).decide


def spec_of(*images, **fields):
    containers = [{"name": f"c{n}", "image": image} for n, image in enumerate(images)]
    return {"containers": containers, **fields}


def patch_secrets(spec):
    """The names of the Secrets of a Pod, after the patch."""
    pod = {"spec": spec}
    read = read_pod(pod).spec
    images = decide_images(find_images(read), RULES.decide)
    operations = msgspec.to_builtins(add_pull_secrets(read, images))
    after = jsonpatch.apply_patch(copy.deepcopy(pod), operations)
    return after["spec"].get("imagePullSecrets"), operations


@pytest.mark.parametrize(
    ("spec", "names"),
    [
        (spec_of("nginx"), ["one", "two"]),
        (spec_of("nginx", "redis"), ["one", "two"]),
        (spec_of("nginx", "quay.io/a/b"), ["one", "two", "three"]),
        (spec_of("nginx", imagePullSecrets=None), ["one", "two"]),
        (spec_of("nginx", imagePullSecrets=[]), ["one", "two"]),
        (spec_of("nginx", imagePullSecrets=[{"name": "own"}]), ["own", "one", "two"]),
        (spec_of("nginx", imagePullSecrets=[{"name": "two"}]), ["two", "one"]),
        (spec_of("ghcr.io/a/b"), ["two", "three"]),
    ],
)
def test_add_pull_secrets_appends_those_of_the_chosen_mirrors_once(spec, names):
    secrets, _ = patch_secrets(spec)

    assert [secret["name"] for secret in secrets] == names


@pytest.mark.parametrize(
    "spec",
    [
        spec_of("gcr.io/a/b"),
        spec_of("icr.io/a/b"),
        spec_of("NGINX"),
        spec_of("nginx", imagePullSecrets=[{"name": "two"}, {"name": "one"}]),
        spec_of("nginx", imagePullSecrets={"name": "two"}),
        spec_of("nginx", imagePullSecrets="one"),
    ],
)
def test_add_pull_secrets_adds_none_that_are_not_needed_or_do_not_apply(spec):
    assert patch_secrets(spec)[1] == []


def test_add_pull_secrets_adds_nothing_without_a_spec():
    assert add_pull_secrets(None, []) == []


secrets = st.lists(
    st.one_of(
        st.none(),
        st.text(max_size=3),
        st.fixed_dictionaries({"name": st.sampled_from("ot")}),
    ),
    max_size=4,
)


@given(
    st.lists(st.sampled_from(["nginx", "quay.io/a", "gcr.io/a", "x y"]), max_size=4),
    secrets | st.none() | st.integers(),
)
def test_add_pull_secrets_keeps_existing_values_and_applies(images, before):
    spec = spec_of(*images, imagePullSecrets=before)
    after, _ = patch_secrets(spec)

    if not isinstance(before, list):
        assert after == before or before is None
        return
    assert after[: len(before)] == before
    names = [each["name"] for each in after[len(before) :]]
    assert len(names) == len(set(names))


def test_read_pod_reads_secrets_like_the_typed_decoder():
    spec = {"imagePullSecrets": [{"name": "a"}, {}]}

    assert msgspec.convert(spec, PodSpec).image_pull_secrets == (
        read_pod({"spec": spec}).spec.image_pull_secrets
    )


def test_replace_images_replaces_only_images_that_change():
    spec = read_pod({"spec": spec_of("nginx", "x.y/z")}).spec
    operations = replace_images(decide_images(find_images(spec), DECIDE))
    assert [(each.op, each.path, each.value) for each in operations] == [
        ("replace", "/spec/containers/0/image", "m.example/hub/library/nginx")
    ]


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
def test_patch_applies_to_any_pod_and_changes_only_what_is_meant(pod):
    read = read_pod(pod)
    images = decide_images(find_images(read.spec), DECIDE) if read.spec else []
    operations = replace_images(images)
    record = record_originals(read.metadata, images)
    everything = [*operations, *record]
    assert all(each.op in {"replace", "add"} for each in everything)
    plain = json.loads(msgspec.json.encode(everything))
    after = jsonpatch.apply_patch(copy.deepcopy(pod), plain)
    for field, decision in images:
        assert jsonpatch.JsonPointer(field.pointer).resolve(after) == decision.image
        jsonpatch.JsonPointer(field.pointer).set(after, field.image)
    if record:
        restore(pod, after)
    assert after == pod


def restore(pod, after):
    """Take the record out of a Pod again."""
    before = pod["metadata"].get("annotations")
    written = json.loads(after["metadata"]["annotations"].pop(ORIGINAL_IMAGES))
    assert all(isinstance(image, str) for image in written.values())
    if isinstance(before, dict) and ORIGINAL_IMAGES in before:
        after["metadata"]["annotations"][ORIGINAL_IMAGES] = before[ORIGINAL_IMAGES]
    elif before is None:
        assert after["metadata"].pop("annotations") == {}
        if "annotations" in pod["metadata"]:
            after["metadata"]["annotations"] = None
