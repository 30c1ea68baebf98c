"""Allowlists: the images that a mirror has, as patterns of their names.

The form is that of DaoCloud's list (`allows.txt`_), one pattern a line: a registry
and a repository, where ``*`` stands for anything within one part, and ``**`` for
anything at all. ``#`` begins a comment.

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

COMMENT: Final = "#"
ANYTHING: Final = "**"
WITHIN: Final = "*"
WILDCARD: Final = re.compile(r"(\*\*|\*)")
# What a name can hold, besides the wildcards.
ALLOWED: Final = re.compile(r"[A-Za-z0-9_.:/\[\]*-]+").fullmatch
EXPRESSIONS: Final = {ANYTHING: ".*", WITHIN: "[^/]*"}


@dataclass(frozen=True)
class Allowlist:
    """The images that a mirror has; what the mirror is sent is one of them.

    Args:
        text: The list.
        name: What reasons call it, for instance the name of its file.

    Raises:
        InvalidRuleError: A line is no pattern, or there is none.
    """

    text: str = field(repr=False)
    name: str
    _names: frozenset[str] = field(init=False, repr=False, compare=False)
    _patterns: RegexSet | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        lines = [line.partition(COMMENT)[0].strip() for line in self.text.splitlines()]
        patterns = [
            normal(line, f"{self.name}, line {number}")
            for number, line in enumerate(lines, 1)
            if line
        ]
        if not patterns:
            problem = f"{self.name} names no image: write patterns such as docker.io/**"
            raise InvalidRuleError(problem, field="allowlist")
        names = frozenset(each for each in patterns if WITHIN not in each)
        wild = [Regex(expression(each)) for each in patterns if WITHIN in each]
        object.__setattr__(self, "_names", names)
        object.__setattr__(self, "_patterns", RegexSet(wild) if wild else None)

    def allows(self, name: str) -> bool:
        """Say whether an image is on the list.

        Args:
            name: Registry and repository, as `ImageReference.name` has them.
        """
        if name in self._names:
            return True
        return self._patterns is not None and bool(self._patterns.matching(name))


def normal(pattern: str, where: str) -> str:
    """Return a pattern with its registry, as images have it in normal form.

    Raises:
        InvalidRuleError: It has a tag, or what no name can have.
    """
    registry, slash, path = pattern.partition("/")
    named = path if slash else pattern
    if not ALLOWED(pattern) or ":" in named or "//" in pattern or pattern.endswith("/"):
        problem = (
            f"{where}: {quote(pattern)} is no pattern of image names: write "
            "registry/repository, with * and ** but without a tag"
        )
        raise InvalidRuleError(problem, field="allowlist")
    if slash and registry == LEGACY_DOCKER_HUB:
        return f"{DOCKER_HUB}/{path}"
    if slash and (looks_like_registry(registry) or WITHIN in registry):
        return pattern
    if pattern == ANYTHING:
        return pattern
    return f"{DOCKER_HUB}/{pattern if slash else OFFICIAL + pattern}"


def expression(pattern: str) -> str:
    """Return a pattern as a regular expression."""
    return "".join(EXPRESSIONS.get(part, re.escape(part)) for part in WILDCARD.split(pattern))
