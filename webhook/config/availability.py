"""Reading how mirrors are asked."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeVar

from webhook.core import (
    Availability,
    InvalidRuleError,
    OnUnknown,
    Platform,
    parse_platform,
)
from webhook.core.errors import quoted
from webhook.core.reference import is_domain

if TYPE_CHECKING:
    from collections.abc import Callable

    from webhook.config.files import Files
    from webhook.config.place import Place

    Value = TypeVar("Value")

__all__ = ["AVAILABILITY_KEYS", "read_availability"]

AVAILABILITY_KEYS: Final = (
    "mode",
    "timeout",
    "budget",
    "ttl",
    "negativeTTL",
    "onUnknown",
    "platforms",
    "plainHTTP",
    "credentials",
)
OFF: Final = "off"
CHECK: Final = "check"

DURATION: Final = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h))+")
PART: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h)")
UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
# An API server waits 30 seconds at most; somebody waits for the Pod behind it.
LONGEST_WAIT: Final = 10.0
LONGEST_LIFE: Final = 24 * 3600.0


def read_availability(place: Place, files: Files) -> Availability | None:
    """Return how mirrors are asked; None where they are not.

    Args:
        place: The value of ``availability``.
        files: The files that the rules name so far.
    """
    entries = place.entries(AVAILABILITY_KEYS)
    checks = "mode" in entries and is_check(entries["mode"])
    if entries and "mode" not in entries:
        place.findings.warn(
            place.spot, "nothing is checked without a mode: write mode: check, or off"
        )
    default = Availability()

    def seconds(key: str, known: float, most: float) -> float:
        return (duration(entries[key], most) or known) if key in entries else known

    def listed(key: str, make: Callable[[Place], Value | None]) -> list[Value]:
        items = entries[key].items() if key in entries else []
        return [value for value in map(make, items) if value is not None]

    on_unknown = entries["onUnknown"].choice(OnUnknown) if "onUnknown" in entries else None
    settings = Availability(
        timeout=seconds("timeout", default.timeout, LONGEST_WAIT),
        budget=seconds("budget", default.budget, LONGEST_WAIT),
        ttl=seconds("ttl", default.ttl, LONGEST_LIFE),
        negative_ttl=seconds("negativeTTL", default.negative_ttl, LONGEST_LIFE),
        on_unknown=on_unknown or default.on_unknown,
        platforms=tuple(listed("platforms", platform)),
        plain_http=frozenset(listed("plainHTTP", host)),
        credentials=tuple(listed("credentials", files.path)),
        authorities=files.authorities,
    )
    return settings if checks else None


def is_check(place: Place) -> bool:
    """Say whether checks are asked for.

    Without quotes ``off`` is false to YAML 1.1, and so are the other spellings that
    a template may make of it.
    """
    if place.is_false() or place.node.value == OFF:
        return False
    if place.node.value != CHECK:
        place.refuse(f"{place.described()} is none of its values: write check or off")
    return True


def duration(place: Place, most: float) -> float | None:
    """Return seconds, written as in Go: ``800ms``, ``1.5s``, ``1m30s``."""
    text = place.node.value
    if not isinstance(text, str) or not DURATION.fullmatch(text):
        place.refuse(
            f"{place.described()} is no duration: write a number and its unit, as 800ms, 30s or 10m"
        )
        return None
    found = sum(float(number) * UNITS[unit] for number, unit in PART.findall(text))
    if not 0 < found <= most:
        place.refuse(f"{quoted(text)} is not more than 0s and at most {most:g}s")
        return None
    return found


def platform(place: Place) -> Platform | None:
    """Return a platform."""
    text = place.text()
    try:
        return None if text is None else parse_platform(text)
    except InvalidRuleError as error:
        place.refuse(error.problem)
        return None


def host(place: Place) -> str | None:
    """Return a registry's host, with its port if it has one."""
    text = place.text()
    if text is not None and not is_domain(text):
        place.refuse(f"{quoted(text)} is no registry: write host or host:port alone")
        return None
    return text
