"""The folders are the architecture: who may know whom, and what costs what to import."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
MODULES = sorted((ROOT / "webhook").rglob("*.py"))
HEAVY = (
    "fastapi",
    "uvicorn",
    "httpx",
    "kubernetes",
    "cryptography",
    "rich",
    "yaml",
    "re2",
    "prometheus_client",
)


def contracts(folder):
    """Check the import contracts of a copy of the project."""
    program = Path(sys.executable).with_name("lint-imports")
    return subprocess.run(
        [program, "--no-cache", "--config", folder / "pyproject.toml"],
        cwd=folder,
        env={"PYTHONPATH": str(folder), "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


# What no module may import, and one that would.
UPWARDS = [
    ("core/errors.py", "import os"),
    ("core/errors.py", "import webhook.objects"),
    ("objects/images.py", "import socket"),
    ("profiles/model.py", "import webhook.config"),
    ("admission/policy.py", "import webhook.config"),
    ("config/models.py", "import webhook.telemetry"),
    ("registry/checker.py", "import webhook.config"),
    ("registry/checker.py", "import webhook.admission"),
    ("admission/policy.py", "import webhook.registry"),
    ("server/mirror_health.py", "import cryptography"),
    ("server/main.py", "import webhook.cli"),
    ("server/main.py", "import kubernetes"),
    ("cli/main.py", "import uvicorn"),
    ("manifests/nodes.py", "import yaml, msgspec"),
]


def copied(folder):
    """Copy what the contracts are about."""
    shutil.copytree(
        ROOT / "webhook", folder / "webhook", ignore=shutil.ignore_patterns("__pycache__")
    )
    shutil.copy(ROOT / "pyproject.toml", folder)
    return folder


def test_the_contracts_hold(tmp_path):
    done = contracts(copied(tmp_path))
    assert done.returncode == 0, done.stdout


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """What is said of a copy in which every line of UPWARDS stands."""
    folder = copied(tmp_path_factory.mktemp("project"))
    for module, line in UPWARDS:
        with (folder / "webhook" / module).open("a") as file:
            file.write(f"\n{line}\n")
    done = contracts(folder)
    assert done.returncode == 1
    return done.stdout


@pytest.mark.parametrize(("module", "line"), UPWARDS)
def test_an_import_that_points_upwards_is_found(found, module, line):
    importing = f"webhook.{module.removesuffix('.py').replace('/', '.')}"
    imported = line.split()[-1]
    assert re.search(rf"^- +{importing} -> {imported} \(l", found, re.MULTILINE)


def imported_by(code):
    """The heavy libraries that a piece of code brings in."""
    report = f"import sys\n{code}\nprint(*[name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", report], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("code", "brought"),
    [
        ("import webhook.core", set()),
        ("import webhook.objects", set()),
        ("import webhook.profiles", set()),
        ("import webhook.admission", set()),
        ("import webhook.cli.main", set()),
        ("import webhook.config", {"yaml"}),
        ("import webhook.manifests", {"yaml"}),
        ("import webhook.telemetry", {"prometheus_client"}),
        ("import webhook.registry", {"httpx", "rich"}),  # httpx has a command line as well
        ("import webhook.cli.copy", {"yaml"}),
        ("import webhook.cli.explain", {"yaml"}),
        ("import webhook.kube", set()),
    ],
)
def test_a_part_costs_what_it_needs_and_no_more(code, brought):
    assert imported_by(code) == brought


def test_the_library_is_what_the_design_says():
    code = (
        "from webhook.core import parse_reference, ImageReference, InvalidReferenceError, "
        "MirrorMap, Rule, Mirror, Decision"
    )
    assert imported_by(code) == set()


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_can_be_read_in_one_go(path):
    assert len(path.read_text().splitlines()) <= 500


def tracked():
    """Every text of the project, save the Pods of others."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    names = listed.stdout.split("\0") if listed.returncode == 0 else []
    paths = [ROOT / name for name in names if name and not name.startswith("tests/cases/")]
    return [path for path in paths if path.is_file()]


def test_no_file_names_a_place_of_one_machine():
    place = re.compile(rb"(?<![\w.-])/(?:work|root|home/\w+)/[\w.]")
    found = [path for path in tracked() if place.search(path.read_bytes())]
    assert [str(path.relative_to(ROOT)) for path in found if path != Path(__file__)] == []
