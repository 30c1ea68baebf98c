from __future__ import annotations

import copy

import jsonpatch
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhook.core import Mirror, MirrorMap, Rule
from webhook.objects import PodSpec, add_pull_secrets, decide_images, find_images, read_pod

RULES = MirrorMap(
    [
        Rule("docker.io", [Mirror("a.example", pull_secrets=("one", "two"))]),
        Rule("quay.io", [Mirror("b.example", pull_secrets=("two", "three"))]),
        Rule("gcr.io", ["c.example"]),
        Rule("ghcr.io", [Mirror("quay.io/gh", pull_secrets=("between",))]),
    ]
)


def spec_of(*images, **fields):
    containers = [{"name": f"c{n}", "image": image} for n, image in enumerate(images)]
    return {"containers": containers, **fields}


def patched(spec):
    """The names of the Secrets of a Pod, after the patch."""
    pod = {"spec": spec}
    read = read_pod(pod).spec
    placements = decide_images(find_images(read), RULES.decide)
    operations = msgspec.to_builtins(add_pull_secrets(read, placements))
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
def test_the_secrets_of_the_chosen_mirrors_are_appended_once(spec, names):
    secrets, _ = patched(spec)

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
def test_there_is_no_operation_where_nothing_is_needed_or_it_would_not_apply(spec):
    assert patched(spec)[1] == []


def test_a_pod_without_a_spec_gets_nothing():
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
def test_whatever_is_there_stays_and_the_patch_applies(images, there):
    spec = spec_of(*images, imagePullSecrets=there)
    after, _ = patched(spec)

    if not isinstance(there, list):
        assert after == there or there is None
        return
    assert after[: len(there)] == there
    names = [each["name"] for each in after[len(there) :]]
    assert len(names) == len(set(names))


def test_the_strict_reader_reads_secrets_as_the_loose_one():
    spec = {"imagePullSecrets": [{"name": "a"}, {}]}

    assert msgspec.convert(spec, PodSpec).image_pull_secrets == (
        read_pod({"spec": spec}).spec.image_pull_secrets
    )
