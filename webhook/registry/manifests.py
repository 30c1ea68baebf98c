"""What a registry's answer says: the status, the manifest and its platforms, all pure.

.. _distribution: https://github.com/opencontainers/distribution-spec/blob/main/spec.md
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from webhook.core.reference import is_digest
from webhook.registry.answers import Answer, Finding

if TYPE_CHECKING:
    from collections.abc import Iterable

    from webhook.core import Platform

__all__ = ["ACCEPT", "MEDIA_TYPES", "config_of", "covered", "interpreted", "missing"]

OCI: Final = "application/vnd.oci.image."
DOCKER: Final = "application/vnd.docker.distribution.manifest."
MEDIA_TYPES: Final = (
    f"{OCI}index.v1+json",
    f"{OCI}manifest.v1+json",
    f"{DOCKER}list.v2+json",
    f"{DOCKER}v2+json",
)
ACCEPT: Final = ", ".join(MEDIA_TYPES)

OK: Final = 200
SERVER_ERRORS: Final = range(500, 600)
MEANINGS: Final = {
    401: Answer.UNAUTHORIZED,
    403: Answer.FORBIDDEN,
    404: Answer.ABSENT,
    429: Answer.LIMITED,
}


def interpreted(status: int, content_type: str, digest: str, wanted: str) -> Finding:
    """Return what the answer to a question for a manifest means.

    Args:
        status: HTTP status of the last answer, behind every redirect and login.
        content_type: Header ``Content-Type``.
        digest: Header ``Docker-Content-Digest``; empty if there is none.
        wanted: The digest that was asked for; empty if it was a tag.
    """
    if status != OK:
        failed = Answer.FAILED if status in SERVER_ERRORS else Answer.UNEXPECTED
        return Finding(MEANINGS.get(status, failed), f"HTTP {status}")
    kind = content_type.partition(";")[0].strip().lower()
    if kind not in MEDIA_TYPES:
        return Finding(Answer.PAGE, "a web page" if kind == "text/html" else "")
    told = digest if is_digest(digest) else ""
    if wanted and told and told != wanted:
        return Finding(Answer.MISMATCH, "it tells another digest than it was asked for")
    return Finding(Answer.PRESENT, digest=told or wanted)


def config_of(manifest: bytes) -> str | None:
    """Return the digest of the configuration that holds a manifest's platform.

    Returns:
        Empty where the manifest is an index; None where it is neither.
    """
    value = read(manifest)
    if isinstance(value.get("manifests"), list):
        return ""
    config = value.get("config")
    digest = config.get("digest") if isinstance(config, dict) else None
    return digest if isinstance(digest, str) and is_digest(digest) else None


def covered(document: bytes) -> list[tuple[str, str, str]]:
    """Return the platforms (system, architecture, variant) of an index or a configuration."""
    value = read(document)
    entries = value.get("manifests")
    if not isinstance(entries, list):
        return [parts(value)]
    return [
        parts(entry["platform"])
        for entry in entries
        if isinstance(entry, dict) and isinstance(entry.get("platform"), dict)
    ]


def missing(wanted: Iterable[Platform], there: Iterable[tuple[str, str, str]]) -> list[Platform]:
    """Return the wanted platforms that are not there."""
    known = [*there]
    return [each for each in wanted if not any(each.covers(*one) for one in known)]


def parts(value: dict[str, Any]) -> tuple[str, str, str]:
    """Return the three parts of a platform."""
    return (
        str(value.get("os", "")),
        str(value.get("architecture", "")),
        str(value.get("variant", "")),
    )


def read(document: bytes) -> dict[str, Any]:
    """Return a JSON object; an empty one if it is anything else."""
    try:
        value = json.loads(document)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
