"""The rules and their mirrors, as a section of the page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from webhook.server.console.markup import Child, Markup, tag
from webhook.server.console.table import NONE, badge, code, section, table

if TYPE_CHECKING:
    from collections.abc import Iterator

    from webhook.server.console.values import MirrorRow, RuleRow
    from webhook.server.console.words import Words

__all__ = ["rules_section"]

# Of profiles there may be more; the JSON has all of them.
MOST: Final = 200


def rules_section(rows: list[RuleRow], words: Words) -> Markup:
    """Return the section: each mirror of each rule, its share and its health."""
    title = words("Rules and mirrors")
    if not rows:
        return section("rules", title, tag("p", words("There are no rules.")))
    heads = ("Policy", "Rule", "Mirror", "Images", "Share", "Health")
    count = words("{count} rules", count=len(rows))
    shown = [each for row in rows[:MOST] for each in lines(row, words)]
    return section("rules", title, table(count, [words(head) for head in heads], shown))


def lines(row: RuleRow, words: Words) -> Iterator[tuple[Child, ...]]:
    """Yield the cells of each mirror of a rule."""
    rule = tag("span", code(row.rule), f" {row.profile}".rstrip())
    if row.keep:
        yield row.policy, rule, words("keep"), NONE, NONE, NONE
    for mirror in row.mirrors:
        yield row.policy, rule, target(mirror, words), *standing(mirror, words)


def target(mirror: MirrorRow, words: Words) -> Markup:
    """Return the target of a mirror."""
    flat = f" {words('flat')}" if mirror.flatten else ""
    return tag("span", code(mirror.target), flat)


def standing(mirror: MirrorRow, words: Words) -> tuple[Child, ...]:
    """Return how much a mirror is used, and whether it answers."""
    share = NONE if mirror.share is None else f"{mirror.share:.0%}"
    sign = badge(mirror.standing, words)
    return str(mirror.images), share, tag("span", sign, f" {mirror.reason}".rstrip())
