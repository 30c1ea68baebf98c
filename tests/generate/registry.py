"""Generated files of the repository, and their generators."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.generate import (
    chart_policy,
    chart_profiles,
    chart_readme,
    commands,
    custom_resources,
    dashboard,
    logs,
    manifests,
    metrics,
    operations_api,
    outputs,
    rules_schema,
)
from tests.tools.helm import HelmMissingError

ROOT = Path(__file__).resolve().parents[2]

Generator = Callable[[], str]

# Maps a path in the repository to the function that returns the whole content of the file.
GENERATED: dict[str, Generator] = {
    "charts/mirrorhook/files/crds/clustermirrorrules.yaml": custom_resources.generate_cluster_kind,
    "charts/mirrorhook/files/crds/mirrorrules.yaml": custom_resources.generate_namespaced_kind,
    "charts/mirrorhook/files/policy.json": chart_policy.generate,
    "charts/mirrorhook/files/profiles.json": chart_profiles.generate,
    "charts/mirrorhook/files/dashboard.json": dashboard.generate,
    "charts/mirrorhook/values.schema.json": rules_schema.generate_chart,
    "docs/rules.schema.json": rules_schema.generate,
    "docs/metrics.md": metrics.generate,
    "docs/reference/logs.md": logs.generate,
    "docs/reference/commands.md": commands.generate,
    "docs/reference/output.schema.json": outputs.generate,
    "docs/reference/operations.openapi.json": operations_api.generate,
    "charts/mirrorhook/README.md": chart_readme.generate,
    "manifests/install.yaml": manifests.generate_self_managed,
    "manifests/install-cert-manager.yaml": manifests.generate_cert_manager,
}


@dataclass(frozen=True, slots=True)
class Comparison:
    """Generated files compared with the files on disk.

    Attributes:
        outdated: The new content of each outdated file.
        unknown: Why a file could not be generated.
    """

    outdated: dict[Path, str]
    unknown: dict[Path, str]


def compare() -> Comparison:
    """Generate all files and return which are outdated."""
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
