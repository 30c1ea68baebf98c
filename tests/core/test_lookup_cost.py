"""A look-up costs the same however many rules there are."""

from __future__ import annotations

from functools import cache

import pytest

from webhook.core import MirrorMap, Rule
from webhook.core.rules import PrefixIndex

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
    """A dictionary that counts how often it is asked."""

    asked = 0

    def __contains__(self, key):
        Counted.asked += 1
        return super().__contains__(key)

    def get(self, key, default=None):
        Counted.asked += 1
        return super().get(key, default)

    def __iter__(self):
        raise AssertionError("a scan")

    def items(self):
        raise AssertionError("a scan")

    values = keys = items


@cache  # the same for every image
def counting(count):
    """So many rules, in tables that count."""
    rules = MirrorMap([Rule(FORMS[n % 4].format(n), ["m.example/x"]) for n in range(count)])
    for index in (rules._exact, rules._subdomains, rules._targets):
        assert isinstance(index, PrefixIndex)
        index._registries = Counted(
            {registry: Counted(paths) for registry, paths in index._registries.items()}
        )
    return rules


def questions(count, image):
    """How often tables are asked for one decision by so many rules."""
    rules = counting(count)
    Counted.asked = 0
    rules.decide(image)
    return Counted.asked


@pytest.mark.parametrize("image", IMAGES)
def test_ten_thousand_rules_ask_no_more_than_ten(image):
    few = questions(12, image)
    assert 0 < questions(10_000, image) <= few
