"""Signs by cosign: with a key, or with the identity of a workflow or a person.

A signature by an identity is recorded in the public log of Sigstore. One by a key is not, so that
it needs no network except the registry; its password is in `COSIGN_PASSWORD`.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

from tests.cluster.programs import COSIGN, program

__all__ = ["Signer", "run_cosign"]

# No log and no timestamps.
NO_SERVICES = {"mediaType": "application/vnd.dev.sigstore.signingconfig.v0.2+json"}


class Signer:
    """Signs files and what is in a registry.

    Args:
        work: Folder for the configuration.
        key: The key, a file or what else cosign accepts; empty for an identity.
    """

    def __init__(self, work: Path, key: str = "") -> None:
        self._options = ["--yes"]
        if key:
            configuration = work / "signing-config.json"
            configuration.write_text(json.dumps(NO_SERVICES))
            self._options += [f"--key={key}", f"--signing-config={configuration}"]

    def sign(self, name: str) -> None:
        """Sign an image, with those for each architecture, or a chart, by its digest."""
        run_cosign("sign", *self._options, "--recursive", name)

    def attest(self, name: str, kind: str, predicate: Path) -> None:
        """Attach a signed statement about an image or a chart."""
        run_cosign("attest", *self._options, f"--type={kind}", f"--predicate={predicate}", name)

    def sign_file(self, file: Path) -> Path:
        """Sign a file, and return the bundle next to it."""
        bundle = file.with_name(f"{file.name}.sigstore.json")
        run_cosign("sign-blob", *self._options, f"--bundle={bundle}", file)
        return bundle


def run_cosign(*arguments: str | Path) -> str:
    """Run cosign and return its output."""
    done = subprocess.run(
        [program("cosign", COSIGN), *arguments],
        env={"COSIGN_PASSWORD": ""} | os.environ,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"cosign {' '.join(map(str, arguments))}\n{done.stderr}")
    return done.stdout
