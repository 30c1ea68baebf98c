"""Label selectors, as the API server evaluates them, and why labels do not meet one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = [
    "Requirement",
    "describe_requirements",
    "find_mismatch",
    "find_mismatches",
    "make_labels",
]


class Requirement(NamedTuple):
    """A requirement of a LabelSelector of meta/v1."""

    key: str
    operator: str
    values: tuple[str, ...]

    def is_met(self, labels: Mapping[str, str]) -> bool:
        """Return whether labels meet it."""
        match self.operator:
            case "In":
                return labels.get(self.key) in self.values
            case "NotIn":
                return self.key not in labels or labels[self.key] not in self.values
            case "Exists":
                return self.key in labels
        return self.key not in labels

    def describe(self) -> str:
        """Return it in words."""
        values = " or ".join(self.values)
        match self.operator:
            case "In":
                return f"label {self.key} must be {values}"
            case "NotIn":
                return f"label {self.key} must not be {values}"
            case "Exists":
                return f"label {self.key} must be set"
        return f"label {self.key} must not be set"

    def explain(self, labels: Mapping[str, str]) -> str:
        """Return in words why labels do not meet it."""
        if self.operator == "Exists":
            return f"label {self.key} is missing"
        if self.operator != "In":
            return self.describe()
        now = f"is {labels[self.key]}" if self.key in labels else "is missing"
        return f"{self.describe()}, but {now}"

    def make_argument(self) -> str:
        """Return the argument of `kubectl label` after which it is met."""
        match self.operator:
            case "In":
                return f"{self.key}={self.values[0] if self.values else ''}"
            case "Exists":
                return f"{self.key}=true"
        return f"{self.key}-"


def _list_requirements(selector: Mapping[str, Any] | None) -> Iterator[Requirement]:
    """Yield the requirements of a LabelSelector; one that is empty, or None, has none."""
    selector = selector or {}
    for key, value in (selector.get("matchLabels") or {}).items():
        yield Requirement(key, "In", (value,))
    for each in selector.get("matchExpressions") or ():
        yield Requirement(each["key"], each["operator"], tuple(each.get("values") or ()))


def find_mismatches(
    selector: Mapping[str, Any] | None, labels: Mapping[str, str]
) -> list[Requirement]:
    """Return the requirements that the labels of an object do not meet."""
    return [each for each in _list_requirements(selector) if not each.is_met(labels)]


def find_mismatch(selector: Mapping[str, Any] | None, labels: Mapping[str, str]) -> str:
    """Return the first requirement that labels do not meet, in words; empty if they meet all."""
    for each in find_mismatches(selector, labels):
        return each.explain(labels)
    return ""


def describe_requirements(selector: Mapping[str, Any] | None) -> list[str]:
    """Return what a LabelSelector requires of labels, each requirement in words."""
    return [each.describe() for each in _list_requirements(selector)]


def make_labels(selector: Mapping[str, Any] | None) -> dict[str, str]:
    """Return the labels that an object needs to be selected, and no others."""
    labels: dict[str, str] = {}
    for each in _list_requirements(selector):
        if not each.is_met(labels):
            key, _, value = each.make_argument().partition("=")
            labels[key] = value
    return labels
