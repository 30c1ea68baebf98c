"""What a table of prefixes cannot say of the rules."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from webhook.render.output import Code, Deviations

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from webhook.core import Rule

__all__ = ["note_mirrors", "note_regexes", "unsayable"]

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


def unsayable(rules: Sequence[Rule]) -> Deviations:
    """Return a list with what a table of prefixes leaves out, as a node's runtime has it."""
    deviations = Deviations()
    note_regexes(rules, deviations)
    note_mirrors(rules, deviations)
    for rule in rules:
        if rule.match is not None and rule.match.is_everything and rule.mirrors:
            deviations.note(Code.EVERY_REGISTRY, EVERYTHING, str(rule))
    return deviations


def note_regexes(rules: Sequence[Rule], deviations: Deviations) -> None:
    """Note the rules with a regular expression, which no table of prefixes holds."""
    others = any(rule.mirrors for rule in rules if rule.match is not None)
    for rule in rules:
        if rule.pattern is not None:
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
