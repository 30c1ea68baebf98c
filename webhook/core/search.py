"""The search for the names of an image, where rules lead on from mirror to mirror."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from webhook.core.decision import Candidate
from webhook.core.errors import InvalidReferenceError

if TYPE_CHECKING:
    from collections.abc import Callable

    from webhook.core.mirror import Mirror
    from webhook.core.reference import ImageReference
    from webhook.core.rules import Rule

__all__ = ["MAX_CANDIDATES", "Search"]

# Only regular expressions can make longer chains or more names than people write;
# what they make beyond this ends in the original.
MAX_STEPS: Final = 16
MAX_CANDIDATES: Final = 64


class Search:
    """The walk from one reference through rules and mirrors to the names at rest.

    A name that every mirror refuses, or gives an invalid name, is at rest, unless it is
    the one that the walk began with; a way that leads back gives nothing.

    Args:
        applicable: Gives the rule that applies to a registry and a repository.

    Attributes:
        found: The candidates by their names, in order of preference.
        problems: What kept other mirrors from giving a name.
    """

    def __init__(self, applicable: Callable[[str, str], Rule | None]) -> None:
        self._applicable = applicable
        self.found: dict[str, Candidate] = {}
        self.problems: list[str] = []

    def walk(
        self,
        reference: ImageReference,
        rule: Rule | None,
        steps: tuple[tuple[Rule, Mirror], ...],
        names: tuple[str, ...],
    ) -> None:
        """Find the names at rest from *reference* on.

        Args:
            reference: Where to begin.
            rule: The rule that applies to it.
            steps: The rules and mirrors that led there.
            names: The names on the way.
        """
        if rule is None or rule.keep:
            self.rest(reference, steps)
            return
        refused = 0
        for mirror in rule.mirrors:
            if len(self.found) == MAX_CANDIDATES:
                return
            if mirror.allowlist is not None and not mirror.allowlist.holds(reference.name):
                unlisted = f"{reference.name} is not on {mirror.allowlist.name}"
                self.problems.append(f"rule {rule} → {mirror.target}: {unlisted}")
                refused += 1
                continue
            try:
                named = rule.reference_at(mirror, reference)
            except InvalidReferenceError as error:
                self.problems.append(f"rule {rule} → {mirror.target}: {error}")
                refused += 1
                continue
            if named.name in names or len(steps) == MAX_STEPS:
                walk = " → ".join(names)
                self.problems.append(f"the rules lead back to where they began: {walk}")
                continue
            onward = self._applicable(named.registry, named.repository)
            self.walk(named, onward, (*steps, (rule, mirror)), (*names, named.name))
        if refused == len(rule.mirrors):
            self.rest(reference, steps)

    def rest(self, reference: ImageReference, steps: tuple[tuple[Rule, Mirror], ...]) -> None:
        """Note that no rule leads on from *reference*."""
        if steps:
            image = str(reference)
            self.found.setdefault(image, Candidate(reference, steps, image))
