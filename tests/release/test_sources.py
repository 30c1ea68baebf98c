"""The sources of a release have its version, and are those of a commit."""

from __future__ import annotations

import subprocess
import sys

import pytest
import yaml

from tests.image.building import ROOT
from tests.release.sources import Release, ReleaseError, read_release, stage_sources

NEXT = Release("1.2.3-rc.1", "0" * 40, 1_700_000_000, "registry.example.com:5000/team")


@pytest.fixture(scope="module")
def staged(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sources")
    stage_sources(NEXT, folder)
    return folder


def test_version_is_in_package_and_chart(staged):
    command = [sys.executable, "-B", "-m", "webhook", "--version"]
    done = subprocess.run(command, cwd=staged, capture_output=True, text=True, check=True)
    assert done.stdout == "mirrorhook 1.2.3-rc.1\n"
    chart = yaml.safe_load((staged / "charts/mirrorhook/Chart.yaml").read_text())
    assert (chart["version"], chart["appVersion"]) == ("1.2.3-rc.1", "1.2.3-rc.1")
    assert chart["annotations"]["artifacthub.io/prerelease"] == "true"


def test_chart_names_the_image_at_the_destination(staged):
    values = yaml.safe_load((staged / "charts/mirrorhook/values.yaml").read_text())
    assert values["image"]["registry"] == "registry.example.com:5000"
    assert values["image"]["repository"] == "team/mirrorhook"


def test_files_have_the_time_of_the_commit(staged):
    assert {path.stat().st_mtime for path in staged.rglob("*")} == {NEXT.epoch}


def test_only_tracked_files_are_released(staged):
    command = ["git", "ls-files"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    tracked = set(listed.stdout.splitlines())
    assert {str(p.relative_to(staged)) for p in staged.rglob("*") if p.is_file()} <= tracked


@pytest.mark.parametrize("version", ["", "v1.2.3", "1.2", "1.2.3rc1", "1.2.3; ls", "1.2.3+a"])
def test_malformed_version_is_refused(version):
    with pytest.raises(ReleaseError, match=r"is not like 1\.2\.3"):
        read_release(version)


def test_workflow_only_runs_make_release():
    workflow = yaml.safe_load((ROOT / ".github/workflows/release.yml").read_text())
    (job,) = workflow["jobs"].values()
    commands = [step["run"] for step in job["steps"] if "run" in step]
    (command,) = commands
    assert " make release VERSION=" in command
    assert not {"&&", ";", "|", "\n"} & set(command)
