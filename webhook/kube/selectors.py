"""Label selectors, as the API server evaluates them, and why labels do not meet one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["describe_requirements", "find_mismatch"]


def find_mismatch(selector: Mapping[str, Any] | None, labels: Mapping[str, str]) -> str:
    """Return the first requirement that labels do not meet, in words; empty if they meet all.

    Args:
        selector: A LabelSelector of meta/v1; one that is empty, or None, selects everything.
        labels: The labels of an object.
    """
    selector = selector or {}
    for key, value in (selector.get("matchLabels") or {}).items():
        if labels.get(key) != value:
            return f"label {key} must be {value}, but {_describe_label(key, labels)}"
    for expression in selector.get("matchExpressions") or ():
        problem = _find_expression_mismatch(expression, labels)
        if problem:
            return problem
    return ""


def describe_requirements(selector: Mapping[str, Any] | None) -> list[str]:
    """Return what a LabelSelector requires of labels, each requirement in words."""
    selector = selector or {}
    equal = [
        f"label {key} must be {value}" for key, value in (selector.get("matchLabels") or {}).items()
    ]
    return [*equal, *map(_describe_expression, selector.get("matchExpressions") or ())]


def _describe_expression(expression: Mapping[str, Any]) -> str:
    key, values = expression["key"], " or ".join(expression.get("values") or ())
    return {
        "In": f"label {key} must be {values}",
        "NotIn": f"label {key} must not be {values}",
        "Exists": f"label {key} must be set",
        "DoesNotExist": f"label {key} must not be set",
    }[expression["operator"]]


def _find_expression_mismatch(expression: Mapping[str, Any], labels: Mapping[str, str]) -> str:
    key, values = expression["key"], expression.get("values") or []
    match expression["operator"]:
        case "In" if labels.get(key) not in values:
            return f"label {key} must be {' or '.join(values)}, but {_describe_label(key, labels)}"
        case "NotIn" if key in labels and labels[key] in values:
            return f"label {key} must not be {' or '.join(values)}"
        case "Exists" if key not in labels:
            return f"label {key} is missing"
        case "DoesNotExist" if key in labels:
            return f"label {key} must not be set"
    return ""


def _describe_label(key: str, labels: Mapping[str, str]) -> str:
    return f"is {labels[key]}" if key in labels else "is missing"
