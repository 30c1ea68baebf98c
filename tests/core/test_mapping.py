"""Decisions, by example."""

from __future__ import annotations

import pytest

from webhook.core import InvalidRuleError, Mirror, MirrorMap, Outcome, Rule, parse_reference

DIGEST = "sha256:" + "a" * 64
FLAT = Mirror("ali.example/google", flatten=True)
HARBOR = MirrorMap(
    [
        Rule("docker.io", ["h.example/hub"]),
        Rule("docker.io/bitnami", ["docker.io/bitnamilegacy"]),
        Rule("docker.io/library/redis", ["h.example/redis"]),
        Rule("registry.k8s.io", [FLAT, "h.example/k8s"]),
        Rule("k8s.gcr.io", ["registry.k8s.io"]),
        Rule("gcr.io", ["gcr.m.example"]),
        Rule("*.gcr.io", ["h.example/sub"]),
        Rule("*.gcr.io/special", ["h.example/special"]),
        Rule("*.pkg.dev", ["h.example/pkg"]),
        Rule("eu.gcr.io/special/very", keep=True),
        Rule("quay.io/our-team", keep=True),
        Rule("localhost:5000", ["h.example/local"]),
    ]
)
CACHE = MirrorMap([*HARBOR.rules, Rule("*", ["h.example/cache"])])


@pytest.mark.parametrize(
    ("image", "result"),
    [
        ("nginx", "h.example/hub/library/nginx"),
        ("nginx:1", "h.example/hub/library/nginx:1"),
        (f"a/b@{DIGEST}", f"h.example/hub/a/b@{DIGEST}"),
        (f"a/b:1@{DIGEST}", f"h.example/hub/a/b:1@{DIGEST}"),
        ("index.docker.io/a/b", "h.example/hub/a/b"),
        ("redis", "h.example/redis"),
        ("redis:7", "h.example/redis:7"),
        ("redis/redis-stack", "h.example/hub/redis/redis-stack"),
        ("library/redis-stack", "h.example/hub/library/redis-stack"),
        ("bitnami/x", "h.example/hub/bitnamilegacy/x"),
        ("bitnamicharts/x", "h.example/hub/bitnamicharts/x"),
        ("bitnamilegacy/x", "h.example/hub/bitnamilegacy/x"),
        ("registry.k8s.io/a/b/c", "ali.example/google/c"),
        ("k8s.gcr.io/pause:3", "ali.example/google/pause:3"),
        ("gcr.io/a", "gcr.m.example/a"),
        ("eu.gcr.io/a", "h.example/sub/a"),
        ("a.b.gcr.io/x", "h.example/sub/x"),
        ("eu.gcr.io/special/x", "h.example/special/x"),
        ("eu.gcr.io/special", "h.example/special"),
        ("eu.gcr.io/specials", "h.example/sub/specials"),
        ("eu.gcr.io/special/very/x", "eu.gcr.io/special/very/x"),
        ("notgcr.io/a", "notgcr.io/a"),
        ("gcr.io:443/a", "gcr.io:443/a"),
        ("localhost:5000/a", "h.example/local/a"),
        ("localhost/a", "localhost/a"),
        ("quay.io/our-team/x:1", "quay.io/our-team/x:1"),
        ("quay.io/our-team2/x", "quay.io/our-team2/x"),
        ("h.example/hub/x", "h.example/hub/x"),
        ("h.example/other", "h.example/other"),
    ],
)
def test_image_goes_to_mirror_of_its_rule(image, result):
    decision = HARBOR.decide(image)
    assert decision.image == result
    assert decision.original == image


@pytest.mark.parametrize(
    ("image", "result"),
    [
        ("quay.io/a/b:1", "h.example/cache/quay.io/a/b:1"),
        ("localhost/a", "h.example/cache/localhost/a"),
        ("nginx", "h.example/hub/library/nginx"),
        ("quay.io/our-team/a", "quay.io/our-team/a"),
        ("h.example/other", "h.example/other"),
        ("gcr.io/a", "h.example/cache/gcr.m.example/a"),
        ("gcr.io:443/a", "gcr.io:443/a"),
    ],
)
def test_catch_all_rule_applies_where_no_other_does(image, result):
    assert CACHE.decide(image).image == result


@pytest.mark.parametrize(
    ("image", "outcome", "reason"),
    [
        ("nginx", Outcome.REWRITTEN, "rule docker.io → h.example/hub"),
        ("bitnami/a", Outcome.REWRITTEN, "docker.io/bitnamilegacy, then rule docker.io →"),
        ("quay.io/our-team/a", Outcome.KEPT, "rule quay.io/our-team keeps it"),
        ("h.example/k8s/a", Outcome.MIRRORED, "it is already at a mirror of rule registry.k8s.io"),
        ("h.example/x", Outcome.MIRRORED, "it is already at a mirror of rule *"),
        ("Nginx", Outcome.INVALID, "must be in lower case"),
        (
            "gcr.io:443/a",
            Outcome.UNAVAILABLE,
            "rule * → h.example/cache: 'h.example/cache/gcr.io:443/a' is not an image ref",
        ),
    ],
)
def test_decision_has_a_reason(image, outcome, reason):
    decision = CACHE.decide(image)
    assert decision.outcome == outcome
    assert reason in decision.reason
    assert (decision.candidate is not None) == (outcome is Outcome.REWRITTEN)
    assert outcome.needs_warning == (outcome in {Outcome.INVALID, Outcome.UNAVAILABLE})


def test_decision_without_rule_has_a_reason():
    decision = MirrorMap([]).decide("nginx")
    assert decision.outcome is Outcome.UNMATCHED
    assert decision.reason == "no rule matches docker.io/library/nginx"


def test_candidates_are_in_the_order_of_mirrors():
    decision = HARBOR.decide("registry.k8s.io/a/b:1")
    names = ["ali.example/google/b:1", "h.example/k8s/a/b:1"]
    assert [candidate.image for candidate in decision.candidates] == names
    assert decision.candidate == decision.candidates[0]
    assert decision.candidate.mirror == FLAT
    assert decision.candidate.rule is decision.rule
    assert HARBOR.candidates(parse_reference("registry.k8s.io/a/b:1")) == decision.candidates


def test_mirror_with_invalid_name_is_no_candidate():
    rules = MirrorMap([Rule("gcr.io", ["h.example/" + "x" * 250, "m.example"])])
    decision = rules.decide("gcr.io/abcdef")
    assert decision.image == "m.example/abcdef"
    assert len(decision.candidates) == 1
    only = MirrorMap([Rule("gcr.io", ["h.example/" + "x" * 250])]).decide("gcr.io/abcdef")
    assert only.outcome is Outcome.UNAVAILABLE
    assert only.image == "gcr.io/abcdef"
    assert "longer than 255 characters" in only.reason


def test_name_without_repository_is_no_candidate():
    decision = MirrorMap([Rule("gcr.io/a", ["m.example"])]).decide("gcr.io/a")
    assert decision.outcome is Outcome.UNAVAILABLE
    assert "'m.example' is not an image reference: it has no repository" in decision.reason


def test_name_without_registry_is_no_candidate():
    rules = MirrorMap([Rule(regex=r"gcr\.io/(.+)", mirrors=[r"\1/x"])])
    assert "is not a registry host" in rules.decide("gcr.io/a").reason


def test_regex_precedes_match():
    rules = [
        Rule("docker.io/library/nginx", ["m.example"]),
        Rule(regex=r"docker\.io/(.+)", mirrors=[r"r.example/\1"]),
    ]
    assert MirrorMap(rules).decide("nginx").image == "r.example/library/nginx"


def test_next_rule_applies_at_own_mirror_of_a_rule():
    rules = MirrorMap([Rule("a.b/x", ["a.b/x/y"]), Rule("a.b", ["m.example"])])
    assert rules.decide("a.b/x/y/z").image == "m.example/x/y/z"
    assert rules.decide("a.b/x/z").image == "m.example/x/y/z"


@pytest.mark.parametrize("text", ["docker.io", "*.gcr.io/a", "*"])
def test_same_match_in_two_rules_is_rejected(text):
    with pytest.raises(InvalidRuleError, match="is used by two rules; put their mirrors into"):
        MirrorMap([Rule(text, ["a.example"]), Rule(text, ["b.example"])])


def test_legacy_name_of_docker_hub_is_the_same_match():
    with pytest.raises(InvalidRuleError, match="is used by two rules"):
        MirrorMap([Rule("docker.io", ["a.b"]), Rule("index.docker.io", ["c.d"])])


def test_candidates_are_limited():
    rules = [
        Rule(f"r{n}.example", [f"r{n + 1}.example/{letter}" for letter in "abcd"]) for n in range(5)
    ]
    assert len(MirrorMap(rules).decide("r0.example/x").candidates) == 64


LABEL = "a" * 63
HOST = f"{'.'.join([LABEL] * 3)}.{'b' * 61}"


@pytest.mark.parametrize(
    ("registry", "problem"),
    [
        (f"{HOST}:5000", ""),
        (f"{HOST}c", "is longer than 253 characters"),
        (f"{LABEL}.io", ""),
        (f"{LABEL}a.io", "of the host is longer than 63 characters"),
        (f"x.{LABEL}a.io:80", "of the host is longer than 63 characters"),
        ("[2001:db8::1]:5000", ""),
        ("a." * 400 + "io", "is longer than 253 characters"),
    ],
)
def test_image_on_a_host_that_cannot_exist_is_invalid(registry, problem):
    decision = MirrorMap([Rule("*", ["h.example/cache"])]).decide(f"{registry}/team/app:1")
    assert (decision.outcome is Outcome.INVALID) == bool(problem)
    assert problem in decision.reason


@pytest.mark.parametrize(
    "image",
    [
        "a." * 200_000 + "com/x:1",
        "gcr.io/" + "a/" * 200_000 + "x",
        "nginx:" + "1" * 400_000,
        "a" * 400_000,
        f"nginx@sha256:{'a' * 400_000}",
    ],
)
def test_overlong_image_is_not_looked_at(image):
    decision = CACHE.decide(image)
    assert decision.outcome is Outcome.INVALID
    assert decision.reason.endswith("characters, more than the 1,024 of any image")


def test_longest_valid_image_is_rewritten():
    path = "/".join(["p" * 63] * 3)
    image = f"{HOST}:65535/{path}/x:{'t' * 128}@sha512:{'f' * 128}"
    decision = MirrorMap([Rule("*", [Mirror("h.example", flatten=True)])]).decide(image)
    assert decision.outcome is Outcome.REWRITTEN
    assert decision.image == f"h.example/x:{'t' * 128}@sha512:{'f' * 128}"


def test_long_registry_costs_no_more_look_ups_than_a_host_has_parts():
    registry = "a." * 100_000 + "gcr.io"
    assert CACHE.find_matching_rules(registry, "team/app") == [
        HARBOR.rules[6],
        CACHE.rules[-1],
    ]
