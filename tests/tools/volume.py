"""A mounted ConfigMap or Secret, as the kubelet writes it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

__all__ = ["mount"]


def mount(folder: Path, version: str, files: Mapping[str, bytes]) -> None:
    """Write files to a folder, and replace those of the version before at once."""
    content = folder / f"..{version}"
    content.mkdir(parents=True)
    for name, data in files.items():
        (content / name).write_bytes(data)
        if not (folder / name).is_symlink():
            (folder / name).symlink_to(f"..data/{name}")
    (folder / "..next").symlink_to(content.name)
    (folder / "..next").replace(folder / "..data")
