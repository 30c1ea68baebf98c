"""The table of a policy, and the rules that are read from it."""

from __future__ import annotations

import pytest
from hypothesis import given, reject
from hypothesis import strategies as st

from tests.core.strategies import maps, texts
from tests.render.expectations import EXTRA, RULES
from webhook.core import InvalidRuleError, MirrorMap
from webhook.render.policy_table import (
    make_policy_table,
    parse_cel_literal,
    parse_policy_table,
    to_cel_literal,
)
from webhook.render.prefix_table import make_prefix_table


@pytest.mark.parametrize("name", [name for name in RULES if name != "regex"])
def test_rules_read_from_a_policy_decide_as_the_rules(name):
    mirrors = RULES[name]
    table = make_policy_table(make_prefix_table(mirrors.rules, complete=True))
    read = parse_cel_literal(to_cel_literal(table))
    assert read == table
    again = MirrorMap(parse_policy_table(read))
    assert [again.decide(image).image for image in EXTRA] == [
        mirrors.decide(image).image for image in EXTRA
    ]


@given(maps(regex=False), st.lists(texts, min_size=1, max_size=5))
def test_rules_read_from_a_table_decide_as_any_rules(mirrors, images):
    try:
        table = make_policy_table(make_prefix_table(mirrors.rules, complete=True))
    except InvalidRuleError:
        reject()  # rules that no table can express
    again = MirrorMap(parse_policy_table(table))
    for image in images:
        assert again.decide(image).image == mirrors.decide(image).image


def test_address_with_a_port_is_read_from_a_key():
    (rule,) = parse_policy_table({"-__1-_5000..a..b": "m.example/x/* n.example"})
    assert str(rule.match) == "[::1]:5000/a/b"
    assert [(m.target, m.flatten) for m in rule.mirrors] == [
        ("m.example/x", True),
        ("n.example", False),
    ]


@pytest.mark.parametrize("text", ["params.?data.orValue({})", "", "true"])
def test_expression_that_is_not_a_literal_has_no_table(text):
    assert parse_cel_literal(text) == {}
