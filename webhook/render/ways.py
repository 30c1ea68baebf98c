"""Ways that names below one prefix do not share, so that no table of prefixes has them.

A table says what becomes of all names below a prefix. Two things tell those names apart by
more than their prefix, and matter where another rule comes after: a mirror that flattens
gives names that other rules may name one by one; and on Docker Hub, a name of one part
alone becomes one of two, `library/…`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from webhook.core import ImageReference, InvalidRuleError
from webhook.core.reference import DOCKER_HUB

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from webhook.core import Candidate, MirrorMap, Rule

__all__ = ["refuse_parted"]

LIBRARY: Final = "library"
FLATTENED: Final = (
    "{rule} flattens images to {above}, and another rule tells {above}/{rest} from the "
    "rest: name the last mirror in the rule itself, or use the webhook"
)
ON_HUB: Final = (
    "{rule} leads to docker.io, where an image of one part is in library/, and another "
    "rule leads on: name the last mirror in the rule itself, or use the webhook"
)


def refuse_parted(
    mirrors: MirrorMap,
    below: Callable[[Iterable[str]], Iterable[str]],
    registry: str,
    repository: str,
    candidate: Candidate,
) -> None:
    """Refuse rules that send names below one prefix different ways.

    Args:
        mirrors: The rules.
        below: Gives the paths from prefixes to those of other rules and mirrors below.
        registry: Registry of a name that no rule names, below the prefix.
        repository: Its repository.
        candidate: Where it came to.

    Raises:
        InvalidRuleError: Other names would not come there.
    """
    flat = False
    reference = ImageReference(registry, repository)
    for rule, mirror in candidate.steps:
        reference = rule.reference_at(mirror, reference)
        ahead = leading(mirrors, reference.registry, reference.repository)
        above = reference.name.rpartition("/")[0]
        flat = flat or mirror.flatten
        if flat:
            for rest in below([above]):
                registry, _, path = f"{above}/{rest}".partition("/")
                if "/" not in rest and leading(mirrors, registry, path) is not ahead:
                    problem = FLATTENED.format(rule=rule, above=above, rest=rest)
                    raise InvalidRuleError(problem)
        elif mirror.target == DOCKER_HUB:
            inside = (rest for rest in below([DOCKER_HUB]) if in_library(rest))
            if ahead or any(leading(mirrors, DOCKER_HUB, rest) for rest in inside):
                raise InvalidRuleError(ON_HUB.format(rule=rule))


def leading(mirrors: MirrorMap, registry: str, repository: str) -> Rule | None:
    """Return the rule that leads on from a name, if there is one."""
    rule = mirrors.applicable(registry, repository)
    return rule if rule is not None and rule.mirrors else None


def in_library(path: str) -> bool:
    """Say whether a path on Docker Hub is that of its own images."""
    return f"{path}/".startswith(f"{LIBRARY}/")
