"""Planning what to copy: pure."""

from __future__ import annotations

from dataclasses import replace
from itertools import permutations

import pytest

from webhook.cli.copy_engines import COPY_ENGINES
from webhook.cli.copy_plan import (
    NO_IMAGE,
    CopyStatus,
    merge_tasks,
    pin_tasks,
    plan_copy,
    render_regsync,
    set_tags,
)
from webhook.core import Mirror, MirrorMap, Rule, parse_platform, parse_reference

A, B, C = (f"sha256:{letter * 64}" for letter in "abc")
RULES = MirrorMap(
    [
        Rule("docker.io", (Mirror("harbor.example.com/hub"),)),
        Rule("docker.io/bitnami", (Mirror("docker.io/bitnamilegacy"),)),
        Rule("quay.io/keep", keep=True),
    ]
)
TAG = parse_reference("docker.io/library/app:1")
MIRROR_TAG = parse_reference("harbor.example.com/hub/library/app:1")


FLAT = MirrorMap(
    [
        Rule(host, (Mirror("harbor.example.com/flat", flatten=True),))
        for host in ("gcr.io", "quay.io")
    ]
)


def plan(image, digest=""):
    return replace(plan_copy(RULES.decide(image)), digest=digest or image.partition("@")[2])


def targets(tasks, upstream=None, mirror=None):
    done = set_tags(tasks, upstream or {}, mirror or {})
    return [(str(task.target).removeprefix("harbor.example.com/hub/library/")) for task in done]


def test_target_is_the_first_mirror():
    task = plan("app:1")
    assert (task.reference, task.source, task.target) == (TAG, TAG, MIRROR_TAG)
    assert task.is_planned


def test_default_tag_is_latest():
    assert str(plan("app").source) == "docker.io/library/app:latest"


def test_source_is_the_name_before_the_last_rule_of_a_chain():
    task = plan("bitnami/redis:7")
    assert str(task.source) == "docker.io/bitnamilegacy/redis:7"
    assert str(task.target) == "harbor.example.com/hub/bitnamilegacy/redis:7"


@pytest.mark.parametrize(
    ("image", "status"),
    [
        ("quay.io/keep/a:1", CopyStatus.SKIPPED),
        ("ghcr.io/a/b:1", CopyStatus.SKIPPED),
        ("harbor.example.com/hub/a:1", CopyStatus.SKIPPED),
        ("BAD", CopyStatus.FAILED),
    ],
)
def test_image_without_a_mirror_has_a_reason(image, status):
    task = plan_copy(RULES.decide(image))
    assert (task.status, task.target) == (status, NO_IMAGE)
    assert task.reason


def test_images_are_merged_however_they_are_written():
    names = [
        "app:1",
        "docker.io/library/app:1",
        "index.docker.io/app:1",
        f"app:1@{A}",
        "BAD",
        "BAD",
    ]
    assert len(merge_tasks(map(plan, names))) == 3


def test_tag_is_set_if_upstream_agrees():
    assert targets([plan(f"app:1@{A}")], {TAG: A}, {MIRROR_TAG: B}) == ["app:1"]


def test_tag_is_set_if_the_mirror_lacks_it():
    assert targets([plan(f"app:1@{A}")], {TAG: B}, {MIRROR_TAG: ""}) == ["app:1"]


@pytest.mark.parametrize("mirror", [{MIRROR_TAG: B}, {}])
def test_tag_is_not_set_if_the_mirror_has_another_or_does_not_answer(mirror):
    (task,) = set_tags([plan(f"app:1@{A}")], {TAG: B}, mirror)
    assert str(task.target) == f"harbor.example.com/hub/library/app@{A}"
    assert "its tag 1 is not this image" in task.notes[0]


@pytest.mark.parametrize(
    ("upstream", "mirror"), [({TAG: A}, {}), ({}, {MIRROR_TAG: ""}), ({TAG: B}, {MIRROR_TAG: C})]
)
def test_order_never_matters(upstream, mirror):
    tasks = [plan("app:1", A), plan(f"app:1@{A}"), plan(f"app:1@{B}"), plan(f"app:1@{C}")]
    for some in (tasks, tasks[1:], tasks[2:]):
        results = {tuple(sorted(targets(order, upstream, mirror))) for order in permutations(some)}
        assert len(results) == 1


def test_missing_tag_that_two_digests_claim_is_set_by_none():
    tasks = [plan(f"app:1@{A}"), plan(f"app:1@{B}")]
    assert targets(tasks, {TAG: C}, {MIRROR_TAG: ""}) == [f"app@{A}", f"app@{B}"]


def test_two_images_with_one_target_fail_both():
    one, two = (plan_copy(FLAT.decide(f"{host}/x/app:1")) for host in ("gcr.io", "quay.io"))
    done = set_tags([replace(one, digest=A), replace(two, digest=B)], {}, {})
    assert {task.status for task in done} == {CopyStatus.FAILED}
    assert "another image would get the name harbor.example.com/flat/app:1" in done[0].reason
    same = set_tags([replace(one, digest=A), replace(two, digest=A)], {}, {})
    assert all(task.is_planned for task in same)


def test_plan_without_questions_uses_digests():
    pinned, tagged = pin_tasks([plan(f"app:1@{A}"), plan("app:1")])
    assert str(pinned.source) == f"docker.io/library/app@{A}"
    assert str(pinned.target) == f"harbor.example.com/hub/library/app@{A}"
    assert tagged.target == MIRROR_TAG
    assert pinned.is_planned
    assert tagged.is_planned


def test_two_sources_with_one_target_fail_both_in_a_plan():
    images = ("gcr.io/x/app:1", "quay.io/x/app:1", f"quay.io/x/app@{A}", f"gcr.io/x/app:1@{B}")
    done = pin_tasks([plan_copy(FLAT.decide(image)) for image in images])
    assert [task.is_planned for task in done] == [False, False, True, True]
    assert "another image would get the name harbor.example.com/flat/app:1" in done[0].reason


def test_regsync_configuration_has_all_options():
    tasks = pin_tasks([plan(image) for image in ("app:1", f"app@{A}")])
    engine = COPY_ENGINES["regctl"](
        program="", plain_http=frozenset({"b:5000", "a"}), referrers=True, digest_tags=True
    )
    platforms = [parse_platform("linux/amd64")]
    text = render_regsync(tasks, engine, {"c": b"-----BEGIN\n"}, platforms, 2)
    assert text.splitlines() == [
        "version: 1",
        "creds:",
        '  - {registry: "a", tls: disabled}',
        '  - {registry: "b:5000", tls: disabled}',
        '  - {registry: "c", regcert: "-----BEGIN\\n"}',
        "defaults:",
        "  parallel: 2",
        "  referrers: true",
        "  digestTags: true",
        "sync:",
        '  - source: "docker.io/library/app:1"',
        '    target: "harbor.example.com/hub/library/app:1"',
        "    type: image",
        '    platform: "linux/amd64"',
        f'  - source: "docker.io/library/app@{A}"',
        f'    target: "harbor.example.com/hub/library/app@{A}"',
        "    type: image",
    ]
