from __future__ import annotations

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from webhook.cli.check import check

RULES = """
profiles: [daocloud, ustc]
rules:
- {match: docker.io, mirrors: [harbor.example.com/hub]}
- {match: a.io, keep: true}
policies:
  team-a: {rules: [{match: b.io, keep: true}], mode: observe, record: false}
"""


@pytest.fixture
def path(tmp_path):
    path = tmp_path / "rules.yaml"
    path.write_text(RULES, encoding="utf-8")
    return path


def run(*arguments, env=None):
    return CliRunner().invoke(check, list(map(str, arguments)), env=env)


def test_check_shows_policies_and_then_warnings(path):
    result = run(path)

    assert (result.exit_code, result.stderr) == (0, "")
    *lines, warning = result.stdout.splitlines()
    assert lines == [
        "The rules are valid.",
        "",
        "POLICY   PATH            MODE     RULES  OWN RULES  PROFILES        RECORD",
        "default  /mutate         rewrite  12     2          daocloud, ustc  yes",
        "team-a   /mutate/team-a  observe  1      1          none            no",
        "",
    ]
    assert warning.startswith(
        f"Warning: {path}:2:22: profiles[1]: profile ustc is closed (as of 2024-08-12): "
    )
    assert warning.endswith("gcr.io and quay.io since 2024-08-12.")


def test_check_json_has_the_documented_keys(path):
    result = run("--config", path, "--output", "json")

    answer = json.loads(result.stdout)
    assert (result.exit_code, result.stderr) == (0, "")
    assert [*answer] == ["valid", "policies", "warnings", "problems"]
    assert answer["valid"] is True
    assert answer["problems"] == []
    assert len(answer["warnings"]) == 1
    assert answer["policies"] == [
        {
            "name": "default",
            "path": "/mutate",
            "mode": "rewrite",
            "record": True,
            "rules": 12,
            "ownRules": 2,
            "profiles": ["daocloud", "ustc"],
        },
        {
            "name": "team-a",
            "path": "/mutate/team-a",
            "mode": "observe",
            "record": False,
            "rules": 1,
            "ownRules": 1,
            "profiles": [],
        },
    ]


def test_check_reports_all_problems_with_exit_code_2(path):
    path.write_text("rules: 7\nmode: x\n", encoding="utf-8")

    result = run(path)

    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr.splitlines() == [
        "Error: the rules have 2 problems:",
        f"{path}:1:8: rules: expected a list, got the number '7': write [7]",
        f"{path}:2:7: mode: unknown value 'x'; use rewrite or observe",
    ]


def test_check_json_has_the_problems(path):
    path.write_text("rules: 7\n", encoding="utf-8")

    result = run(path, "-o", "json")

    assert result.exit_code == 2
    assert json.loads(result.stdout) == {
        "valid": False,
        "policies": [],
        "warnings": [],
        "problems": [
            {
                "origin": str(path),
                "line": 1,
                "column": 8,
                "path": "rules",
                "message": "expected a list, got the number '7': write [7]",
            }
        ],
    }


def test_check_accepts_a_profile():
    result = run("--profile", "nju")

    assert result.exit_code == 0
    assert "default  /mutate  rewrite  6      0          nju       yes" in result.stdout


@pytest.mark.parametrize(
    "arguments",
    [("rules.yaml", "-c", "rules.yaml"), ("rules.yaml", "-p", "nju")],
)
def test_check_refuses_a_file_and_an_option(arguments):
    result = run(*arguments)

    assert result.exit_code == 2
    assert "give only one of FILE, --config and --profile" in result.stderr


def test_check_without_rules_is_wrong_usage():
    result = run(env={"MIRRORHOOK_CONFIG": ""})

    assert result.exit_code == 2
    assert "give --config FILE" in result.stderr


def test_check_prefers_the_file_argument_to_the_environment(path):
    assert run(path, env={"MIRRORHOOK_CONFIG": "no/such.yaml"}).exit_code == 0
    assert run(env={"MIRRORHOOK_CONFIG": str(path)}).exit_code == 0


def test_check_runs_as_a_process(path):
    result = subprocess.run(
        [sys.executable, "-m", "webhook", "check", str(path)],
        capture_output=True,
        check=True,
        encoding="utf-8",
    )

    assert result.stdout.startswith("The rules are valid.\n")
