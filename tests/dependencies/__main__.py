"""Check the licences and known vulnerabilities of what mirrorhook installs: `make audit`.

Licences come from the installed packages. Vulnerabilities come from https://osv.dev by
pip-audit; without a connection to it they are not checked, which is said and is no error,
unless `--required` is given.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from email.message import Message
from importlib.metadata import metadata
from pathlib import Path

import click

ROOT = Path(__file__).resolve().parents[2]
REQUIREMENTS = ROOT / "requirements.txt"
PIN = re.compile(r"^([\w.-]+)(?:\[[\w,-]+\])?==", re.MULTILINE)
# Licences that let everybody ship the package with mirrorhook: by SPDX, and as packages
# without an SPDX expression write them.
ALLOWED = {
    *("Apache-2.0", "BSD-2-Clause", "BSD-3-Clause", "ISC", "MIT", "MIT-0", "PSF-2.0"),
    "MPL-2.0",  # certifi: a list of certificates, which is not changed
    *("3-Clause BSD License", "Apache 2.0", "BSD License", "MIT License"),
}


def read_licence(package: Message) -> str:
    """Return the licence of a package, as its metadata has it."""
    names = (package.get("License-Expression"), package.get("License"))
    classifiers = [
        each.rpartition(" :: ")[2]
        for each in package.get_all("Classifier") or ()
        if each.startswith("License ::")
    ]
    # A package without an expression may have the whole text of its licence in the field.
    written = [name for name in names if name and "\n" not in name]
    return (written or [" OR ".join(classifiers)])[0]


def is_allowed(licence: str) -> bool:
    """Return whether one alternative of each part of an expression is allowed."""
    parts = licence.replace("(", "").replace(")", "").split(" AND ")
    return all(ALLOWED & set(part.split(" OR ")) for part in parts)


def find_licence_problems(names: list[str], find: Callable[[str], Message]) -> list[str]:
    """Return a problem for each package whose licence is not allowed."""
    licences = {name: read_licence(find(name)) for name in names}
    return [
        f"{name} has the licence {licence or '(none)'}, which tests/dependencies does not allow"
        for name, licence in licences.items()
        if not is_allowed(licence)
    ]


def audit(requirements: Path, *options: str) -> tuple[list[str] | None, str]:
    """Return the known vulnerabilities, or None and why they are not known."""
    command = ["-r", requirements, "--require-hashes", "--disable-pip", "--progress-spinner=off"]
    command += ["--vulnerability-service=osv", "--format=json", "--timeout=10", *options]
    done = subprocess.run(
        [sys.executable, "-m", "pip_audit", *map(str, command)],
        capture_output=True,
        text=True,
        check=False,
    )
    if not done.stdout.strip():
        lines = done.stderr.strip().splitlines()
        return None, lines[-1] if lines else f"pip-audit ended with {done.returncode}"
    found = json.loads(done.stdout)["dependencies"]
    skipped = [f"{each['name']}: {each['skip_reason']}" for each in found if "skip_reason" in each]
    return skipped + [
        f"{each['name']} {each['version']} has {one['id']}, "
        f"fixed in {', '.join(one['fix_versions']) or 'no version'}"
        for each in found
        for one in each.get("vulns", ())
    ], ""


@click.command(help=__doc__)
@click.option("--required", is_flag=True, help="Fail if vulnerabilities cannot be checked.")
@click.option("--osv-url", help="Another address of the database.")
@click.option("--requirements", type=Path, default=REQUIREMENTS, hidden=True)
def main(required: bool, osv_url: str | None, requirements: Path) -> None:
    names = PIN.findall(requirements.read_text())
    problems = find_licence_problems(names, metadata)
    options = [f"--osv-url={osv_url}"] if osv_url else []
    found, reason = audit(requirements, *options)
    problems += found or []
    for problem in problems:
        print(problem)
    if found is None:
        print(f"NOT CHECKED for vulnerabilities: {reason}", file=sys.stderr)
    elif not problems:
        print(f"{len(names)} packages: no known vulnerabilities, and all licences are allowed")
    sys.exit(1 if problems or (found is None and required) else 0)


if __name__ == "__main__":
    main()
