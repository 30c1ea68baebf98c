"""Convert the URLs at which runtimes ask registries to image names."""

from __future__ import annotations

import posixpath
from typing import TYPE_CHECKING, Final, NamedTuple
from urllib.parse import urlsplit

from webhook.core import Original
from webhook.core.reference import DOCKER_HUB

if TYPE_CHECKING:
    from collections.abc import Iterable

    from webhook.imports.rule_set import RuleSet

__all__ = ["DOCKER_HUB_HOSTS", "MirrorEndpoint", "order_endpoints", "parse_endpoint"]

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


def parse_endpoint(url: str, path: str | None = None) -> MirrorEndpoint:
    """Return the endpoint of a URL.

    No image name leads to plain HTTP on another machine, or to a path before ``/v2``.

    Args:
        url: A URL; HTTPS if it has no scheme.
        path: The path of the registry's API; None for that of the URL, which is ``/v2`` if empty.
    """
    try:
        parts = urlsplit(url if "://" in url else f"https://{url}")
        plain = parts.scheme == "http" and parts.hostname not in LOOPBACK
    except ValueError:  # brackets that are not around an IPv6 address
        return MirrorEndpoint("", "")
    host = DOCKER_HUB if parts.netloc in DOCKER_HUB_HOSTS else parts.netloc
    if path is None:
        path = parts.path.rstrip("/") or API
    root = posixpath.normpath(path) if path else ""
    if plain or (root != API and not root.startswith(f"{API}/")):
        return MirrorEndpoint(host, "")
    return MirrorEndpoint(host, host + root.removeprefix(API))


def order_endpoints(
    registry: str,
    endpoints: Iterable[MirrorEndpoint],
    line: int,
    rule_set: RuleSet,
    *,
    ends_at_original: bool = True,
) -> tuple[list[str], Original]:
    """Return the mirrors of a registry, and when the registry itself is asked.

    Args:
        registry: The registry; empty if it is not known.
        endpoints: Where the runtime asks, in order.
        line: The line, for a warning.
        rule_set: Takes the warning.
        ends_at_original: Whether the runtime asks the registry itself last.
    """
    targets = [each.target for each in endpoints]
    mirrors = [each for each in dict.fromkeys(targets) if each and each != registry]
    if registry not in targets:
        return mirrors, Original.LAST if ends_at_original else Original.NEVER
    position = targets.index(registry)
    before = any(each for each in targets[:position])
    after = any(each and each != registry for each in targets[position + 1 :])
    if before and after:
        problem = f"{registry} itself comes between its mirrors there; the rule tries it last"
        rule_set.warn(line, problem)
    return mirrors, Original.LAST if before else Original.FIRST
