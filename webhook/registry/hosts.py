"""The one name that a registry goes by here, however it is written."""

from __future__ import annotations

from typing import Final

from webhook.core.reference import DOCKER_HUB, LEGACY_DOCKER_HUB

__all__ = ["HUB_HOST", "known_as"]

# Where the registry that goes by the name docker.io is on the network.
HUB_HOST: Final = "registry-1.docker.io"
HUB_NAMES: Final = frozenset({HUB_HOST, LEGACY_DOCKER_HUB})


def known_as(host: str) -> str:
    """Return the name that *host*, with or without a port, is looked up by."""
    name = host.lower().removesuffix(":443").removesuffix(":80")
    return DOCKER_HUB if name in HUB_NAMES else name
