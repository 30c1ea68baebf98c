"""What a rules file says, as values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

from webhook.core import LoopLimits

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from webhook.core import Availability, MirrorMap

__all__ = ["Configuration", "Mode", "PolicySettings"]


DEFAULT_LOOPS: Final = LoopLimits()


class Mode(StrEnum):
    """Whether a policy changes anything."""

    REWRITE = "rewrite"
    OBSERVE = "observe"  # decide, log and count, but patch nothing


@dataclass(frozen=True, slots=True)
class PolicySettings:
    """A named set of rules with its options.

    Attributes:
        name: Its name; that of the top level of the file is ``default``.
        mirrors: The rules, own ones and those of the profiles.
        mode: Whether it changes anything.
        record: Note the images as they were in an annotation of the Pod.
        profiles: Names of the profiles, the one that wins first.
        availability: How mirrors are asked whether they have an image; None if not.
        loops: When a Pod that comes again and again is left alone; None for never.
    """

    name: str
    mirrors: MirrorMap
    mode: Mode = Mode.REWRITE
    record: bool = True
    profiles: tuple[str, ...] = ()
    availability: Availability | None = None
    loops: LoopLimits | None = DEFAULT_LOOPS


@dataclass(frozen=True, slots=True)
class Configuration:
    """All policies of one rules file.

    Attributes:
        policies: The policies by name; ``default`` is there always, and first.
        warnings: What is allowed and yet may not be meant, a sentence each.
        digest: SHA-256 of the file's content and that of the files that it names, in
            hexadecimal.
        files: The files that it names and that matter to decisions.
    """

    policies: Mapping[str, PolicySettings]
    warnings: tuple[str, ...]
    digest: str
    files: tuple[Path, ...] = ()
