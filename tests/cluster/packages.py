"""Debian packages that a cluster needs. Installs those that are missing.

python -m tests.cluster.packages [PACKAGE…]
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

__all__ = ["PATH", "missing"]

PATH = f"{os.environ['PATH']}:/usr/sbin:/sbin:/usr/lib/cni"
PROGRAMS = {
    "openssl": "openssl",
    "setpriv": "util-linux",
    "ip": "iproute2",
    "iptables": "iptables",
    "runc": "runc",
    "ptp": "containernetworking-plugins",
    "docker-registry": "docker-registry",
    "busybox": "busybox-static",
    "buildah": "buildah",
    "mmdebstrap": "mmdebstrap",
    "faketime": "faketime",
}
# For pictures, and for tests of the console, the alerts, the dashboard and `copy`: by name only.
BY_NAME = {"chromium": "chromium", "prometheus": "prometheus", "skopeo": "skopeo"}
# Ubuntu needs it for the packages of Debian in the image.
KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


def missing() -> list[str]:
    """Return the packages whose programs are missing."""
    found = _missing_of(PROGRAMS)
    return found if KEYRING.exists() else [*found, KEYRING.stem]


def _missing_of(programs: dict[str, str]) -> list[str]:
    return [package for name, package in programs.items() if not shutil.which(name, path=PATH)]


def main() -> None:
    """Install the missing packages, if this is Debian and the user is root."""
    wanted = set(sys.argv[1:]) or {*PROGRAMS.values(), KEYRING.stem}
    known = [*missing(), *_missing_of(BY_NAME)]
    packages = [package for package in known if package in wanted]
    if not packages or os.geteuid() != 0 or not shutil.which("apt-get"):
        return
    sys.stderr.write(f"Installing {' '.join(packages)} …\n")
    install = ("install", "--yes", "--no-install-recommends", *packages)
    for command in (("update",), install):
        subprocess.run(
            ["apt-get", "--quiet", *command],
            env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
            stdout=subprocess.DEVNULL,
            check=False,
        )


if __name__ == "__main__":
    main()
