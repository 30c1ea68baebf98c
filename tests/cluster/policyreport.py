"""The CustomResourceDefinition of PolicyReport, as Kyverno distributes it.

The module that the working group keeps is not on the Go module proxy; that of Kyverno has an
unchanged copy.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.cluster.programs import CACHE
from tests.tools.golang import GoMissingError, go

__all__ = ["definition"]

MODULE = "github.com/kyverno/kyverno@v1.11.4"
SUM = "h1:HFBGzkgm1eLbPgIQJcZ7EQsDA98hvZ4TgzGdKggo4Hk="
FILE = "config/crds/wgpolicyk8s.io_policyreports.yaml"


def definition() -> Path:
    """Return the path of the definition, and download it if necessary.

    Raises:
        GoMissingError: It must be downloaded, but Go is missing or fails.
    """
    path = CACHE / "policyreport" / f"{MODULE.partition('@')[2]}.yaml"
    if path.exists():
        return path
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        done = subprocess.run(
            [go(), "mod", "download", "-modcacherw", "-json", MODULE],
            cwd=folder,
            env=os.environ | {"GOMODCACHE": folder, "GOFLAGS": ""},
            capture_output=True,
            text=True,
            check=False,
        )
        found = json.loads(done.stdout or "{}")
        if done.returncode or found.get("Sum") != SUM:
            raise GoMissingError(f"{MODULE} cannot be downloaded: {found.get('Error')}")
        copied = shutil.copy(Path(found["Dir"], FILE), folder)
        Path(copied).replace(path)
    return path
