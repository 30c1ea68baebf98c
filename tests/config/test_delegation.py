from __future__ import annotations

import pytest

from webhook.config import parse_rules
from webhook.core import Mirror

VALID = """
rules: []
delegation:
  namespaces:
    matchLabels: {team: shop}
    matchExpressions:
    - {key: stage, operator: NotIn, values: [test]}
    - {key: owner, operator: Exists}
  mirrors: [harbor.example.com/shop/*, "*.example.org", index.docker.io/shop, localhost:5000]
"""


def read(text):
    return parse_rules(text, "rules.yaml").delegation


def test_file_without_delegation_delegates_nothing():
    assert read("rules: []") is None


@pytest.mark.parametrize(
    ("labels", "mismatch"),
    [
        ({"team": "shop", "owner": "x"}, ""),
        ({"team": "shop", "owner": "x", "stage": "live"}, ""),
        ({"team": "shop", "owner": "x", "stage": "test"}, "label stage must not be test"),
        ({"team": "shop"}, "label owner is missing"),
        ({"owner": "x"}, "label team must be shop, but is missing"),
    ],
)
def test_delegation_selects_namespaces_by_their_labels(labels, mismatch):
    assert read(VALID).find_mismatch(labels) == mismatch


def test_empty_selector_selects_every_namespace():
    delegation = read("delegation: {namespaces: {}, mirrors: []}")
    assert delegation.find_mismatch({}) == ""
    assert not delegation.allows(Mirror("harbor.example.com"))


@pytest.mark.parametrize(
    ("target", "allowed"),
    [
        ("harbor.example.com/shop", True),
        ("harbor.example.com/shop/a", True),
        (r"harbor.example.com/shop/\1", True),
        (r"harbor.example.com/shop/a/\1/b\2", True),
        ("harbor.example.com", False),
        ("harbor.example.com/shopping", False),
        (r"harbor.example.com/shop\1", False),
        (r"harbor.example.com/\1", False),
        (r"\1.example.org/a", False),
        (r"harbor.example.com\1/shop", False),
        (r"\0", False),
        ("a.example.org", True),
        ("a.b.example.org/x", True),
        (r"a.example.org/\1", True),
        ("example.org", False),
        ("a.example.org:5000", False),
        ("docker.io/shop", True),
        ("docker.io/shop2", False),
        ("localhost:5000/x", True),
        ("localhost/x", False),
    ],
)
def test_delegation_allows_mirrors_below_the_listed_ones(target, allowed):
    assert read(VALID).allows(Mirror(target)) is allowed


def test_star_allows_every_mirror_with_a_fixed_host():
    delegation = read('delegation: {namespaces: {}, mirrors: ["*"]}')
    assert delegation.allows(Mirror("a.io"))
    assert not delegation.allows(Mirror(r"\1.io/a"))


@pytest.mark.parametrize(
    ("text", "problems"),
    [
        ("delegation: {mirrors: [a.io]}", ["1:13: delegation: delegation has no namespaces: add"]),
        ("delegation: {namespaces: {}}", ["1:13: delegation: delegation has no mirrors: add it"]),
        (
            "rules: []\ndelegation: {}",
            [
                "2:13: delegation: delegation has no namespaces: add",
                "2:13: delegation: delegation has no mirrors: add it",
            ],
        ),
        (
            "delegation: {namespace: {}, mirrors: []}",
            ["1:14: delegation.namespace: unknown key; did you mean namespaces?"],
        ),
        (
            "delegation: {namespaces: {}, mirrors: ['https://a.io', a.io/*/b]}",
            [
                "1:40: delegation.mirrors[0]: match 'https://a.io' has a scheme: write a.io",
                "1:56: delegation.mirrors[1]: match 'a.io/*/b' has a \"*\" that",
            ],
        ),
        (
            "delegation: {mirrors: [], namespaces: {matchLabels: {a: yes}}}",
            ["1:57: delegation.namespaces.matchLabels.a: YAML reads yes as a boolean"],
        ),
        (
            "delegation: {mirrors: [], namespaces: {matchExpressions: [{key: a, operator: In}]}}",
            ["operator In needs values: add them"],
        ),
        (
            (
                "delegation: {mirrors: [], namespaces: {matchExpressions: "
                "[{key: a, operator: Exists, values: [b]}]}}"
            ),
            ["operator Exists has no values: remove them"],
        ),
        (
            "delegation: {mirrors: [], namespaces: {matchExpressions: [{key: a}]}}",
            ["the requirement needs a key and an operator: add them"],
        ),
        (
            "delegation: {mirrors: [], namespaces: {matchExpressions: [{key: a, operator: in}]}}",
            ["unknown value 'in'; did you mean In?"],
        ),
        (
            "rules: []\npolicies: {a: {rules: [], delegation: {namespaces: {}, mirrors: []}}}",
            ["delegation is allowed only at the top level of the file"],
        ),
    ],
)
def test_problem_of_a_delegation_is_reported_with_its_location(refused, text, problems):
    found = refused(text)
    assert len(found) == len(problems)
    for line, problem in zip(found, problems, strict=True):
        assert problem in line


def test_enforced_is_a_key_of_a_rule(refused):
    text = "rules: [{match: a.io, keep: true, enforced: true}, {match: b.io, keep: true}]"
    rules = parse_rules(text, "rules.yaml").policies["default"].mirrors.rules
    assert [rule.enforced for rule in rules] == [True, False]
    assert refused("rules: [{match: a.io, keep: true, enforced: always}]") == [
        "rules.yaml:1:45: rules[0].enforced: expected true or false, got the string 'always'"
    ]
