"""Read the settings of a policy other than its rules: ``availability`` and ``loops``."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final, TypeVar

from webhook.core import Availability, LoopLimits, OnUnknown, parse_duration, parse_platform
from webhook.core.errors import quote
from webhook.core.reference import is_domain

if TYPE_CHECKING:
    from collections.abc import Callable

    from webhook.config.rules import NamedFiles
    from webhook.config.yaml_values import YAMLValue

    Value = TypeVar("Value")

__all__ = ["AVAILABILITY_KEYS", "LOOP_KEYS", "read_availability", "read_loops"]

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
    "proxy",
)
LOOP_KEYS: Final = ("mode", "times", "within")

# The API server waits 30 seconds at most, and somebody waits for the Pod behind it.
MAX_WAIT: Final = 10.0
DAY: Final = 24 * 3600.0
MIN_TIMES, MAX_TIMES = 3, 100


class ProxyMode(StrEnum):
    """Which proxies to use for availability checks."""

    ENVIRONMENT = "environment"
    OFF = "off"


class LoopMode(StrEnum):
    """What to do about owners that keep recreating the same Pod."""

    STOP = "stop"
    OFF = "off"


def read_availability(
    value: YAMLValue, files: NamedFiles, keys: tuple[str, ...] = AVAILABILITY_KEYS
) -> Availability | None:
    """Return how to check mirrors for images; None for no checks.

    Args:
        value: The value of ``availability``.
        files: Collects the files that it names.
        keys: The keys that are allowed.
    """
    entries = value.read_mapping(keys)
    is_checked = "mode" in entries and _read_is_checked(entries["mode"])
    if entries and "mode" not in entries:
        value.diagnostics.add_warning(
            value.location, "without a mode nothing is checked: add mode: check or mode: off"
        )
    default = Availability()

    def read_seconds(key: str, default: float, most: float) -> float:
        return (_read_duration(entries[key], most) or default) if key in entries else default

    def read_items(key: str, read: Callable[[YAMLValue], Value | None]) -> list[Value]:
        items = entries[key].read_list() if key in entries else []
        return [item for item in map(read, items) if item is not None]

    on_unknown = entries["onUnknown"].read_choice(OnUnknown) if "onUnknown" in entries else None
    settings = Availability(
        timeout=read_seconds("timeout", default.timeout, MAX_WAIT),
        budget=read_seconds("budget", default.budget, MAX_WAIT),
        ttl=read_seconds("ttl", default.ttl, DAY),
        negative_ttl=read_seconds("negativeTTL", default.negative_ttl, DAY),
        on_unknown=on_unknown or default.on_unknown,
        platforms=tuple(read_items("platforms", lambda item: item.read_as(parse_platform))),
        plain_http=frozenset(read_items("plainHTTP", _read_host)),
        use_proxies=_read_use_proxies(entries["proxy"]) if "proxy" in entries else None,
        credentials=tuple(read_items("credentials", files.read_path)),
        ca_files=tuple(files.ca_files.items()),
    )
    return settings if is_checked else None


def _read_is_checked(value: YAMLValue) -> bool:
    # Without quotes, off is false to YAML 1.1, and so are other spellings that a template may use.
    if value.is_false() or value.node.value == "off":
        return False
    if value.node.value != "check":
        value.add_problem(f"expected check or off, got {value.describe()}")
    return True


def _read_use_proxies(value: YAMLValue) -> bool | None:
    if value.is_false():
        return False
    mode = value.read_choice(ProxyMode)
    return None if mode is None else mode is ProxyMode.ENVIRONMENT


def read_loops(value: YAMLValue) -> LoopLimits | None:
    """Return the limits of the loop detector from the value of ``loops``; None if it is off."""
    entries = value.read_mapping(LOOP_KEYS)
    default = LoopLimits()
    is_off = "mode" in entries and (
        entries["mode"].is_false() or entries["mode"].read_choice(LoopMode) is LoopMode.OFF
    )
    times = entries["times"].read_integer(MIN_TIMES, MAX_TIMES) if "times" in entries else None
    within = _read_duration(entries["within"], DAY) if "within" in entries else None
    return None if is_off else LoopLimits(times or default.times, within or default.within)


def _read_duration(value: YAMLValue, most: float) -> float | None:
    text = value.node.value
    seconds = parse_duration(text) if isinstance(text, str) else None
    if seconds is None:
        value.add_problem(f"expected a duration such as 800ms, 30s or 10m, got {value.describe()}")
        return None
    if not 0 < seconds <= most:
        value.add_problem(f"expected more than 0s and at most {most:g}s, got {text}")
        return None
    return seconds


def _read_host(value: YAMLValue) -> str | None:
    text = value.read_text()
    if text is not None and not is_domain(text):
        value.add_problem(f"{quote(text)} is not a registry: write only host or host:port")
        return None
    return text
