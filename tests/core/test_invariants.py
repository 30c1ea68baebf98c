"""Invariants for any rules and any image."""

from __future__ import annotations

from hypothesis import example, given

from tests.core.strategies import images, maps, texts
from webhook.core import MirrorMap, Outcome, Rule, parse_reference

SWAP = MirrorMap(
    [
        Rule(regex=r"gcr\.io/(.+)", mirrors=[r"docker.io/\1"]),
        Rule(regex=r"docker\.io/(.+)", mirrors=[r"gcr.io/\1"]),
    ]
)


@given(maps(), images)
@example(SWAP, "gcr.io/a")
def test_rewriting_is_idempotent(rules, image):
    once = rules.decide(image).image
    assert rules.decide(once).image == once


@given(maps(), images)
def test_every_candidate_is_final(rules, image):
    for candidate in rules.decide(image).candidates:
        assert rules.decide(candidate.image).image == candidate.image


@given(maps(), images)
def test_candidates_keep_tag_and_digest(rules, image):
    before = parse_reference(image)
    for candidate in rules.candidates(before):
        after = parse_reference(candidate.image)
        assert (after.tag, after.digest) == (before.tag, before.digest)
        assert candidate.image.endswith(before.suffix)


@given(maps(), texts)
def test_decide_accepts_any_text(rules, text):
    decision = rules.decide(text)
    assert decision.original == text
    assert decision.reason
    assert decision.reason.isprintable()
    if decision.outcome is Outcome.REWRITTEN:
        assert str(parse_reference(decision.image)) == decision.image
        assert decision.candidate in decision.candidates
        assert decision.rule is decision.candidate.rule
    else:
        assert decision.image == text
        assert decision.candidates == ()
    assert (decision.outcome is Outcome.INVALID) == (decision.reference is None)


@given(maps(), images)
def test_reason_names_the_whole_chain(rules, image):
    for candidate in rules.decide(image).candidates:
        for rule, mirror in candidate.steps:
            assert f"rule {rule} → {mirror.target}" in candidate.reason
        name = parse_reference(image)
        for rule, mirror in candidate.steps:
            assert rules.find_applicable_rule(name.registry, name.repository) == rule
            name = rule.rewrite_reference(mirror, name)
        assert str(name) == candidate.image


@given(maps(), images)
def test_rule_does_not_apply_at_its_own_mirrors(rules, image):
    reference = parse_reference(image)
    rule = rules.find_applicable_rule(reference.registry, reference.repository)
    if rule is not None:
        assert not rule.is_at_own_mirror(reference.name)
        for mirror in rule.mirrors:
            assert not mirror.covers(reference.name)


@given(maps(regex=False), images)
def test_longest_match_wins(rules, image):
    reference = parse_reference(image)
    covering = [
        rule
        for rule in rules.rules
        if covers(rule.match, reference) and not rule.is_at_own_mirror(reference.name)
    ]
    found = rules.find_applicable_rule(reference.registry, reference.repository)
    assert (found is None) == (not covering)
    if found is not None:
        assert rank(found.match) == max(map(rank, (rule.match for rule in covering)))


def covers(match, reference):
    """Return whether a match covers a name, in the most direct way."""
    if match.registry == "*":
        return True
    domain = match.registry.removeprefix("*.")
    if match.registry == domain:
        same = reference.registry == domain
    else:
        same = reference.registry.endswith("." + domain)
    wanted, parts = match.path.split("/"), reference.repository.split("/")
    return same and (not match.path or parts[: len(wanted)] == wanted)


def rank(match):
    """Return how specific a match is."""
    wildcard = match.registry.startswith("*.")
    return (
        match.registry != "*",
        len(match.path),
        not wildcard,
        len(match.registry) if wildcard else 0,
    )


@given(maps(regex=False), images)
def test_order_of_rules_without_regexes_does_not_matter(rules, image):
    one, other = rules.decide(image), MirrorMap(rules.rules[::-1]).decide(image)
    assert (one.outcome, one.candidates) == (other.outcome, other.candidates)


@given(maps(), images)
def test_decide_is_deterministic(rules, image):
    assert rules.decide(image) == rules.decide(image)
