"""Generated files are up to date."""

from __future__ import annotations

import subprocess
import sys

import pytest
import yaml

from tests.generate.__main__ import main
from tests.generate.registry import GENERATED, ROOT
from tests.tools.helm import HelmMissingError

MANIFESTS = sorted(path for path in GENERATED if path.startswith("manifests/"))


@pytest.mark.parametrize("path", GENERATED)
def test_generated_file_is_up_to_date(path):
    try:
        content = GENERATED[path]()
    except HelmMissingError as error:
        pytest.skip(str(error))
    assert (ROOT / path).read_text() == content, "run `make generate`"


def test_command_skips_files_that_need_helm_if_it_is_missing(monkeypatch, capsys):
    def helmless():
        raise HelmMissingError("no Helm here")

    for path in GENERATED:
        monkeypatch.setitem(GENERATED, path, helmless)
    assert main(["--check"]) == 0
    assert main([]) == 1
    output = capsys.readouterr()
    assert not output.out
    assert "manifests/install.yaml was skipped: no Helm here\n" in output.err


def test_command_refuses_unknown_arguments():
    done = subprocess.run(
        [sys.executable, "-m", "tests.generate", "--chek"],
        cwd=ROOT,
        capture_output=True,
        check=False,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr == "usage: python -m tests.generate [--check]\n"


@pytest.mark.parametrize("path", MANIFESTS)
def test_manifest_installs_all_objects_without_the_marks_of_helm(path):
    namespace, *objects = yaml.safe_load_all((ROOT / path).read_text())
    assert namespace["kind"] == "Namespace"
    labels = namespace["metadata"]["labels"]
    assert labels == {"pod-security.kubernetes.io/enforce": "restricted"}
    kinds = [item["kind"] for item in objects]
    webhook = kinds.index("MutatingWebhookConfiguration")
    assert webhook > kinds.index("Deployment")
    assert "Pod" not in kinds
    for item in objects:
        metadata = item["metadata"]
        assert metadata.get("namespace", "mirrorhook") == "mirrorhook"
        assert not any("helm" in key for key in metadata["labels"])
        assert "app.kubernetes.io/managed-by" not in metadata["labels"]
