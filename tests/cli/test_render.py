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


def test_render_writes_one_file_to_standard_output(path):
    result = run("crio", "--config", path)

    assert result.exit_code == 0
    assert result.stdout.startswith("# Written by mirrorhook render crio.\n")
    assert result.stderr == (
        "Warning: only policy default is rendered, and the file has more: seen [other-policies]\n"
    )


def test_render_prints_several_files_with_their_paths():
    result = run("containerd", "--profile", "daocloud")

    assert result.exit_code == 0
    assert "\n# certs.d/quay.io/hosts.toml\n" in result.stdout


def test_render_writes_files_to_a_folder(tmp_path):
    result = run("containerd", "--profile", "mirror-gcr-io", "--output-dir", tmp_path)

    path = tmp_path / "certs.d/docker.io/hosts.toml"
    assert (result.exit_code, result.stdout) == (0, f"{path}\n")
    assert "mirror.gcr.io" in path.read_text(encoding="utf-8")


def test_render_reports_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "certs.d").touch()
    result = run("containerd", "--profile", "mirror-gcr-io", "--output-dir", tmp_path)

    assert result.exit_code == 1
    assert "cannot be written" in result.stderr


def test_render_fails_on_misleading_output_unless_accepted(path):
    refused = run("containerd", "--config", path)
    accepted = run("containerd", "--config", path, "--accept", "path-below")

    assert (refused.exit_code, refused.stdout) == (1, "")
    assert "Error: containerd mirrors whole registries" in refused.stderr
    assert ": docker.io/bitnami [path-below]\n" in refused.stderr
    assert "or accept the difference by --accept path-below\n" in refused.stderr
    assert accepted.exit_code == 0
    assert "harbor.example.com" in accepted.stdout


def test_render_strict_fails_on_omitted_rules(path):
    accept = ("--accept", "path-below", "--accept", "other-policies")
    result = run("containerd", "--config", path, "--strict", *accept)

    assert (result.exit_code, result.stdout) == (1, "")
    assert "Error: containerd does not support wildcards" in result.stderr


def test_render_refuses_a_policy_in_mode_observe_unless_accepted(path):
    result = run("docker", "--config", path, "--policy", "seen")

    assert result.exit_code == 1
    assert "Error: the policy has mode observe, but what is rendered takes effect: seen" in (
        result.stderr
    )


def test_render_fails_if_no_rule_can_be_written(path):
    result = run("docker", "--config", path)

    assert (result.exit_code, result.stdout) == (1, "")
    assert "none of the rules can be written in this format: docs/render.md says" in result.stderr


def test_render_refuses_an_unknown_code(path):
    result = run("crio", "--config", path, "--accept", "typo")

    assert result.exit_code == 2
    assert "unknown code 'typo'; the codes are regex, flatten" in result.stderr


@pytest.mark.parametrize("name", ["k3s", "kubeadm"])
def test_render_has_a_command_for_every_target(name):
    result = run(name, "--profile", "daocloud")

    assert result.exit_code == 0
    assert "m.daocloud.io" in result.stdout


def test_render_policy_is_named_after_the_policy_of_the_rules(path):
    default = run("policy", "--config", path)
    seen = run("policy", "--config", path, "--policy", "seen", "--accept", "observe")

    assert "kind: MutatingAdmissionPolicy\nmetadata:\n  name: mirrorhook\n" in default.stdout
    assert "\n  name: mirrorhook-seen\n" in seen.stdout


def test_render_policy_enforce_writes_a_validating_policy_that_may_only_warn(path):
    refuses = run("policy", "--config", path, "--enforce")
    warns = run("policy", "--config", path, "--enforce", "--warn")

    assert "kind: ValidatingAdmissionPolicy\n" in refuses.stdout
    assert "validationActions: [Deny]" in refuses.stdout
    assert "validationActions: [Warn, Audit]" in warns.stdout
    assert run("policy", "--config", path, "--warn").exit_code == 2


def test_render_policy_refuses_a_config_map_in_what_is_no_namespace(path):
    result = run("policy", "--config", path, "--params", "a: b")
    assert (result.exit_code, result.stdout) == (2, "")
    assert "'a: b' is not the name of a namespace" in result.stderr


def test_render_codes_are_all_documented():
    section = PAGE.partition("## What a target cannot express")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `([a-z-]+)` \|", section, re.MULTILINE)) == set(WarningCode)


def test_render_policy_can_put_the_rules_into_a_config_map(path):
    result = run("policy", "--config", path, "--params", "mirrors")

    assert result.exit_code == 0
    _, _, parameter = yaml.safe_load_all(result.stdout)
    assert parameter["metadata"] == {"name": "mirrorhook-rules", "namespace": "mirrors"}
    assert parameter["data"] == {
        "_depth": "1",
        "_domains": ".gcr.io",
        "docker.io": "harbor.example.com/hub",
        "docker.io..bitnami": "harbor.example.com/hub/bitnamilegacy docker.io/bitnamilegacy",
        ".gcr.io": "harbor.example.com/gcr",
    }


@pytest.mark.parametrize("target", ["containerd", "crio", "k3s", "docker", "kubeadm", "policy"])
def test_render_writes_the_same_with_keys_for_custom_resources(tmp_path, target):
    path = tmp_path / "rules.yaml"
    path.write_text(RULES)
    expected = run(target, "--config", path)
    text = RULES.replace("hub]}", "hub], enforced: true}")
    path.write_text(text + "delegation: {namespaces: {}, mirrors: [a.io]}\n")
    result = run(target, "--config", path)

    assert (result.exit_code, result.output) == (expected.exit_code, expected.output)
