"""The sources of a release: the files that Git tracks, with its version in them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.image.building import ROOT

__all__ = ["Release", "ReleaseError", "read_release", "stage_sources"]

# Versions that are valid for a chart and, in another spelling, for a Python package.
VERSION = re.compile(r"\d+\.\d+\.\d+(-rc\.\d+)?")
DESTINATION = "ghcr.io/mirrorhook"


class ReleaseError(Exception):
    """The release cannot be built."""


@dataclass(frozen=True, slots=True)
class Release:
    """What is released.

    Attributes:
        version: Its version.
        commit: The commit that it is built from.
        epoch: The time of the commit, which all files get.
        destination: Where image and chart are published, as ``registry/path``.
    """

    version: str
    commit: str
    epoch: int
    destination: str = DESTINATION

    @property
    def image(self) -> str:
        """The name of the image, without a tag."""
        return f"{self.destination}/mirrorhook"

    @property
    def chart(self) -> str:
        """The name of the chart in the registry, without a tag."""
        return f"{self.destination}/charts/mirrorhook"

    @property
    def is_prerelease(self) -> bool:
        return "-" in self.version


def read_release(version: str, destination: str = "") -> Release:
    """Return the release of a version from the current commit.

    Args:
        version: Its version.
        destination: Where it will be published; by default it is not, and names the usual place.

    Raises:
        ReleaseError: The version is malformed, or there are changes that are not committed.
    """
    if not VERSION.fullmatch(version):
        raise ReleaseError(f"VERSION={version!r} is not like 1.2.3 or 1.2.3-rc.1")
    if destination and _run_git("status", "--porcelain", "--untracked-files=no"):
        raise ReleaseError("commit the changes first: what is published must be in a commit")
    commit, epoch = _run_git("log", "-1", "--format=%H %ct").split()
    return Release(version, commit, int(epoch), destination.strip("/") or DESTINATION)


def stage_sources(release: Release, folder: Path) -> None:
    """Copy the sources of a release, with its version and destination in them."""
    for name in filter(None, _run_git("ls-files", "-z").split("\0")):
        source, target = ROOT / name, folder / name
        if source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
            target.chmod(0o755 if os.access(source, os.X_OK) else 0o644)
    registry, _, path = release.image.partition("/")
    prerelease = str(release.is_prerelease).lower()
    _replace(folder / "webhook/__init__.py", r'__version__ = "(.+)"', release.version)
    chart = folder / "charts/mirrorhook"
    _replace(chart / "Chart.yaml", r"version: (.+)", release.version)
    _replace(chart / "Chart.yaml", r"appVersion: (.+)", release.version)
    _replace(chart / "Chart.yaml", r"      image: (.+)", f"{release.image}:{release.version}")
    _replace(chart / "Chart.yaml", r'  artifacthub\.io/prerelease: "(.+)"', prerelease)
    _replace(chart / "values.yaml", r"  registry: (ghcr\.io)", registry)
    _replace(chart / "values.yaml", r"  repository: (mirrorhook/mirrorhook)", path)
    for place in (folder, *folder.rglob("*")):
        os.utime(place, (release.epoch, release.epoch))


def _replace(file: Path, line: str, value: str) -> None:
    """Replace the group of the only line that matches."""
    text = file.read_text(encoding="utf-8")
    (found,) = re.finditer(f"^{line}$", text, re.MULTILINE)
    start, end = found.span(1)
    file.write_text(text[:start] + value + text[end:], encoding="utf-8")


def _run_git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise ReleaseError(f"a release needs the Git repository: {done.stderr.strip()}")
    return done.stdout.strip()
