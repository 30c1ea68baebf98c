"""Label selectors, as the API server reads them (`LabelSelector`_ of meta/v1).

.. _LabelSelector: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/label-selector/
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["Labels", "obstacle"]

Labels = Mapping[str, str]


def obstacle(selector: Mapping[str, Any] | None, labels: Labels) -> str:
    """Return the requirement that labels do not fulfil, in words; empty if they fulfil all.

    Args:
        selector: A label selector; an empty one, or none, takes everything.
        labels: The labels of an object.
    """
    selector = selector or {}
    for key, value in (selector.get("matchLabels") or {}).items():
        if labels.get(key) != value:
            return f"{key} has to be {value}, and {described(key, labels)}"
    for expression in selector.get("matchExpressions") or ():
        problem = unmet(expression, labels)
        if problem:
            return problem
    return ""


def unmet(expression: Mapping[str, Any], labels: Labels) -> str:
    """Return what one requirement asks for and labels do not have."""
    key, values = expression["key"], expression.get("values") or []
    listed = " or ".join(values)
    match expression["operator"]:
        case "In" if labels.get(key) not in values:
            return f"{key} has to be {listed}, and {described(key, labels)}"
        case "NotIn" if key in labels and labels[key] in values:
            return f"{key} must not be {listed}"
        case "Exists" if key not in labels:
            return f"there has to be a label {key}"
        case "DoesNotExist" if key in labels:
            return f"there must be no label {key}"
    return ""


def described(key: str, labels: Labels) -> str:
    """Return what the label is now."""
    return f"is {labels[key]}" if key in labels else "there is none"
