"""Where a release comes from: a statement of in-toto with the provenance of SLSA."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.image.base import Package
from tests.release.sources import Release

__all__ = ["PREDICATE", "hash_file", "state_provenance"]

REPOSITORY = "https://github.com/mirrorhook/mirrorhook"
PREDICATE = "https://slsa.dev/provenance/v1"


def state_provenance(
    release: Release, files: Iterable[Path], digests: dict[str, str], packages: set[Package]
) -> dict[str, Any]:
    """Return the statement. It has no time and no number of a run, so that it is reproducible.

    Args:
        release: The release.
        files: The files of the release.
        digests: Digest of each image and chart, by its name.
        packages: The Debian packages in the images.
    """
    subjects = [{"name": path.name, "digest": {"sha256": hash_file(path)}} for path in files]
    subjects += [
        {"name": name, "digest": {"sha256": digest.removeprefix("sha256:")}}
        for name, digest in sorted(digests.items())
    ]
    source = {"uri": f"git+{REPOSITORY}", "digest": {"gitCommit": release.commit}}
    ordered = sorted(packages, key=lambda each: (each.name, each.architecture))
    materials = [
        {
            "uri": f"pkg:deb/debian/{each.name}@{each.version}?arch={each.architecture}",
            "digest": {"sha256": each.sha256},
        }
        for each in ordered
    ]
    return {
        "_type": "https://in-toto.io/Statement/v1",
        "subject": subjects,
        "predicateType": PREDICATE,
        "predicate": {
            "buildDefinition": {
                "buildType": f"{REPOSITORY}/blob/main/docs/release.md",
                "externalParameters": {
                    "command": f"make release VERSION={release.version}",
                    "destination": release.destination,
                },
                # The hashes of the Python packages are in requirements.txt of the commit.
                "resolvedDependencies": [source, *materials],
            },
            "runDetails": {"builder": {"id": name_builder()}},
        },
    }


def name_builder() -> str:
    """Return what identifies the builder: the workflow on GitHub, or a person's machine."""
    server, workflow = os.environ.get("GITHUB_SERVER_URL"), os.environ.get("GITHUB_WORKFLOW_REF")
    return f"{server}/{workflow}" if server and workflow else f"{REPOSITORY}/local"


def hash_file(path: Path) -> str:
    """Return the SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
