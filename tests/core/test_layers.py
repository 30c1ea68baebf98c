"""Rules of a team before those of the platform: all invariants hold over both layers."""

from __future__ import annotations

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tests.core.strategies import images, maps, rules
from webhook.core import (
    InvalidRuleError,
    LayeredMap,
    MatchKind,
    MirrorMap,
    Outcome,
    PlatformLayer,
    Rule,
    RuleCycleError,
    explain_rules,
    parse_reference,
)
from webhook.core.mapping import list_starts

HUB = Rule("docker.io", ["harbor.example.com/hub"], enforced=True)


def enforce(rule, enforced):
    """Return a copy of a rule that is enforced or not."""
    return Rule(
        None if rule.match is None else str(rule.match),
        rule.mirrors,
        regex=None if rule.regex is None else str(rule.regex),
        keep=rule.keep,
        enforced=enforced,
    )


@st.composite
def platforms(draw):
    """Rules of which some are enforced."""
    mirrors = draw(maps())
    return MirrorMap([enforce(rule, draw(st.booleans())) for rule in mirrors.rules])


@st.composite
def layered_maps(draw):
    platform = PlatformLayer(draw(platforms()))
    valid = []
    for rule in draw(st.lists(rules(), max_size=5)):
        try:
            LayeredMap(MirrorMap([*valid, rule]), platform)
        except InvalidRuleError:
            continue
        valid.append(rule)
    return LayeredMap(MirrorMap(valid), platform)


@given(layered_maps(), images)
def test_rewriting_is_idempotent(mirrors, image):
    once = mirrors.decide(image).image
    assert mirrors.decide(once).image == once


@given(layered_maps(), images)
def test_every_candidate_is_final(mirrors, image):
    for candidate in mirrors.decide(image).candidates:
        assert mirrors.decide(candidate.image).image == candidate.image


@given(layered_maps(), images)
def test_candidates_keep_tag_and_digest(mirrors, image):
    before = parse_reference(image)
    for candidate in mirrors.candidates(before):
        assert candidate.image.endswith(before.suffix)


def is_enforced(platform, image):
    """Return whether an enforced rule matches an image, or has it under a mirror."""
    reference = parse_reference(image)
    for rule in platform.rules:
        if rule.enforced and (
            rule in platform.find_matching_rules(reference.registry, reference.repository)
            or any(mirror.covers(reference.name) for mirror in rule.mirrors)
        ):
            return True
    return False


@given(layered_maps(), images)
def test_no_rule_of_a_team_changes_what_happens_to_an_image_of_an_enforced_rule(mirrors, image):
    platform = mirrors.platform.mirrors
    assume(is_enforced(platform, image))
    expected = platform.decide(image)
    assert mirrors.decide(image) == expected
    for candidate in expected.candidates:
        for step, _ in candidate.steps:
            assert step in platform.rules
        # Whoever writes the name that this leads to gets the same image.
        assert mirrors.decide(candidate.image) == platform.decide(candidate.image)


@given(layered_maps(), images)
def test_rules_of_the_team_come_first_where_no_enforced_rule_applies(mirrors, image):
    reference = parse_reference(image)
    found = mirrors.find_matching_rules(reference.registry, reference.repository)
    own = mirrors.team.find_matching_rules(reference.registry, reference.repository)
    below = mirrors.platform.mirrors.find_matching_rules(reference.registry, reference.repository)
    protector = mirrors.platform.find_protector(reference.registry, reference.repository)
    assert found == (below if protector else [*own, *below])


@given(platforms(), st.lists(rules(), max_size=5))
def test_cycle_is_found_as_if_every_prefix_were_followed(platform, team):
    try:
        alone = MirrorMap(team)
    except InvalidRuleError:
        assume(False)
    layer = PlatformLayer(platform)
    try:
        mirrors = LayeredMap(alone, layer)
    except RuleCycleError:
        return
    # Raises nothing either.
    mirrors._check_cycles([*list_starts(alone.rules), *list_starts(platform.rules)])


def test_team_without_rules_changes_nothing():
    platform = MirrorMap([HUB])
    mirrors = LayeredMap(MirrorMap([]), PlatformLayer(platform))
    assert mirrors.rules == platform.rules
    for image in ("nginx", "quay.io/a/b", "harbor.example.com/hub/library/nginx"):
        assert mirrors.decide(image) == platform.decide(image)


REDIRECT = "harbor.example.com/team"


@pytest.mark.parametrize(
    ("platform", "team", "image"),
    [
        ([HUB], [Rule("docker.io/library/nginx", keep=True)], "nginx"),
        ([HUB], [Rule("*", [REDIRECT])], "nginx"),
        ([HUB], [Rule(regex="docker.io/(.+)", mirrors=[rf"{REDIRECT}/\1"])], "nginx"),
        # the mirror, also if it is named directly
        ([HUB], [Rule("harbor.example.com/hub", [REDIRECT])], "nginx"),
        ([HUB], [Rule("harbor.example.com", [REDIRECT])], "harbor.example.com/hub/library/nginx"),
        ([HUB], [Rule("harbor.example.com/hub/library", keep=True)], "nginx"),
        # the second step of a chain
        (
            [
                Rule("k8s.gcr.io", ["registry.k8s.io"], enforced=True),
                Rule("registry.k8s.io", ["m.example.com/k8s"]),
            ],
            [Rule("registry.k8s.io", [REDIRECT])],
            "k8s.gcr.io/pause",
        ),
        (
            [
                Rule("k8s.gcr.io", ["registry.k8s.io"], enforced=True),
                Rule("registry.k8s.io", ["m.example.com/k8s"]),
                Rule("m.example.com/k8s/pause", ["n.example.com/pause"]),
            ],
            [Rule("n.example.com", [REDIRECT])],
            "k8s.gcr.io/pause",
        ),
        # a longer rule of the platform that is not enforced takes some of the images
        (
            [HUB, Rule("docker.io/bitnami", ["docker.io/bitnamilegacy", "m.example.com/b"])],
            [Rule("m.example.com", [REDIRECT])],
            "bitnami/redis",
        ),
        # wildcards and regular expressions of the platform
        (
            [Rule("*.gcr.io", ["m.example.com/gcr"], enforced=True)],
            [Rule("eu.gcr.io", [REDIRECT]), Rule("m.example.com", [REDIRECT])],
            "eu.gcr.io/a/b",
        ),
        (
            [Rule(regex=r"quay\.io/(.+)", mirrors=[r"m.example.com/q/\1"], enforced=True)],
            [Rule("quay.io", [REDIRECT]), Rule("m.example.com/q", [REDIRECT])],
            "quay.io/a/b",
        ),
        (
            [
                Rule(
                    regex=r"([a-z]+)\.gcr\.io/(.+)",
                    mirrors=[r"\1.example.com/\2"],
                    enforced=True,
                )
            ],
            [Rule("eu.example.com", [REDIRECT])],
            "eu.gcr.io/a/b",
        ),
        (
            [
                Rule("quay.io", ["m.example.com/q"], enforced=True),
                Rule(regex=r"m\.example\.com/q/(.+)", mirrors=[r"n.example.com/\1"]),
            ],
            [Rule("n.example.com/a", [REDIRECT])],
            "quay.io/a/b",
        ),
        (
            [
                Rule("quay.io", ["m.example.com/q"], enforced=True),
                Rule(regex=r"m\.example\.com/q/(.+)/(.+)", mirrors=[r"\1.example.com/\2"]),
            ],
            [Rule("a.example.com", [REDIRECT])],
            "quay.io/a/b",
        ),
        (
            [Rule("*", ["m.example.com"], enforced=True)],
            [Rule("quay.io", [REDIRECT]), Rule("m.example.com/quay.io", [REDIRECT])],
            "quay.io/a/b",
        ),
        (
            [Rule("quay.io/a", keep=True, enforced=True)],
            [Rule("quay.io", [REDIRECT])],
            "quay.io/a/b",
        ),
    ],
)
def test_team_cannot_lead_images_of_enforced_rules_elsewhere(platform, team, image):
    alone = MirrorMap(platform)
    mirrors = LayeredMap(MirrorMap(team), PlatformLayer(alone))
    assert mirrors.decide(image) == alone.decide(image)
    final = alone.decide(image).image
    assert mirrors.decide(final) == alone.decide(final)


@pytest.mark.parametrize(
    ("platform", "image", "expected"),
    [
        # longer rules of the platform come after those of the team
        ([Rule("quay.io/a/b", ["m.example.com"])], "quay.io/a/b", "team.example.com/a/b"),
        ([Rule("quay.io", keep=True)], "quay.io/a/b", "team.example.com/a/b"),
        ([Rule(regex="quay.io/(.+)", mirrors=[r"m.io/\1"])], "quay.io/a", "team.example.com/a"),
        # an enforced rule for some names protects no others
        ([Rule("quay.io/x", ["m.io"], enforced=True)], "quay.io/a", "team.example.com/a"),
        ([HUB], "quay.io/a", "team.example.com/a"),
        # images that rules of the platform lead to
        ([Rule("q.io", ["quay.io"]), HUB], "q.io/a", "team.example.com/a"),
        # and where those of the team lead to
        ([Rule("team.example.com", ["m.io/t"]), HUB], "quay.io/a", "m.io/t/a"),
    ],
)
def test_rules_of_the_team_and_of_the_platform_form_chains(platform, image, expected):
    team = MirrorMap([Rule("quay.io", ["team.example.com"])])
    mirrors = LayeredMap(team, PlatformLayer(MirrorMap(platform)))
    assert mirrors.decide(image).image == expected


@pytest.mark.parametrize(
    ("platform", "team"),
    [
        ([Rule("b.io", ["a.io"])], Rule("a.io", ["b.io"])),
        ([Rule("b.io/x", ["a.io/x"])], Rule("a.io", ["b.io"])),
        ([Rule("*.b.io", ["a.io"])], Rule("a.io", ["x.b.io/y"])),
        ([Rule("*", ["c.io"])], Rule("c.io", ["b.io"])),
        # only a longer match of the platform, two steps on, leads back
        ([Rule("b.io", ["c.io"]), Rule("c.io/x", ["a.io/x"])], Rule("a.io", ["b.io"])),
    ],
)
def test_cycle_over_both_layers_is_refused(platform, team):
    layer = PlatformLayer(MirrorMap(platform))
    with pytest.raises(RuleCycleError, match="the rules form a cycle"):
        LayeredMap(MirrorMap([team]), layer)


def test_mirror_of_many_rules_is_followed_once(monkeypatch):
    platform = MirrorMap([Rule("harbor.example.com/a", ["b.io"])])
    looked_up = []
    monkeypatch.setattr(platform, "find_rules_below", lambda *name: looked_up.append(name) or [])
    team = MirrorMap([Rule(f"r{n}.io", ["harbor.example.com", "m.io/x"]) for n in range(5)])
    LayeredMap(team, PlatformLayer(platform))
    assert looked_up == [("harbor.example.com", ""), ("m.io", "x")]


def test_no_cycle_passes_an_enforced_rule():
    platform = MirrorMap([Rule("b.io", ["a.io"], enforced=True)])
    mirrors = LayeredMap(MirrorMap([Rule("a.io", ["b.io"])]), PlatformLayer(platform))
    assert mirrors.decide("a.io/x").image == "a.io/x"
    assert mirrors.decide("b.io/x").image == "a.io/x"


def test_image_at_a_mirror_of_either_layer_is_mirrored():
    team = MirrorMap([Rule("quay.io", ["harbor.example.com/team"], owner="MirrorRules a/rules")])
    mirrors = LayeredMap(team, PlatformLayer(MirrorMap([HUB])))
    decision = mirrors.decide("harbor.example.com/team/x")
    assert decision.outcome is Outcome.MIRRORED
    assert decision.reason == "it is already at a mirror of rule quay.io (MirrorRules a/rules)"
    decision = mirrors.decide("harbor.example.com/hub/x")
    assert decision.reason == "it is already at a mirror of rule docker.io"


def test_reason_names_the_object_of_a_rule():
    rule = Rule("quay.io", ["m.io"], source="nju", owner="MirrorRules a/rules")
    assert str(rule) == "quay.io (profile nju of MirrorRules a/rules)"
    assert str(Rule("quay.io", ["m.io"], owner="ClusterMirrorRules x")) == (
        "quay.io (ClusterMirrorRules x)"
    )


def test_explanation_says_which_enforced_rule_takes_precedence():
    own = Rule("docker.io/library", ["harbor.example.com/team"])
    other = Rule("quay.io", ["harbor.example.com/team"])
    mirrors = LayeredMap(MirrorMap([own, other]), PlatformLayer(MirrorMap([HUB])))
    explained = explain_rules(mirrors, mirrors.decide("nginx"))
    assert [(each.rule, each.kind, each.winner) for each in explained] == [
        (HUB, MatchKind.APPLIES, None),
        (own, MatchKind.SHADOWED, HUB),
        (other, MatchKind.UNMATCHED, None),
    ]
    explained = explain_rules(mirrors, mirrors.decide("quay.io/a"))
    assert [(each.rule, each.kind) for each in explained] == [
        (other, MatchKind.APPLIES),
        (own, MatchKind.UNMATCHED),
        (HUB, MatchKind.UNMATCHED),
    ]
