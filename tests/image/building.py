"""Builds the image of mirrorhook without a Docker daemon.

Needs root, and `buildah` and `mmdebstrap` from Debian. Instead of the usual base images, it
uses Debian's Python: with pip for the build, and without pip and shell for the result.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

__all__ = ["PROGRAMS", "Builder"]

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = ("buildah", "mmdebstrap")
PYTHON = "python3-minimal,libpython3-stdlib"
STAND_INS = {
    "localhost/stand-in:builder": f"{PYTHON},python3-pip,ca-certificates,dash",
    "localhost/stand-in:base": PYTHON,
}
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

    def build(self, name: str) -> str:
        """Build the image and return its digest."""
        for stand_in, packages in STAND_INS.items():
            if stand_in not in self.images():
                self._stand_in(stand_in, packages)
        builder, base = STAND_INS
        given = {"BASE": base, "BUILDER": builder} | {
            key: os.environ[key]
            for key in ("PIP_INDEX_URL", "PIP_TRUSTED_HOST")
            if key in os.environ
        }
        options = [f"--build-arg={key}={value}" for key, value in given.items()]
        options += ["--isolation=chroot", "--pull-never", "--no-cache", "--timestamp=0"]
        self.run("bud", *options, f"--tag={name}", ROOT)
        return json.loads(self.run("inspect", "--type=image", name))["FromImageDigest"]

    def images(self) -> dict[str, str]:
        """Return the size of each image in the store, by name."""
        found = json.loads(self.run("images", "--json") or "null") or []
        return {name: image["size"] for image in found for name in image["names"] or ()}

    def _stand_in(self, name: str, packages: str) -> None:
        """Create a base image from Debian packages."""
        folder = self.place / name.rpartition(":")[2]
        shutil.rmtree(folder, ignore_errors=True)
        run("mmdebstrap", "--variant=extract", f"--include={packages}", "bookworm", folder)
        # The scripts of the packages, which would create this file, do not run.
        trust = folder / TRUST
        trust.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(Path("/", TRUST), trust)
        container = self.run("from", "scratch")
        self.run("copy", container, folder, "/")
        self.run("commit", "--rm", container, name)
        shutil.rmtree(folder)


def run(*command: str | Path) -> str:
    """Run a program and return its output."""
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=MINUTES)
    if done.returncode:
        raise RuntimeError(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout.strip()
