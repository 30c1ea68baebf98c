"""Regular expressions of rules."""

from __future__ import annotations

import time

import pytest

from webhook.core import InvalidRuleError, MirrorMap, Rule
from webhook.core.regex import Regex, RegexSet, could_produce


@pytest.mark.parametrize(
    ("regex", "target", "image", "result"),
    [
        (
            r"^docker\.io/bitnami/(.+)$",
            r"h.example/\1",
            "bitnami/redis:7",
            "h.example/redis:7",
        ),
        (r"docker\.io/(.+)/(.+)", r"h.example/\2/\1", "a/b", "h.example/b/a"),
        (r"(.*)", r"h.example/\0", "quay.io/a", "h.example/quay.io/a"),
        (r"docker\.io/(a)?b(.*)", r"h.example/x\1\2", "bc/d", "h.example/xc/d"),
        (r"docker.io/library/nginx", "h.example/n", "nginx@sha256:" + "a" * 64, None),
    ],
)
def test_regex_rewrites_the_whole_name_once(regex, target, image, result):
    decision = MirrorMap([Rule(regex=regex, mirrors=[target])]).decide(image)
    assert decision.image == (result or "h.example/n@sha256:" + "a" * 64)


@pytest.mark.parametrize("regex", ["nginx", "docker.io/library/ngin", "ocker.io/library/nginx"])
def test_regex_does_not_match_part_of_a_name(regex):
    assert MirrorMap([Rule(regex=regex, mirrors=["h.example"])]).decide("nginx").rule is None


def test_first_matching_regex_applies():
    rules = [
        Rule(regex=".*/b", mirrors=["h.example/1"]),
        Rule(regex=".*", mirrors=["h.example/2"]),
    ]
    assert MirrorMap(rules).decide("a/b").rule == rules[0]
    assert MirrorMap(rules[::-1]).decide("a/b").rule == rules[1]


def test_regex_takes_linear_time():
    decide = MirrorMap([Rule(regex="(a*)*(a*)*(a*)*b", mirrors=["h.example"])]).decide
    began = time.thread_time()
    decide("a" * 200)
    assert time.thread_time() - began < 1


def test_set_matches_thousands_of_regexes():
    regexes = [Regex(rf"registry{n}\.example/team-{n}/(.+)") for n in range(12_000)]
    assert RegexSet(regexes).find_matches("registry777.example/team-777/app") == [777]


def test_set_that_needs_too_much_memory_is_rejected():
    regexes = [Regex(rf"registry{n}\.example/(.+)") for n in range(2000)]
    with pytest.raises(InvalidRuleError, match="the regexes of all rules are too large togeth"):
        RegexSet(regexes, memory=1 << 16)


@pytest.mark.parametrize(
    ("target", "name", "expected"),
    [
        (r"h.example/\1", "h.example/a/b", True),
        (r"h.example/\1", "h.example", False),
        (r"h.example/\1", "hxexample/a", False),
        (r"h.example/\1/x", "h.example/a/x", True),
        (r"h.example/\1/x", "h.example/a/y", False),
        (r"\1/a", "anything/a", True),
    ],
)
def test_template_could_produce_names(target, name, expected):
    assert could_produce(target, name) is expected
