"""A real registry on loopback, and tiny images to push to it.

This is the registry of the distribution project, from Debian
(`docker-registry`). It uses plain HTTP unless it has a certificate. Images are pushed
according to `OCI distribution`_.

.. _OCI distribution: https://github.com/opencontainers/distribution-spec/blob/main/spec.md
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import platform
import re
import shutil
import subprocess
import tarfile
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx

from tests.tools import loopback

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "ARCHITECTURE",
    "PROGRAM",
    "push_files",
    "push_image",
    "push_index",
    "push_layout",
    "registry",
]

PROGRAM = shutil.which("docker-registry")
ARCHITECTURE = {"x86_64": "amd64", "aarch64": "arm64"}.get(platform.machine(), platform.machine())

CONFIGURATION: dict[str, Any] = {
    "version": "0.1",
    "log": {"level": "info", "formatter": "json"},
}
LISTENING = re.compile(r"listening on ([\d.]+:\d+)")
START = 10.0

IMAGE = "application/vnd.oci.image."
INDEX, MANIFEST = f"{IMAGE}index.v1+json", f"{IMAGE}manifest.v1+json"
ACCEPTED = {"Accept": f"{MANIFEST}, {INDEX}"}
CONFIG, LAYER = f"{IMAGE}config.v1+json", f"{IMAGE}layer.v1.tar+gzip"


@contextmanager
def registry(
    folder: Path,
    *,
    passwords: str = "",
    blobs: Path | None = None,
    certificate: bytes = b"",
    listen: str = "127.0.0.1:0",
) -> Iterator[str]:
    """Run a registry until the end of the block. By default it is empty.

    Args:
        folder: Folder for a new folder with its blobs and ``registry.log``.
        passwords: Lines of an htpasswd file with bcrypt hashes; empty for no authentication.
        blobs: Another folder for its blobs, which registries can share.
        certificate: Its key and certificates in PEM; empty for plain HTTP.
        listen: Where it listens. For port 0, the kernel chooses one.

    Yields:
        Its address, for example ``127.0.0.1:41327``.

    Raises:
        RuntimeError: It did not start. The message contains its log.
    """
    if PROGRAM is None:
        raise RuntimeError("the program docker-registry is not installed")
    place = Path(tempfile.mkdtemp(prefix="registry-", dir=folder))
    storage = {"filesystem": {"rootdirectory": str(blobs or place / "blobs")}}
    http: dict[str, Any] = {"addr": listen}
    settings: dict[str, Any] = {**CONFIGURATION, "http": http, "storage": storage}
    if passwords:
        users = place / "htpasswd"
        users.write_text(passwords, encoding="utf-8")
        settings["auth"] = {"htpasswd": {"realm": "registry", "path": str(users)}}
    if certificate:
        pair = place / "pair.pem"
        pair.write_bytes(certificate)
        http["tls"] = {"certificate": str(pair), "key": str(pair)}
    configuration = place / "config.json"  # it reads YAML, which includes JSON
    configuration.write_text(json.dumps(settings), encoding="utf-8")
    log = place / "registry.log"
    with (
        log.open("wb") as written,
        subprocess.Popen(
            [PROGRAM, "serve", configuration], stdout=written, stderr=subprocess.STDOUT
        ) as process,
    ):
        try:
            yield address_of(process, log)
        finally:
            process.kill()


def address_of(process: subprocess.Popen[bytes], log: Path) -> str:
    """Wait until a registry listens, and return its address."""
    deadline = time.monotonic() + START
    while time.monotonic() < deadline:
        ended = process.poll() is not None
        listening = LISTENING.search(log.read_text(encoding="utf-8"))
        if listening:
            return listening[1]
        if ended:
            break
        time.sleep(0.01)
    raise RuntimeError(f"docker-registry did not start:\n{log.read_text(encoding='utf-8')}")


def push_image(
    address: str, name: str, *, content: str = "", architecture: str = ARCHITECTURE
) -> str:
    """Push an image with one small file to a registry.

    Args:
        address: The registry's ``host:port``.
        name: ``repository:tag``; the default tag is ``latest``.
        content: Text of the file. Different content gives a different image.
        architecture: Architecture in the configuration of the image.

    Returns:
        The digest of its manifest, ``sha256:…``.
    """
    files = {"content": content.encode()}
    command = ("/content",)
    return push_files(address, name, files, command=command, architecture=architecture)


def push_files(
    address: str,
    name: str,
    files: dict[str, bytes],
    *,
    command: tuple[str, ...],
    architecture: str = ARCHITECTURE,
    effort: int = 6,
) -> str:
    """Push an image with some files to a registry.

    Args:
        address: The registry's ``host:port``.
        name: ``repository:tag``; the default tag is ``latest``.
        files: Content of each file by path. All files are executable.
        command: Command of its containers.
        architecture: Architecture in the configuration of the image.
        effort: Compression level; 0 for none.

    Returns:
        The digest of its manifest, ``sha256:…``.
    """
    repository, _, tag = name.partition(":")
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as archive:
        for path, data in files.items():
            entry = tarfile.TarInfo(path)
            entry.mode, entry.size = 0o755, len(data)
            archive.addfile(entry, io.BytesIO(data))
    config = {
        "architecture": architecture,
        "os": "linux",
        "config": {"Cmd": command, "Env": ["PATH=/usr/local/bin:/usr/bin:/bin"]},
        "rootfs": {"type": "layers", "diff_ids": [digest_of(tar.getvalue())]},
    }
    manifest = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": push_blob(address, repository, CONFIG, json.dumps(config).encode()),
        "layers": [
            push_blob(address, repository, LAYER, gzip.compress(tar.getvalue(), effort, mtime=0))
        ],
    }
    return push_manifest(address, repository, tag or "latest", manifest)


def push_layout(address: str, name: str, folder: Path) -> str:
    """Push the only image of an OCI layout to a registry, and return its digest.

    Args:
        address: The registry's ``host:port``.
        name: ``repository:tag``.
        folder: Folder of the layout.
    """
    repository, _, tag = name.partition(":")

    def blob(digest: str) -> bytes:
        return (folder / "blobs" / digest.replace(":", "/")).read_bytes()

    (found,) = json.loads((folder / "index.json").read_bytes())["manifests"]
    manifest = json.loads(blob(found["digest"]))
    for each in (manifest["config"], *manifest["layers"]):
        push_blob(address, repository, each["mediaType"], blob(each["digest"]))
    return push_manifest(address, repository, tag, {"mediaType": MANIFEST} | manifest)


def push_index(address: str, name: str, architectures: tuple[str, ...]) -> str:
    """Push an image for several architectures, whose file contains the architecture.

    Args:
        address: The registry's ``host:port``.
        name: ``repository:tag``.
        architectures: Architectures of the image, for example ``amd64``.

    Returns:
        The digest of the index.
    """
    repository, _, tag = name.partition(":")
    manifests = []
    for architecture in architectures:
        one = f"{repository}:{tag}-{architecture}"
        digest = push_image(address, one, content=architecture, architecture=architecture)
        pushed = loopback.get(manifest_url(address, repository, digest), headers=ACCEPTED)
        manifests.append(
            {
                "mediaType": MANIFEST,
                "digest": digest,
                "size": len(pushed.content),
                "platform": {"architecture": architecture, "os": "linux"},
            }
        )
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": manifests}
    return push_manifest(address, repository, tag, index)


def digest_of(data: bytes) -> str:
    """Return the digest of data, in the form of references."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def manifest_url(address: str, repository: str, reference: str) -> str:
    """Return the URL of a manifest."""
    return f"http://{address}/v2/{repository}/manifests/{reference}"


def push_blob(address: str, repository: str, kind: str, data: bytes) -> dict[str, Any]:
    """Push a blob, and return its descriptor with the media type *kind*."""
    digest = digest_of(data)
    begun = loopback.post(f"http://{address}/v2/{repository}/blobs/uploads/")
    begun.raise_for_status()
    upload = httpx.URL(begun.headers["Location"]).copy_merge_params({"digest": digest})
    loopback.put(upload, content=data).raise_for_status()
    return {"mediaType": kind, "digest": digest, "size": len(data)}


def push_manifest(address: str, repository: str, tag: str, manifest: dict[str, Any]) -> str:
    """Push a manifest with a tag, and return its digest."""
    data = json.dumps(manifest).encode()
    loopback.put(
        manifest_url(address, repository, tag),
        content=data,
        headers={"Content-Type": manifest["mediaType"]},
    ).raise_for_status()
    return digest_of(data)
