"""The plugin of kubectl: its archive, and the manifest by which krew installs it."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

from tests.release.provenance import hash_file
from tests.release.sources import Release

__all__ = ["ARCHIVE", "KREW", "package_plugin"]

ARCHIVE = "kubectl-mirrorhook.tar.gz"
KREW = "krew.yaml"
FILES = {"kubectl-mirrorhook": "manifests/krew/kubectl-mirrorhook", "LICENSE": "LICENSE"}
# What the manifest in the repository has in the place of version and checksum.
VERSION = "v0.1.0"
CHECKSUM = "0" * 64


def package_plugin(release: Release, sources: Path, folder: Path) -> None:
    """Write the archive, the same for the same commit, and the manifest that names it."""
    archive = folder / ARCHIVE
    with (
        archive.open("wb") as file,
        gzip.GzipFile("", "wb", fileobj=file, mtime=release.epoch) as packed,
        tarfile.open(fileobj=packed, mode="w") as tar,
    ):
        for name, path in FILES.items():
            content = (sources / path).read_bytes()
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime = len(content), release.epoch
            entry.mode = 0o755 if name.startswith("kubectl") else 0o644
            tar.addfile(entry, io.BytesIO(content))
    manifest = (sources / "manifests/krew/mirrorhook.yaml").read_text()
    named = manifest.replace(VERSION, f"v{release.version}")
    (folder / KREW).write_text(named.replace(CHECKSUM, hash_file(archive)))
