"""What a target is given: files, and what could not be said in them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from webhook.core import Rule

__all__ = [
    "Code",
    "Deviation",
    "Deviations",
    "File",
    "Rendered",
    "note_mirrors",
    "note_regexes",
    "unsayable",
]

MAX_NAMED: Final = 3
REGEX: Final = "rules with a regex are left out"
REGEX_FIRST: Final = (
    "rules with a regex are left out, and what they match may be asked for where other "
    "rules send it"
)
ALLOWLIST: Final = "mirrors with an allowlist are left out"
PULL_SECRETS: Final = (
    "Secrets of a Pod are not used: what these mirrors need has to stand with the target"
)
EVERYTHING: Final = (
    "no configuration can put a whole reference behind a mirror: only the registries that "
    "other rules name are mirrored"
)


class Code(StrEnum):
    """What of the rules a target cannot say; the names are documented in docs/render.md."""

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
class Deviation:
    """A way in which the target will not do what the rules say.

    Attributes:
        code: Which one.
        message: What it means, as a sentence without its end.
        names: The rules, prefixes or mirrors that it is about.
        misleads: Images would be asked for where the rules do not send them. Where it
            is false, they merely come from their own registry, as if there were no rule.
    """

    code: Code
    message: str
    names: tuple[str, ...]
    misleads: bool = False

    def __str__(self) -> str:
        more = len(self.names) - MAX_NAMED
        rest = f" and {more} more" if more > 0 else ""
        return f"{self.message}: {', '.join(self.names[:MAX_NAMED])}{rest} [{self.code}]"


@dataclass(frozen=True, slots=True)
class File:
    """A file of the target.

    Attributes:
        path: Where it belongs, below the target's own folder, with ``/``.
        text: What stands in it.
    """

    path: str
    text: str


@dataclass(frozen=True, slots=True)
class Rendered:
    """All that a target is given.

    Attributes:
        files: Its files; none where nothing of the rules can be said.
        deviations: What they do not say, one for each code and its meaning.
    """

    files: tuple[File, ...]
    deviations: tuple[Deviation, ...]


class Deviations:
    """Takes what cannot be said, and tells it by its kind rather than by the rule."""

    def __init__(self) -> None:
        self._names: dict[tuple[Code, str, bool], dict[str, None]] = {}

    def note(self, code: Code, message: str, name: str, *, misleads: bool = False) -> None:
        """Note that *message* holds for the rule or mirror *name*.

        Args:
            code: What cannot be said.
            message: What it means, without a full stop; the names are put behind it.
            name: The rule or mirror.
            misleads: See `Deviation`.
        """
        self._names.setdefault((code, message, misleads), {})[name] = None

    def __call__(self) -> tuple[Deviation, ...]:
        """Return what was noted, in the order in which it came up."""
        return tuple(
            Deviation(code, message, tuple(names), misleads)
            for (code, message, misleads), names in self._names.items()
        )


def unsayable(rules: Sequence[Rule]) -> Deviations:
    """Return a list with what a table of prefixes leaves out, as a node's runtime has it."""
    deviations = Deviations()
    note_regexes(rules, deviations)
    note_mirrors(rules, deviations)
    for rule in rules:
        if rule.match is not None and rule.match.is_catch_all and rule.mirrors:
            deviations.note(Code.EVERY_REGISTRY, EVERYTHING, str(rule))
    return deviations


def note_regexes(rules: Sequence[Rule], deviations: Deviations) -> None:
    """Note the rules with a regular expression, which no table of prefixes holds."""
    others = any(rule.mirrors for rule in rules if rule.match is not None)
    for rule in rules:
        if rule.regex is not None:
            message = REGEX_FIRST if others else REGEX
            deviations.note(Code.REGEX, message, str(rule), misleads=others)


def note_mirrors(rules: Iterable[Rule], deviations: Deviations) -> None:
    """Note what belongs to a mirror, and only the webhook can heed."""
    for rule in rules:
        for mirror in rule.mirrors:
            name = f"{rule} → {mirror.target}"
            if mirror.allowlist is not None:
                deviations.note(Code.ALLOWLIST, ALLOWLIST, name)
            if mirror.pull_secrets:
                deviations.note(Code.PULL_SECRETS, PULL_SECRETS, name)
