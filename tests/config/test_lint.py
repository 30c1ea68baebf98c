from __future__ import annotations

import pytest

from webhook.config import load_profiles, parse_rules


def get_warnings(text):
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
def test_profile_not_open_to_everybody_gives_a_warning(profile, state):
    (in_file,) = get_warnings(f"profiles: [{profile}]")
    (alone,) = load_profiles([profile]).warnings

    assert in_file == f"profiles[0]: {alone}"
    assert alone.startswith(f"profile {profile} is {state}")


@pytest.mark.parametrize("profile", ["daocloud", "nju", "k8s-gcr-io", "mirror-gcr-io"])
def test_open_profile_gives_no_warning(profile):
    assert load_profiles([profile]).warnings == ()


@pytest.mark.parametrize(
    ("match", "advice"),
    [
        ("nginx", "'nginx' is not a registry"),
        ("bitnami/redis", "write match: docker.io/bitnami/redis"),
    ],
)
def test_match_without_registry_gives_a_warning(match, advice):
    (warning,) = get_warnings(f"rules: [{{match: {match}, keep: true}}]")

    assert warning.startswith("rules[0]: ")
    assert advice in warning


@pytest.mark.parametrize("match", ["localhost", "localhost/a", "a:5000", "a.io"])
def test_match_with_registry_gives_no_warning(match):
    assert get_warnings(f"rules: [{{match: {match}, keep: true}}]") == []


@pytest.mark.parametrize(
    ("rule", "held"),
    [
        ("{match: docker.io, mirrors: [a.io/hub, docker.io]}", "docker.io"),
        ("{match: a.io/b/c, mirrors: [a.io/b]}", "a.io/b"),
    ],
)
def test_rule_whose_mirror_contains_its_match_gives_a_warning(rule, held):
    (warning,) = get_warnings(f"rules: [{rule}]")

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
def test_rule_within_one_registry_gives_no_warning(rule):
    assert get_warnings(f"rules: [{rule}]") == []


def test_catch_all_that_applies_to_mirrors_gives_a_warning():
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

    hub, gcr = get_warnings(text)

    assert hub == (
        "rules[4]: hub.example.com is a mirror of docker.io, quay.io, and this rule applies to "
        "it as well; to prevent that, add a rule with match: hub.example.com and keep: true"
    )
    assert gcr.startswith(r"rules[4]: gcr.example.com is a mirror of /gcr\.io/(.+)/, and")
    keep = "- {match: hub.example.com, keep: true}\n- {match: gcr.example.com, keep: true}\n"
    assert get_warnings(text + keep) == []


def test_catch_all_warning_states_what_happens():
    text = 'profiles: [daocloud]\nrules: [{match: "*", mirrors: [cache.example.com]}]'
    (warning,) = get_warnings(text)
    decide = parse_rules(text, "rules.yaml").policies["default"].mirrors.decide

    assert decide("quay.io/a").image == "cache.example.com/m.daocloud.io/quay.io/a"
    assert "docker.io (profile daocloud)" in warning
    assert "and 8 more" in warning


def test_catch_all_with_mirrors_on_the_same_registry_gives_no_warning():
    text = """
rules:
- {match: docker.io, mirrors: [harbor.example.com/hub]}
- {match: "*", mirrors: [harbor.example.com/cache]}
"""

    assert get_warnings(text) == []


def test_inert_rule_gives_no_catch_all_warning():
    text = 'rules: [{match: a.io, mirrors: [a.io]}, {match: "*", mirrors: [b.io]}]'

    (warning,) = get_warnings(text)

    assert warning.startswith("rules[0]: the rule never applies")


def test_policy_without_rules_gives_a_warning():
    assert get_warnings("mode: observe") == ["policy default has no rules: it changes nothing"]
    assert get_warnings("policies: {a: {}}") == [
        "policies.a: policy a has no rules: it changes nothing"
    ]


def test_warnings_are_in_file_order():
    text = "rules: [{match: nginx, keep: true}]\nprofiles: [ustc]\npolicies: {a: {}}"

    assert [warning.split(":")[1] for warning in parse_rules(text, "f").warnings] == [
        "1",
        "2",
        "3",
    ]
