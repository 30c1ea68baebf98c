"""The cost of a look-up does not depend on the number of rules."""

from __future__ import annotations

from functools import cache

import pytest

from webhook.core import MirrorMap, Rule

FORMS = (
    "registry{}.example.com",
    "docker.io/team-{}/app",
    "*.cluster{}.example",
    "*.io/p{}",
)
IMAGES = (
    "registry3.example.com/a/b",
    "team-5/app/x:1",
    "a.cluster6.example/b",
    "quay.io/p7/q",
    "nginx",
)


class Counted(dict):
    """A dictionary that counts its look-ups."""

    lookups = 0

    def __contains__(self, key):
        Counted.lookups += 1
        return super().__contains__(key)

    def get(self, key, default=None):
        Counted.lookups += 1
        return super().get(key, default)

    def __iter__(self):
        raise AssertionError("scanned")

    def items(self):
        raise AssertionError("scanned")

    values = keys = items


@cache
def make_counting_rules(count):
    """Return *count* rules in dictionaries that count."""
    rules = MirrorMap([Rule(FORMS[n % 4].format(n), ["m.example/x"]) for n in range(count)])
    for index in (rules._exact, rules._subdomains, rules._targets):
        index._registries = Counted(
            {registry: Counted(paths) for registry, paths in index._registries.items()}
        )
    return rules


def count_lookups(count, image):
    """Return the number of look-ups for one decision with *count* rules."""
    rules = make_counting_rules(count)
    Counted.lookups = 0
    rules.decide(image)
    return Counted.lookups


@pytest.mark.parametrize("image", IMAGES)
def test_lookups_with_ten_thousand_rules_are_no_more_than_with_ten(image):
    few = count_lookups(12, image)
    assert 0 < count_lookups(10_000, image) <= few
