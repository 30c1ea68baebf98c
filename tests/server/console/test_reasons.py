"""Reasons in Chinese: each that the code gives has a translation."""

from __future__ import annotations

import re
import time

import pytest

from tests.reviews import Results, answer
from tests.server.conftest import review_of
from webhook.config import parse_rules
from webhook.core import MirrorMap
from webhook.kube import WebhookSelection, describe_requirements, find_mismatch
from webhook.registry import CheckResult, CheckStatus
from webhook.server.console.reasons import translate_reason
from webhook.server.console.selection import _judge
from webhook.server.history import ERROR_REASON
from webhook.server.policies import build_policies

RULES = parse_rules(
    """\
rules:
  - {match: docker.io, mirrors: [h.example/hub, i.example/hub]}
  - {match: docker.io/bitnami, mirrors: [docker.io/bitnamilegacy]}
  - {match: quay.io/our-team, keep: true}
""",
    "rules.yaml",
)
MAP: MirrorMap = RULES.policies["default"].mirrors
CHINESE = re.compile(r"[\u4e00-\u9fff]")
# English words that no value in a reason has.
ENGLISH = re.compile(
    r"\b(the|it|its|is|are|not|no|only|rule|mirror|image|must|may|than|because|would|be|has|have)\b"
)

IMAGES = [
    "nginx",
    "bitnami/redis",
    "quay.io/our-team/a",
    "h.example/hub/library/nginx",
    "ghcr.io/a/b",
    "",
    "Not An Image",
    "https://docker.io/nginx",
    "0" * 64,
    "nginx\u00e9",
    "-bad.example/a",
    "docker.io/",
    "Nginx",
    "nginx..a/b",
    "a" * 256,
    "nginx:" + "t" * 129,
    "nginx:-a",
    "nginx@sha256:12",
    "n" * 1100,
]
PODS = {
    "mirror": {"annotations": {"kubernetes.io/config.mirror": "x"}},
    "label": {"labels": {"mirrorhook.io/rewrite": "disabled"}},
    "annotation": {"annotations": {"mirrorhook.io/rewrite": "disabled"}},
}
CHAIN = "rule docker.io/bitnami → docker.io/bitnamilegacy, then rule docker.io → h.example/hub"
ANSWERS = [
    f"h.example {CheckResult(status, detail).reason}"
    for status in CheckStatus
    for detail in ("", "HTTP 404")
]
LOOP = (
    "Cluster pg created this Pod 3 times in 300s, probably because it compares images; name the "
    "mirror there, or opt the Pod out"
)
SELECTOR = {
    "matchLabels": {"env": "prod"},
    "matchExpressions": [
        {"key": "a/b", "operator": "In", "values": ["enabled", "x"]},
        {"key": "c", "operator": "NotIn", "values": ["disabled"]},
        {"key": "d", "operator": "Exists"},
        {"key": "e", "operator": "DoesNotExist"},
    ],
}


def skip_reasons():
    policy = build_policies(RULES, lambda _: None)["default"]
    kinds = [{"operation": "DELETE"}, {"subResource": "status"}, {"object": None}]
    kinds += [{"kind": {"kind": "Node"}}, {"operation": "UPDATE"}]
    bodies = [review_of("nginx", **each) for each in kinds]
    bodies += [review_of(object={"metadata": each, "spec": {}}) for each in PODS.values()]
    bodies += [review_of(*["nginx"] * 301)]
    bodies += [review_of(object={"metadata": {}, "spec": {"x": [0] * 60_000}})]
    for body in bodies:
        results = Results()
        answer(body, policy, results)
        yield results.results[0][2].reason


def selection_reasons():
    yield from describe_requirements(SELECTOR)
    full = {"env": "prod", "a/b": "x", "d": "1"}
    for change in ({"env": "test"}, {"a/b": "z"}, {"c": "disabled"}, {"e": ""}):
        yield find_mismatch(SELECTOR, full | change)
    for key in full:
        yield find_mismatch(SELECTOR, {k: v for k, v in full.items() if k != key})
    webhooks = [WebhookSelection("w", SELECTOR, {}, (), True)]
    yield _judge(webhooks, "shop", None)[0].reason
    yield _judge(webhooks, "shop", {})[0].reason


REASONS = {
    *(MAP.decide(image).reason for image in IMAGES),
    MAP.decide("nginx").observe().reason,
    *skip_reasons(),
    *selection_reasons(),
    *(f"no mirror has it: {each}" for each in ANSWERS),
    f"no mirror is known to have it: {', '.join(ANSWERS[:3])} and 2 more",
    f"{CHAIN}, because {ANSWERS[2]}, {ANSWERS[4]}",
    f"{CHAIN}, unconfirmed: {ANSWERS[9]}",
    "rule docker.io tries the original first, and docker.io has it",
    f"rule docker.io tries the original first: {ANSWERS[1]}",
    "its pull policy is Never",
    LOOP,
    ERROR_REASON,
}


@pytest.mark.parametrize("reason", sorted(REASONS))
def test_each_reason_has_a_translation(reason):
    assert reason
    translated = translate_reason("zh", reason)
    assert CHINESE.search(translated)
    quoted = re.sub(r"'[^']*'|[(][^)]*[)]|kubectl.*", "", translated)
    assert not ENGLISH.search(quoted), translated
    assert translate_reason("en", reason) == reason


def test_translation_keeps_the_values():
    reason = MAP.decide("bitnami/redis:7").observe().reason
    assert translate_reason("zh", reason) == (
        "observe 模式不作任何更改；否则会变成 h.example/hub/bitnamilegacy/redis:7（规则 "
        "docker.io/bitnami → docker.io/bitnamilegacy，再按规则 docker.io → h.example/hub）"
    )


@pytest.mark.parametrize("reason", ["", "something that nobody says", "a: b", "rule x → ", "; "])
def test_unknown_reason_stays_english(reason):
    assert translate_reason("zh", reason) == reason


@pytest.mark.parametrize(
    "hostile",
    [
        "rule " * 200,
        "rule a → b: " * 90,
        "no mirror has it: " + "a has it, " * 100,
        "label a must be " * 70,
        ", because " * 110,
        "a; " * 360,
        "a: " * 360,
        "mode observe changes nothing; it would be " * 25,
        ", then rule a → b" * 64,
    ],
)
def test_no_reason_takes_long(hostile):
    began = time.thread_time()
    translate_reason("zh", hostile)
    assert time.thread_time() - began < 0.5
