from __future__ import annotations

import pytest

from webhook.cli.doctor.installation import find_mismatch


def needs(operator, *values, key="a"):
    return {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}


@pytest.mark.parametrize(
    ("selector", "labels", "expected"),
    [
        (None, {}, ""),
        ({}, {"a": "b"}, ""),
        ({"matchLabels": {"a": "b"}}, {"a": "b", "c": "d"}, ""),
        ({"matchLabels": {"a": "b"}}, {"a": "c"}, "a has to be b, and is c"),
        ({"matchLabels": {"a": "b"}}, {}, "a has to be b, and there is none"),
        (needs("In", "x", "y"), {"a": "y"}, ""),
        (needs("In", "x", "y"), {"a": "z"}, "a has to be x or y, and is z"),
        (needs("In", "x"), {}, "a has to be x, and there is none"),
        (needs("NotIn", "x"), {}, ""),
        (needs("NotIn", "x"), {"a": "x"}, "a must not be x"),
        (needs("Exists"), {"a": ""}, ""),
        (needs("Exists"), {}, "there has to be a label a"),
        (needs("DoesNotExist"), {}, ""),
        (needs("DoesNotExist"), {"a": ""}, "there must be no label a"),
        (
            {"matchLabels": {"a": "b"}} | needs("NotIn", "x", key="c"),
            {"a": "b", "c": "x"},
            "c must not be x",
        ),
    ],
)
def test_a_selector_says_what_it_lacks(selector, labels, expected):
    assert find_mismatch(selector, labels) == expected
