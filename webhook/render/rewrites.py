"""What the endpoints of one registry of k3s have in common, and what each has for itself."""

from __future__ import annotations

from itertools import takewhile
from typing import TYPE_CHECKING

from webhook.render.endpoints import base_url
from webhook.render.patterns import flattening, moving

if TYPE_CHECKING:
    from collections.abc import Iterable

    from webhook.render.entry import Entry, Place

__all__ = ["Rewrites"]


class Rewrites:
    """The endpoints of a registry and the rewrites that they share.

    Args:
        places: Where the images of the whole registry come from: all flatten, or none.
    """

    def __init__(self, places: tuple[Place, ...]) -> None:
        self._hosts = [place.registry for place in places]
        self._flatten = {"": places[0].flatten}
        self._paths = {"": [parts_of(place.path) for place in places]}

    def take(self, entry: Entry) -> bool:
        """Take up the entry for a part of the registry, if the endpoints have room for it."""
        if self._flatten[""] or [p.registry for p in entry.places] != self._hosts:
            return False
        flatten = {place.flatten for place in entry.places}
        above = [path for path in self._paths if entry.path.startswith(f"{path}/")]
        if len(flatten) != 1 or any(self._flatten[path] for path in above):
            return False
        paths = {**self._paths, entry.path: [parts_of(p.path) for p in entry.places]}
        if shared(paths) is None:
            return False
        self._paths = paths
        self._flatten[entry.path] = flatten.pop()
        return True

    def endpoints(self) -> list[str]:
        """Return the URLs of the mirrors, each with the path that all its names begin with."""
        if self._is_plain:
            own = ["/".join(path) for path in self._paths[""]]
        else:
            own = ["/".join(path) for path in bases(self._paths.values())]
        return [
            f"{base_url(host)}/v2/{path}" if path else base_url(host)
            for host, path in zip(self._hosts, own, strict=True)
        ]

    def patterns(self) -> dict[str, str]:
        """Return the patterns and replacements, of which one at most matches a name."""
        if self._is_plain:
            return {}
        targets = shared(self._paths) or {}
        patterns: dict[str, str] = {}
        for path, target in targets.items():
            if self._flatten[path]:
                patterns |= flattening(path, target)
            else:
                below = [other for other in targets if is_below(other, path)]
                pattern, replacement = moving(path, target, below)
                patterns[pattern] = replacement
        return patterns

    @property
    def _is_plain(self) -> bool:
        """Whether the paths of the endpoints say it all."""
        several = len({tuple(path) for path in self._paths[""]}) > 1
        return list(self._flatten.items()) == [("", False)] and several


def parts_of(path: str) -> list[str]:
    """Return the parts of a path; none if it is empty."""
    return path.split("/") if path else []


def is_below(path: str, above: str) -> bool:
    """Say whether one path lies below another."""
    return path != above and (not above or path.startswith(f"{above}/"))


def bases(paths: Iterable[list[list[str]]]) -> list[list[str]]:
    """Return for each endpoint the parts that all its paths begin with, unless it is alone.

    A single endpoint needs none, and neither do several with the same paths.
    """
    columns = list(zip(*paths, strict=True))
    if all(column == columns[0] for column in columns):
        return [[] for _ in columns]
    return [beginning(list(column)) for column in columns]


def beginning(paths: list[list[str]]) -> list[str]:
    """Return the parts that all paths begin with."""
    alike = takewhile(lambda parts: len(set(parts)) == 1, zip(*paths, strict=False))
    return [parts[0] for parts in alike]


def shared(paths: dict[str, list[list[str]]]) -> dict[str, str] | None:
    """Return the target of each path below the endpoints; None if the endpoints differ."""
    own = bases(paths.values())
    targets = {}
    for path, columns in paths.items():
        rests = {"/".join(column[len(base) :]) for column, base in zip(columns, own, strict=True)}
        if len(rests) != 1:
            return None
        targets[path] = rests.pop()
    return targets
