from __future__ import annotations

import pytest

from webhook.core import MirrorMap, Rule
from webhook.manifests import ImagePath, rewrite_manifests

DECIDE = MirrorMap([Rule("docker.io", ["m.example/hub"]), Rule("gcr.io", ["m.example/gcr"])])


@pytest.fixture(scope="session")
def rewritten():
    """Rewrite a text, and return the result."""

    def run(text, *paths):
        content = text if isinstance(text, bytes) else text.encode()
        found = [ImagePath.parse(path) for path in paths]
        return rewrite_manifests(content, DECIDE.decide, found)

    return run


@pytest.fixture(scope="session")
def after(rewritten):
    """Rewrite a text without problems, and return the new one."""

    def run(text, *paths):
        result = rewritten(text, *paths)
        assert not result.problems
        return result.content.decode()

    return run


def pod(image):
    return f"apiVersion: v1\nkind: Pod\nspec:\n  containers:\n  - name: a\n    {image}\n"


@pytest.fixture(name="pod", scope="session")
def pod_fixture():
    """A Pod in YAML with the lines of one image."""
    return pod
