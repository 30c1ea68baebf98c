"""Builds a release into `dist/`, and publishes it: `make release VERSION=1.2.3`.

Image and chart are pushed if there is a destination, and signed if there is a key or an identity.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import click

from tests.cluster.packages import missing
from tests.image.building import PROGRAMS, ROOT
from tests.release.building import SUMS, build_release
from tests.release.publishing import publish_release
from tests.release.signing import Signer
from tests.release.sources import ReleaseError, read_release


class Steps:
    """Writes what is being done, with the time since the start."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def __call__(self, what: str) -> None:
        click.echo(f"{time.monotonic() - self._began:5.0f} s  {what}", err=True)


@click.command()
@click.argument("version")
@click.option("--push", default="", metavar="REGISTRY/PATH", help="Where to push image and chart.")
@click.option("--key", default="", help="Key of cosign to sign with.")
@click.option("--identity", is_flag=True, help="Sign with the identity of the workflow or person.")
@click.option(
    "--dist", type=click.Path(path_type=Path), default=ROOT / "dist", help="Folder for the files."
)
def main(version: str, push: str, key: str, dist: Path, *, identity: bool) -> None:
    """Build a release, and publish it."""
    needed = sorted(set(PROGRAMS) & set(missing()))
    if needed or os.geteuid() != 0:
        sys.exit(f"needs root, and from Debian: {' '.join(PROGRAMS)}")
    step = Steps()
    try:
        release = read_release(version, push)
        shutil.rmtree(dist, ignore_errors=True)
        dist.mkdir(parents=True)
        with tempfile.TemporaryDirectory(prefix="mirrorhook-release-") as folder:
            built = build_release(release, dist, Path(folder), step)
            signer = Signer(Path(folder), key) if key or identity else None
            if signer:
                signer.sign_file(dist / SUMS)
            if push:
                publish_release(built, signer, step)
    except (ReleaseError, RuntimeError) as error:
        sys.exit(f"{error}")
    for path in sorted(dist.iterdir()):
        click.echo(f"{path.stat().st_size:>12,}  {os.path.relpath(path)}")
    click.echo(f"{release.image}@{built.digests['index']}")
    click.echo(f"{release.chart}@{built.digests['chart']}")


if __name__ == "__main__":
    main()
