"""The parts of a profile."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from webhook.core import Mirror, Rule

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Profile", "Status", "build_rules"]


class Status(StrEnum):
    """Who can pull from the mirrors of a profile, as its source says."""

    OPEN = "open"  # anybody, within its conditions
    RESTRICTED = "restricted"  # only from some networks
    FROZEN = "frozen"  # anybody, but the images are no longer updated
    CLOSED = "closed"  # nobody


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Rules for one public mirror, with their source and its date.

    Attributes:
        name: Its name in the rules file.
        title: What it is for, in a few words.
        source: Where the mirror's names and its status are documented.
        date: Day or month when the source was last checked, in ISO 8601.
        status: Who can pull from it.
        note: The status in one sentence.
        conditions: What else to know before using it, one sentence each.
        rules: The rules; the ``source`` of each is the profile's name.
    """

    name: str
    title: str
    source: str
    date: str
    status: Status
    note: str
    conditions: tuple[str, ...] = ()
    rules: tuple[Rule, ...]


def build_rules(
    profile: str,
    targets: Mapping[str, str | tuple[str, ...]],
    *,
    flatten: bool = False,
) -> tuple[Rule, ...]:
    """Return the rules of a profile from a table.

    Args:
        profile: Name of the profile.
        targets: Match of each rule → its target, or its targets in order of preference.
        flatten: Keep only the last part of each repository.
    """
    return tuple(
        Rule(
            match,
            [
                Mirror(target, flatten=flatten)
                for target in ([value] if isinstance(value, str) else value)
            ],
            source=profile,
        )
        for match, value in targets.items()
    )
