"""The rules of an import as YAML: a rules file, or a custom resource."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import yaml

from webhook.core import Original

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from webhook.core import Rule

__all__ = ["format_resource", "format_rules"]


def format_rules(rules: Iterable[Rule], title: str, *, checks_availability: bool = False) -> str:
    """Return a rules file as YAML.

    Args:
        rules: The rules.
        title: A comment for the first line.
        checks_availability: Whether mirrors have to be asked for images.
    """
    return "\n".join([f"# {title}", *_format_policy(rules, checks_availability, True), ""])


def format_resource(
    rules: Iterable[Rule],
    title: str,
    *,
    name: str,
    namespace: str = "",
    checks_availability: bool = False,
) -> str:
    """Return a custom resource as YAML.

    Args:
        rules: As for `format_rules`.
        title: As for `format_rules`.
        name: Its name.
        namespace: The namespace of MirrorRules; empty for ClusterMirrorRules.
        checks_availability: As for `format_rules`.
    """
    head = {
        "apiVersion": "mirrorhook.io/v1alpha1",
        "kind": "MirrorRules" if namespace else "ClusterMirrorRules",
        "metadata": {"name": name} | ({"namespace": namespace} if namespace else {}),
    }
    spec = [f"  {line}" for line in _format_policy(rules, checks_availability, False)]
    return "\n".join([f"# {title}", f"{yaml.safe_dump(head, sort_keys=False)}spec:", *spec, ""])


def _format_policy(
    rules: Iterable[Rule], checks_availability: bool, has_short_form: bool
) -> list[str]:
    """Return the keys of a policy; the mirrors of an object are never only their targets."""
    lines = [line for rule in rules for line in _format_rule(rule, has_short_form)]
    checks = ["availability:", "  mode: check"] if checks_availability and lines else []
    return ["rules:" if lines else "rules: []", *lines, *checks]


def _format_rule(rule: Rule, has_short_form: bool) -> Iterator[str]:
    if rule.regex is not None:
        yield f"  - regex: {_quote_backslashes(str(rule.regex))}"
    else:
        yield f"  - match: {_quote_if_special(str(rule.match))}"
    if rule.keep:
        yield "    keep: true"
        return
    yield "    mirrors:"
    for mirror in rule.mirrors:
        quote = _quote_backslashes if mirror.is_template else _quote_if_special
        target = quote(mirror.target)
        is_short = has_short_form and not mirror.flatten
        yield f"      - {target}" if is_short else f"      - target: {target}"
        if mirror.flatten:
            yield "        flatten: true"
    if rule.original is not Original.LAST:
        yield f"    original: {rule.original}"


def _quote_if_special(text: str) -> str:
    """Return a registry as YAML: in quotes if its first character has a meaning in YAML."""
    return text if text[0].isalpha() else json.dumps(text)


def _quote_backslashes(text: str) -> str:
    """Return an expression as YAML: in single quotes, where it is as people write it."""
    if not text.isprintable():
        return json.dumps(text)
    return "'" + text.replace("'", "''") + "'"
