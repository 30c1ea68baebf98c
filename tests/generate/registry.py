"""
Files of the repository that are made from others, and what makes them.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.generate import chart_readme, manifests

ROOT = Path(__file__).resolve().parents[2]

Generator = Callable[[], str]

# Path below the root of the repository: what gives the whole content of that file.
GENERATED: dict[str, Generator] = {
    "charts/mirrorhook/README.md": chart_readme.content,
    "manifests/install.yaml": manifests.self_managed,
    "manifests/install-cert-manager.yaml": manifests.cert_manager,
}


def outdated() -> dict[Path, str]:
    """
    Return the content that files should have and have not.
    """
    contents = {ROOT / path: generate() for path, generate in GENERATED.items()}
    return {
        path: content
        for path, content in contents.items()
        if not path.exists() or path.read_text() != content
    }
