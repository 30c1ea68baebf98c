"""What checks of mirrors and the detection of loops are set to."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from webhook.core.errors import InvalidRuleError, quote

__all__ = ["Availability", "LoopLimits", "OnUnknown", "Platform", "parse_platform"]

PLATFORM: Final = re.compile(r"([a-z0-9]+)/([a-z0-9_]+)(?:/([a-z0-9.]+))?")


class OnUnknown(StrEnum):
    """What is taken where nobody can tell whether a mirror has an image."""

    MIRROR = "mirror"
    ORIGINAL = "original"


@dataclass(frozen=True, slots=True)
class Platform:
    """What an image has to run on, in the words of the `OCI image index`_.

    .. _OCI image index: https://github.com/opencontainers/image-spec/blob/main/image-index.md
    """

    system: str
    architecture: str
    variant: str = ""

    def covers(self, system: str, architecture: str, variant: str) -> bool:
        """Say whether an image for that is one for this; without a variant any will do."""
        same = (system, architecture) == (self.system, self.architecture)
        return same and (not self.variant or variant == self.variant)

    def __str__(self) -> str:
        return "/".join(filter(None, (self.system, self.architecture, self.variant)))


def parse_platform(text: str) -> Platform:
    """Read a platform such as ``linux/amd64`` or ``linux/arm/v7``.

    Raises:
        InvalidRuleError: It is none.
    """
    found = PLATFORM.fullmatch(text)
    if found is None:
        problem = f"{quote(text)} is no platform; write os/architecture, as linux/amd64"
        raise InvalidRuleError(problem)
    return Platform(found[1], found[2], found[3] or "")


@dataclass(frozen=True, slots=True)
class Availability:
    """How mirrors are asked.

    Attributes:
        timeout: Seconds for one question, with everything that it takes.
        budget: Seconds that one review waits for answers at most.
        ttl: Seconds that an image that is there is not asked for again.
        negative_ttl: Seconds for every other answer.
        on_unknown: What is taken on doubt.
        platforms: What each image has to be for; empty for anything.
        plain_http: Registries that are spoken to without TLS.
        credentials: Paths of ``dockerconfigjson`` files.
        ca_files: Registries, each with the path of a CA file to trust there as well.
    """

    timeout: float = 0.8
    budget: float = 1.5
    ttl: float = 600.0
    negative_ttl: float = 30.0
    on_unknown: OnUnknown = OnUnknown.ORIGINAL
    platforms: tuple[Platform, ...] = ()
    plain_http: frozenset[str] = frozenset()
    credentials: tuple[str, ...] = ()
    ca_files: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class LoopLimits:
    """How often the same Pod may come, each time to be rewritten.

    Attributes:
        times: With the so manieth time its owner is left alone.
        within: Seconds in which they are counted.
    """

    times: int = 10
    within: float = 3600.0
