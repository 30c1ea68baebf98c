"""Referrers in a registry: the API of OCI 1.1, and the tags that stand in for it (`spec`_).

.. _spec: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#listing-referrers
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from webhook.transfer.content import INDEX, descriptors, parse_manifest

if TYPE_CHECKING:
    from webhook.transfer.content import Descriptor
    from webhook.transfer.line import Line

__all__ = ["listed", "referrers_tag"]

OK: Final = 200
# A registry that has no end of pages would not let us come to ours.
MAX_PAGES: Final = 64


def referrers_tag(digest: str) -> str:
    """Return the tag of the index that lists the referrers of a digest."""
    algorithm, _, encoded = digest.partition(":")
    return f"{algorithm[:32]}-{encoded[:64]}"


async def listed(line: Line, digest: str) -> list[Descriptor] | None:
    """Ask the API; None where a registry does not have it.

    Raises:
        TransferError: There is no answer, or one that another attempt may better.
    """
    found: list[Descriptor] = []
    to = f"referrers/{digest}"
    for _ in range(MAX_PAGES):
        reply = await line.fetch("GET", to, {"Accept": INDEX})
        kind = reply.headers.get("Content-Type", "").partition(";")[0].strip()
        if reply.status != OK or kind != INDEX:
            failure = line.refused("GET", to, reply)
            if failure.is_transient:
                raise failure
            return None
        index = parse_manifest(reply.body, INDEX, "", line.what("GET", to))
        found += descriptors(index.value.get("manifests"))
        if not reply.following:
            break
        to = reply.following
    return found
