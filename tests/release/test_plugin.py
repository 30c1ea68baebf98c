"""The archive for krew holds the plugin, and its manifest names it."""

from __future__ import annotations

import subprocess
import tarfile

import yaml

from tests.image.building import ROOT
from tests.release.plugin import ARCHIVE, KREW, package_plugin
from tests.release.provenance import hash_file
from tests.release.sources import Release

RELEASE = Release("1.2.3", "c" * 40, 1_800_000_000)


def test_archive_is_the_same_each_time_and_has_a_manifest_for_krew(tmp_path):
    folders = [tmp_path / "first", tmp_path / "second"]
    for folder in folders:
        folder.mkdir()
        package_plugin(RELEASE, ROOT, folder)
    first, second = (hash_file(folder / ARCHIVE) for folder in folders)
    assert first == second
    spec = yaml.safe_load((folders[0] / KREW).read_text())["spec"]
    (platform,) = spec["platforms"]
    assert spec["version"] == "v1.2.3"
    assert platform["sha256"] == first
    assert platform["uri"].endswith(f"/releases/download/v1.2.3/{ARCHIVE}")
    with tarfile.open(folders[0] / ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
        assert sorted(archive.getnames()) == sorted(each["from"] for each in platform["files"])
    plugin = tmp_path / platform["bin"]
    done = subprocess.run([plugin], env={"PATH": ""}, capture_output=True, text=True, check=False)
    assert (done.returncode, "pipx install" in done.stderr) == (2, True)
