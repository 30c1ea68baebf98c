"""What holds for an image holds for every tag and digest of its name."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.core.strategies import maps, names, suffixes, texts
from webhook.core import MirrorMap, Outcome, Rule, parse_reference
from webhook.core.errors import InvalidReferenceError
from webhook.core.precedent import parted, precedent_of, split_suffix

KEEPING = MirrorMap([Rule("docker.io", keep=True)])
MANY = MirrorMap([Rule("docker.io", ["a.example", "b.example/x"])])


@given(maps(), names, suffixes, suffixes)
@example(KEEPING, "nginx", ":1", ":2")
@example(MANY, "nginx", ":1", "@sha256:" + "a" * 64)
@example(MANY, "a" * 64, ":1", "")
def test_a_precedent_says_what_the_rules_say(rules, name, first, second):
    learned = split_suffix(name + first)
    precedent = precedent_of(rules.decide(name + first))
    asked = split_suffix(name + second)
    if learned is None or asked is None or precedent is None:
        return
    assert learned.name == asked.name
    followed, decided = precedent.followed(asked), rules.decide(name + second)
    assert followed == decided
    assert followed.image == decided.image
    assert followed.reference.original == name + second
    assert [each.image for each in followed.candidates] == [
        each.image for each in decided.candidates
    ]


@given(texts)
def test_what_is_split_off_is_what_the_grammar_says(text):
    split = split_suffix(text)
    try:
        reference = parse_reference(text)
    except InvalidReferenceError:
        return
    if split is None:
        assert reference.suffix == ""
        return
    assert split == (text, text.removesuffix(reference.suffix), *reference[2:4])
    assert reference.suffix


@given(texts | st.builds("".join, st.tuples(names, suffixes)))
@example("a:1@sha256:" + "a" * 64)
@example("a@sha256:" + "a" * 64)
@example(":1")
@example("a:1@b:1")
def test_a_text_parts_where_its_suffix_is_split_off(text):
    name, suffix = parted(text)
    assert name + suffix == text
    split = split_suffix(text)
    assert name == (text if split is None else split.name)


@given(texts, texts)
def test_texts_with_the_same_name_are_the_same_name(one, other):
    first, second = split_suffix(one), split_suffix(other)
    if first is None or second is None or first.name != second.name:
        return
    assert named(one) == named(other)


def named(text):
    try:
        return parse_reference(text).name
    except InvalidReferenceError:
        return None


@pytest.mark.parametrize(
    ("image", "outcome"),
    [("nginx:", Outcome.INVALID), (f"b/{'a' * 250}:1", Outcome.UNAVAILABLE)],
)
def test_what_is_said_of_one_image_alone_is_no_precedent(image, outcome):
    decision = MirrorMap([Rule("docker.io", ["m.example/some/path"])]).decide(image)
    assert decision.outcome is outcome
    assert precedent_of(decision) is None
