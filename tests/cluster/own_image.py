"""The image of mirrorhook as an OCI layout, rebuilt when its sources change."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import sys
import time
from pathlib import Path

from tests.cluster.programs import CACHE
from tests.image.building import PROGRAMS, ROOT, Builder

__all__ = ["ImageMissingError", "layout"]

NAME = "localhost/mirrorhook:test"
KEPT = 3
SOURCES = ("Dockerfile", "LICENSE", "requirements.txt", "tests/image/base.py")


class ImageMissingError(RuntimeError):
    """The image cannot be built here."""


def layout() -> Path:
    """Return the folder of the layout.

    Raises:
        ImageMissingError: It must be built, but the required programs are missing.
    """
    folder = CACHE / "image" / key()
    if folder.exists():
        return folder
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        raise ImageMissingError(f"the image needs these programs to build: {', '.join(missing)}")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (CACHE / "image.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            build(folder)
    return folder


def build(folder: Path) -> None:
    """Build the image into a folder, and remove all but the latest few builds."""
    sys.stderr.write("Building the image of mirrorhook … ")
    sys.stderr.flush()
    began = time.monotonic()
    builder = Builder(CACHE / "buildah")
    builder.build(NAME)
    made = folder.with_suffix(".made")
    builder.run("push", NAME, f"oci:{made}")
    builder.run("rmi", NAME)
    made.replace(folder)
    latest = sorted(folder.parent.iterdir(), key=lambda path: path.stat().st_mtime)
    for old in latest[:-KEPT]:
        shutil.rmtree(old)
    sys.stderr.write(f"{time.monotonic() - began:.0f} s\n")


def key() -> str:
    """Return a hash of the sources of the image."""
    digest = hashlib.sha256()
    sources = [ROOT / name for name in SOURCES] + sorted((ROOT / "webhook").rglob("*.py"))
    for path in sources:
        digest.update(f"{path.relative_to(ROOT)}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:12]
