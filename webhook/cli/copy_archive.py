"""Archives of `mirrorhook copy`: folders to carry images in."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from webhook.cli.options import SetupError
from webhook.core import InvalidReferenceError, parse_reference
from webhook.core.errors import CHECK_PATH

if TYPE_CHECKING:
    from pathlib import Path

    from webhook.core import ImageReference

__all__ = ["INCOMING", "Archive", "ArchivedImage", "InvalidArchiveError", "hash_manifest"]

# Names of images in an index of `OCI image layout`, the second one by containerd and nerdctl.
NAME: Final = "org.opencontainers.image.ref.name"
FULL_NAME: Final = "io.containerd.image.name"
# Until an image has come in whole: engines take no full names as tags.
INCOMING: Final = "mirrorhook-incoming"
ADVICE: Final = "give a folder that `mirrorhook copy --save` wrote"


class InvalidArchiveError(SetupError):
    """A folder is not an archive, or cannot be used."""


class ArchivedImage(NamedTuple):
    """An image in an archive.

    Attributes:
        reference: Its full name.
        tag: What its index calls it.
        digest: Its digest.
    """

    reference: ImageReference
    tag: str
    digest: str


class Archive:
    """A folder with an `OCI image layout`_, whose images have full names.

    Args:
        folder: The folder.

    .. _OCI image layout:
       https://github.com/opencontainers/image-spec/blob/main/image-layout.md
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.absolute()
        self._index = self.folder / "index.json"

    def create(self) -> None:
        """Create the folder, unless it exists.

        Raises:
            InvalidArchiveError: It cannot be created.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            problem = f"{self.folder} cannot be created: {error.strerror}; {CHECK_PATH}"
            raise InvalidArchiveError(problem) from None

    def list_images(self) -> list[ArchivedImage]:
        """Return the images that have a full name.

        Raises:
            InvalidArchiveError: The folder is not an OCI image layout.
        """
        images = []
        for entry in self._read()["manifests"]:
            notes = entry.get("annotations") or {}
            tag = notes.get(NAME, "")
            for name in (notes.get(FULL_NAME), tag):
                try:
                    reference = parse_reference(name or "")
                except InvalidReferenceError:
                    continue
                if str(reference) == name:
                    images.append(ArchivedImage(reference, tag, entry["digest"]))
                    break
        return images

    def adopt(self, reference: ImageReference) -> str:
        """Give the image that has come in its full name, and return its digest.

        Raises:
            InvalidArchiveError: The index cannot be read or written.
        """
        index = self._read()
        name, digest, kept = str(reference), "", []
        for entry in index["manifests"]:
            notes = entry.setdefault("annotations", {})
            if notes.get(NAME) == INCOMING:
                notes[NAME], digest = name, entry["digest"]
            elif notes.get(NAME) == name:
                continue
            kept.append(entry)
        partial = self._index.with_suffix(".partial")
        try:
            partial.write_text(json.dumps({**index, "manifests": kept}))
            partial.replace(self._index)
        except OSError as error:
            problem = f"{self._index} cannot be written: {error.strerror}; {CHECK_PATH}"
            raise InvalidArchiveError(problem) from None
        return digest

    def has(self, reference: ImageReference, digest: str) -> bool:
        """Return whether it has an image of this name and digest."""
        if not self._index.exists():
            return False
        wanted = (reference, digest)
        is_listed = any((image.reference, image.digest) == wanted for image in self.list_images())
        try:
            manifest = (self.folder / "blobs" / digest.replace(":", "/")).read_bytes()
        except OSError:
            return False
        return is_listed and hash_manifest(manifest) == digest

    def _read(self) -> dict[str, Any]:
        try:
            index = json.loads(self._index.read_bytes())
            if all(isinstance(each["digest"], str) for each in index["manifests"]):
                return dict(index)
        except OSError as error:
            raise InvalidArchiveError(f"{self._index}: {error.strerror}; {ADVICE}") from None
        except (ValueError, TypeError, KeyError):
            pass
        raise InvalidArchiveError(
            f"{self._index} is not the index of an OCI image layout; {ADVICE}"
        )


def hash_manifest(manifest: bytes) -> str:
    """Return the digest of a manifest."""
    return f"sha256:{hashlib.sha256(manifest).hexdigest()}"
