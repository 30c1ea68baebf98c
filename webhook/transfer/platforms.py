"""Which manifests of an index are for the platforms that are wanted: pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from webhook.core import Platform
    from webhook.transfer.content import Descriptor

__all__ = ["chosen", "lacking", "names_of"]

# BuildKit's attestations stand beside the manifest that they are about, without platform.
ABOUT: Final = "vnd.docker.reference.digest"
UNKNOWN: Final = "unknown"


def chosen(children: Sequence[Descriptor], platforms: Sequence[Platform]) -> list[Descriptor]:
    """Return those that are for one of *platforms*, or about one that is.

    What names no platform may be for any; without *platforms* all are wanted.
    """
    if not platforms:
        return list(children)
    fitting = [child for child in children if not about(child) and fits(child, platforms)]
    digests = {child.digest for child in fitting}
    return [child for child in children if child in fitting or about(child) in digests]


def lacking(children: Sequence[Descriptor], platforms: Sequence[Platform]) -> list[Platform]:
    """Return the platforms that none of *children* is for."""
    return [each for each in platforms if not any(fits(one, [each]) for one in children)]


def names_of(children: Sequence[Descriptor]) -> tuple[str, ...]:
    """Return the platforms of *children* in words, each once."""
    named = {}
    for child in children:
        parts = parts_of(child)
        if parts[0] and parts[0] != UNKNOWN:
            named["/".join(filter(None, parts))] = True
    return tuple(named)


def fits(child: Descriptor, platforms: Sequence[Platform]) -> bool:
    """Say whether a manifest is for one of *platforms*."""
    parts = parts_of(child)
    return not parts[0] or any(platform.covers(*parts) for platform in platforms)


def parts_of(child: Descriptor) -> tuple[str, str, str]:
    """Return system, architecture and variant; empty where they are not told."""
    told: Any = child.value.get("platform")
    if not isinstance(told, dict):
        return "", "", ""
    return (
        str(told.get("os", "")),
        str(told.get("architecture", "")),
        str(told.get("variant", "")),
    )


def about(child: Descriptor) -> str:
    """Return the digest of the manifest that an attestation is about; empty for others."""
    annotations = child.value.get("annotations")
    return str(annotations.get(ABOUT, "")) if isinstance(annotations, dict) else ""
