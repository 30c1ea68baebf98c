from __future__ import annotations

import pytest

from webhook.config import load_profiles, parse_rules


def warnings_of(text):
    return [warning.partition(": ")[2] for warning in parse_rules(text, "rules.yaml").warnings]


@pytest.mark.parametrize(
    ("profile", "state"),
    [
        ("ustc", "closed (as of 2024-08-12): All container caches are closed"),
        ("azure-china", "restricted (as of 2026-01): Since 2020-04-02 only addresses of"),
        ("sjtu", "restricted"),
        ("bitnami-legacy", "frozen"),
    ],
)
def test_a_mirror_that_is_not_for_everybody_is_warned_of(profile, state):
    (in_file,) = warnings_of(f"profiles: [{profile}]")
    (alone,) = load_profiles([profile]).warnings

    assert in_file == f"profiles[0]: {alone}"
    assert alone.startswith(f"profile {profile} is {state}")


@pytest.mark.parametrize("profile", ["daocloud", "nju", "k8s-gcr-io", "mirror-gcr-io"])
def test_a_mirror_for_everybody_is_not_warned_of(profile):
    assert load_profiles([profile]).warnings == ()


@pytest.mark.parametrize(
    ("match", "advice"),
    [
        ("nginx", "'nginx' is not a registry"),
        ("bitnami/redis", "write match: docker.io/bitnami/redis"),
    ],
)
def test_a_match_at_no_registry_is_warned_of(match, advice):
    (warning,) = warnings_of(f"rules: [{{match: {match}, keep: true}}]")

    assert warning.startswith("rules[0]: ")
    assert advice in warning


@pytest.mark.parametrize("match", ["localhost", "localhost/a", "a:5000", "a.io", "A"])
def test_a_match_at_a_registry_is_not_warned_of(match):
    assert warnings_of(f"rules: [{{match: {match}, keep: true}}]") == []


@pytest.mark.parametrize(
    ("rule", "held"),
    [
        ("{match: docker.io, mirrors: [a.io/hub, docker.io]}", "docker.io"),
        ("{match: a.io/b/c, mirrors: [a.io/b]}", "a.io/b"),
    ],
)
def test_a_rule_that_holds_its_own_match_is_warned_of(rule, held):
    (warning,) = warnings_of(f"rules: [{rule}]")

    assert warning == (
        f"rules[0]: the rule never applies, because its mirror {held} contains everything "
        "that it matches: remove that mirror"
    )


@pytest.mark.parametrize(
    "rule",
    [
        "{match: a.io, mirrors: [a.io/b]}",
        '{match: "*.a.io", mirrors: [b.a.io]}',
        "{match: docker.io/bitnami, mirrors: [docker.io/bitnamilegacy]}",
    ],
)
def test_a_rule_within_one_registry_is_not_warned_of(rule):
    assert warnings_of(f"rules: [{rule}]") == []


def test_a_mirror_that_every_registry_takes_in_is_warned_of():
    text = r"""
rules:
- {match: docker.io, mirrors: [hub.example.com/a, hub.example.com/b]}
- {match: quay.io, mirrors: [hub.example.com/q]}
- regex: 'gcr\.io/(.+)'
  mirrors: ['gcr.example.com/x-\1']
- regex: 'ghcr\.io/(.+)/(.+)'
  mirrors: ['\1.example.com/\2']
- {match: "*", mirrors: [cache.example.com]}
""".lstrip()

    hub, gcr = warnings_of(text)

    assert hub == (
        "rules[4]: hub.example.com is a mirror of docker.io, quay.io, and this rule applies to "
        "it as well; to prevent that, add a rule with match: hub.example.com and keep: true"
    )
    assert gcr.startswith(r"rules[4]: gcr.example.com is a mirror of /gcr\.io/(.+)/, and")
    keep = "- {match: hub.example.com, keep: true}\n- {match: gcr.example.com, keep: true}\n"
    assert warnings_of(text + keep) == []


def test_the_warning_of_a_detour_is_what_happens():
    text = 'profiles: [daocloud]\nrules: [{match: "*", mirrors: [cache.example.com]}]'
    (warning,) = warnings_of(text)
    decide = parse_rules(text, "rules.yaml").policies["default"].mirrors.decide

    assert decide("quay.io/a").image == "cache.example.com/m.daocloud.io/quay.io/a"
    assert "docker.io (profile daocloud)" in warning
    assert "and 8 more" in warning


def test_mirrors_at_the_registry_of_every_registry_are_not_warned_of():
    text = """
rules:
- {match: docker.io, mirrors: [harbor.example.com/hub]}
- {match: "*", mirrors: [harbor.example.com/cache]}
"""

    assert warnings_of(text) == []


def test_a_rule_that_applies_to_nothing_makes_no_detour():
    text = 'rules: [{match: a.io, mirrors: [a.io]}, {match: "*", mirrors: [b.io]}]'

    (warning,) = warnings_of(text)

    assert warning.startswith("rules[0]: the rule never applies")


def test_a_policy_without_rules_is_warned_of():
    assert warnings_of("mode: observe") == ["policy default has no rules: it changes nothing"]
    assert warnings_of("policies: {a: {}}") == [
        "policies.a: policy a has no rules: it changes nothing"
    ]


def test_warnings_come_in_the_order_of_the_file():
    text = "rules: [{match: nginx, keep: true}]\nprofiles: [ustc]\npolicies: {a: {}}"

    assert [warning.split(":")[1] for warning in parse_rules(text, "f").warnings] == [
        "1",
        "2",
        "3",
    ]
