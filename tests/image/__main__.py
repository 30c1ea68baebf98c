"""Build the image without a Docker daemon, twice: `python -m tests.image`."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from pathlib import Path

from tests.image.building import PROGRAMS, Builder

NAME = "localhost/mirrorhook:check"
COMMAND = ("python3", "-m", "webhook", "--version")


def main() -> None:
    """Check what can be checked here."""
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing or os.geteuid() != 0:
        sys.exit(f"needs root, and from Debian: {' '.join(PROGRAMS)}")
    with tempfile.TemporaryDirectory(prefix="mirrorhook-image-") as folder:
        print(checked(Builder(Path(folder))))


def checked(builder: Builder) -> str:
    """Say what was built, after it has been compared and run."""
    digests = {builder.build(NAME) for _ in range(2)}
    if len(digests) != 1:
        sys.exit(f"two builds, two images: {digests}")
    container = builder.run("from", "--pull-never", NAME)
    said = builder.run("run", "--isolation=chroot", container, "--", *COMMAND)
    builder.run("rm", container)
    return f"{said}: {digests.pop()} twice, {builder.images()[NAME]} with its base"


if __name__ == "__main__":
    main()
