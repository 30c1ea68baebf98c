"""An archive of images: a folder as an `OCI image layout`_, for where no network is.

.. _OCI image layout: https://github.com/opencontainers/image-spec/blob/main/image-layout.md
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from webhook.core import InvalidReferenceError, parse_reference
from webhook.transfer.content import Descriptor, descriptors, index_of
from webhook.transfer.errors import TransferError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from webhook.core import ImageReference
    from webhook.transfer.content import Manifest

__all__ = ["Archive", "InvalidArchiveError"]

LAYOUT: Final = {"imageLayoutVersion": "1.0.0"}
# The whole name; in `ref.name` other tools may have nothing but the tag.
FULL_NAME: Final = "io.containerd.image.name"
REF_NAME: Final = "org.opencontainers.image.ref.name"
PIECE: Final = 1024 * 1024


class InvalidArchiveError(Exception):
    """A folder that is no archive, or cannot be one; the message says why."""


class Archive:
    """A folder of images.

    Args:
        folder: Where it is.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.entries: list[Descriptor] = []

    @classmethod
    def opened(cls, folder: Path) -> Archive:
        """Return an archive that is there.

        Raises:
            InvalidArchiveError: It is none.
        """
        archive = cls(folder)
        try:
            layout = json.loads((folder / "oci-layout").read_bytes())
            index = json.loads((folder / "index.json").read_bytes())
        except OSError as error:
            problem = f"{folder} is no OCI image layout: {error.filename}: {error.strerror}"
            raise InvalidArchiveError(problem) from None
        except ValueError:
            problem = f"{folder} is no OCI image layout: its index is not JSON"
            raise InvalidArchiveError(problem) from None
        if not isinstance(index, dict) or layout != LAYOUT:
            problem = f"{folder} is no OCI image layout of version 1.0.0"
            raise InvalidArchiveError(problem)
        archive.entries = descriptors(index.get("manifests"))
        return archive

    @classmethod
    def made(cls, folder: Path) -> Archive:
        """Return an archive to write to: the one that is there, or a new one.

        Raises:
            InvalidArchiveError: The folder has something else in it, or cannot be made.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
            if any(folder.iterdir()):
                return cls.opened(folder)
            (folder / "blobs").mkdir()
            archive = cls(folder)
            archive._write_index()
            (folder / "oci-layout").write_text(json.dumps(LAYOUT), encoding="utf-8")
        except OSError as error:
            problem = f"{folder} cannot be written: {error.strerror}"
            raise InvalidArchiveError(problem) from None
        return archive

    def path(self, digest: str) -> Path:
        """Return where the content of a digest is."""
        return self.folder / "blobs" / Path(*digest.split(":"))

    def has(self, digest: str) -> bool:
        """Say whether a content is here."""
        return self.path(digest).is_file()

    def images(self) -> Iterator[tuple[ImageReference, Descriptor]]:
        """Yield the images that have a whole name, each with its manifest or index."""
        for entry in self.entries:
            annotations: Any = entry.value.get("annotations")
            told = annotations if isinstance(annotations, dict) else {}
            name = str(told.get(FULL_NAME) or told.get(REF_NAME) or "")
            if "/" not in name:
                continue
            try:
                yield parse_reference(name), entry
            except InvalidReferenceError:
                continue

    def add(self, manifest: Manifest, reference: ImageReference | None) -> None:
        """List a manifest, in the place of what had its name.

        Args:
            manifest: The manifest, which is here already.
            reference: Its name; None for a referrer, which has none.

        Raises:
            TransferError: The index cannot be written.
        """
        value = dict(manifest.described().value)
        own = value.get("annotations", {}).items()
        told = {key: text for key, text in own if key not in (FULL_NAME, REF_NAME)}
        if reference is not None:
            told |= {FULL_NAME: str(reference), REF_NAME: str(reference)}
        value["annotations"] = told
        others = [
            each
            for each, named in self._named()
            if (named != str(reference) if reference else each.digest != manifest.digest)
        ]
        entry = Descriptor(manifest.media_type, manifest.digest, len(manifest.content), value)
        self.entries = [*others, entry]
        try:
            self._write_index()
        except OSError as error:
            index = self.folder / "index.json"
            raise TransferError(f"{index}: {error.strerror}") from None

    def _named(self) -> Iterator[tuple[Descriptor, str]]:
        names = {id(entry): str(reference) for reference, entry in self.images()}
        for entry in self.entries:
            yield entry, names.get(id(entry), "")

    def read(self, digest: str) -> bytes:
        """Return a manifest.

        Raises:
            TransferError: It cannot be read.
        """
        try:
            return self.path(digest).read_bytes()
        except OSError as error:
            raise self.failure(digest, error) from None

    def write(self, digest: str, content: bytes) -> None:
        """Keep a manifest.

        Raises:
            TransferError: It cannot be written.
        """
        path = self.path(digest)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            replace(path, content)
        except OSError as error:
            raise self.failure(digest, error) from None

    def _write_index(self) -> None:
        replace(self.folder / "index.json", index_of(self.entries).content)

    def failure(self, digest: str, error: OSError) -> TransferError:
        """Return what an error of the file system means for a content."""
        return TransferError(f"{self.path(digest)}: {error.strerror}")


def replace(path: Path, content: bytes) -> None:
    """Write a file as a whole or not at all."""
    new = path.with_name(f"{path.name}.new")
    with new.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


def pieces(path: Path, offset: int = 0) -> Iterator[bytes]:
    """Yield a file from a byte on, a piece at a time.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        file.seek(offset)
        while piece := file.read(PIECE):
            yield piece
