"""Allowlists: the images that a mirror has, as patterns of their names.

The format is that of DaoCloud's list (`allows.txt`_), one pattern on a line: a registry and a
repository, where ``*`` matches anything within one part, and ``**`` anything at all. ``#``
starts a comment.

.. _allows.txt: https://github.com/DaoCloud/public-image-mirror/blob/main/allows.txt
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final

from webhook.core.errors import InvalidRuleError, quote
from webhook.core.reference import DOCKER_HUB, LEGACY_DOCKER_HUB, OFFICIAL, looks_like_registry
from webhook.core.regex import Regex, RegexSet

__all__ = ["Allowlist"]

_WILDCARD: Final = "*"
_EVERYTHING: Final = "**"
_REGEXES: Final = {_EVERYTHING: ".*", _WILDCARD: "[^/]*"}
_SPLIT_WILDCARDS: Final = re.compile(r"(\*\*|\*)").split
_HAS_VALID_CHARACTERS: Final = re.compile(r"[A-Za-z0-9_.:/\[\]*-]+").fullmatch


@dataclass(frozen=True)
class Allowlist:
    """The images that a mirror has. Other images are not sent to it.

    Args:
        text: The list.
        name: The name of the list in messages, for instance that of its file.

    Raises:
        InvalidRuleError: A line is not a pattern, or the list is empty.
    """

    text: str = field(repr=False)
    name: str
    _names: frozenset[str] = field(init=False, repr=False, compare=False)
    _patterns: RegexSet | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        lines = [line.partition("#")[0].strip() for line in self.text.splitlines()]
        patterns = [
            _normalize(line, f"{self.name}, line {number}")
            for number, line in enumerate(lines, 1)
            if line
        ]
        if not patterns:
            problem = f"{self.name} lists no images: write patterns such as docker.io/**"
            raise InvalidRuleError(problem, field="allowlist")
        names = frozenset(each for each in patterns if _WILDCARD not in each)
        regexes = [Regex(_to_regex(each)) for each in patterns if _WILDCARD in each]
        object.__setattr__(self, "_names", names)
        object.__setattr__(self, "_patterns", RegexSet(regexes) if regexes else None)

    def allows(self, name: str) -> bool:
        """Return whether an image is on the list.

        Args:
            name: Registry and repository, as in `ImageReference.name`.
        """
        if name in self._names:
            return True
        return self._patterns is not None and bool(self._patterns.find_matches(name))


def _normalize(pattern: str, location: str) -> str:
    """Add the registry that Docker would add to an image name."""
    registry, slash, path = pattern.partition("/")
    name = path if slash else pattern
    has_tag = ":" in name
    if not _HAS_VALID_CHARACTERS(pattern) or has_tag or "//" in pattern or pattern.endswith("/"):
        problem = (
            f"{location}: {quote(pattern)} is not a pattern of image names: write "
            "registry/repository, with * and ** but without a tag"
        )
        raise InvalidRuleError(problem, field="allowlist")
    if slash and registry == LEGACY_DOCKER_HUB:
        return f"{DOCKER_HUB}/{path}"
    if slash and (looks_like_registry(registry) or _WILDCARD in registry):
        return pattern
    if pattern == _EVERYTHING:
        return pattern
    return f"{DOCKER_HUB}/{pattern if slash else OFFICIAL + pattern}"


def _to_regex(pattern: str) -> str:
    return "".join(_REGEXES.get(part, re.escape(part)) for part in _SPLIT_WILDCARDS(pattern))
