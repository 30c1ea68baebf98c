from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.strategies import names
from webhook.core import (
    Allowlist,
    InvalidRuleError,
    Mirror,
    MirrorMap,
    Outcome,
    Rule,
    parse_reference,
)

LIST = """
# what the mirror has
docker.io/library/*
docker.io/bitnami/redis    # one image
gcr.io/distroless/**
*.example/a/b
quay.io/*/app-*
"""


@pytest.mark.parametrize(
    ("image", "is_allowed"),
    [
        ("nginx:1", True),
        ("library/nginx", True),
        ("bitnami/redis", True),
        ("bitnami/redis-cluster", False),
        ("bitnami/redis/x", False),
        ("docker.io/library/a/b", False),
        ("gcr.io/distroless/static", True),
        ("gcr.io/distroless/java/debug", True),
        ("gcr.io/distroless-x/static", False),
        ("x.gcr.io/distroless/static", False),
        ("m.example/a/b", True),
        ("m.example/a/b/c", False),
        ("quay.io/team/app-one", True),
        ("quay.io/team/sub/app-one", False),
        ("quay.io/team/one", False),
    ],
)
def test_allowlist_wildcards_match_names(image, is_allowed):
    assert Allowlist(LIST, "allows.txt").allows(parse_reference(image).name) is is_allowed


@pytest.mark.parametrize(
    ("pattern", "image"),
    [
        ("nginx", "nginx"),
        ("bitnami/*", "bitnami/redis"),
        ("index.docker.io/a/b", "a/b"),
        ("**", "quay.io/a/b"),
        ("localhost/a", "localhost/a"),
        ("registry.example:5000/**", "registry.example:5000/a"),
    ],
)
def test_pattern_without_registry_is_on_docker_hub(pattern, image):
    assert Allowlist(pattern, "x").allows(parse_reference(image).name)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "x lists no images: write patterns such as docker.io/**"),
        ("# nothing", "x lists no images: write patterns such as docker.io/**"),
        ("a.io/b\na.io/b:1", "x, line 2: 'a.io/b:1' is not a pattern"),
        ("nginx:1", "x, line 1: 'nginx:1' is not a pattern"),
        ("a.io/b/", "x, line 1: 'a.io/b/' is not a pattern"),
        ("a.io//b", "x, line 1: 'a.io//b' is not a pattern"),
        ("a b", "x, line 1: 'a b' is not a pattern"),
        ("a.io/(.*)", "x, line 1: 'a.io/(.*)' is not a pattern"),
        ("a.io/é", "x, line 1: 'a.io/é' is not a pattern"),
    ],
)
def test_allowlist_rejects_invalid_line(text, problem):
    with pytest.raises(InvalidRuleError) as caught:
        Allowlist(text, "x")

    assert caught.value.problem.startswith(problem)


@given(names, st.data())
def test_allowlist_allows_name_of_its_own_pattern(name, data):
    name = parse_reference(name).name
    parts = name.split("/")
    starred = [data.draw(st.sampled_from([part, "*"])) for part in parts[1:]]

    for pattern in (name, "/".join([parts[0], *starred]), f"{parts[0]}/**", "**"):
        assert Allowlist(pattern, "x").allows(name)


RULES = MirrorMap(
    [
        Rule("docker.io/bitnami", ["docker.io/bitnamilegacy"]),
        Rule(
            "docker.io",
            [
                Mirror("m.example/hub", allowlist=Allowlist("library/*", "allows.txt")),
                Mirror("n.example/hub", allowlist=Allowlist("docker.io/**", "all.txt")),
            ],
        ),
        Rule("gcr.io", [Mirror("m.example", allowlist=Allowlist("gcr.io/a", "gcr.txt"))]),
    ]
)


@pytest.mark.parametrize(
    ("image", "candidates"),
    [
        ("nginx:1", ["m.example/hub/library/nginx:1", "n.example/hub/library/nginx:1"]),
        ("a/b", ["n.example/hub/a/b"]),
        ("bitnami/redis", ["n.example/hub/bitnamilegacy/redis"]),
        ("gcr.io/a", ["m.example/a"]),
        ("gcr.io/b", []),
    ],
)
def test_mirror_gets_only_images_on_its_allowlist(image, candidates):
    assert [each.image for each in RULES.candidates(parse_reference(image))] == candidates


def test_image_on_no_allowlist_stays_unchanged_with_reason():
    decision = RULES.decide("gcr.io/b:1")

    assert (decision.outcome, decision.image) == (Outcome.UNAVAILABLE, "gcr.io/b:1")
    assert decision.reason == "rule gcr.io → m.example: gcr.io/b is not on gcr.txt"


@given(names, st.lists(st.sampled_from(["library/*", "a/b", "**", "gcr.io/**"]), max_size=3))
def test_rewriting_with_allowlists_is_idempotent(name, patterns):
    mirrors = [
        Mirror(f"m{n}.example/x", allowlist=Allowlist(pattern, "x"))
        for n, pattern in enumerate(patterns)
    ]
    rules = [Rule("docker.io/a", ["docker.io/b"]), Rule("gcr.io", ["docker.io/gcr"])]
    decide = MirrorMap([*rules, *([Rule("docker.io", mirrors)] if mirrors else [])]).decide

    once = decide(name).image
    assert decide(once).image == once
