"""Programs in Go, built from what a module pins."""

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
    """Go is not here, or what the program needs cannot be fetched."""


@cache
def built(folder: Path, package: str = ".") -> Path:
    """Return a program of a Go module, built from what stands there now.

    Args:
        folder: The module.
        package: The program's package in it.

    Raises:
        GoMissingError: It is not built yet, and cannot be.
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
        folder: The module that pins what it is built from.
        program: Where it is put.
        package: Its package.
        flags: Flags of the linker.

    Raises:
        GoMissingError: There is no Go here, or it cannot build the program.
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
    """Return the program go, which is new enough."""
    need = "Go {}.{} or newer".format(*LEAST)
    found = shutil.which("go")
    if found is None:
        raise GoMissingError(f"{need} is needed, and there is none on the PATH")
    said = subprocess.run([found, "version"], capture_output=True, text=True, check=True)
    version = re.search(r"go(\d+)\.(\d+)", said.stdout)
    if version is None or (int(version[1]), int(version[2])) < LEAST:
        raise GoMissingError(f"{need} is needed, and here is {said.stdout.strip()}")
    return found
