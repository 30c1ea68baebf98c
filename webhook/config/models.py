"""The content of a rules file, as values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from webhook.core import LoopLimits

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from webhook.config.delegation import Delegation
    from webhook.core import Availability, MirrorMap

__all__ = [
    "DEFAULT_LOOP_LIMITS",
    "DEFAULT_POLICY",
    "NO_RULES",
    "Configuration",
    "Mode",
    "PolicySettings",
]

DEFAULT_POLICY: Final = "default"
DEFAULT_LOOP_LIMITS: Final = LoopLimits()


class Mode(StrEnum):
    """Whether a policy changes Pods."""

    REWRITE = "rewrite"
    OBSERVE = "observe"  # decide, log and count, but patch nothing


@dataclass(frozen=True, slots=True)
class PolicySettings:
    """A named set of rules with its options.

    Attributes:
        name: The name; ``default`` for the top level of the file.
        mirrors: The rules of the file and of the profiles.
        mode: Whether it changes Pods.
        record: Whether to write the original images into an annotation of the Pod.
        profiles: Names of the profiles, in order of precedence.
        availability: How to check whether mirrors have an image; None for no checks.
        loops: When to skip the owner of a recurring Pod; None for never.
    """

    name: str
    mirrors: MirrorMap
    mode: Mode = Mode.REWRITE
    record: bool = True
    profiles: tuple[str, ...] = ()
    availability: Availability | None = None
    loops: LoopLimits | None = DEFAULT_LOOP_LIMITS


@dataclass(frozen=True, slots=True)
class Configuration:
    """All policies of one rules file.

    Attributes:
        policies: The policies by name, ``default`` first and always present, except in `NO_RULES`.
        warnings: What is allowed but may be a mistake, one sentence each.
        digest: SHA-256 of the file and of *files*, in hexadecimal.
        files: The files that the rules name and whose content affects decisions.
        delegation: Which namespaces may bring rules of their own; None for none.
    """

    policies: Mapping[str, PolicySettings]
    warnings: tuple[str, ...]
    digest: str
    files: tuple[Path, ...] = ()
    delegation: Delegation | None = None


# Before the first valid rules file.
NO_RULES: Final = Configuration(MappingProxyType({}), (), "")
