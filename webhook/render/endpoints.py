"""Where a registry is on the network, as container runtimes take it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from webhook.core.reference import DOCKER_HUB

if TYPE_CHECKING:
    from webhook.render.entry import Place

__all__ = ["api_of", "base_url", "is_loopback"]

# Docker Hub's name is not its host (distribution/reference, containerd).
HUB_HOST: Final = "registry-1.docker.io"
LOOPBACK: Final = ("127.", "[::1]")
PLAIN_PORTS: Final = ("", "443")


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
