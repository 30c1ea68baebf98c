"""Manifests and descriptors (`OCI image`_): pure.

.. _OCI image: https://github.com/opencontainers/image-spec/blob/main/manifest.md
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from webhook.core.reference import is_digest
from webhook.registry.responses import MEDIA_TYPES
from webhook.transfer.errors import WrongContentError

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = [
    "INDEX",
    "Descriptor",
    "Manifest",
    "descriptors",
    "digest_of",
    "index_of",
    "parse_manifest",
]

INDEX: Final = "application/vnd.oci.image.index.v1+json"
MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
EMPTY_TYPE: Final = "application/vnd.oci.empty.v1+json"


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What names a piece of content.

    Attributes:
        media_type: What it is.
        digest: Its digest.
        size: Its bytes.
        value: The descriptor as it was written.
    """

    media_type: str
    digest: str
    size: int
    value: dict[str, Any] = field(default_factory=dict, compare=False)

    @property
    def is_elsewhere(self) -> bool:
        """Whether it may not be distributed: its layer is fetched from the addresses in it."""
        return bool(self.value.get("urls")) and (
            "foreign" in self.media_type or "nondistributable" in self.media_type
        )


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest or an index.

    Attributes:
        content: Its bytes, of which the digest is.
        media_type: What it is.
        digest: Its digest.
        value: The content as JSON.
    """

    content: bytes
    media_type: str
    digest: str
    value: dict[str, Any] = field(compare=False)

    @property
    def is_index(self) -> bool:
        """Whether it lists other manifests."""
        return isinstance(self.value.get("manifests"), list)

    @property
    def children(self) -> list[Descriptor]:
        """The manifests that an index lists."""
        return descriptors(self.value.get("manifests"))

    @property
    def config(self) -> Descriptor | None:
        """The configuration, where there is one."""
        return next(iter(descriptors([self.value.get("config")])), None)

    @property
    def blobs(self) -> list[Descriptor]:
        """Configuration and layers, each once, save those that are found elsewhere."""
        listed = descriptors([self.value.get("config")])
        listed += descriptors(self.value.get("layers"))
        distinct = {blob.digest: blob for blob in listed if not blob.is_elsewhere}
        return list(distinct.values())

    @property
    def subject(self) -> str:
        """The digest of the manifest that it is about; empty if it is about none."""
        return next((each.digest for each in descriptors([self.value.get("subject")])), "")

    def described(self) -> Descriptor:
        """Return its descriptor, as a list of referrers has it."""
        value: dict[str, Any] = {
            "mediaType": self.media_type,
            "digest": self.digest,
            "size": len(self.content),
        }
        config = self.config
        kind = self.value.get("artifactType")
        if not kind and config is not None and config.media_type != EMPTY_TYPE:
            kind = config.media_type
        if kind:
            value["artifactType"] = kind
        if self.value.get("annotations"):
            value["annotations"] = self.value["annotations"]
        return Descriptor(self.media_type, self.digest, len(self.content), value)


def digest_of(content: bytes, algorithm: str = "sha256") -> str:
    """Return the digest of some bytes."""
    return f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"


def descriptors(values: object) -> list[Descriptor]:
    """Read a list of descriptors; what is none is left out."""
    found = []
    for value in values if isinstance(values, list) else []:
        if not isinstance(value, dict):
            continue
        digest, size = value.get("digest"), value.get("size")
        if isinstance(digest, str) and is_digest(digest) and isinstance(size, int):
            found.append(Descriptor(str(value.get("mediaType", "")), digest, size, value))
    return found


def parse_manifest(content: bytes, media_type: str, wanted: str, what: str) -> Manifest:
    """Read a manifest, and check that it is the one that was asked for.

    Args:
        content: Its bytes.
        media_type: What it was called beside them, if at all; what it says itself comes
            first, which OCI does not ask for.
        wanted: The digest that it must have; empty if any will do.
        what: What the message calls it.

    Raises:
        WrongContentError: It is none, or another.
    """
    digest = digest_of(content, wanted.partition(":")[0] or "sha256")
    if wanted and digest != wanted:
        raise WrongContentError(
            f"{what}: it has the digest {digest}, and {wanted} was asked for: do not use it"
        )
    try:
        value = json.loads(content)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise WrongContentError(f"{what}: it is no manifest, as it is no JSON object")
    guessed = INDEX if "manifests" in value else MANIFEST
    kind = str(value.get("mediaType") or media_type.partition(";")[0].strip() or guessed)
    if kind not in MEDIA_TYPES:
        raise WrongContentError(f"{what}: its media type {kind!r} is that of no manifest")
    return Manifest(content, kind, digest, value)


def index_of(manifests: Iterable[Descriptor], index: Manifest | None = None) -> Manifest:
    """Return an index of some manifests.

    Args:
        manifests: What it lists.
        index: What it has in common with another; None for a new one.
    """
    kind = index.media_type if index is not None else INDEX
    value: dict[str, Any] = {"schemaVersion": 2, "mediaType": kind}
    value |= index.value if index is not None else {}
    value["manifests"] = [each.value for each in manifests]
    content = json.dumps(value, separators=(",", ":")).encode()
    return Manifest(content, kind, digest_of(content), value)
