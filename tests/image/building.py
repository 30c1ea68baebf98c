"""Builds the image of mirrorhook without a container engine.

Needs root, and `buildah` and `mmdebstrap` from Debian. The base image is Python from Debian
packages, without pip and a shell; `base.py` extracts it. Nothing is run on another architecture
than that of this machine.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.image.base import extract_base
from tests.tools.registry import ARCHITECTURE

__all__ = ["ARCHITECTURES", "PROGRAMS", "ROOT", "Builder"]

ROOT = Path(__file__).resolve().parents[2]
ARCHITECTURES = ("amd64", "arm64")
PROGRAMS = ("buildah", "mmdebstrap")
# Base images that another version of base.py made are not used.
VERSION = hashlib.sha256(Path(__file__).with_name("base.py").read_bytes()).hexdigest()[:12]
PIP_VARIABLES = ("PIP_INDEX_URL", "PIP_TRUSTED_HOST")
# The authorities that this machine trusts, so that pip can use its package index.
TRUST = Path("etc/ssl/certs/ca-certificates.crt")
MINUTES = 10 * 60


class Builder:
    """Builds images in a separate store.

    Args:
        place: Folder for the store.
    """

    def __init__(self, place: Path) -> None:
        self.place = place
        place.mkdir(parents=True, exist_ok=True)

    def run(self, *arguments: str | Path) -> str:
        """Run buildah and return its output."""
        store = ("--storage-driver=vfs", f"--root={self.place}/images")
        return run("buildah", *store, f"--runroot={self.place}/run", *arguments)

    def build(
        self,
        name: str,
        *,
        context: Path = ROOT,
        architecture: str = ARCHITECTURE,
        epoch: int = 0,
        **arguments: str,
    ) -> str:
        """Build the image and return its digest.

        Args:
            name: Its name in the store.
            context: Folder with the Dockerfile and the sources.
            architecture: The architecture of the image.
            epoch: The time of all its files, in seconds.
            arguments: Arguments of the Dockerfile.
        """
        given = {
            "BASE": self.base(architecture),
            "BUILDER": self.builder(),
            "BUILDPLATFORM": f"linux/{ARCHITECTURE}",
            **arguments,
        }
        given |= {key: os.environ[key] for key in PIP_VARIABLES if key in os.environ}
        options = [f"--build-arg={key}={value}" for key, value in given.items()]
        options += [f"--platform=linux/{architecture}", "--isolation=chroot"]
        options += ["--pull-never", "--no-cache", f"--timestamp={epoch}"]
        self.run("bud", *options, f"--tag={name}", context)
        return json.loads(self.run("inspect", "--type=image", name))["FromImageDigest"]

    def base(self, architecture: str) -> str:
        """Return the name of the base image for an architecture, and create it if necessary."""
        name = f"localhost/mirrorhook-base:{VERSION}-{architecture}"
        if name not in self.images():
            folder = self.place / "base"
            extract_base(folder, architecture)
            self._commit(name, folder, architecture)
        return name

    def builder(self) -> str:
        """Return the name of the image with pip, and create it if necessary."""
        name = f"localhost/mirrorhook-builder:{VERSION}"
        if name not in self.images():
            folder = self.place / "builder"
            extract_base(folder, ARCHITECTURE, "python3-pip")
            shutil.copy(Path("/", TRUST), folder / TRUST)
            self._commit(name, folder, ARCHITECTURE)
        return name

    def push(self, name: str, layout: Path, tag: str) -> str:
        """Copy an image to an OCI layout, and return its digest there."""
        digest = self.place / "digest"
        self.run("push", f"--digestfile={digest}", name, f"oci:{layout}:{tag}")
        return digest.read_text().strip()

    @contextmanager
    def mounted(self, name: str, architecture: str = ARCHITECTURE) -> Iterator[Path]:
        """Yield a folder with the files of an image in the store."""
        container = self.run("from", "--pull-never", f"--arch={architecture}", name)
        try:
            yield Path(self.run("mount", container))
        finally:
            self.run("rm", container)

    def images(self) -> dict[str, str]:
        """Return the size of each image in the store, by name."""
        found = json.loads(self.run("images", "--json") or "null") or []
        return {name: image["size"] for image in found for name in image["names"] or ()}

    def _commit(self, name: str, folder: Path, architecture: str) -> None:
        """Create an image from the files of a folder, which is removed."""
        container = self.run("from", "scratch")
        self.run("copy", container, folder, "/")
        self.run("config", f"--arch={architecture}", container)
        self.run("commit", "--rm", "--timestamp=0", container, name)
        shutil.rmtree(folder)


def run(*command: str | Path) -> str:
    """Run a program and return its output."""
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=MINUTES)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout.strip()
