"""`explain --probe` and `check --probe`, with a real registry."""

from __future__ import annotations

import json
import sys

import pytest
from click.testing import CliRunner

from tests.registry.fake_http import secret
from tests.tools import registry as registries
from tests.tools.faults import unused_port
from tests.tools.loopback import NO_CAS
from tests.tools.registry import push_image, registry
from tests.tools.terminal import run_in_terminal
from webhook.cli.check import check
from webhook.cli.explain import explain

pytestmark = pytest.mark.skipif(registries.PROGRAM is None, reason="not installed: docker-registry")

RULES = """
rules:
  - match: docker.io
    mirrors: ["{dead}/hub", "{full}/hub"]
  - match: quay.io
    mirrors: ["{full}/quay"]
    original: first
  - match: docker.io/bitnami
    mirrors: [docker.io/bitnamilegacy]
  - match: icr.io
    mirrors: ["{full}/icr"]
availability:
  mode: check
  timeout: 5s
  plainHTTP: ["{dead}", "{full}", quay.io]
  credentials: [config.json]
"""
PASSWORD = "s3cr3t-p4ss"


@pytest.fixture(scope="module")
def full(tmp_path_factory):
    with registry(tmp_path_factory.mktemp("registry")) as address:
        push_image(address, "hub/library/nginx:1")
        push_image(address, "hub/library/busybox:latest")
        yield address


@pytest.fixture
def rules(tmp_path, full):
    path = tmp_path / "rules.yaml"
    path.write_text(RULES.format(dead=unused_port(), full=full))
    (tmp_path / "config.json").write_bytes(secret((full, "robot", PASSWORD)))
    return str(path)


def run(command, *arguments):
    return CliRunner(env=NO_CAS).invoke(command, arguments)


def test_explain_probe_shows_each_answer_and_selects_the_present_candidate(rules, full):
    result = run(explain, "-c", rules, "--probe", "nginx:1", "nginx:2")
    lines = result.stdout.splitlines()

    assert result.exit_code == 0
    assert lines[:2] == ["nginx:1", f"  rewritten    {full}/hub/library/nginx:1"]
    assert "cannot be reached (connection refused)" in lines[2]
    assert "nginx:2" in lines
    assert any("unavailable  no mirror is known to have it: " in line for line in lines)
    table = [line.split("  ") for line in lines[lines.index("") + 1 :]]
    assert [cell for cell in table[0] if cell] == ["CANDIDATE", "ANSWER", "TIME"] or (
        lines[lines.index("") + 1].split() == ["CANDIDATE", "ANSWER", "TIME"]
    )
    assert any(row[0] == f"{full}/hub/library/nginx:1" and "has it" in row for row in table)
    assert PASSWORD not in result.output


def test_explain_probe_json_has_the_answers(rules, full):
    result = run(explain, "-c", rules, "--probe", "-o", "json", "nginx:1", "a.io/b")
    first, second = json.loads(result.stdout)

    assert first["result"] == f"{full}/hub/library/nginx:1"
    assert [each["answer"] for each in first["candidates"]] == ["unreachable", "present"]
    assert first["candidates"][1]["answerReason"] == "has it"
    assert first["candidates"][1]["seconds"] > 0
    assert second["candidates"] == []


def test_check_probe_asks_each_mirror_for_an_image(rules, full):
    result = run(check, rules, "--probe", "-o", "json")
    probes = json.loads(result.stdout)["probes"]

    assert result.exit_code == 1
    assert [(each["rule"], each["answer"]) for each in probes] == [
        ("docker.io", "unreachable"),
        ("docker.io", "present"),
        ("quay.io", "absent"),
        ("docker.io/bitnami", None),
        ("icr.io", None),
    ]
    assert probes[1]["image"] == f"{full}/hub/library/busybox:latest"


def test_check_image_refuses_an_invalid_name(rules):
    result = run(check, str(rules), "--image", "Nginx:1:2")

    assert result.exit_code == 2
    assert "Invalid value for --image: 'Nginx:1:2': " in result.stderr


def test_check_probe_writes_no_table_if_there_is_no_mirror(tmp_path):
    path = tmp_path / "rules.yaml"
    path.write_text("rules: []\n")

    result = run(check, str(path), "--probe")

    assert result.exit_code == 0
    assert "MIRROR" not in result.stdout


def test_check_image_succeeds_if_a_mirror_has_one_of_the_images(tmp_path, full):
    path = tmp_path / "rules.yaml"
    path.write_text(
        f'rules: [{{match: docker.io, mirrors: ["{full}/hub"]}}]\n'
        f'availability: {{mode: check, timeout: 5s, plainHTTP: ["{full}"]}}\n'
    )
    result = run(check, str(path), "--image", "none:1", "--image", "nginx:1")
    lines = [line.split() for line in result.stdout.splitlines()]

    assert result.exit_code == 0
    assert ["POLICY", "RULE", "MIRROR", "ASKED", "FOR", "ANSWER", "TIME"] in lines
    assert lines[-1][:4] == [
        "default",
        "docker.io",
        f"{full}/hub",
        f"{full}/hub/library/nginx:1",
    ]


def test_check_without_probe_asks_nothing(rules):
    result = run(check, rules, "-o", "json")

    assert result.exit_code == 0
    assert "probes" not in json.loads(result.stdout)


def test_explain_probe_reports_a_missing_credentials_file(tmp_path, full):
    path = tmp_path / "rules.yaml"
    path.write_text(
        f'rules: [{{match: docker.io, mirrors: ["{full}/hub"]}}]\n'
        f'availability: {{mode: check, timeout: 5s, plainHTTP: ["{full}"], '
        "credentials: [none.json]}\n"
    )
    result = run(explain, "-c", str(path), "--probe", "nginx:1")

    assert "none.json: it cannot be read: No such file or directory" in result.stderr


def test_explain_probe_shows_a_transient_progress_bar_on_a_terminal(rules):
    command = [sys.executable, "-m", "webhook", "explain", "-c", rules, "--probe"]
    written, output = run_in_terminal([*command, "nginx:1"])

    assert b"Asking registries" in written
    assert b"2/2" in written
    assert b"Asking registries" not in output
