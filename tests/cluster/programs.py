"""The programs of a cluster, built from source with Go.

    python -m tests.cluster.programs

Each Go module next to this file pins the versions and hashes of its sources. Programs are
kept in the user's cache, for all clones of the repository.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from tests.tools.golang import GoMissingError, build

__all__ = [
    "CONTAINERD",
    "COSIGN",
    "GATED",
    "KUBEADM",
    "KUSTOMIZE",
    "NEWEST",
    "OLDEST",
    "Line",
    "program",
]

HERE = Path(__file__).parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache", "mirrorhook/cluster")
KUBE = "k8s.io/kubernetes/cmd/"
VERSION = "k8s.io/component-base/version."


@dataclass(frozen=True, slots=True)
class Line:
    """A module that builds programs.

    Attributes:
        module: Its folder next to this file.
        packages: Package of each program, by the program's name.
    """

    module: str
    packages: dict[str, str]

    @property
    def kubernetes(self) -> str:
        """The version of Kubernetes that it builds, such as ``v1.37.2``, if any."""
        found = re.search(r"^\tk8s\.io/kubernetes (v\S+)", self.pins, re.MULTILINE)
        return found[1] if found else ""

    @property
    def pins(self) -> str:
        """The files that determine the programs."""
        return "".join((HERE / self.module / name).read_text() for name in ("go.mod", "go.sum"))

    @property
    def flags(self) -> str:
        """Linker flags that set the version of Kubernetes, which is v0.0.0 otherwise."""
        if not self.kubernetes:
            return "-s -w"
        major, minor, _ = self.kubernetes.removeprefix("v").split(".")
        values = {"gitVersion": self.kubernetes, "gitMajor": major, "gitMinor": minor}
        return " ".join(["-s -w", *(f"-X {VERSION}{key}={value}" for key, value in values.items())])


def commands(*names: str) -> dict[str, str]:
    return {name: KUBE + name for name in names}


CONTROL = commands("kube-apiserver", "kube-controller-manager")
NEWEST = Line(
    "newest",
    {"etcd": "go.etcd.io/etcd/server/v3"}
    | CONTROL
    | commands("kubectl", "kube-scheduler", "kubelet", "kube-proxy"),
)
OLDEST = Line("oldest", CONTROL)
# The first version with MutatingAdmissionPolicy. Its controllers are not built, to save time.
GATED = Line("gated", commands("kube-apiserver"))
KUBEADM = Line("kubeadm", commands("kubeadm"))
KUSTOMIZE = Line("kustomize", {"kustomize": "sigs.k8s.io/kustomize/kustomize/v5"})
# For the release, which signs with it.
COSIGN = Line("cosign", {"cosign": "github.com/sigstore/cosign/v3/cmd/cosign"})
CONTAINERD = Line(
    "containerd",
    {
        name: f"github.com/containerd/containerd/v2/cmd/{name}"
        for name in ("containerd", "containerd-shim-runc-v2", "ctr")
    },
)


def program(name: str, line: Line = NEWEST) -> Path:
    """Return a program, and build it if necessary.

    Raises:
        GoMissingError: It must be built, but Go is missing.
    """
    key = hashlib.sha256((line.pins + line.flags).encode()).hexdigest()[:12]
    path = CACHE / f"{line.module}-{key}" / name
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        sys.stderr.write(f"Building {name} of {line.module} (once, some minutes) … ")
        sys.stderr.flush()
        began = time.monotonic()
        build(HERE / line.module, path, line.packages[name], line.flags)
        sys.stderr.write(f"{time.monotonic() - began:.0f} s\n")
    return path


def main() -> None:
    """Build everything."""
    for line in (NEWEST, OLDEST, GATED, CONTAINERD, KUBEADM, KUSTOMIZE):
        for name in line.packages:
            program(name, line)


if __name__ == "__main__":
    try:
        main()
    except GoMissingError as error:
        sys.exit(str(error))
