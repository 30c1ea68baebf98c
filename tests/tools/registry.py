"""A real registry on loopback, and tiny images to put there.

It is the registry of the distribution project, as Debian packages it
(`docker-registry`), over plain HTTP unless it is given a certificate. Images are pushed
as `OCI distribution`_ says.

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
    # The kernel chooses a port, and the log tells it.
    "http": {"addr": "127.0.0.1:0"},
}
LISTENING = re.compile(r"listening on (127\.0\.0\.1:\d+)")
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
) -> Iterator[str]:
    """Run a registry until the end of the block; an empty one, if nothing else is said.

    Args:
        folder: Where it makes a folder of its own, for its blobs and ``registry.log``.
        passwords: Lines of a file of htpasswd, with bcrypt; empty for no login.
        blobs: Another folder of blobs, which it may share with other registries.
        certificate: Its key and certificates in PEM; without them it has no TLS.

    Yields:
        Its address, for instance ``127.0.0.1:41327``; the port is a free one.

    Raises:
        RuntimeError: It did not start; the message holds its log.
    """
    if PROGRAM is None:
        raise RuntimeError("the program docker-registry is not installed")
    place = Path(tempfile.mkdtemp(prefix="registry-", dir=folder))
    storage = {"filesystem": {"rootdirectory": str(blobs or place / "blobs")}}
    settings: dict[str, Any] = {**CONFIGURATION, "storage": storage}
    if passwords:
        users = place / "htpasswd"
        users.write_text(passwords, encoding="utf-8")
        settings["auth"] = {"htpasswd": {"realm": "registry", "path": str(users)}}
    if certificate:
        pair = place / "pair.pem"
        pair.write_bytes(certificate)
        tls = {"certificate": str(pair), "key": str(pair)}
        settings["http"] = {**CONFIGURATION["http"], "tls": tls}
    configuration = place / "config.json"  # to the YAML that it reads, JSON is the same
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
    """Wait until a registry listens, and return where."""
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
    """Put an image of one small file into a registry.

    Args:
        address: The registry's ``host:port``.
        name: ``repository:tag``; the tag is ``latest`` where there is none.
        content: Text of the file; other content makes another image.
        architecture: What the image says it is for.

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
    """Put an image of some files into a registry.

    Args:
        address: The registry's ``host:port``.
        name: ``repository:tag``; the tag is ``latest`` where there is none.
        files: Content of each file by its path; all can be executed.
        command: What a container of it runs.
        architecture: What the image says it is for.
        effort: How hard to compress them; 0 for not at all.

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
    """Put the only image of an OCI layout into a registry, and return its digest.

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
    """Put an image for several architectures into a registry; its file names which.

    Args:
        address: The registry's ``host:port``.
        name: ``repository:tag``.
        architectures: What there is an image for, for instance ``amd64``.

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
    """Return the digest of some bytes, as references hold it."""
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def manifest_url(address: str, repository: str, reference: str) -> str:
    """Return where a registry has a manifest."""
    return f"http://{address}/v2/{repository}/manifests/{reference}"


def push_blob(address: str, repository: str, kind: str, data: bytes) -> dict[str, Any]:
    """Put a blob into a registry, and return its descriptor, with *kind* as media type."""
    digest = digest_of(data)
    begun = loopback.post(f"http://{address}/v2/{repository}/blobs/uploads/")
    begun.raise_for_status()
    upload = httpx.URL(begun.headers["Location"]).copy_merge_params({"digest": digest})
    loopback.put(upload, content=data).raise_for_status()
    return {"mediaType": kind, "digest": digest, "size": len(data)}


def push_manifest(address: str, repository: str, tag: str, manifest: dict[str, Any]) -> str:
    """Put a manifest into a registry under a tag, and return its digest."""
    data = json.dumps(manifest).encode()
    loopback.put(
        manifest_url(address, repository, tag),
        content=data,
        headers={"Content-Type": manifest["mediaType"]},
    ).raise_for_status()
    return digest_of(data)
