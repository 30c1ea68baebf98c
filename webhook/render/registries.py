"""For targets that mirror whole registries: which entries are such, and which are not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from webhook.core.reference import DOCKER_HUB
from webhook.render.output import Code

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from webhook.render.output import Deviations
    from webhook.render.prefix_table import Entry, Place

__all__ = ["api_of", "base_url", "is_loopback", "note_paths", "whole_registries"]

ALONE: Final = "{target} mirrors whole registries, so rules for a part of one are left out"
BELOW: Final = (
    "{target} mirrors whole registries, so images below these are asked for where the "
    "rule of their registry sends it"
)
# Docker Hub's name is not its host (distribution/reference, containerd).
HUB_HOST: Final = "registry-1.docker.io"
LOOPBACK: Final = ("127.", "[::1]")
PLAIN_PORTS: Final = ("", "443")


def whole_registries(
    entries: Iterable[Entry], wildcard: str, deviations: Deviations
) -> tuple[list[Entry], list[Entry]]:
    """Return the entries for a whole registry, and those for a part of one.

    Args:
        entries: The table.
        wildcard: What to tell of those for the subdomains of a domain.
        deviations: Takes it.
    """
    whole, parts = [], []
    for entry in entries:
        if entry.is_wildcard:
            if entry.places:
                deviations.note(Code.WILDCARD, wildcard, entry.prefix)
        elif entry.path:
            parts.append(entry)
        elif entry.places:
            whole.append(entry)
    return whole, parts


def note_paths(
    parts: Iterable[Entry], mirrored: Collection[str], target: str, deviations: Deviations
) -> None:
    """Note the entries for a part of a registry, of which a target knows nothing.

    Args:
        parts: The entries.
        mirrored: The registries that the target mirrors.
        target: Its name.
        deviations: Takes them.
    """
    for entry in parts:
        if entry.registry in mirrored:
            message = BELOW.format(target=target)
            deviations.note(Code.PATH_BELOW, message, entry.prefix, misleads=True)
        elif entry.places:
            message = ALONE.format(target=target)
            deviations.note(Code.PATH_RULE, message, entry.prefix)


def is_loopback(registry: str) -> bool:
    """Say whether a registry is on the node itself, where runtimes try plain HTTP."""
    host, _, port = registry.rpartition(":")
    return (host if port.isdigit() else registry) == "localhost" or registry.startswith(LOOPBACK)


def base_url(registry: str) -> str:
    """Return the URL of a registry, with the scheme that containerd would choose (`hosts`_).

    .. _hosts: https://github.com/containerd/containerd/blob/main/core/remotes/docker/config/hosts.go
    """
    if registry == DOCKER_HUB:
        return f"https://{HUB_HOST}"
    host, _, port = registry.rpartition(":")
    port = port if host and port.isdigit() else ""
    plain = is_loopback(registry) and port not in PLAIN_PORTS
    return f"{'http' if plain else 'https'}://{registry}"


def api_of(place: Place) -> str:
    """Return the URL below which a place's repositories are, without the prefix's rest.

    Without a path it is the registry's, and the runtime adds ``/v2`` itself.
    """
    base = base_url(place.registry)
    return f"{base}/v2/{place.path}" if place.path else base
