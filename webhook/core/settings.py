"""Settings of availability checks and of the loop detector."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from webhook.core.errors import InvalidRuleError, quote

__all__ = [
    "DURATION",
    "ORIGINAL_TARGET",
    "PLATFORM",
    "Availability",
    "LoopLimits",
    "OnUnknown",
    "Platform",
    "parse_duration",
    "parse_platform",
]

PLATFORM: Final = re.compile(r"([a-z0-9]+)/([a-z0-9_]+)(?:/([a-z0-9.]+))?")
ORIGINAL_TARGET: Final = "original"  # of a check that asks the original registry, not a mirror
DURATION: Final = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h))+", re.ASCII)
_PART: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)", re.ASCII)
_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


class OnUnknown(StrEnum):
    """Which image to use when it is unknown whether a mirror has it."""

    MIRROR = "mirror"
    ORIGINAL = "original"


@dataclass(frozen=True, slots=True)
class Platform:
    """A platform that an image has to run on, as in the `OCI image index`_.

    .. _OCI image index: https://github.com/opencontainers/image-spec/blob/main/image-index.md
    """

    os: str
    architecture: str
    variant: str = ""

    def covers(self, os: str, architecture: str, variant: str) -> bool:
        """Return whether an image for that platform runs on this one.

        A platform without a variant covers every variant.
        """
        is_same = (os, architecture) == (self.os, self.architecture)
        return is_same and (not self.variant or variant == self.variant)

    def __str__(self) -> str:
        return "/".join(filter(None, (self.os, self.architecture, self.variant)))


def parse_platform(text: str) -> Platform:
    """Parse a platform such as ``linux/amd64`` or ``linux/arm/v7``.

    Raises:
        InvalidRuleError: It is not a platform.
    """
    match = PLATFORM.fullmatch(text)
    if match is None:
        problem = f"{quote(text)} is not a platform; write os/architecture, such as linux/amd64"
        raise InvalidRuleError(problem)
    return Platform(match[1], match[2], match[3] or "")


def parse_duration(text: str) -> float | None:
    """Return seconds from a duration as in Go: ``800ms``, ``1.5s``, ``1m30s``; None for others."""
    if not DURATION.fullmatch(text):
        return None
    return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(text))


@dataclass(frozen=True, slots=True)
class Availability:
    """How mirrors are checked for images.

    Attributes:
        timeout: Seconds for one check, with every request that it takes.
        budget: Seconds that one review waits for checks at most.
        ttl: Seconds until an image that exists is checked again.
        negative_ttl: The same for every other result.
        on_unknown: Which image to use when the result is unknown.
        platforms: The platforms that each image must support; empty for no requirement.
        plain_http: Registries that are reached without TLS.
        use_proxies: Whether to use the proxies of the environment; None for the default.
        credentials: Paths of ``dockerconfigjson`` files.
        ca_files: Registries, each with the path of a CA file to trust in addition.
        helper_seconds: Seconds that a check waits for a credential helper before it begins. In a
            review, nobody has time for that: 0.
    """

    timeout: float = 0.8
    budget: float = 1.5
    ttl: float = 600.0
    negative_ttl: float = 30.0
    on_unknown: OnUnknown = OnUnknown.ORIGINAL
    platforms: tuple[Platform, ...] = ()
    plain_http: frozenset[str] = frozenset()
    use_proxies: bool | None = None
    credentials: tuple[str, ...] = ()
    ca_files: tuple[tuple[str, str], ...] = ()
    helper_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class LoopLimits:
    """How often an owner may recreate the same Pod before it is skipped.

    Attributes:
        times: How many times the same Pod may come before its owner is skipped.
        within: The period in which they are counted, in seconds.
    """

    times: int = 10
    within: float = 3600.0
