"""Evaluates label selectors like Kubernetes does."""

from __future__ import annotations

from typing import Any


def selects(selector: dict[str, Any], labels: dict[str, str]) -> bool:
    """Return whether a LabelSelector selects an object with *labels*."""
    wanted = selector.get("matchLabels", {})
    return all(labels.get(key) == value for key, value in wanted.items()) and all(
        _matches(expression, labels) for expression in selector.get("matchExpressions", [])
    )


def _matches(expression: dict[str, Any], labels: dict[str, str]) -> bool:
    value = labels.get(expression["key"])
    match expression["operator"]:
        case "In":
            return value in expression["values"]
        case "NotIn":
            return value not in expression["values"]
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None
    raise AssertionError(expression)


def namespace_labels(name: str, rewrite: str | None = None, **more: str) -> dict[str, str]:
    """Return the labels of a namespace, including the name label that Kubernetes adds."""
    labels = {"kubernetes.io/metadata.name": name, **more}
    return labels if rewrite is None else {**labels, "mirrorhook.io/rewrite": rewrite}
