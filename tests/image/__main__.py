"""
Build the image without a Docker daemon, twice: `python -m tests.image`.

It takes root, and `buildah` and `mmdebstrap` from Debian. Debian's Python stands in for
the base image: with pip to build, and without pip and shell to run.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PLACE = ROOT / ".cache/image"
PROGRAMS = ("buildah", "mmdebstrap")
PYTHON = "python3-minimal,libpython3-stdlib"
STAND_INS = {
    "localhost/stand-in:builder": f"{PYTHON},python3-pip,ca-certificates,dash",
    "localhost/stand-in:base": PYTHON,
}
NAME = "localhost/mirrorhook:check"
TRUST = Path("etc/ssl/certs/ca-certificates.crt")
MINUTES = 10 * 60


def run(*command: str | Path) -> str:
    """
    Run a program, and return what it writes.
    """
    done = subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=MINUTES
    )
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stdout}{done.stderr}")
    return done.stdout.strip()


def buildah(*arguments: str | Path) -> str:
    """
    Run buildah with images of our own.
    """
    store = ["--storage-driver=vfs", f"--root={PLACE}/images", f"--runroot={PLACE}/run"]
    return run("buildah", *store, *arguments)


def stand_in(name: str, packages: str) -> None:
    """
    Make a base image of packages of Debian.
    """
    folder = PLACE / name.rpartition(":")[2]
    shutil.rmtree(folder, ignore_errors=True)
    run("mmdebstrap", "--variant=extract", f"--include={packages}", "bookworm", folder)
    # Nobody has run the scripts of the packages, which would have gathered these.
    trust = folder / TRUST
    trust.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(Path("/", TRUST), trust)
    container = buildah("from", "scratch")
    buildah("copy", container, folder, "/")
    buildah("commit", "--rm", container, name)


def build() -> str:
    """
    Build the image, and return its digest.
    """
    builder, base = STAND_INS
    given = {"BASE": base, "BUILDER": builder} | {
        name: os.environ[name]
        for name in ("PIP_INDEX_URL", "PIP_TRUSTED_HOST")
        if name in os.environ
    }
    options = [f"--build-arg={key}={value}" for key, value in given.items()]
    options += ["--isolation=chroot", "--pull-never", "--no-cache", "--timestamp=0"]
    buildah("bud", *options, f"--tag={NAME}", ROOT)
    return json.loads(buildah("inspect", "--type=image", NAME))["FromImageDigest"]


def main() -> None:
    """
    Check what can be checked here.
    """
    missing = [program for program in PROGRAMS if shutil.which(program) is None]
    if missing or os.geteuid() != 0:
        sys.exit(f"needs root, and from Debian: {' '.join(PROGRAMS)}")
    PLACE.mkdir(parents=True, exist_ok=True)
    try:
        print(checked())
    finally:
        shutil.rmtree(PLACE)


def checked() -> str:
    """
    Say what was built, after it has been compared and run.
    """
    for name, packages in STAND_INS.items():
        stand_in(name, packages)
    digests = {build() for _ in range(2)}
    if len(digests) != 1:
        sys.exit(f"two builds, two images: {digests}")
    container = buildah("from", "--pull-never", NAME)
    said = buildah(
        "run",
        "--isolation=chroot",
        container,
        "--",
        "python3",
        "-m",
        "webhook",
        "--version",
    )
    size = next(
        image["size"]
        for image in json.loads(buildah("images", "--json"))
        if NAME in image["names"]
    )
    buildah("rm", container)
    return f"{said}: {digests.pop()} twice, {size} with its base"


if __name__ == "__main__":
    main()
