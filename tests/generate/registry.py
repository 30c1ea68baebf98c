"""Files of the repository that are made from others, and what makes them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.generate import (
    chart_policy,
    chart_profiles,
    chart_readme,
    dashboard,
    manifests,
    metrics,
)
from tests.tools.helm import HelmMissingError

ROOT = Path(__file__).resolve().parents[2]

Generator = Callable[[], str]

# Path below the root of the repository: what gives the whole content of that file.
GENERATED: dict[str, Generator] = {
    "charts/mirrorhook/files/policy.json": chart_policy.content,
    "charts/mirrorhook/files/profiles.json": chart_profiles.content,
    "charts/mirrorhook/files/dashboard.json": dashboard.content,
    "docs/metrics.md": metrics.content,
    "charts/mirrorhook/README.md": chart_readme.content,
    "manifests/install.yaml": manifests.self_managed,
    "manifests/install-cert-manager.yaml": manifests.cert_manager,
}


@dataclass(frozen=True, slots=True)
class Comparison:
    """Generated files as they should be, against those that are there.

    Attributes:
        outdated: The content that a file should have and has not.
        unknown: Why nobody can say of a file.
    """

    outdated: dict[Path, str]
    unknown: dict[Path, str]


def compare() -> Comparison:
    """Generate everything, and say what is different."""
    outdated, unknown = {}, {}
    for name, generate in GENERATED.items():
        path = ROOT / name
        try:
            content = generate()
        except HelmMissingError as error:
            unknown[path] = str(error)
            continue
        if not path.exists() or path.read_text() != content:
            outdated[path] = content
    return Comparison(outdated, unknown)
