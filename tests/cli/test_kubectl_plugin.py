"""`kubectl mirrorhook`, run by real kubectl where it is there, and the manifest for krew."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

from webhook import __version__

ROOT = Path(__file__).parents[2]
KREW = ROOT / "manifests/krew"
MANIFEST = yaml.safe_load((KREW / "mirrorhook.yaml").read_text())


@pytest.fixture
def plugin(tmp_path):
    """The console script that an installation of the package makes."""
    scripts = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
    module, function = scripts["kubectl-mirrorhook"].split(":")
    path = tmp_path / "kubectl-mirrorhook"
    start = f"#!{sys.executable}\nfrom {module} import {function}\n{function}()\n"
    path.write_text(start)
    path.chmod(0o755)
    return path


def run(*command, **environment):
    env = {**os.environ, "PYTHONPATH": str(ROOT), **environment}
    return subprocess.run(command, env=env, capture_output=True, text=True, check=False)


def test_plugin_is_called_as_kubectl_calls_it(plugin):
    done = run(plugin, "doctor", "--help")
    assert done.returncode == 0
    assert "Usage: kubectl mirrorhook doctor" in done.stdout
    assert run(plugin, "--version").stdout == f"mirrorhook {__version__}\n"


def find_kubectl():
    built = sorted((ROOT / ".cache").glob("**/kubectl"))
    return shutil.which("kubectl") or next((str(each) for each in built), None)


def test_kubectl_finds_the_plugin(plugin):
    kubectl = find_kubectl()
    if kubectl is None:
        pytest.skip("kubectl is not installed")
    path = f"{plugin.parent}:{os.environ['PATH']}"
    done = run(kubectl, "mirrorhook", "explain", "-p", "daocloud", "nginx:1", PATH=path)
    assert done.returncode == 0, done.stderr
    assert "m.daocloud.io/docker.io/library/nginx:1" in done.stdout


def test_script_of_the_krew_archive_runs_an_installed_mirrorhook(plugin, tmp_path):
    folder = tmp_path / "bin"
    folder.mkdir()
    shutil.copy(plugin, folder / "mirrorhook")
    script = str(KREW / "kubectl-mirrorhook")
    path = f"{folder}:/usr/bin:/bin"
    assert run("sh", script, "--version", PATH=path).stdout == f"mirrorhook {__version__}\n"
    done = run("sh", script, "--version", PATH="/nowhere:/usr/bin:/bin")
    if not shutil.which("mirrorhook", path="/usr/bin:/bin"):
        assert done.returncode == 2
        assert "pipx install 'mirrorhook[cluster]'" in done.stderr


def test_krew_manifest_is_of_this_version_and_has_what_krew_requires():
    assert MANIFEST["apiVersion"] == "krew.googlecontainertools.github.com/v1alpha2"
    assert (MANIFEST["kind"], MANIFEST["metadata"]["name"]) == ("Plugin", "mirrorhook")
    spec = MANIFEST["spec"]
    assert spec["version"] == f"v{__version__}"
    assert 0 < len(spec["shortDescription"]) <= 50
    for platform in spec["platforms"]:
        assert f"/v{__version__}/" in platform["uri"]
        assert re.fullmatch("[0-9a-f]{64}", platform["sha256"])
        assert platform["bin"] in {each["from"] for each in platform["files"]}
        for each in platform["files"]:
            assert (KREW / each["from"]).exists() or (ROOT / each["from"]).exists()
