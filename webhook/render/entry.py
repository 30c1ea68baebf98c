"""A prefix of image names, and the places that its images come from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from webhook.core import Original

if TYPE_CHECKING:
    from webhook.core import Rule

__all__ = ["Entry", "Place"]


@dataclass(frozen=True, slots=True)
class Place:
    """Where the images of a prefix come from.

    Attributes:
        target: ``host[:port][/path]`` that takes the place of the prefix.
        flatten: Only the last part of the repository follows.
        whole: The prefix itself follows as well, as it does for every registry.
    """

    target: str
    flatten: bool = False
    whole: bool = False

    @property
    def registry(self) -> str:
        """The registry of the target."""
        return self.target.partition("/")[0]

    @property
    def path(self) -> str:
        """The path of the target; it may be empty."""
        return self.target.partition("/")[2]

    def below(self, above: Entry, entry: Entry) -> Place:
        """Return the place of a longer prefix, if it is one of the entry *above*."""
        if self.whole:
            return Place(f"{self.target}/{entry.prefix}")
        rest = entry.path.removeprefix(above.path).removeprefix("/")
        if self.flatten or not rest:
            return self
        return Place(f"{self.target}/{rest}")


@dataclass(frozen=True, slots=True)
class Entry:
    """A prefix and what becomes of its images.

    Attributes:
        registry: A registry, ``*.`` and a domain, or ``*``.
        path: Leading parts of the repository; may be empty.
        rule: The rule that applies; None if none does.
        places: Where the images come from, the preferred first; none where they stay.
    """

    registry: str
    path: str
    rule: Rule | None = None
    places: tuple[Place, ...] = ()

    @property
    def prefix(self) -> str:
        """The registry, and the path if there is one."""
        return f"{self.registry}/{self.path}" if self.path else self.registry

    @property
    def original(self) -> Original:
        """When the registry itself is asked."""
        return self.rule.original if self.rule is not None else Original.LAST

    @property
    def is_wildcard(self) -> bool:
        """Whether it stands for the subdomains of a domain."""
        return self.registry.startswith("*.")
