"""The base image: Python from Debian packages, without a shell and package manager.

The packages are extracted and none of their scripts run, so that no emulation is needed. As in
other images of this kind, `/var/lib/dpkg/status.d` lists the packages for scanners.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Package", "extract_base", "read_packages"]

SUITE = "trixie"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
PACKAGES = ("base-files", "ca-certificates", "libpython3-stdlib", "python3-minimal")
STATUS = Path("var/lib/dpkg/status.d")
# The files come from the machine that builds, or nothing in the image uses them.
REMOVED = ("etc/apt", "etc/hostname", "etc/resolv.conf", "var/cache/apt", "var/lib/apt")
REMOVED += ("usr/sbin/start-stop-daemon",)  # of mmdebstrap
# Only the scripts of other packages need these programs and their libraries.
UNUSED = ("debconf", "dpkg", "libacl1", "libmd0", "libpcre2-8-0", "libselinux1", "mawk", "openssl")
UNUSED += ("readline-common", "tar")
# mmdebstrap runs these with the folder as the first argument.
REMOVE = f"""--extract-hook=
cd "$1"
for name in {" ".join(UNUSED)}; do
  file=$(echo var/cache/apt/archives/"$name"_*.deb)
  dpkg-deb --fsys-tarfile "$file" | tar --list | grep -v '/$' | xargs -d '\\n' rm
  rm "$file"
done
"""
LIST = f"""--extract-hook=
mkdir -p "$1/{STATUS}"
for file in "$1"/var/cache/apt/archives/*.deb; do
  {{
    dpkg-deb --field "$file" Package Version Architecture Source Maintainer Homepage
    printf 'Status: install ok installed\\nSHA256: '
    sha256sum < "$file" | cut -d ' ' -f 1
  }} > "$1/{STATUS}/$(dpkg-deb --field "$file" Package)"
done
"""
MINUTES = 10 * 60


@dataclass(frozen=True, slots=True)
class Package:
    """A package in the base image."""

    name: str
    version: str
    architecture: str
    sha256: str


def extract_base(folder: Path, architecture: str, *more: str) -> None:
    """Extract the base image into a folder, which is replaced.

    Args:
        folder: The folder.
        architecture: The architecture of the packages.
        more: Packages in addition to those of the base image.
    """
    shutil.rmtree(folder, ignore_errors=True)
    options = ["--variant=extract", f"--architectures={architecture}", REMOVE, LIST]
    options += [f"--include={','.join((*PACKAGES, *more))}"]
    # The lists of a snapshot are out of date.
    options += ['--aptopt=Acquire::Check-Valid-Until "false"']
    # Without sources, mmdebstrap uses the usual archives of the suite and its updates.
    archives = os.environ.get("DEBIAN")
    sources = [
        f"deb [signed-by={KEYRING}] {archives.format(archive)} {suite} main"
        for archive, suite in (
            ("debian", SUITE),
            ("debian", f"{SUITE}-updates"),
            ("debian-security", f"{SUITE}-security"),
        )
        if archives
    ]
    done = subprocess.run(
        ["mmdebstrap", *options, SUITE, str(folder), *sources],
        env=os.environ | {"SOURCE_DATE_EPOCH": "0"},
        capture_output=True,
        text=True,
        check=False,
        timeout=MINUTES,
    )
    if done.returncode:
        raise RuntimeError(f"mmdebstrap failed:\n{done.stderr}")
    for path in (folder / name for name in REMOVED):
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    bundle_certificates(folder)


def bundle_certificates(folder: Path) -> None:
    """Write the bundle of certificates, which a script of their package would write."""
    certificates = sorted((folder / "usr/share/ca-certificates/mozilla").glob("*.crt"))
    bundle = folder / "etc/ssl/certs/ca-certificates.crt"
    bundle.write_bytes(b"".join(path.read_bytes() for path in certificates))


def read_packages(folder: Path) -> list[Package]:
    """Return the packages in the files of a base image."""
    found = []
    for path in sorted((folder / STATUS).iterdir()):
        fields = dict(line.split(": ", 1) for line in path.read_text().splitlines())
        keys = ("Package", "Version", "Architecture", "SHA256")
        found.append(Package(*(fields[key] for key in keys)))
    return found
