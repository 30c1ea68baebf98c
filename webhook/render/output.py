"""The result of rendering: files, and warnings about what they cannot express."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from webhook.core import Rule

__all__ = [
    "RenderResult",
    "RenderWarning",
    "RenderedFile",
    "WarningCode",
    "WarningCollector",
    "collect_rule_warnings",
    "warn_of_mirrors",
    "warn_of_regexes",
]

MAX_NAMED: Final = 3
REGEX: Final = "rules with a regex are left out"
REGEX_FIRST: Final = (
    "rules with a regex are left out, and other rules may apply to the images that they match"
)
ALLOWLIST: Final = "mirrors with an allowlist are left out"
PULL_SECRETS: Final = (
    "the pull secrets of Pods are not used: configure credentials for these mirrors in the target"
)
EVERYTHING: Final = (
    "the target cannot mirror every registry: only the registries of other rules are mirrored"
)


class WarningCode(StrEnum):
    """What a target cannot express; docs/render.md explains the codes."""

    REGEX = "regex"
    FLATTEN = "flatten"
    FLATTEN_BELOW = "flatten-below"
    EVERY_REGISTRY = "every-registry"
    WILDCARD = "wildcard"
    PATH_RULE = "path-rule"
    PATH_BELOW = "path-below"
    SAME_REGISTRY = "same-registry"
    MIRROR_PATH = "mirror-path"
    ORIGINAL = "original"
    OTHER_REGISTRY = "other-registry"
    NAMES_DIFFER = "names-differ"
    ALLOWLIST = "allowlist"
    PULL_SECRETS = "pull-secrets"
    OTHER_POLICIES = "other-policies"
    OBSERVE = "observe"


@dataclass(frozen=True, slots=True)
class RenderWarning:
    """A difference between the rules and what the target does with its files.

    Attributes:
        code: The kind of difference.
        message: What it means, without a full stop.
        names: The rules, prefixes or mirrors that differ.
        misleads: Whether images would come from where the rules do not send them. If not,
            they come from their own registry, as if there were no rule.
    """

    code: WarningCode
    message: str
    names: tuple[str, ...]
    misleads: bool = False

    def __str__(self) -> str:
        more = len(self.names) - MAX_NAMED
        rest = f" and {more} more" if more > 0 else ""
        return f"{self.message}: {', '.join(self.names[:MAX_NAMED])}{rest} [{self.code}]"


@dataclass(frozen=True, slots=True)
class RenderedFile:
    """A file of the target.

    Attributes:
        path: Its path below the target's own folder, with ``/``.
        text: Its content.
    """

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class RenderResult:
    """The files of a target.

    Attributes:
        files: The files; none if the target can express none of the rules.
        warnings: How they differ from the rules, one for each code and meaning.
    """

    files: tuple[RenderedFile, ...]
    warnings: tuple[RenderWarning, ...]


class WarningCollector:
    """Collects warnings, and groups the names of those that mean the same."""

    def __init__(self) -> None:
        self._names: dict[tuple[WarningCode, str, bool], dict[str, None]] = {}

    def add(self, code: WarningCode, message: str, name: str, *, misleads: bool = False) -> None:
        """Add a warning about one rule, prefix or mirror; see `RenderWarning`."""
        self._names.setdefault((code, message, misleads), {})[name] = None

    def collect(self) -> tuple[RenderWarning, ...]:
        """Return the warnings, in the order in which they were added."""
        return tuple(
            RenderWarning(code, message, tuple(names), misleads)
            for (code, message, misleads), names in self._names.items()
        )


def collect_rule_warnings(rules: Sequence[Rule]) -> WarningCollector:
    """Return warnings about what no node's runtime can express."""
    warnings = WarningCollector()
    warn_of_regexes(rules, warnings)
    warn_of_mirrors(rules, warnings)
    for rule in rules:
        if rule.match is not None and rule.match.is_catch_all and rule.mirrors:
            warnings.add(WarningCode.EVERY_REGISTRY, EVERYTHING, str(rule))
    return warnings


def warn_of_regexes(rules: Sequence[Rule], warnings: WarningCollector) -> None:
    """Warn of rules with a regular expression, which no table of prefixes has."""
    others = any(rule.mirrors for rule in rules if rule.match is not None)
    for rule in rules:
        if rule.regex is not None:
            message = REGEX_FIRST if others else REGEX
            warnings.add(WarningCode.REGEX, message, str(rule), misleads=others)


def warn_of_mirrors(rules: Iterable[Rule], warnings: WarningCollector) -> None:
    """Warn of options of mirrors that only the webhook knows."""
    for rule in rules:
        for mirror in rule.mirrors:
            name = f"{rule} → {mirror.target}"
            if mirror.allowlist is not None:
                warnings.add(WarningCode.ALLOWLIST, ALLOWLIST, name)
            if mirror.pull_secrets:
                warnings.add(WarningCode.PULL_SECRETS, PULL_SECRETS, name)
