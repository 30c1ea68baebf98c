"""Software bills of materials in CycloneDX: of the wheel, and of the image by architecture."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from packageurl import PackageURL

from tests.image.base import SUITE, read_packages
from tests.release.sources import Release

__all__ = ["describe_image", "describe_wheel"]


def describe_wheel(release: Release, sources: Path) -> dict[str, Any]:
    """Return the bill of the wheel: its dependencies, in the versions that are locked."""
    command = [sys.executable, "-m", "cyclonedx_py", "requirements", "requirements.txt"]
    command += ["--pyproject=pyproject.toml", "--mc-type=application", "--output-reproducible"]
    done = subprocess.run(command, cwd=sources, capture_output=True, text=True, check=True)
    bill = json.loads(done.stdout)
    # The version is not in pyproject.toml.
    component = bill["metadata"]["component"] | {
        "version": release.version,
        "purl": PackageURL("pypi", name="mirrorhook", version=release.version).to_string(),
    }
    depends = {
        "ref": component["bom-ref"],
        "dependsOn": [each["bom-ref"] for each in bill["components"]],
    }
    others = [each for each in bill["dependencies"] if each["ref"] != depends["ref"]]
    return bill | {
        "metadata": bill["metadata"] | {"component": component},
        "dependencies": [depends, *others],
    }


def describe_image(
    release: Release, wheel: dict[str, Any], files: Path, digest: str
) -> dict[str, Any]:
    """Return the bill of an image: that of the wheel, and the Debian packages of its base.

    Args:
        release: The release.
        wheel: The bill of the wheel, whose dependencies are in the image.
        files: Folder with the files of the image.
        digest: Digest of the image.
    """
    qualifiers = {"repository_url": release.image}
    root = PackageURL("oci", name="mirrorhook", version=digest, qualifiers=qualifiers).to_string()
    packages = []
    for each in read_packages(files):
        qualifiers = {"arch": each.architecture, "distro": SUITE}
        url = PackageURL("deb", "debian", each.name, each.version, qualifiers).to_string()
        packages.append(
            {
                "type": "library",
                "bom-ref": url,
                "name": each.name,
                "version": each.version,
                "purl": url,
                # Of the file of the package.
                "hashes": [{"alg": "SHA-256", "content": each.sha256}],
            }
        )
    own = wheel["metadata"]["component"]["bom-ref"]
    component = {
        "type": "container",
        "bom-ref": root,
        "name": release.image,
        "version": release.version,
        "purl": root,
    }
    depends = {"ref": root, "dependsOn": [own, *(each["bom-ref"] for each in packages)]}
    return wheel | {
        "metadata": wheel["metadata"] | {"component": component},
        "components": [wheel["metadata"]["component"], *wheel["components"], *packages],
        "dependencies": [depends, *wheel["dependencies"]],
    }
