"""Every rule, and what it has to do with an image."""

from __future__ import annotations

import pytest

from webhook.core import MirrorMap, Rule, consider

RULES = MirrorMap(
    [
        Rule("docker.io", ["h.example/hub"]),
        Rule("docker.io/bitnami", ["docker.io/bitnamilegacy"]),
        Rule("quay.io", ["h.example/quay"]),
        Rule("quay.io/our-team", keep=True),
        Rule("h.example/hub", ["i.example/hub"]),
        Rule("*", ["j.example"]),
    ]
)


@pytest.mark.parametrize(
    ("image", "bearings"),
    [
        (
            "quay.io/our-team/a",
            {
                "quay.io/our-team": "applies",
                "quay.io": "shadowed",
                "*": "shadowed",
                "docker.io": "unmatched",
            },
        ),
        (
            "bitnami/redis",
            {
                "docker.io/bitnami": "applies",
                "docker.io": "shadowed",
                "h.example/hub": "follows",
                "quay.io": "unmatched",
            },
        ),
        ("docker.io/bitnamilegacy/a", {"docker.io": "applies"}),
        ("i.example/hub/a", {"*": "applies", "h.example/hub": "unmatched"}),
        ("j.example/a", {"*": "at-mirror", "docker.io": "unmatched"}),
        ("Not An Image", {}),
    ],
)
def test_each_rule_has_a_bearing(image, bearings):
    found = consider(RULES, RULES.decide(image))
    told = {each.rule.name: str(each.bearing) for each in found}
    assert bearings.items() <= told.items()
    assert len(found) == len(told) == (len(RULES.rules) if bearings else 0)


def test_a_rule_that_is_shadowed_names_the_one_that_wins():
    found = consider(RULES, RULES.decide("quay.io/our-team/a"))
    winner = found[0].rule
    assert winner.name == "quay.io/our-team"
    assert [each.winner for each in found[1:3]] == [winner, winner]
    assert {each.winner for each in found[3:]} == {None}
