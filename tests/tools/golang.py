"""Builds Go programs from modules with pinned dependencies."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
from functools import cache
from pathlib import Path

__all__ = ["GoMissingError", "build", "built"]

CACHE = Path(__file__).resolve().parents[2] / ".cache/go"
SECONDS = 1800
LEAST = (1, 26)


class GoMissingError(RuntimeError):
    """Go is missing, or cannot build a program."""


@cache
def built(folder: Path, package: str = ".") -> Path:
    """Return a program of a Go module, built from its current sources.

    Args:
        folder: The module.
        package: The package of the program in this module.

    Raises:
        GoMissingError: It must be built, but Go is missing or fails.
    """
    sources = sorted([*folder.glob("go.*"), *folder.rglob("*.go")])
    content = b"\0".join(path.read_bytes() for path in sources)
    name = (folder / package).name
    program = CACHE / f"{name}-{hashlib.sha256(content).hexdigest()[:16]}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            build(folder, program, package)
    return program


def build(folder: Path, program: Path, package: str = ".", flags: str = "") -> None:
    """Build a program.

    Args:
        folder: The module that pins the dependencies.
        program: Path of the new program.
        package: The package of the program.
        flags: Linker flags.

    Raises:
        GoMissingError: Go is missing, or cannot build the program.
    """
    partial = program.with_name(f"{program.name}.{os.getpid()}")
    done = subprocess.run(
        [go(), "build", "-trimpath", "-ldflags", flags, "-o", str(partial), package],
        cwd=folder,
        env=os.environ | {"CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly -buildvcs=false"},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    if done.returncode:
        reason = done.stderr.strip()[-2000:]
        raise GoMissingError(f"go build {package} failed: {reason}")
    partial.replace(program)


def go() -> str:
    """Return the path of the go command, if it is new enough."""
    need = "Go {}.{} or newer".format(*LEAST)
    found = shutil.which("go")
    if found is None:
        raise GoMissingError(f"{need} is required, but is not on the PATH")
    output = subprocess.run([found, "version"], capture_output=True, text=True, check=True)
    version = re.search(r"go(\d+)\.(\d+)", output.stdout)
    if version is None or (int(version[1]), int(version[2])) < LEAST:
        raise GoMissingError(f"{need} is required, but found {output.stdout.strip()}")
    return found
