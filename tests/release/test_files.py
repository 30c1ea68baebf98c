"""The files of a release are complete, consistent and reproducible."""

from __future__ import annotations

import io
import json
import os
import shutil
import struct
import subprocess
import sys
import tarfile

import pytest
import yaml
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator

from tests.image.building import ARCHITECTURES, ROOT
from tests.release.building import SUMS
from tests.release.provenance import hash_file
from webhook import __version__

MACHINES = {"amd64": 0x3E, "arm64": 0xB7}  # in the header of an ELF file
EMULATOR = shutil.which("qemu-aarch64-static")
STATUS = "var/lib/dpkg/status.d/"


def blob(built, digest):
    return (built.image / "blobs" / digest.replace(":", "/")).read_bytes()


def layers(built, architecture):
    """Yield the layers of the image for an architecture, from the base to the package."""
    manifest = json.loads(blob(built, built.digests[architecture]))
    for each in manifest["layers"]:
        with tarfile.open(fileobj=io.BytesIO(blob(built, each["digest"]))) as layer:
            yield layer


def run(*command, cwd=None, **environment):
    done = subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env=os.environ | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


def test_two_builds_are_identical(built, again):
    def hashes(each):
        return {path.name: hash_file(path) for path in each.folder.iterdir()}

    assert hashes(built) == hashes(again)
    assert built.digests == again.digests
    assert len(hashes(built)) == 13


def test_checksums_cover_every_file(built):
    shown = run("sha256sum", "--check", "--strict", SUMS, cwd=built.folder)
    assert shown.count(": OK") == len(list(built.folder.iterdir())) - 1


def test_wheel_is_installed_by_pipx(built, tmp_path):
    homes = {"PIPX_HOME": str(tmp_path / "pipx"), "PIPX_BIN_DIR": str(tmp_path / "bin")}
    run(sys.executable, "-m", "pipx", "install", built.file("-py3-none-any.whl"), **homes)
    program = tmp_path / "bin/mirrorhook"
    assert run(program, "--version", cwd=tmp_path) == f"mirrorhook {__version__}\n"
    assert "harbor.example.com" not in run(program, "profiles", cwd=tmp_path)
    run(program, "init", "--registry=harbor.example.com", cwd=tmp_path)
    shown = run(program, "explain", "--config=rules.yaml", "nginx", cwd=tmp_path)
    assert "harbor.example.com/dockerhub/library/nginx" in shown


@pytest.mark.parametrize("version", ["3.11", "3.12", "3.13", "3.14"])
def test_wheel_runs_on_every_supported_python(built, tmp_path, version):
    python = shutil.which(f"python{version}") or ""
    if not python or subprocess.run([python, "--version"], check=False).returncode:
        pytest.skip(f"Python {version} is not installed")
    run(python, "-m", "venv", tmp_path)
    wheel = built.file("-py3-none-any.whl")
    run(tmp_path / "bin/pip", "install", "--quiet", f"mirrorhook[cluster,tracing] @ file://{wheel}")
    program = tmp_path / "bin/mirrorhook"
    shown = run(program, "explain", "--profile=daocloud", "nginx", cwd=tmp_path)
    assert "m.daocloud.io" in shown
    run(tmp_path / "bin/python", "-c", "import webhook.server, webhook.kube.client", cwd=tmp_path)


def test_source_archive_gives_the_same_wheel(built, tmp_path):
    with tarfile.open(built.file(".tar.gz")) as archive:
        archive.extractall(tmp_path, filter="data")
    (sources,) = tmp_path.iterdir()
    epoch = str(built.release.epoch)
    command = (sys.executable, "-m", "build", "--wheel", "--no-isolation", f"--outdir={tmp_path}")
    run(*command, sources, SOURCE_DATE_EPOCH=epoch)
    (wheel,) = tmp_path.glob("*.whl")
    assert hash_file(wheel) == hash_file(built.file("-py3-none-any.whl"))


@pytest.mark.parametrize("ending", ["", *(f"-image-{each}" for each in ARCHITECTURES)])
def test_bill_of_materials_is_valid(built, ending):
    text = built.file(f"{ending}.cdx.json").read_text()
    version = SchemaVersion.from_version(json.loads(text)["specVersion"])
    assert JsonStrictValidator(version).validate_str(text) is None
    component = json.loads(text)["metadata"]["component"]
    assert component["version"] == __version__


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_bill_of_materials_lists_what_is_in_the_image(built, architecture):
    bill = json.loads(built.file(f"-image-{architecture}.cdx.json").read_text())
    listed = {(each["name"], each.get("version")) for each in bill["components"]}
    found = {("mirrorhook", __version__)}
    for layer in layers(built, architecture):
        for name in layer.getnames():
            folder, _, file = name.rpartition("/")
            if f"{folder}/" == STATUS and file:
                text = layer.extractfile(name).read().decode()
                fields = dict(line.split(": ", 1) for line in text.splitlines())
                found.add((fields["Package"], fields["Version"]))
            elif file == "METADATA" and folder.startswith("opt/mirrorhook/"):
                text = layer.extractfile(name).read().decode().partition("\n\n")[0]
                fields = dict(line.split(": ", 1) for line in text.splitlines() if ": " in line)
                found.add((fields["Name"].lower().replace("_", "-"), fields["Version"]))
    assert {(name.lower().replace("_", "-"), version) for name, version in listed} == found


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_programs_in_the_image_are_for_its_architecture(built, architecture):
    seen = 0
    for layer in layers(built, architecture):
        for entry in layer:
            if entry.isfile() and ".so" in entry.name:
                head = layer.extractfile(entry).read(20)
                if head.startswith(b"\x7fELF"):
                    assert struct.unpack_from("<H", head, 18) == (MACHINES[architecture],)
                    seen += 1
    assert seen > 30


@pytest.mark.skipif(EMULATOR is None, reason="Debian has it: apt-get install qemu-user-static")
def test_image_for_arm64_runs_in_an_emulator(built, tmp_path):
    for layer in layers(built, "arm64"):
        layer.extractall(tmp_path, filter="fully_trusted")
    shutil.copy(EMULATOR, tmp_path / "emulator")
    config = json.loads(
        blob(built, json.loads(blob(built, built.digests["arm64"]))["config"]["digest"])
    )
    environment = dict(each.split("=", 1) for each in config["config"]["Env"])
    command = ("chroot", tmp_path, "/emulator", "/usr/bin/python3", "-c")
    imports = "import webhook.server, webhook.kube.client, platform; print(platform.machine())"
    assert run(*command, imports, **environment) == "aarch64\n"


def test_provenance_names_everything_that_is_published(built):
    statement = json.loads(built.file(".intoto.json").read_text())
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    subjects = {each["name"]: each["digest"]["sha256"] for each in statement["subject"]}
    later = {SUMS, built.file(".intoto.json").name}
    for path in built.folder.iterdir():
        assert path.name in later or subjects.pop(path.name) == hash_file(path)
    wanted = {digest.removeprefix("sha256:") for digest in built.digests.values()}
    assert set(subjects.values()) == wanted
    source, *packages = statement["predicate"]["buildDefinition"]["resolvedDependencies"]
    assert source["digest"] == {"gitCommit": built.release.commit}
    assert any(each["uri"].startswith("pkg:deb/debian/libc6@") for each in packages)
    assert all(len(each["digest"]["sha256"]) == 64 for each in packages)


def test_chart_has_the_metadata_of_artifact_hub(built):
    with tarfile.open(built.file(".tgz")) as archive:
        chart = yaml.safe_load(archive.extractfile("mirrorhook/Chart.yaml"))
        values = yaml.safe_load(archive.extractfile("mirrorhook/values.yaml"))
    assert (chart["version"], chart["appVersion"]) == (__version__, __version__)
    image = values["image"]
    name = f"{image['registry']}/{image['repository']}"
    assert name == built.release.image
    annotations = chart["annotations"]
    (listed,) = yaml.safe_load(annotations["artifacthub.io/images"])
    assert listed["image"] == f"{name}:{__version__}"
    assert listed["platforms"] == [f"linux/{each}" for each in ARCHITECTURES]
    assert annotations["artifacthub.io/prerelease"] == "false"
    assert yaml.safe_load((ROOT / "charts/artifacthub-repo.yml").read_text())["owners"]


def test_manifests_have_the_image_of_the_release(built):
    for name in ("install.yaml", "install-cert-manager.yaml"):
        assert f"image: {built.release.image}:{__version__}\n" in (built.folder / name).read_text()


def test_action_installs_mirrorhook(tmp_path):
    install, *_ = yaml.safe_load((ROOT / "action.yml").read_text())["runs"]["steps"]
    environment = {"RUNNER_TEMP": str(tmp_path), "GITHUB_ACTION_PATH": str(ROOT)}
    run("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", install["run"], **environment)
    assert "mirrorhook" in run(tmp_path / "mirrorhook/bin/mirrorhook", "--version", cwd=tmp_path)
