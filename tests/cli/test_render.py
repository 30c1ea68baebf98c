from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from webhook.cli.render import render
from webhook.render import WarningCode

PAGE = (Path(__file__).parents[2] / "docs/render.md").read_text(encoding="utf-8")
RULES = """
rules:
  - {match: docker.io, mirrors: [harbor.example.com/hub]}
  - {match: docker.io/bitnami, mirrors: [docker.io/bitnamilegacy]}
  - {match: "*.gcr.io", mirrors: [harbor.example.com/gcr]}
policies:
  seen: {mode: observe, rules: [{match: quay.io, mirrors: [h.example.com]}]}
"""


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "rules.yaml"
    path.write_text(RULES, encoding="utf-8")
    return path


def run(*arguments):
    return CliRunner().invoke(render, list(map(str, arguments)))


def test_one_file_goes_to_standard_output_as_it_is(path):
    result = run("crio", "--config", path)

    assert result.exit_code == 0
    assert result.stdout.startswith("# Written by mirrorhook render crio.\n")
    assert result.stderr == (
        "Warning: only policy default is rendered, and the file has more: seen [other-policies]\n"
    )


def test_several_files_are_printed_each_with_its_path():
    result = run("containerd", "--profile", "daocloud")

    assert result.exit_code == 0
    assert "\n# certs.d/quay.io/hosts.toml\n" in result.stdout


def test_files_go_below_a_folder(tmp_path):
    result = run("containerd", "--profile", "mirror-gcr-io", "--output-dir", tmp_path)

    path = tmp_path / "certs.d/docker.io/hosts.toml"
    assert (result.exit_code, result.stdout) == (0, f"{path}\n")
    assert "mirror.gcr.io" in path.read_text(encoding="utf-8")


def test_a_folder_that_cannot_be_written_ends_the_command(tmp_path):
    (tmp_path / "certs.d").touch()
    result = run("containerd", "--profile", "mirror-gcr-io", "--output-dir", tmp_path)

    assert result.exit_code == 1
    assert "cannot be written" in result.stderr


def test_what_would_mislead_ends_the_command_unless_it_is_accepted(path):
    refused = run("containerd", "--config", path)
    accepted = run("containerd", "--config", path, "--accept", "path-below")

    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "Error: containerd mirrors whole registries" in refused.stderr
    assert ": docker.io/bitnami [path-below]\n" in refused.stderr
    assert accepted.exit_code == 0
    assert "harbor.example.com" in accepted.stdout


def test_with_strict_what_is_left_out_ends_the_command_too(path):
    accept = ("--accept", "path-below", "--accept", "other-policies")
    result = run("containerd", "--config", path, "--strict", *accept)

    assert (result.exit_code, result.stdout) == (1, "")
    assert "Error: containerd does not support wildcards" in result.stderr


def test_a_policy_that_only_observes_is_not_rendered_unasked(path):
    result = run("docker", "--config", path, "--policy", "seen")

    assert result.exit_code == 1
    assert "Error: the policy has mode observe, but what is rendered takes effect: seen" in (
        result.stderr
    )


def test_rules_of_which_nothing_can_be_said_are_a_failure(path):
    result = run("docker", "--config", path)

    assert (result.exit_code, result.stdout) == (1, "")
    assert "none of the rules can be written" in result.stderr


def test_a_code_that_is_none_is_a_wrong_usage(path):
    result = run("crio", "--config", path, "--accept", "typo")

    assert result.exit_code == 2
    assert "unknown code 'typo'; the codes are regex, flatten" in result.stderr


@pytest.mark.parametrize("name", ["k3s", "kubeadm"])
def test_every_target_is_a_command(name):
    result = run(name, "--profile", "daocloud")

    assert result.exit_code == 0
    assert "m.daocloud.io" in result.stdout


def test_a_policy_goes_by_the_name_of_its_rules(path):
    default = run("policy", "--config", path)
    seen = run("policy", "--config", path, "--policy", "seen", "--accept", "observe")

    assert "kind: MutatingAdmissionPolicy\nmetadata:\n  name: mirrorhook\n" in default.stdout
    assert "\n  name: mirrorhook-seen\n" in seen.stdout


def test_an_enforcement_is_another_kind_and_may_only_warn(path):
    refuses = run("policy", "--config", path, "--enforce")
    warns = run("policy", "--config", path, "--enforce", "--warn")

    assert "kind: ValidatingAdmissionPolicy\n" in refuses.stdout
    assert "validationActions: [Deny]" in refuses.stdout
    assert "validationActions: [Warn, Audit]" in warns.stdout
    assert run("policy", "--config", path, "--warn").exit_code == 2


def test_every_code_is_documented_and_no_other():
    section = PAGE.partition("## What a target cannot express")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `([a-z-]+)` \|", section, re.MULTILINE)) == set(WarningCode)


def test_the_rules_of_a_policy_can_stand_in_a_config_map_beside_it(path):
    result = run("policy", "--config", path, "--params", "mirrors")

    assert result.exit_code == 0
    _, _, parameter = yaml.safe_load_all(result.stdout)
    assert parameter["metadata"] == {"name": "mirrorhook-rules", "namespace": "mirrors"}
    assert parameter["data"] == {
        "_depth": "1",
        "_domains": ".gcr.io",
        "docker.io": "harbor.example.com/hub",
        "docker.io..bitnami": "harbor.example.com/hub/bitnamilegacy",
        ".gcr.io": "harbor.example.com/gcr",
    }
