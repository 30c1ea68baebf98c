from __future__ import annotations

import pytest

from webhook.kube import describe_requirements, find_mismatch


def needs(operator, *values, key="a"):
    return {"matchExpressions": [{"key": key, "operator": operator, "values": list(values)}]}


@pytest.mark.parametrize(
    ("selector", "labels", "expected"),
    [
        (None, {}, ""),
        ({}, {"a": "b"}, ""),
        ({"matchLabels": {"a": "b"}}, {"a": "b", "c": "d"}, ""),
        ({"matchLabels": {"a": "b"}}, {"a": "c"}, "label a must be b, but is c"),
        ({"matchLabels": {"a": "b"}}, {}, "label a must be b, but is missing"),
        (needs("In", "x", "y"), {"a": "y"}, ""),
        (needs("In", "x", "y"), {"a": "z"}, "label a must be x or y, but is z"),
        (needs("In", "x"), {}, "label a must be x, but is missing"),
        (needs("NotIn", "x"), {}, ""),
        (needs("NotIn", "x"), {"a": "x"}, "label a must not be x"),
        (needs("Exists"), {"a": ""}, ""),
        (needs("Exists"), {}, "label a is missing"),
        (needs("DoesNotExist"), {}, ""),
        (needs("DoesNotExist"), {"a": ""}, "label a must not be set"),
        (
            {"matchLabels": {"a": "b"}} | needs("NotIn", "x", key="c"),
            {"a": "b", "c": "x"},
            "label c must not be x",
        ),
    ],
)
def test_find_mismatch_returns_the_first_unmet_requirement(selector, labels, expected):
    assert find_mismatch(selector, labels) == expected


def test_requirements_are_described():
    selector = {
        "matchLabels": {"env": "prod"},
        "matchExpressions": [
            {"key": "a", "operator": "In", "values": ["x", "y"]},
            {"key": "b", "operator": "NotIn", "values": ["z"]},
            {"key": "c", "operator": "Exists"},
            {"key": "d", "operator": "DoesNotExist"},
        ],
    }
    assert describe_requirements(selector) == [
        "label env must be prod",
        "label a must be x or y",
        "label b must not be z",
        "label c must be set",
        "label d must not be set",
    ]
    assert describe_requirements(None) == describe_requirements({}) == []
