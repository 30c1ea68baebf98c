"""A table of prefixes: registries, and whole path parts below them.

A look-up costs a dictionary access for each path part of the name that is
looked up, however many prefixes the table holds.
"""

from __future__ import annotations

from typing import Generic, TypeVar

__all__ = ["PrefixIndex"]

Value = TypeVar("Value")


class PrefixIndex(Generic[Value]):
    """Values by registry and leading path parts, found from the longest prefix down."""

    def __init__(self) -> None:
        self._registries: dict[str, dict[str, Value]] = {}
        self._depths: dict[str, int] = {}

    def add(self, registry: str, path: str, value: Value) -> Value:
        """Add *value*, and return the value that the prefix has: an earlier one stays.

        Args:
            registry: The registry.
            path: Leading parts of the repository, or empty for all of it.
            value: What is to be found.
        """
        depth = path.count("/") + 1 if path else 0
        self._depths[registry] = max(depth, self._depths.get(registry, 0))
        return self._registries.setdefault(registry, {}).setdefault(path, value)

    def __bool__(self) -> bool:
        return bool(self._registries)

    def longest_first(self, registry: str, repository: str) -> list[tuple[str, Value]]:
        """Return the path and value of each prefix that *repository* lies under."""
        paths = self._registries.get(registry)
        if paths is None:
            return []
        found = []
        depth = self._depths[registry]
        if depth:
            parts = repository.split("/", depth)
            for count in range(min(depth, len(parts)), 0, -1):
                path = "/".join(parts[:count])
                if path in paths:
                    found.append((path, paths[path]))
        if "" in paths:
            found.append(("", paths[""]))
        return found
