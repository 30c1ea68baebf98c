"""Which namespaces may bring rules of their own, and where these may lead: ``delegation``."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from webhook.core import Match, parse_match
from webhook.kube.selectors import find_mismatch

if TYPE_CHECKING:
    from collections.abc import Mapping

    from webhook.config.yaml_values import YAMLValue
    from webhook.core import Mirror

__all__ = [
    "DELEGATION_KEYS",
    "EXPRESSION_KEYS",
    "SELECTOR_KEYS",
    "Delegation",
    "Operator",
    "read_delegation",
]

DELEGATION_KEYS: Final = ("namespaces", "mirrors")
SELECTOR_KEYS: Final = ("matchLabels", "matchExpressions")
EXPRESSION_KEYS: Final = ("key", "operator", "values")
EVERYTHING_BELOW: Final = "/*"
ADVICE: Final = {
    "namespaces": "namespaces: {} selects every namespace",
    "mirrors": "mirrors is a list such as [harbor.example.com/*]",
}


class Operator(StrEnum):
    """How a requirement of a LabelSelector of meta/v1 compares."""

    IN = "In"
    NOT_IN = "NotIn"
    EXISTS = "Exists"
    DOES_NOT_EXIST = "DoesNotExist"


@dataclass(frozen=True, slots=True)
class Delegation:
    """Which namespaces may bring rules of their own, and where these may lead.

    Attributes:
        namespaces: A LabelSelector of meta/v1, as in JSON; an empty one selects all.
        mirrors: Registries, with or without a path, that are allowed with all below them.
    """

    namespaces: Mapping[str, Any]
    mirrors: tuple[Match, ...]

    def find_mismatch(self, labels: Mapping[str, str]) -> str:
        """Return why a namespace with these labels is not selected; empty if it is."""
        return find_mismatch(self.namespaces, labels)

    def allows(self, mirror: Mirror) -> bool:
        """Return whether rules of a team may lead to a mirror.

        Of a mirror with groups of a regular expression, the part before them has to be allowed.
        """
        registry, _, path = mirror.fixed_part.partition("/")
        return bool(registry) and any(match.covers(registry, path) for match in self.mirrors)


def read_delegation(value: YAMLValue) -> Delegation | None:
    """Return the value of ``delegation``; None if anything is wrong."""
    before = len(value.diagnostics.problems)
    entries = value.read_mapping(DELEGATION_KEYS)
    if len(value.diagnostics.problems) == before:  # otherwise a key may only be misspelt
        for key, advice in ADVICE.items():
            if key not in entries:
                value.add_problem(f"delegation has no {key}: add it; {advice}")
    selector = _read_selector(entries["namespaces"]) if "namespaces" in entries else {}
    items = entries["mirrors"].read_list() if "mirrors" in entries else []
    mirrors = [item.read_as(_parse_allowed) for item in items]
    if len(value.diagnostics.problems) != before:
        return None
    return Delegation(selector, tuple(each for each in mirrors if each is not None))


def _parse_allowed(text: str) -> Match:
    return parse_match(text.removesuffix(EVERYTHING_BELOW))


def _read_selector(value: YAMLValue) -> dict[str, Any]:
    """Return a LabelSelector as in JSON."""
    entries = value.read_mapping(SELECTOR_KEYS)
    selector: dict[str, Any] = {}
    if "matchLabels" in entries:
        labels = entries["matchLabels"].read_mapping()
        selector["matchLabels"] = {key: each.read_text() for key, each in labels.items()}
    if "matchExpressions" in entries:
        items = entries["matchExpressions"].read_list()
        selector["matchExpressions"] = [_read_expression(item) for item in items]
    return selector


def _read_expression(value: YAMLValue) -> dict[str, Any]:
    before = len(value.diagnostics.problems)
    entries = value.read_mapping(EXPRESSION_KEYS)
    key = entries["key"].read_text() if "key" in entries else None
    operator = entries["operator"].read_choice(Operator) if "operator" in entries else None
    items = entries["values"].read_list() if "values" in entries else []
    values = [item.read_text() for item in items]
    if len(value.diagnostics.problems) == before:
        needs_values = operator in (Operator.IN, Operator.NOT_IN)
        if key is None or operator is None:
            value.add_problem("the requirement needs a key and an operator: add them")
        elif needs_values != bool(values):
            advice = "needs values: add them" if needs_values else "has no values: remove them"
            value.add_problem(f"operator {operator} {advice}")
    return {"key": key, "operator": str(operator), "values": values}
