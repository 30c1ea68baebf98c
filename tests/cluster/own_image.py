"""The image of mirrorhook as an OCI layout, rebuilt when its sources change."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import time
from pathlib import Path

from tests.cluster.programs import CACHE
from tests.image.building import PROGRAMS, ROOT, Builder

__all__ = ["ImageMissingError", "export", "layout"]

NAME = "localhost/mirrorhook:test"
KEPT = 3
SOURCES = ("Dockerfile", "LICENSE", "requirements.txt", "tests/image/base.py")


class ImageMissingError(RuntimeError):
    """The image cannot be built here."""


def layout(commit: str = "") -> Path:
    """Return the folder of the layout.

    Args:
        commit: An earlier commit to build; empty for the current sources.

    Raises:
        ImageMissingError: It must be built, but the required programs or the commit are missing.
    """
    folder = CACHE / ("image" if not commit else "earlier-image") / (commit or key())
    if folder.exists():
        return folder
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing:
        raise ImageMissingError(f"the image needs these programs to build: {', '.join(missing)}")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (CACHE / "image.lock").open("w") as lock, tempfile.TemporaryDirectory() as sources:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            context = ROOT if not commit else export(commit, Path(sources))
            build(folder, context)
    return folder


def export(commit: str, folder: Path) -> Path:
    """Write the files of a commit to a folder, and return it.

    Raises:
        ImageMissingError: The commit is missing, as in a shallow clone.
    """
    archive = folder.parent / f"{folder.name}.tar"
    try:
        command = ("git", "archive", f"--output={archive}", commit)
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if done.returncode:
            raise ImageMissingError(f"commit {commit} is missing: git fetch --unshallow")
        with tarfile.open(archive) as opened:
            opened.extractall(folder, filter="data")
    finally:
        archive.unlink(missing_ok=True)
    return folder


def build(folder: Path, context: Path) -> None:
    """Build the image into a folder, and remove all but the latest few builds."""
    sys.stderr.write("Building the image of mirrorhook … ")
    sys.stderr.flush()
    began = time.monotonic()
    builder = Builder(CACHE / "buildah")
    builder.build(NAME, context=context)
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
