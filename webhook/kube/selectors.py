"""Label selectors, as the API server evaluates them, and why labels do not meet one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["find_mismatch"]


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
