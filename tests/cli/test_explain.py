from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click import UsageError
from click.testing import CliRunner

from tests.tools.terminal import terminal
from webhook.cli.explain import explain
from webhook.cli.options import load_policy

DIGEST = "sha256:" + "0123456789abcdef" * 4
RULES = r"""
profiles: [bitnami-legacy]
rules:
- match: docker.io
  mirrors: [harbor.example.com/dockerhub, backup.example.com/hub]
- match: quay.io/our-team
  keep: true
- regex: 'ghcr\.io/(.+)'
  mirrors: ['harbor.example.com/\1']
- regex: 'icr\.io/(.*)'
  mirrors: ['\1/x']
policies:
  team-a:
    rules: [{match: docker.io, mirrors: [a.example.com]}]
"""
COMMAND = (sys.executable, "-m", "webhook", "explain")


@pytest.fixture
def rules(tmp_path):
    path = tmp_path / "rules.yaml"
    path.write_text(RULES, encoding="utf-8")
    return str(path)


def run(*arguments, stdin=None, env=None):
    return CliRunner().invoke(explain, arguments, input=stdin, env=env)


def in_terminal(columns, *arguments):
    """Return what the command writes to a terminal of *columns* columns."""
    environment = {k: v for k, v in os.environ.items() if k not in ("COLUMNS", "NO_COLOR")}
    with (
        terminal(columns) as screen,
        subprocess.Popen(
            [*COMMAND, *arguments],
            stdin=screen.end,
            stdout=screen.end,
            stderr=subprocess.DEVNULL,
            env=environment | {"TERM": "xterm-256color"},
        ),
    ):
        return screen.written().decode().splitlines()


def test_explain_shows_the_decision_and_the_reason_for_each_image(rules):
    result = run("-c", rules, "nginx:1.27", "bitnami/redis:7", "quay.io/our-team/app", "a.io/b")

    assert result.exit_code == 0
    assert result.stdout == (
        "nginx:1.27\n"
        "  rewritten    harbor.example.com/dockerhub/library/nginx:1.27\n"
        "  why          rule docker.io → harbor.example.com/dockerhub\n"
        "  or           backup.example.com/hub/library/nginx:1.27\n"
        "               rule docker.io → backup.example.com/hub\n"
        "bitnami/redis:7\n"
        "  rewritten    harbor.example.com/dockerhub/bitnamilegacy/redis:7\n"
        "  why          rule docker.io/bitnami (profile bitnami-legacy) → "
        "docker.io/bitnamilegacy, then rule docker.io → harbor.example.com/dockerhub\n"
        "  or           backup.example.com/hub/bitnamilegacy/redis:7\n"
        "               rule docker.io/bitnami (profile bitnami-legacy) → "
        "docker.io/bitnamilegacy, then rule docker.io → backup.example.com/hub\n"
        "quay.io/our-team/app\n"
        "  kept         rule quay.io/our-team keeps it\n"
        "a.io/b\n"
        "  unmatched    no rule matches a.io/b\n"
    )
    assert "Warning: " in result.stderr
    assert "profile bitnami-legacy is frozen" in result.stderr


def test_explain_fails_on_an_invalid_image(rules):
    result = run("-c", rules, "NGINX", "nginx")

    assert result.exit_code == 1
    assert "  invalid      the repository 'NGINX' must be in lower case\n" in result.stdout
    assert "library/nginx" in result.stdout


def test_explain_succeeds_if_no_mirror_can_have_an_image(rules):
    result = run("-c", rules, "icr.io/UP", "icr.io/a")

    assert result.exit_code == 1
    assert run("-c", rules, "icr.io/a").exit_code == 0
    assert "  unavailable  " in result.stdout


def test_explain_escapes_control_characters():
    result = run("-p", "nju", "a\x1b[31m\nb")

    assert result.stdout.startswith("a\\x1b[31m\\nb\n")
    assert "\x1b" not in result.stdout


def test_explain_json_has_the_documented_keys(rules):
    result = run("-c", rules, "-o", "json", f"nginx:1@{DIGEST}", "bitnami/x", "A", "quay.io/x")

    digested, legacy, invalid, unmatched = json.loads(result.stdout)
    assert result.exit_code == 1
    assert digested == {
        "image": f"nginx:1@{DIGEST}",
        "outcome": "rewritten",
        "result": f"harbor.example.com/dockerhub/library/nginx:1@{DIGEST}",
        "rule": "docker.io",
        "profile": None,
        "reason": "rule docker.io → harbor.example.com/dockerhub",
        "candidates": [
            {
                "image": f"harbor.example.com/dockerhub/library/nginx:1@{DIGEST}",
                "reason": "rule docker.io → harbor.example.com/dockerhub",
            },
            {
                "image": f"backup.example.com/hub/library/nginx:1@{DIGEST}",
                "reason": "rule docker.io → backup.example.com/hub",
            },
        ],
        "registry": "docker.io",
        "repository": "library/nginx",
        "tag": "1",
        "digest": DIGEST,
        "origins": [],
    }
    assert (legacy["rule"], legacy["profile"]) == ("docker.io/bitnami", "bitnami-legacy")
    assert invalid == {
        "image": "A",
        "outcome": "invalid",
        "result": "A",
        "rule": None,
        "profile": None,
        "reason": "the repository 'A' must be in lower case",
        "candidates": [],
        "registry": None,
        "repository": None,
        "tag": None,
        "digest": None,
        "origins": [],
    }
    assert (unmatched["outcome"], unmatched["result"]) == ("unmatched", "quay.io/x")
    assert (unmatched["tag"], unmatched["rule"]) == (None, None)


def test_explain_reads_images_from_standard_input_for_a_dash():
    stdin = "\ufeffquay.io/a:1\r\n\n# a comment\n  gcr.io/b:2  \nghcr.io/c"
    result = run("-p", "nju", "-o", "json", "k8s.gcr.io/x", "-", "nvcr.io/y", stdin=stdin)

    assert [entry["image"] for entry in json.loads(result.stdout)] == [
        "k8s.gcr.io/x",
        "quay.io/a:1",
        "gcr.io/b:2",
        "ghcr.io/c",
        "nvcr.io/y",
    ]


def test_explain_accepts_empty_standard_input():
    assert json.loads(run("-p", "nju", "-o", "json", "-", stdin="\n").stdout) == []
    assert run("-p", "nju", "-", stdin="").exit_code == 0


def test_explain_uses_the_policy_option(rules):
    result = run("-c", rules, "--policy", "team-a", "nginx")

    assert "a.example.com/library/nginx" in result.stdout


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["nginx"], "give --config FILE, or --profile NAME"),
        (["-c", "x.yaml", "-p", "nju", "nginx"], "give either --config or --profile"),
        (["-p", "nju"], "Missing argument 'IMAGE...'"),
        (["-p", "nju", "--policy", "b", "x"], "unknown policy 'b'; known policies: default"),
        (["-p", "njuu", "nginx"], "unknown profile 'njuu'; did you mean nju?"),
        (["-c", "no/such.yaml", "nginx"], "no/such.yaml: the file cannot be read: No such"),
    ],
)
def test_explain_reports_wrong_usage_with_exit_code_2(arguments, problem):
    result = run(*arguments, env={"MIRRORHOOK_CONFIG": ""})

    assert result.exit_code == 2
    assert problem in result.stderr
    assert result.stdout == ""


def test_explain_refuses_an_unknown_policy(rules):
    result = run("-c", rules, "--policy", "b", "nginx")

    assert result.exit_code == 2
    assert "unknown policy 'b'; known policies: default, team-a" in result.stderr


def test_load_policy_works_outside_a_command(rules):
    with pytest.raises(UsageError):
        load_policy(Path(rules), ("nju",), "default")

    assert load_policy(Path(rules), (), "team-a").name == "team-a"


def test_explain_reports_every_problem_of_the_rules(tmp_path):
    path = tmp_path / "rules.yaml"
    path.write_text("rules: 7\nmode: x\n", encoding="utf-8")

    result = run("-c", str(path), "nginx")

    assert result.exit_code == 2
    assert result.stderr.startswith(f"Error: the rules have 2 problems:\n{path}:1:8: rules: ")


def test_explain_reads_the_rules_file_from_the_environment(rules):
    result = run("nginx", env={"MIRRORHOOK_CONFIG": rules})

    assert "harbor.example.com/dockerhub/library/nginx" in result.stdout


def test_explain_prefers_a_profile_option_to_the_environment(rules):
    result = run("-p", "daocloud", "nginx", env={"MIRRORHOOK_CONFIG": rules})

    assert "m.daocloud.io/docker.io/library/nginx" in result.stdout


@pytest.mark.parametrize("columns", [40, 80, 120])
def test_explain_never_cuts_a_name_on_a_terminal(columns):
    image = f"quay.io/{'a-long-part/' * 8}app:1@{DIGEST}"

    lines = in_terminal(columns, "-p", "daocloud", image)

    assert "\x1b[1m" in lines[0]
    words = [word for line in lines for word in strip_styles(line).split()]
    assert image in words
    assert f"m.daocloud.io/{image}" in words


def strip_styles(line):
    return "".join(
        part.partition("m")[2] if i else part for i, part in enumerate(line.split("\x1b["))
    )


def test_explain_writes_whole_lines_without_colours_to_a_pipe():
    image = f"quay.io/{'a-long-part/' * 12}app:1@{DIGEST}"

    result = subprocess.run(
        [*COMMAND, "-p", "daocloud", image],
        capture_output=True,
        check=False,
        encoding="utf-8",
        env=os.environ | {"COLUMNS": "40"},
    )

    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == (
        f"{image}\n"
        f"  rewritten    m.daocloud.io/{image}\n"
        "  why          rule quay.io (profile daocloud) → m.daocloud.io/quay.io\n"
    )


def test_explain_writes_to_an_ascii_terminal():
    result = subprocess.run(
        [*COMMAND, "-p", "nju", "quay.io/a"],
        capture_output=True,
        check=True,
        env=os.environ | {"PYTHONIOENCODING": "ascii"},
    )

    assert b"rule quay.io (profile nju) ? quay.nju.edu.cn\n" in result.stdout
