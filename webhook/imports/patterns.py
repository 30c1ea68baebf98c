r"""Regular expressions of other tools, as far as they are prefixes written in another way.

Most of them are: ``^docker\.io/(.*)`` is the registry docker.io. A prefix becomes a rule
with ``match``, since those may be combined, and leave tags and digests alone.
"""

from __future__ import annotations

import re
from typing import Final

from webhook.core import InvalidRuleError, parse_match

__all__ = ["EVERY_NAME", "is_everything", "prefix_of"]

# Any registry, and the repository in the group.
EVERY_NAME: Final = "[^/]+/(.+)"
EVERYTHING: Final = frozenset({"", ".*", "(.*)", ".+", "(.+)"})
LITERAL: Final = re.compile(r"(?:(?:\\[.\-/]|[A-Za-z0-9._:/-])(?![*+?{]))*")
REST: Final = re.compile(r"(?:\(?\.[*+]\)?)?\$?")


def is_everything(pattern: str) -> bool:
    """Say whether a pattern matches whatever there is."""
    return pattern.removeprefix("^").removesuffix("$") in EVERYTHING


def prefix_of(pattern: str) -> str | None:
    """Return the registry, with or without a path, that a pattern stands for.

    Args:
        pattern: A regular expression that is searched for in ``registry/repository:tag``.

    Returns:
        None if it is more than a prefix.
    """
    if not pattern.startswith("^"):
        return None
    literal = LITERAL.match(pattern, 1)
    if literal is None or not REST.fullmatch(pattern, literal.end()):
        return None
    text = literal[0].replace("\\", "")
    complete = text.endswith("/") or "/" not in text
    if not complete or literal.end() == 1:
        return None
    try:
        return str(parse_match(text.rstrip("/")))
    except InvalidRuleError:
        return None
