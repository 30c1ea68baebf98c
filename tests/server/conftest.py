from __future__ import annotations

import json

import pytest

from tests.server.process import RULES, serving


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def rules(tmp_path):
    path = tmp_path / "rules.yaml"
    path.write_text(RULES)
    return path


@pytest.fixture(scope="session")
def webhook(tmp_path_factory):
    """One webhook for all tests that only ask it."""
    path = tmp_path_factory.mktemp("rules") / "rules.yaml"
    path.write_text(RULES + f"policies:\n  observed:\n    mode: observe\n    {INDENTED}")
    with serving(path) as running:
        yield running


INDENTED = RULES.replace("\n", "\n    ")


def review_of(*images, version="admission.k8s.io/v1", **request):
    containers = [{"name": f"c{n}", "image": image} for n, image in enumerate(images)]
    return json.dumps(
        {
            "apiVersion": version,
            "kind": "AdmissionReview",
            "request": {
                "uid": "0b4b1a9e-1",
                "kind": {"group": "", "version": "v1", "kind": "Pod"},
                "operation": "CREATE",
                "namespace": "shop",
                "object": {
                    "apiVersion": "v1",
                    "kind": "Pod",
                    "metadata": {"name": "web"},
                    "spec": {"containers": containers},
                },
                **request,
            },
        }
    ).encode()


@pytest.fixture(name="review_of", scope="session")
def review_of_fixture():
    return review_of
