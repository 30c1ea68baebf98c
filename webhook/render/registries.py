"""For targets that mirror whole registries: which entries are such, and which are not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from webhook.render.output import Code

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from webhook.render.entry import Entry
    from webhook.render.output import Deviations

__all__ = ["note_paths", "whole_registries"]

ALONE: Final = "{target} mirrors whole registries, so rules for a part of one are left out"
BELOW: Final = (
    "{target} mirrors whole registries, so images below these are asked for where the "
    "rule of their registry sends it"
)


def whole_registries(
    entries: Iterable[Entry], wildcard: str, deviations: Deviations
) -> tuple[list[Entry], list[Entry]]:
    """Return the entries for a whole registry, and those for a part of one.

    Args:
        entries: The table.
        wildcard: What to tell of those for the subdomains of a domain.
        deviations: Takes it.
    """
    whole, parts = [], []
    for entry in entries:
        if entry.is_wildcard:
            if entry.places:
                deviations.note(Code.WILDCARD, wildcard, entry.prefix)
        elif entry.path:
            parts.append(entry)
        elif entry.places:
            whole.append(entry)
    return whole, parts


def note_paths(
    parts: Iterable[Entry], mirrored: Collection[str], target: str, deviations: Deviations
) -> None:
    """Note the entries for a part of a registry, of which a target knows nothing.

    Args:
        parts: The entries.
        mirrored: The registries that the target mirrors.
        target: Its name.
        deviations: Takes them.
    """
    for entry in parts:
        if entry.registry in mirrored:
            message = BELOW.format(target=target)
            deviations.note(Code.PATH_BELOW, message, entry.prefix, misleads=True)
        elif entry.places:
            message = ALONE.format(target=target)
            deviations.note(Code.PATH_RULE, message, entry.prefix)
