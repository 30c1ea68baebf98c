r"""Registries and paths from the regular expressions and URLs of other tools.

Most regular expressions are prefixes: ``^docker\.io/(.*)`` is the registry docker.io. A prefix
becomes a rule with ``match``, as such rules can be combined.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

from webhook.core import InvalidRuleError, parse_match
from webhook.core.reference import DOCKER_HUB

__all__ = [
    "DOCKER_HUB_HOSTS",
    "EVERY_NAME",
    "append_path",
    "matches_everything",
    "parse_prefix",
    "parse_target",
]

# Any registry, and the repository in the group.
EVERY_NAME: Final = "[^/]+/(.+)"
EVERYTHING: Final = frozenset({"", ".*", "(.*)", ".+", "(.+)"})
LITERAL: Final = re.compile(r"(?:(?:\\[.\-/]|[A-Za-z0-9._:/-])(?![*+?{]))*")
REST: Final = re.compile(r"(?:\(?\.[*+]\)?)?\$?")

DOCKER_HUB_HOSTS: Final = ("registry-1.docker.io", "index.docker.io", "registry.hub.docker.com")
LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
API: Final = "/v2"


def matches_everything(pattern: str) -> bool:
    """Return whether a regular expression matches everything."""
    return pattern.removeprefix("^").removesuffix("$") in EVERYTHING


def parse_prefix(pattern: str) -> str | None:
    """Return the registry, with or without a path, that a regular expression matches.

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
    is_complete = text.endswith("/") or "/" not in text
    if not is_complete or literal.end() == 1:
        return None
    try:
        return str(parse_match(text.rstrip("/")))
    except InvalidRuleError:
        return None


def append_path(target: str, prefix: str) -> str:
    """Return *target* with the path of *prefix* behind it, if there is one."""
    path = prefix.partition("/")[2]
    return f"{target}/{path}" if path else target


def parse_target(url: str, *, overrides_path: bool) -> str | None:
    """Return ``host[:port][/path]`` of a URL.

    Args:
        url: A URL; HTTPS if it has no scheme.
        overrides_path: Whether its path is used as it is. Then ``/v2/path`` is a path of the
            repository; else ``/v2`` comes after the path, which no image name can express.

    Returns:
        None if no image name leads there: because of plain HTTP to another machine, a path
        before ``/v2``, or an invalid URL. Empty for an empty URL.
    """
    if not url:
        return ""
    try:
        parts = urlsplit(url if "://" in url else f"https://{url}")
    except ValueError:  # brackets that are not around an IPv6 address
        return None
    if parts.scheme == "http" and parts.hostname not in LOOPBACK:
        return None
    host = DOCKER_HUB if parts.netloc in DOCKER_HUB_HOSTS else parts.netloc
    path = parts.path.rstrip("/")
    if path in ("", API):
        return host
    if overrides_path and path.startswith(f"{API}/"):
        return host + path.removeprefix(API)
    return None
