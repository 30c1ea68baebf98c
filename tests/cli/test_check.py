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
    [("-c", "rules.yaml"), ("-p", "nju")],
)
def test_check_refuses_a_file_and_an_option(path, arguments):
    result = run(path, *arguments)

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


OBJECTS = """
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {team: shop}}
---
apiVersion: mirrorhook.io/v1alpha1
kind: MirrorRules
metadata: {name: rules, namespace: shop}
spec:
  rules:
    - match: quay.io
      mirrors: [{target: harbor.example.com/shop}]
    - match: "*.gcr.io"
      keep: true
  mode: observe
---
apiVersion: mirrorhook.io/v1alpha1
kind: ClusterMirrorRules
metadata: {name: hub}
spec:
  policy: team-a
  profiles: [nju]
"""
BASE = """
rules:
- {match: harbor.example.com/shop, mirrors: [quay.io]}
delegation:
  namespaces: {matchLabels: {team: payments}}
  mirrors: [harbor.example.com/payments/*]
"""


@pytest.fixture
def objects(tmp_path):
    path = tmp_path / "objects.yaml"
    path.write_text(OBJECTS, encoding="utf-8")
    return path


def test_check_accepts_custom_resources(objects):
    result = run(objects)

    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout.splitlines() == [
        "The rules are valid.",
        "",
        "OBJECT                  PATH  MODE     RULES  OWN RULES  PROFILES  RECORD",
        "MirrorRules shop/rules  -     observe  2      2          none      yes",
        "ClusterMirrorRules hub  -     rewrite  6      0          nju       yes",
    ]


def test_check_reports_problems_of_custom_resources_with_their_lines(objects):
    objects.write_text(OBJECTS.replace("match: quay.io", "match: quay.io:1:2"))

    result = run(objects)

    assert result.exit_code == 2
    assert f"{objects}:11:14: spec.rules[0].match: match 'quay.io:1:2'" in result.stderr


def test_check_compares_custom_resources_with_a_rules_file(objects, tmp_path):
    base = tmp_path / "base.yaml"
    base.write_text(BASE)

    result = run(objects, "--config", base)

    assert result.exit_code == 2
    assert result.stderr.splitlines() == [
        "Error: the rules have 2 problems:",
        (
            f"{objects}:10:3: metadata.namespace: namespace shop may not have rules of its own: "
            "label team must be payments, but is shop"
        ),
        f"{objects}:21:11: spec.policy: the rules file has no policy team-a; it has default",
    ]
    base.write_text(BASE.replace("payments", "shop") + "policies: {team-a: {rules: []}}\n")
    result = run(objects, "--config", base)
    assert result.stderr == (
        f"Error: {objects}:10:3: spec: the rules form a cycle: harbor.example.com/shop → quay.io "
        "(MirrorRules shop/rules) → harbor.example.com/shop; remove one of them, or give one "
        "`keep: true`\n"
    )


def test_check_takes_unknown_labels_of_a_namespace_for_right(objects, tmp_path):
    base = tmp_path / "base.yaml"
    base.write_text(BASE.replace("match: harbor.example.com/shop,", "match: a.io,"))
    documents = OBJECTS.split("---")
    objects.write_text(documents[1].replace("com/shop", "com/payments/shop"))

    assert run(objects, "--config", base).exit_code == 0


def test_check_reads_a_list_of_custom_resources_as_kubectl_writes_it(tmp_path):
    item = {
        "apiVersion": "mirrorhook.io/v1alpha1",
        "kind": "ClusterMirrorRules",
        "metadata": {"name": "hub", "uid": "0", "generation": 3},
        "spec": {"rules": [{"match": "docker.io", "mirrors": [{"target": "m.io"}]}]},
        "status": {"conditions": []},
    }
    path = tmp_path / "list.json"
    path.write_text(json.dumps({"apiVersion": "v1", "kind": "List", "items": [item]}, indent=2))

    result = run(path, "--output", "json")

    assert result.exit_code == 0
    (policy,) = json.loads(result.stdout)["policies"]
    assert (policy["name"], policy["rules"]) == ("ClusterMirrorRules hub", 1)


@pytest.mark.parametrize(
    ("old", "new", "problem"),
    [
        ("kind: MirrorRules", "kind: MirrorRule", "unknown value 'MirrorRule'; did you mean"),
        ("v1alpha1\nkind: M", "v1\nkind: M", "unknown version: write mirrorhook.io/v1alpha1"),
        ("name: rules, ", "", "the object has no name: add metadata.name"),
        ("kind: MirrorRules\n", "", "add kind: ClusterMirrorRules or MirrorRules"),
        ("spec:\n  policy", "Spec:\n  policy", "Spec: unknown key; did you mean spec?"),
        ("[{target: harbor.example.com/shop}]", "[a.io]", "write - target: a.io"),
        ("  mode: observe", "  policy: team-a", "unknown key; known keys are profiles, rules"),
        ("policy: team-a", "availability: {credentials: [a]}", "credentials: unknown key"),
    ],
)
def test_check_says_what_is_wrong_with_a_custom_resource(objects, old, new, problem):
    assert old in OBJECTS
    objects.write_text(OBJECTS.replace(old, new))

    result = run(objects)

    assert result.exit_code == 2
    assert problem in result.stderr
