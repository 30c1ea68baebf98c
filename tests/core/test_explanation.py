"""How each rule relates to an image."""

from __future__ import annotations

import pytest

from webhook.core import NEXT_STEPS, MirrorMap, Outcome, Rule, explain_rules

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
    ("image", "kinds"),
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
def test_explanation_has_kind_of_each_rule(image, kinds):
    found = explain_rules(RULES, RULES.decide(image))
    explained = {each.rule.name: str(each.kind) for each in found}
    assert kinds.items() <= explained.items()
    assert len(found) == len(explained) == (len(RULES.rules) if kinds else 0)


def test_explanation_of_shadowed_rule_names_winner():
    found = explain_rules(RULES, RULES.decide("quay.io/our-team/a"))
    winner = found[0].rule
    assert winner.name == "quay.io/our-team"
    assert [each.winner for each in found[1:3]] == [winner, winner]
    assert {each.winner for each in found[3:]} == {None}


def test_each_outcome_has_a_next_step_unless_nothing_is_to_be_done():
    assert {*Outcome} - {*NEXT_STEPS} == {Outcome.REWRITTEN, Outcome.MIRRORED}


def test_observed_decision_changes_nothing_and_says_what_it_would_be():
    rules = MirrorMap([Rule("docker.io", ["h.example/hub"]), Rule("quay.io", keep=True)])
    decision = rules.decide("nginx")
    observed = decision.observe()
    assert (observed.outcome, observed.image) == (Outcome.OBSERVED, "nginx")
    assert observed.candidate.image == "h.example/hub/library/nginx"
    assert observed.reason == (
        "mode observe changes nothing; it would be h.example/hub/library/nginx "
        "(rule docker.io → h.example/hub)"
    )
    for image in ("ghcr.io/a/b", "quay.io/a", "h.example/hub/a", "Nginx"):
        unchanged = rules.decide(image)
        assert unchanged.observe() is unchanged
