"""The guides do what they say: rules map images as stated, values fit the chart, commands run.

Programs that cannot run here (of clouds, clusters and registries) are listed below. Of commands
of mirrorhook that need a cluster, a registry or an engine, the options are checked.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import click
import pytest
import yaml
from click.testing import CliRunner

from tests.chart.rendering import CHART, DEFAULTS, render
from tests.tools.helm import HelmMissingError, helm4
from webhook.cli.main import mirrorhook
from webhook.config import parse_rules
from webhook.imports import FORMATS

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
# The commands and examples of these pages have tests of their own, in the places that they need.
ELSEWHERE = {
    "airgap.md": "tests/cluster/test_node_airgap.py",
    "audit.md": "tests/cli/test_audit.py",
    "copy.md": "tests/copying/test_guide.py",
    "custom-resources.md": "tests/resources/test_guide.py",
    "gitops.md": "tests/cli/test_guides.py",
    "kubeadm.md": "tests/cli/test_guides.py",
    "pull.md": "tests/cli/pull/test_page.py",
    "rules.md": "tests/config/test_documentation.py",
}
PAGES = [
    page
    for page in [*sorted(DOCS.rglob("*.md")), CHART / "README.md"]
    if page.relative_to(ROOT).as_posix().removeprefix("docs/") not in ELSEWHERE
]
PARTS = re.compile(r"^```(\w*)\n(.*?)^```|^\| `([^`]+)` \| `([^`]+)` \|$", re.MULTILINE | re.DOTALL)
RULE_KEYS = {
    "availability", "delegation", "loops", "mode", "policies", "profiles", "record", "rules",
}  # fmt: skip
# Programs that these tests do not run.
OTHERS = {
    "az", "aws", "cat", "cd", "cosign", "curl", "docker", "gcloud", "git", "helm", "k3d", "kind",
    "kubeadm", "kubectl", "make", "minikube", "oc", "sha256sum", "skopeo",
}  # fmt: skip
FOR_CLUSTERS = {"--create-namespace", "--reset-then-reuse-values", "--wait"}
# What pages without rules are about.
EXAMPLE = """\
rules:
  - {match: docker.io, mirrors: [harbor.example.com/dockerhub]}
  - {match: registry.k8s.io, mirrors: [harbor.example.com/k8s]}
"""
# The chart as it is elsewhere, and in this repository.
CHARTS = ("oci://ghcr.io/mirrorhook/charts/mirrorhook", "mirrorhook-0.1.0.tgz")
# Keys of parts of files: of Argo CD, of Chart.yaml, of Kubernetes, Talos and CI systems.
PARTS_OF_FILES = {"ignoreDifferences", "dependencies", "apiVersion", "machine", "spec"}
# Commands of mirrorhook that need more than this machine.
REMOTE = {"audit", "copy", "doctor", "pull", "serve"}


@dataclass(frozen=True)
class Part:
    """A fence, or a row of a table that says what becomes of an image."""

    page: Path
    line: int
    kind: str
    text: str
    result: str = ""

    def __str__(self):
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def read_parts(page):
    text = page.read_text(encoding="utf-8")
    return [
        Part(
            page,
            text.count("\n", 0, match.start()) + 1,
            match[1] if match[3] is None else "row",
            match[2] if match[3] is None else match[3],
            match[4] or "",
        )
        for match in PARTS.finditer(text)
    ]


ALL = [part for page in PAGES for part in read_parts(page)]
BLOCKS = [part for part in ALL if part.kind == "yaml"]
COMMANDS = [
    Part(part.page, part.line, "command", line.removeprefix("$ "))
    for part in ALL
    if part.kind in {"console", "sh"}
    for line in part.text.replace("\\\n", " ").splitlines()
    if line.startswith("$ ") or (part.kind == "sh" and line and not line.startswith("#"))
]


def keys_of(part):
    document = next(yaml.safe_load_all(part.text))
    return set(document)


def values_of(part):
    """Return the values of a block; keys may have dots, and a parent chart names the chart."""
    values = {}
    for path, value in yaml.safe_load(part.text).items():
        *parents, key = path.split(".")
        place = values
        for parent in parents:
            place = place.setdefault(parent, {})
        place[key] = value
    return values | values.pop("mirrorhook", {})


def is_rules(part):
    # Policies of the chart also have a selection.
    return keys_of(part) <= RULE_KEYS and "selection:" not in part.text


def is_values(part):
    return not keys_of(part) & PARTS_OF_FILES and values_of(part).keys() <= DEFAULTS.keys()


def find_block(part, condition):
    """Return the block of the page that a line is about: the last above it, or else the first."""
    found = [each for each in BLOCKS if each.page == part.page and condition(each)]
    above = [each for each in found if each.line < part.line]
    return above[-1] if above else found[0] if found else None


def rules_of(part):
    """Return the rules file that a line is about, in the form of a file or of values."""
    block = find_block(part, lambda each: bool(keys_of(each) & RULE_KEYS))
    document = yaml.safe_load(block.text if block else EXAMPLE)
    return yaml.safe_dump({key: document[key] for key in document.keys() & RULE_KEYS})


def is_about_images(row):
    return "/" in row.result and not re.search(r"://| |\*", row.text + row.result)


ROWS = [part for part in ALL if part.kind == "row" and is_about_images(part)]


def classify(command):
    """Return how a command is checked: run, rendered, parsed, or not at all."""
    words = shlex.split(command.text)
    if words[0] == "helm" and "--post-renderer" not in words:  # tests/cluster/test_post_renderer.py
        return "render" if words[1] in {"install", "upgrade", "template"} else "other"
    if words[0] != "mirrorhook":
        return "parse" if "| mirrorhook" in command.text else "other"
    return "parse" if words[1] in REMOTE or "--probe" in words else "run"


def select(kind):
    chosen = [command for command in COMMANDS if classify(command) == kind]
    return pytest.mark.parametrize("command", chosen, ids=lambda part: f"{part} {part.text[:40]}")


@pytest.mark.parametrize("part", BLOCKS, ids=str)
def test_block_is_valid(part):
    if is_rules(part):
        assert parse_rules(part.text, str(part)).policies
    elif is_values(part):
        try:
            assert render(values_of(part)).objects
        except HelmMissingError as error:
            pytest.skip(str(error))
    else:
        assert keys_of(part) & PARTS_OF_FILES


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_image_becomes_what_the_table_says(row):
    decide = parse_rules(rules_of(row), str(row)).policies["default"].mirrors.decide
    assert decide(row.text).image == row.result


@pytest.mark.parametrize(("page", "test"), ELSEWHERE.items())
def test_page_with_a_test_of_its_own_is_read_there(page, test):
    # A module of helpers reads two of them.
    files = [ROOT / test, ROOT / "tests/cli/guides.py"]
    assert any(page in file.read_text(encoding="utf-8") for file in files)


def test_guides_have_enough_tables_and_commands():
    assert len(ROWS) >= 45
    assert len(COMMANDS) >= 100


def parse(words):
    """Parse the arguments of mirrorhook without running it."""
    context = click.Context(mirrorhook, info_name="mirrorhook")
    command = mirrorhook.get_command(context, words[0])
    assert command is not None, words[0]
    rest = words[1:]
    if isinstance(command, click.Group):
        inner = click.Context(command, parent=context, info_name=words[0])
        command = command.get_command(inner, rest[0])
        rest = rest[1:]
    with command.make_context(words[0], list(rest), parent=context, resilient_parsing=False):
        pass


SETS = """\
apiVersion: kuik.enix.io/v1alpha1
kind: ImageSetMirror
metadata: {name: hub, namespace: shop}
spec:
  imageFilter: {include: ["docker.io/library/.*"]}
  mirrors: [{registry: harbor.example.com, path: /dockerhub}]
"""
CHART_FILES = {
    "Chart.yaml": "{apiVersion: v2, name: web, version: 1.0.0}\n",
    "templates/pod.yaml": """\
apiVersion: v1
kind: Pod
metadata: {name: web}
spec: {containers: [{name: web, image: "nginx:1.27"}]}
""",
}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin/mirrorhook"
    program.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} exec {sys.executable} -m webhook "$@"\n')
    program.chmod(0o755)
    (tmp_path / "chart/templates").mkdir(parents=True)
    for name, content in CHART_FILES.items():
        (tmp_path / "chart" / name).write_text(content)
    for name in ("web.yaml", "app.yaml", "deploy.yaml", "manifests/web.yaml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(CHART_FILES["templates/pod.yaml"])
    (tmp_path / "sets.yaml").write_text(SETS)
    (tmp_path / "maps.conf").write_text("docker.io::harbor.example.com/dockerhub\n")
    (tmp_path / "etc/rancher/k3s").mkdir(parents=True)
    hosts = tmp_path / "etc/containerd/certs.d/docker.io/hosts.toml"
    hosts.parent.mkdir(parents=True)
    hosts.write_text('server = "https://docker.io"\n[host."https://harbor.example.com"]\n')
    monkeypatch.chdir(tmp_path)
    return tmp_path


@select("other")
def test_program_of_a_command_is_known(command):
    name = shlex.split(command.text)[0]
    assert name in OTHERS or re.match(r"\w+=", name)


@select("parse")
def test_command_for_a_cluster_or_registry_has_valid_options(command):
    line = command.text[command.text.index("mirrorhook ") :]
    parse(shlex.split(re.split(r" [|>] ", line)[0])[1:])


EVERYWHERE = [
    Part(part.page, part.line, "command", line.removeprefix("$ "))
    for page in [*sorted(DOCS.rglob("*.md")), *sorted(ROOT.glob("README*.md"))]
    for part in read_parts(page)
    if part.kind in {"console", "sh"}
    for line in part.text.replace("\\\n", " ").splitlines()
    if re.match(r"(\$ )?mirrorhook ", line)
]


@pytest.mark.parametrize("command", EVERYWHERE, ids=lambda part: f"{part.line} {part.text[:60]}")
def test_command_of_any_page_has_valid_options(command, folder):
    (folder / "rules.yaml").write_text("rules: []\n")
    words = shlex.split(re.split(r" (?:[|>]|2>|&&) ", command.text)[0], comments=True)
    try:
        parse(words[1:])
    except click.BadParameter as error:
        if "does not exist" not in error.message:
            raise


@select("render")
def test_release_of_a_command_renders(command, folder):
    try:
        program = helm4()
    except HelmMissingError as error:
        pytest.skip(str(error))
    shutil.copytree(CHART, folder / "charts/mirrorhook")
    values = find_block(command, is_values)
    (folder / "values.yaml").write_text(yaml.safe_dump(values_of(values) if values else {}))
    words = shlex.split(command.text.partition(" > ")[0])[2:]
    options = [word for word in words if word not in FOR_CLUSTERS]
    options = ["charts/mirrorhook" if word in CHARTS else word for word in options]
    done = subprocess.run(
        [program, "template", *options], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "kind:" in done.stdout


@select("run")
def test_command_of_a_guide_runs(command, folder):
    (folder / "rules.yaml").write_text(rules_of(command))
    if sets := find_block(command, lambda each: "kind: ImageDigestMirrorSet" in each.text):
        (folder / "sets.yaml").write_text(sets.text)
    line = command.text.replace("/etc", f"{folder}/etc")
    line = re.split(r" \| (?:jq|kubectl) ", line)[0]
    if "mirrorhook init" in line:
        (folder / "rules.yaml").unlink()
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", line],
        env={**os.environ, "PATH": f"{folder / 'bin'}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    if "mirrorhook init" in line:
        shown = next(each for each in BLOCKS if each.page == command.page and is_rules(each))
        written = yaml.safe_load((folder / "rules.yaml").read_text())
        assert written["rules"] == yaml.safe_load(shown.text)["rules"]


IMPORTS = re.findall(r"`mirrorhook import (\S+) (\S+)`", (DOCS / "howto/migrate.md").read_text())


def test_migration_guide_names_every_format():
    assert {name for name, _ in IMPORTS} == set(FORMATS)


def test_example_of_the_migration_guide_is_what_import_writes(tmp_path):
    parts = read_parts(DOCS / "howto/migrate.md")
    example = next(part for part in parts if part.kind == "" and "::" in part.text)
    shown = next(part for part in parts if part.line > example.line and part.kind == "yaml")
    (tmp_path / "maps.conf").write_text(example.text)
    result = CliRunner().invoke(mirrorhook, ["import", "imageswap", str(tmp_path / "maps.conf")])
    assert result.exit_code == 0
    assert yaml.safe_load(result.stdout) == yaml.safe_load(shown.text)


def test_openshift_guide_shows_what_import_writes(tmp_path):
    parts = read_parts(DOCS / "howto/openshift.md")
    given = next(part for part in parts if "kind: ImageDigestMirrorSet" in part.text)
    shown = next(part for part in parts if part.line > given.line and part.kind == "yaml")
    (tmp_path / "sets.yaml").write_text(given.text)
    result = CliRunner().invoke(mirrorhook, ["import", "openshift", str(tmp_path / "sets.yaml")])
    assert "Warning" in result.stderr
    assert yaml.safe_load(result.stdout) == yaml.safe_load(shown.text)
