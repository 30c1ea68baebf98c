from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from webhook.cli.engines import ENGINES
from webhook.cli.puller import original_names, plan_pull, remove_duplicates
from webhook.core import MirrorMap, Original, Rule, parse_reference

DIGEST = "sha256:" + "0123456789abcdef" * 4
HUB = "harbor.example.com/hub/library/"


def order(image, original=Original.LAST):
    rules = MirrorMap(
        [
            Rule(
                "docker.io",
                ["harbor.example.com/hub", "b.example.com"],
                original=original,
            ),
            Rule("quay.io/team", keep=True),
            Rule(regex=r"icr\.io/(.*)", mirrors=[r"\1/x"], original=original),
        ]
    )
    return plan_pull(rules.decide(image))


def sources(image, original=Original.LAST):
    return [source.image for source in order(image, original).sources]


@pytest.mark.parametrize(
    ("original", "expected"),
    [
        (Original.LAST, ["mirror", "mirror", "own"]),
        (Original.FIRST, ["own", "mirror", "mirror"]),
        (Original.NEVER, ["mirror", "mirror"]),
    ],
)
def test_plan_pull_puts_the_own_registry_where_original_says(original, expected):
    found = order("nginx", original).sources

    assert ["mirror" if source.is_mirror else "own" for source in found] == expected


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("nginx", f"{HUB}nginx:latest"),
        ("nginx:1.27", f"{HUB}nginx:1.27"),
        (f"nginx@{DIGEST}", f"{HUB}nginx@{DIGEST}"),
        (f"nginx:1.27@{DIGEST}", f"{HUB}nginx@{DIGEST}"),
    ],
)
def test_plan_pull_prefers_the_digest_to_the_tag(image, expected):
    assert sources(image)[0] == expected


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        ("quay.io/team/app", "quay.io/team/app:latest"),  # kept
        ("quay.io/other:1", "quay.io/other:1"),  # unmatched
        ("harbor.example.com/hub/library/nginx", f"{HUB}nginx:latest"),  # mirrored
        ("icr.io/a", "icr.io/a:latest"),  # no mirror has a valid name for it
    ],
)
def test_plan_pull_uses_the_own_registry_without_a_mirror(image, expected):
    (source,) = order(image).sources

    assert (source.image, source.is_mirror) == (expected, False)


def test_plan_pull_ignores_original_for_an_image_at_a_mirror():
    assert sources(f"{HUB}nginx:1", Original.NEVER) == [f"{HUB}nginx:1"]


def test_plan_pull_has_no_source_if_the_rule_forbids_the_only_one():
    assert sources("icr.io/a", Original.NEVER) == []


def test_plan_pull_has_no_source_for_an_invalid_image():
    found = order("NGINX")

    assert (found.sources, found.reference) == ((), None)
    assert "must be in lower case" in found.reason


def test_remove_duplicates_keeps_one_job_per_image():
    written = [
        "nginx",
        "quay.io/a",
        "docker.io/nginx",
        "docker.io/library/nginx:latest",
        "quay.io/a:latest",
        "NGINX",
        f"nginx@{DIGEST}",
        f"nginx:latest@{DIGEST}",
        f"index.docker.io/library/nginx@{DIGEST}",
        "NGINX",
        "nginx:1",
    ]

    assert [each.image for each in remove_duplicates(map(order, written))] == [
        "nginx",
        "quay.io/a",
        "NGINX",
        f"nginx@{DIGEST}",
        f"nginx:latest@{DIGEST}",
        "nginx:1",
    ]


@given(st.lists(st.sampled_from(["a", "b", "docker.io/a", "a:latest", "a:1", "c.io/a"])))
def test_remove_duplicates_keeps_every_image_and_the_order(written):
    left = [each.image for each in remove_duplicates(map(order, written))]
    pulled = [sources(image)[0] for image in left]

    assert pulled == [*dict.fromkeys(sources(image)[0] for image in written)]


@pytest.mark.parametrize(
    ("image", "by_tag", "by_name"),
    [
        ("nginx", ["docker.io/library/nginx:latest"], []),
        ("a/b:1", ["docker.io/a/b:1"], []),
        (f"a/b:1@{DIGEST}", ["docker.io/a/b:1"], [f"docker.io/a/b@{DIGEST}"]),
        (f"a/b@{DIGEST}", [], [f"docker.io/a/b@{DIGEST}"]),
    ],
)
def test_original_names_are_the_tag_and_with_containerd_the_digest(image, by_tag, by_name):
    reference = parse_reference(image)

    assert original_names(ENGINES["docker"], reference, ["m/a:1"]) == by_tag
    assert original_names(ENGINES["crictl"], reference, ["m/a:1"]) == by_tag + by_name


def test_original_names_include_the_digest_of_a_pull_by_tag():
    brought = ["m.example.com:5000/a:1", f"m.example.com:5000/a@{DIGEST}"]

    assert original_names(ENGINES["crictl"], parse_reference("quay.io/a:1"), brought) == [
        "quay.io/a:1",
        f"quay.io/a@{DIGEST}",
    ]
