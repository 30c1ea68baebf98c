"""Build the image without a Docker daemon, twice: `python -m tests.image`."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

from tests.image.building import PROGRAMS, Builder

NAME = "localhost/mirrorhook:check"
# Imports all that it uses, so that a wheel for another Python or platform does not go unnoticed.
IMPORTS = ("webhook.server", "webhook.kube.cluster", "webhook.kube.client", "webhook.cli.serve")
COMMAND = ("python3", "-c", f"import webhook, {', '.join(IMPORTS)}; print(webhook.__version__)")


def main() -> None:
    """Build the image twice, compare the builds and run it."""
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing or os.geteuid() != 0:
        sys.exit(f"needs root, and from Debian: {' '.join(PROGRAMS)}")
    with tempfile.TemporaryDirectory(prefix="mirrorhook-image-") as folder:
        print(check_image(Builder(Path(folder))))


def check_image(builder: Builder) -> str:
    """Build the image twice, compare the builds, run it, and return a summary."""
    digests = {builder.build(NAME) for _ in range(2)}
    if len(digests) != 1:
        sys.exit(f"two builds gave different images: {digests}")
    container = builder.run("from", "--pull-never", NAME)
    output = builder.run("run", "--isolation=chroot", container, "--", *COMMAND)
    builder.run("rm", container)
    size = builder.images()[NAME]
    return f"mirrorhook {output}: two builds gave {digests.pop()}, {size} with the base image"


if __name__ == "__main__":
    main()
