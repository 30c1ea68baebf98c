"""OCI layouts: the image for all architectures in one, and one as an archive."""

from __future__ import annotations

import hashlib
import json
import shutil
import tarfile
from pathlib import Path
from typing import Any

__all__ = ["INDEX", "archive_layout", "combine_platforms"]

INDEX = "application/vnd.oci.image.index.v1+json"


def combine_platforms(
    layout: Path, name: str, tag: str, annotations: dict[str, str]
) -> dict[str, str]:
    """Replace the images of a layout, one for each architecture, by one index of all.

    Args:
        layout: A layout whose tags are architectures.
        name: Name of the image, which programs that load the layout give it.
        tag: Its tag.
        annotations: Annotations of the index.

    Returns:
        The digests of the images by architecture, and that of the index as ``index``.
    """
    found = json.loads((layout / "index.json").read_bytes())["manifests"]
    manifests, digests = [], {}
    for each in sorted(found, key=read_tag):
        digests[read_tag(each)] = each["digest"]
        platform = {"architecture": read_tag(each), "os": "linux"}
        fields = {key: each[key] for key in ("mediaType", "digest", "size")}
        manifests.append(fields | {"platform": platform})
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}
    data = json.dumps(index | {"annotations": annotations}).encode()
    digest = hashlib.sha256(data).hexdigest()
    (layout / "blobs/sha256" / digest).write_bytes(data)
    entry = {
        "mediaType": INDEX,
        "digest": f"sha256:{digest}",
        "size": len(data),
        # The first is for OCI programs, the second for containerd and Docker.
        "annotations": {
            "org.opencontainers.image.ref.name": tag,
            "io.containerd.image.name": f"{name}:{tag}",
        },
    }
    top = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]}
    (layout / "index.json").write_text(json.dumps(top))
    return digests | {"index": entry["digest"]}


def read_tag(descriptor: dict[str, Any]) -> str:
    return descriptor["annotations"]["org.opencontainers.image.ref.name"]


def archive_layout(layout: Path, file: Path, epoch: int) -> None:
    """Write a layout to an archive, which is the same each time."""

    def normalize(entry: tarfile.TarInfo) -> tarfile.TarInfo:
        entry.uid = entry.gid = 0
        entry.uname = entry.gname = ""
        entry.mtime = epoch
        entry.mode = 0o755 if entry.isdir() else 0o644
        return entry

    with tarfile.open(file, "w", format=tarfile.PAX_FORMAT) as archive:
        for path in sorted(layout.rglob("*")):
            name = str(path.relative_to(layout))
            archive.add(path, name, recursive=False, filter=normalize)
    shutil.rmtree(layout / "tmp", ignore_errors=True)
