from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from webhook.cli.main import mirrorhook
from webhook.config import parse_rules
from webhook.imports import FORMATS

PAGE = (Path(__file__).parents[2] / "docs/import.md").read_text(encoding="utf-8")


def run(*arguments):
    return CliRunner().invoke(mirrorhook, ["import", *map(str, arguments)])


@pytest.fixture
def maps(tmp_path):
    path = tmp_path / "maps.conf"
    path.write_text("default::\nquay.io::h.example.com/quay\n[EXACT]a.io/b:1::h.example.com/b:1\n")
    return path


def test_import_writes_rules_to_standard_output_and_warnings_to_standard_error(maps):
    result = run("imageswap", maps)

    assert result.exit_code == 0
    assert result.stdout == (
        "# Imported by mirrorhook import imageswap from maps.conf.\n"
        "rules:\n"
        "  - match: quay.io\n"
        "    mirrors:\n"
        "      - h.example.com/quay\n"
        "    original: never\n"
    )
    assert result.stderr.startswith(f"Warning: {maps}:3: left out: EXACT matches tags or patterns")
    parse_rules(result.stdout, "imported")


def test_import_with_strict_fails_on_a_warning(maps):
    assert run("imageswap", maps, "--strict").exit_code == 1


def test_import_reads_a_folder_of_hosts(tmp_path):
    for host in ("quay.io", "docker.io"):
        path = tmp_path / host / "hosts.toml"
        path.parent.mkdir()
        path.write_text(f'[host."https://m.example.com/v2/{host}"]\noverride_path = true\n')
    result = run("hosts.toml", tmp_path)

    assert result.exit_code == 0
    assert "- m.example.com/docker.io\n" in result.stdout
    assert "- m.example.com/quay.io\n" in result.stdout
    assert run("k3s", tmp_path).exit_code == 2


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"mirrors: [", "invalid YAML"),
        (b"\xff\xfe", "is not UTF-8"),
        (b" " * 2**20 + b" ", "is larger than"),
        (b" " * 2**20 + "é".encode(), "is larger than"),
    ],
)
def test_import_refuses_a_file_of_another_format(tmp_path, content, problem):
    path = tmp_path / "registries.yaml"
    path.write_bytes(content)
    result = run("k3s", path)

    assert (result.exit_code, result.stdout) == (2, "")
    assert str(path) in result.stderr
    assert problem in result.stderr


def test_import_reads_standard_input():
    text = "default::\nquay.io::h.example.com/quay\nnonsense\n"
    result = CliRunner().invoke(mirrorhook, ["import", "imageswap", "-"], input=text)

    assert result.exit_code == 0
    assert result.stdout.startswith(
        "# Imported by mirrorhook import imageswap from standard input.\nrules:\n"
    )
    assert result.stderr.startswith("Warning: standard input:3: left out: ")
    result = CliRunner().invoke(mirrorhook, ["import", "k3s", "-"], input="mirrors: [")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "standard input: line 2: invalid YAML" in result.stderr


def test_import_writes_availability_where_the_original_is_asked_first(tmp_path):
    path = tmp_path / "registries.yaml"
    path.write_text("mirrors: {a.io: {endpoint: [a.io, m.io]}}")
    result = run("k3s", path)

    assert result.stdout.endswith("    original: first\navailability:\n  mode: check\n")
    policy = parse_rules(result.stdout, "imported").policies["default"]
    assert policy.availability is not None


def test_import_refuses_an_empty_file_of_every_format(tmp_path):
    path = tmp_path / "a.io" / "hosts.toml"
    path.parent.mkdir()
    path.write_text("")
    for format_ in FORMATS:
        result = run(format_, path)
        assert (result.exit_code, result.stdout) == (2, "")


def test_import_refuses_an_unknown_format(maps):
    result = run("imageswop", maps)

    assert result.exit_code == 2
    assert "the formats are imageswap, harbor-container-webhook" in result.stderr


def test_every_import_format_is_in_the_documentation_and_the_help():
    assert set(re.findall(r"^\| `([a-z0-9.-]+)` \|", PAGE, re.MULTILINE)) == set(FORMATS)
    text = "".join(run("--help").stdout.split())  # lines are folded at dashes
    assert all(name in text for name in FORMATS)


@pytest.mark.parametrize(
    ("format_", "problem"),
    [
        ("k3s", "is a folder, and k3s needs a file"),
        ("hosts.toml", "contains no HOST/hosts.toml: give the folder certs.d"),
    ],
)
def test_import_refuses_a_folder_without_files_of_the_format(tmp_path, format_, problem):
    result = run(format_, tmp_path)

    assert result.exit_code == 2
    assert f"{tmp_path} {problem}" in result.stderr


@pytest.mark.parametrize(
    ("format_", "name", "text"),
    [
        ("imageswap", "\x1b[31m\nrules: []", "default: \n/\x1b[31m::\x9b\n"),
        ("k3s", "a", '{"mirrors": {"\\u001b[31m": {"endpoint": ["\\u009b"]}}}'),
        ("k3s", "b", "\x1b[31m"),
        ("daemon.json", "c", '{"registry-mirrors": ["\\u001b[31m"]}'),
    ],
)
def test_import_writes_no_control_characters_of_a_file(tmp_path, format_, name, text):
    path = tmp_path / name
    path.write_text(text)
    result = run(format_, path)

    assert "".join((result.stdout + result.stderr).split("\n")).isprintable()
    if result.exit_code == 0:
        parse_rules(result.stdout, "imported")


@pytest.mark.parametrize(
    ("options", "kind", "metadata"),
    [
        ((), "ClusterMirrorRules", {"name": "k3s"}),
        (("--name", "true"), "ClusterMirrorRules", {"name": "true"}),
        (("--name", "a" * 64), "ClusterMirrorRules", {"name": "a" * 64}),
        (
            ("--name", "of.k3s", "--namespace", "7"),
            "MirrorRules",
            {"name": "of.k3s", "namespace": "7"},
        ),
    ],
)
def test_import_as_crd_writes_an_object_with_the_same_rules(tmp_path, options, kind, metadata):
    path = tmp_path / "registries.yaml"
    path.write_text("mirrors: {a.io: {endpoint: [a.io, m.io]}}")
    spec = yaml.safe_load(run("k3s", path).stdout)
    for rule in spec["rules"]:
        rule["mirrors"] = [{"target": target} for target in rule["mirrors"]]
    result = run("k3s", path, "--as", "crd", *options)

    assert result.exit_code == 0
    assert yaml.safe_load(result.stdout) == {
        "apiVersion": "mirrorhook.io/v1alpha1",
        "kind": kind,
        "metadata": metadata,
        "spec": spec,
    }


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--name", "a"), "--name and --namespace need --as crd"),
        (("--as", "crd", "--name", "a_b"), "'a_b' is not a name in Kubernetes"),
        (("--as", "crd", "--name", "a..b"), "'a..b' is not a name in Kubernetes"),
        (("--as", "crd", "--name", "a" * 254), "is not a name in Kubernetes"),
        (("--as", "crd", "--namespace", "a.b"), "'a.b' is not the name of a namespace"),
    ],
)
def test_import_refuses_a_name_that_no_object_can_have(maps, options, problem):
    result = run("imageswap", maps, *options)

    assert (result.exit_code, result.stdout) == (2, "")
    assert problem in result.stderr


@pytest.mark.parametrize(
    ("options", "has_warning"),
    [
        ((), True),
        (("--as", "crd"), True),
        (("--as", "crd", "--namespace", "shop"), False),
        (("--as", "crd", "--namespace", "other"), True),
    ],
)
def test_import_warns_of_rules_that_are_for_more_than_a_set_of_a_namespace(
    tmp_path, options, has_warning
):
    mirrors = [{"registry": "m.example", "path": "/hub"}]
    spec = {"imageFilter": {"include": ["docker\\.io/.*"]}, "mirrors": mirrors}
    metadata = {"name": "set", "namespace": "shop"}
    path = tmp_path / "sets.yaml"
    path.write_text(yaml.safe_dump({"kind": "ImageSetMirror", "metadata": metadata, "spec": spec}))
    result = run("kube-image-keeper", path, *options)

    assert result.exit_code == 0
    assert "m.example/hub" in result.stdout
    assert ("is for the namespace shop only" in result.stderr) is has_warning
