"""Matches, mirrors and rules."""

from __future__ import annotations

import pytest

from webhook.core import InvalidRuleError, Match, Mirror, Original, Rule, parse_match


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("docker.io", Match("docker.io")),
        ("docker.io/bitnami", Match("docker.io", "bitnami")),
        ("index.docker.io/a/b", Match("docker.io", "a/b")),
        ("*.gcr.io", Match("*.gcr.io")),
        ("*.gcr.io/a", Match("*.gcr.io", "a")),
        ("*.index.docker.io", Match("*.index.docker.io")),
        ("*", Match("*")),
        ("localhost:5000", Match("localhost:5000")),
        ("host", Match("host")),
        ("[::1]:5000/a", Match("[::1]:5000", "a")),
    ],
)
def test_match_is_parsed(text, match):
    assert parse_match(text) == match
    assert parse_match(str(match)) == match


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "does not start with a registry host"),
        ("https://a", "has a scheme"),
        ("a b", "does not start with a registry host"),
        ("**", 'neither alone nor a leading "*.": write *'),
        ("*a.io", "write *.a.io"),
        ("a.io/x-*", r"write regex: 'a\.io/x-(.*)' instead, and \1 in its mirrors"),
        (r"a\.io", "is not a name: for a regular expression use regex"),
        ("nginx:1.27", "write docker.io/library/nginx"),
        ("https://a.io/v2/x/*", "has a scheme: write a.io/x"),
        ("a.*.io", 'has a "*" that is neither alone nor a leading'),
        ("gcr.io/*", 'has a "*" that is neither alone nor a leading'),
        ("*.", "does not start with a registry host"),
        ("docker.io/", "ends with a slash: write docker.io"),
        ("docker.io/A", "has the path 'A'"),
        ("docker.io/nginx:1", "has a tag or digest"),
        ("docker.io/nginx@sha256", "has a tag or digest"),
        ("docker.io/" + "a" * 256, ", which is not a valid repository"),
    ],
)
def test_invalid_match_is_rejected(text, expected):
    with pytest.raises(InvalidRuleError) as caught:
        parse_match(text)
    assert expected in caught.value.problem
    assert caught.value.field == "match"
    assert f"match {text[:150]!r}"[:-1] in str(caught.value)


@pytest.mark.parametrize(
    "target",
    ["m.example", "m.example:5000/a", "localhost", "docker.io/a", "Host/a", "[::1]:5/a"],
)
def test_mirror_accepts_host_and_path(target):
    assert Mirror(target).target == target
    assert Mirror(target).registry == target.partition("/")[0]


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("", "does not start with a registry host"),
        ("https://m.example", "has a scheme: write m.example"),
        ("harbor/a", "has neither '.' nor ':'; write harbor:443 or docker.io/harbor/a"),
        ("m.example/", "ends with a slash: write m.example"),
        ("m.example/*", 'has a "*", but the rest of the name follows by itself: write m.example'),
        ("v2/m.example/a", "registry API, not with a host: write m.example/a"),
        ("m.example/${1}", r"uses $ for a group: write m.example/\1 in a rule with regex"),
        ("m.example/A", "has the path 'A'"),
        ("m.example/a:1", "has a tag or digest, which a mirror cannot have"),
        ("m.example/a@b", "has a tag or digest, which a mirror cannot have"),
    ],
)
def test_invalid_mirror_is_rejected(target, expected):
    with pytest.raises(InvalidRuleError) as caught:
        Mirror(target)
    assert expected in caught.value.problem
    assert caught.value.field == "target"


def test_mirror_on_legacy_docker_hub_is_normalized():
    assert Mirror("index.docker.io/a").target == "docker.io/a"


@pytest.mark.parametrize(
    ("arguments", "expected", "field"),
    [
        ({}, "either match or regex", ""),
        ({"match": "a.b", "regex": "a"}, "either match or regex", ""),
        ({"match": "a.b"}, "mirrors is empty; add one, or write keep: true", "mirrors"),
        (
            {"match": "a.b", "keep": True, "mirrors": ["c.d"]},
            "both mirrors and keep",
            "keep",
        ),
        (
            {"match": "a.b", "mirrors": ["c.d", r"c.d/\1"]},
            "uses groups, but the rule has no regex",
            "mirrors[1]",
        ),
        (
            {"regex": "(a)", "mirrors": [Mirror("c.d/x", flatten=True)]},
            "flatten cannot be used with a regex",
            "mirrors[0]",
        ),
        (
            {"regex": "(a)", "mirrors": [r"c.d/\2"]},
            "uses group 2, and the regex has 1",
            "mirrors[0]",
        ),
        ({"regex": "(", "mirrors": ["c.d"]}, "is refused by RE2: missing ):", "regex"),
        ({"regex": "a(?=b)", "mirrors": ["c.d"]}, "is refused by RE2", "regex"),
        ({"regex": r"(a)\1", "mirrors": ["c.d"]}, "is refused by RE2", "regex"),
    ],
)
def test_invalid_rule_is_rejected(arguments, expected, field):
    with pytest.raises(InvalidRuleError) as caught:
        Rule(**arguments)
    assert expected in caught.value.problem
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("options", "field"),
    [
        ({"mirrors": ["m.example"], "trusted": Mirror("t.example")}, "trusted"),
        ({"keep": True, "verify": True}, "verify"),
        (
            {"mirrors": ["m.example"], "verify": True, "trusted": Mirror(r"t.example/\1")},
            "trusted",
        ),
    ],
)
def test_rule_rejects_invalid_verify_options(options, field):
    with pytest.raises(InvalidRuleError) as caught:
        Rule("docker.io", **options)

    assert caught.value.field == field


@pytest.mark.parametrize(
    ("rule", "name"),
    [
        (Rule("docker.io/a", ["m.example"]), "docker.io/a"),
        (Rule(regex="a+", keep=True), "/a+/"),
        (Rule("*.gcr.io", keep=True, source="nju"), "*.gcr.io (profile nju)"),
    ],
)
def test_rule_name_is_its_match(rule, name):
    assert str(rule) == name


def test_rules_are_immutable_values():
    rule = Rule("docker.io", ["m.example"], original=Original.NEVER)
    assert rule == Rule("docker.io", [Mirror("m.example")], original=Original.NEVER)
    assert hash(rule) == hash(Rule("docker.io", ["m.example"], original=Original.NEVER))
    with pytest.raises(AttributeError):
        rule.keep = True
