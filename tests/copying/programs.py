"""The engines of `mirrorhook copy`: skopeo as installed, the others built from source with Go.

    python -m tests.copying.programs

The Go module next to this file pins their versions and hashes. Programs are kept in the
user's cache, for all clones of the repository.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import sys
from pathlib import Path

from tests.tools.golang import GoMissingError, build

__all__ = ["EngineMissingError", "find_program"]

HERE = Path(__file__).parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "mirrorhook/engines")
PACKAGES = {
    "regctl": "github.com/regclient/regclient/cmd/regctl",
    "regsync": "github.com/regclient/regclient/cmd/regsync",
    "crane": "github.com/google/go-containerregistry/cmd/crane",
}


class EngineMissingError(RuntimeError):
    """A program is neither installed nor can it be built."""


def find_program(name: str) -> Path:
    """Return a program, and build it if necessary.

    Raises:
        EngineMissingError: It must be built, but Go is missing; or it is not installed.
    """
    if name not in PACKAGES:
        found = shutil.which(name)
        if found is None:
            raise EngineMissingError(f"not installed: {name}")
        return Path(found)
    pins = b"".join((HERE / file).read_bytes() for file in ("go.mod", "go.sum"))
    path = CACHE / hashlib.sha256(pins).hexdigest()[:12] / name
    path.parent.mkdir(parents=True, exist_ok=True)
    with (path.parent / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            sys.stderr.write(f"Building {name} (once, a minute) …\n")
            try:
                build(HERE, path, PACKAGES[name], "-s -w")
            except GoMissingError as error:
                raise EngineMissingError(str(error)) from None
    return path


if __name__ == "__main__":
    for each in PACKAGES:
        find_program(each)
