"""Convert the URLs at which runtimes ask registries to image names."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

from webhook.core import InvalidRuleError, Mirror, Original
from webhook.core.reference import DOCKER_HUB, looks_like_registry

if TYPE_CHECKING:
    from collections.abc import Iterable

    from webhook.imports.rule_set import RuleSet

__all__ = [
    "API",
    "DOCKER_HUB_HOSTS",
    "MirrorEndpoint",
    "order_mirrors",
    "parse_endpoint",
    "read_target",
]

DOCKER_HUB_HOSTS: Final = ("registry-1.docker.io", "index.docker.io", "registry.hub.docker.com")
LOOPBACK: Final = ("localhost", "127.0.0.1", "::1")
API: Final = "/v2"


class MirrorEndpoint(NamedTuple):
    """Where a runtime asks for images.

    Attributes:
        registry: The host, with its port; empty for an invalid URL.
        target: The beginning of image names that lead there; empty if there are none.
    """

    registry: str
    target: str


def parse_endpoint(url: str, default_path: str = API) -> MirrorEndpoint:
    """Return the endpoint of a URL.

    No image name leads to plain HTTP on another machine, or to a path before ``/v2``.

    Args:
        url: The URL of the registry's API; HTTPS if it has no scheme.
        default_path: The path of a URL that has none.
    """
    try:
        parts = urlsplit(url if "://" in url else f"https://{url}")
        plain = parts.scheme == "http" and parts.hostname not in LOOPBACK
    except ValueError:  # brackets that are not around an IPv6 address
        return MirrorEndpoint("", "")
    host = parts.netloc.rpartition("@")[2]
    if host in DOCKER_HUB_HOSTS:
        host = DOCKER_HUB
    elif host and not looks_like_registry(host):
        host = f"{host}:443"  # without it, "mirror" would be a name on Docker Hub
    path = posixpath.normpath(parts.path.rstrip("/") or default_path)
    if plain or (path != API and not path.startswith(f"{API}/")):
        return MirrorEndpoint(host, "")
    return MirrorEndpoint(host, host + path.removeprefix(API))


def read_target(url: str, line: int, rule_set: RuleSet, default_path: str = API) -> str:
    """Return the target of a URL as of `parse_endpoint`; warn if it has none."""
    target = parse_endpoint(url, default_path).target
    if not target:
        problem = f"left out: {url}; image names lead only to HTTPS, and to paths below {API}"
        rule_set.warn(line, problem)
    return target


def order_mirrors(
    registry: str,
    targets: Iterable[str],
    line: int,
    rule_set: RuleSet,
    *,
    ends_at_original: bool = True,
) -> tuple[list[str], Original]:
    """Return the mirrors of a registry, and when the registry itself is asked.

    Mirrors with which no image name can start are left out, with a warning.

    Args:
        registry: The registry; empty if it is not known.
        targets: Where the runtime asks, in order; empty for what has no image name.
        line: The line, for a warning.
        rule_set: Takes the warnings.
        ends_at_original: Whether the runtime asks the registry itself last.
    """
    targets = [each for each in targets if _is_valid(each, line, rule_set)]
    mirrors = [each for each in dict.fromkeys(targets) if each != registry]
    if registry not in targets:
        return mirrors, Original.LAST if ends_at_original else Original.NEVER
    position = targets.index(registry)
    before = position > 0
    after = any(each != registry for each in targets[position + 1 :])
    if before and after:
        problem = f"{registry} itself comes between its mirrors there; the rule tries it last"
        rule_set.warn(line, problem)
    return mirrors, Original.LAST if before else Original.FIRST


def _is_valid(target: str, line: int, rule_set: RuleSet) -> bool:
    if not target:
        return False
    try:
        Mirror(target)
    except InvalidRuleError as error:
        rule_set.warn(line, f"left out: {error}")
        return False
    return True
