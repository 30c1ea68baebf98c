"""
Our own image, as an OCI layout that is built when something in it has changed.
"""

from __future__ import annotations

import hashlib
import shutil
import sys
import time
from pathlib import Path

from tests.cluster.programs import CACHE
from tests.image.building import PROGRAMS, ROOT, Builder

__all__ = ["ImageMissingError", "layout"]

NAME = "localhost/mirrorhook:test"
SOURCES = ("Dockerfile", "LICENSE", "requirements.txt")


class ImageMissingError(RuntimeError):
    """
    The image cannot be built here.
    """


def layout() -> Path:
    """
    Return the folder of the layout.

    Raises:
        ImageMissingError: It has to be built, and cannot be.
    """
    images = CACHE / "image"
    folder = images / key()
    if folder.exists():
        return folder
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        raise ImageMissingError(f"our image is built with {' and '.join(missing)}")
    sys.stderr.write("Building our own image … ")
    sys.stderr.flush()
    began = time.monotonic()
    shutil.rmtree(images, ignore_errors=True)
    builder = Builder(CACHE / "buildah")
    builder.build(NAME)
    images.mkdir()
    made = images / "made"
    builder.run("push", NAME, f"oci:{made}")
    builder.run("rmi", NAME)
    made.replace(folder)
    sys.stderr.write(f"{time.monotonic() - began:.0f} s\n")
    return folder


def key() -> str:
    """
    Return what changes with the image.
    """
    digest = hashlib.sha256()
    sources = [ROOT / name for name in SOURCES] + sorted((ROOT / "webhook").rglob("*.py"))
    for path in sources:
        digest.update(f"{path.relative_to(ROOT)}\n".encode() + path.read_bytes())
    return digest.hexdigest()[:12]
