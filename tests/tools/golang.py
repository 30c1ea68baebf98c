"""
Programs in Go that ask others' own code, built once into ``.cache``.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

__all__ = ["GoMissingError", "built"]

CACHE = Path(__file__).resolve().parents[2] / ".cache/go"
SECONDS = 600


class GoMissingError(RuntimeError):
    """
    Go is not here, or what the program needs cannot be fetched.
    """


@cache
def built(folder: Path) -> Path:
    """
    Return the program of a Go module, built from what stands there now.

    Raises:
        GoMissingError: It is not built yet, and cannot be.
    """
    sources = sorted(path for path in folder.iterdir() if path.is_file())
    content = b"\0".join(path.read_bytes() for path in sources)
    program = CACHE / f"{folder.name}-{hashlib.sha256(content).hexdigest()[:16]}"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not program.exists():
            build(folder, program)
    return program


def build(folder: Path, program: Path) -> None:
    """
    Build a Go module.
    """
    go = shutil.which("go")
    if go is None:
        raise GoMissingError("the program go is not here: install Go 1.26 or newer")
    partial = program.with_suffix(".new")
    done = subprocess.run(
        [go, "build", "-trimpath", "-o", str(partial), "."],
        cwd=folder,
        env={**os.environ, "CGO_ENABLED": "0", "GOFLAGS": "-mod=readonly"},
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    if done.returncode:
        raise GoMissingError(f"go build failed: {done.stderr.strip()[-500:]}")
    partial.replace(program)
