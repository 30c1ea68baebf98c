"""What the targets that mirror whole registries have in common: their entries and URLs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from webhook.core.reference import DOCKER_HUB, is_loopback
from webhook.render.output import WarningCode

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from webhook.render.output import WarningCollector
    from webhook.render.prefix_table import MirrorTarget, PrefixEntry

__all__ = ["make_api_url", "make_base_url", "split_by_path", "warn_of_paths"]

ALONE: Final = "{target} mirrors whole registries, so rules for parts of a registry are left out"
BELOW: Final = (
    "{target} mirrors whole registries, so images below these prefixes come from the mirrors "
    "of their registry"
)
# The host of Docker Hub has another name than the registry (distribution/reference).
HUB_HOST: Final = "registry-1.docker.io"
HTTPS_PORTS: Final = ("", "443")


def split_by_path(
    entries: Iterable[PrefixEntry], wildcard: str, warnings: WarningCollector
) -> tuple[list[PrefixEntry], list[PrefixEntry]]:
    """Return the entries for whole registries, and those for a part of one.

    Args:
        entries: The prefix table.
        wildcard: Warning about those for the subdomains of a domain, which are left out.
        warnings: Takes the warning.
    """
    whole, parts = [], []
    for entry in entries:
        if entry.is_wildcard:
            if entry.targets:
                warnings.add(WarningCode.WILDCARD, wildcard, entry.prefix)
        elif entry.path:
            parts.append(entry)
        elif entry.targets:
            whole.append(entry)
    return whole, parts


def warn_of_paths(
    parts: Iterable[PrefixEntry],
    mirrored: Collection[str],
    target: str,
    warnings: WarningCollector,
) -> None:
    """Warn of the entries for a part of a registry, which a target leaves out.

    Args:
        parts: The entries.
        mirrored: The registries that the target mirrors.
        target: Its name.
        warnings: Takes the warnings.
    """
    for entry in parts:
        if entry.registry in mirrored:
            message = BELOW.format(target=target)
            warnings.add(WarningCode.PATH_BELOW, message, entry.prefix, misleads=True)
        elif entry.targets:
            message = ALONE.format(target=target)
            warnings.add(WarningCode.PATH_RULE, message, entry.prefix)


def make_base_url(registry: str) -> str:
    """Return the URL of a registry, with the scheme that containerd would choose (`hosts`_).

    .. _hosts: https://github.com/containerd/containerd/blob/main/core/remotes/docker/config/hosts.go
    """
    if registry == DOCKER_HUB:
        return f"https://{HUB_HOST}"
    host, _, port = registry.rpartition(":")
    port = port if host and port.isdigit() else ""
    is_plain = is_loopback(registry) and port not in HTTPS_PORTS
    return f"{'http' if is_plain else 'https'}://{registry}"


def make_api_url(target: MirrorTarget) -> str:
    """Return the URL below which the repositories of a target are.

    Without a path this is the URL of the registry, to which runtimes add ``/v2``.
    """
    base = make_base_url(target.registry)
    return f"{base}/v2/{target.path}" if target.path else base
