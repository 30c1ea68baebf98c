from __future__ import annotations

import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from webhook.cli.profiles import profiles
from webhook.config import load_profiles, parse_rules
from webhook.profiles import PROFILES


def run(*arguments):
    return CliRunner().invoke(profiles, arguments)


def test_profiles_lists_all_with_status_and_date():
    result = run()

    lines = result.stdout.splitlines()
    assert result.exit_code == 0
    assert lines[0].split("  ")[0] == "NAME"
    assert len(lines) == len(PROFILES) + 3
    for profile, line in zip(PROFILES.values(), lines[1:], strict=False):
        assert line.split() == [
            profile.name,
            str(profile.status),
            profile.date,
            *profile.title.split(),
        ]


@pytest.mark.parametrize("name", PROFILES.keys())
def test_profiles_shows_a_profile_as_an_equivalent_rules_file(name):
    result = run(name)

    pasted = parse_rules(result.stdout, "pasted.yaml").policies["default"].mirrors.rules
    built_in = load_profiles([name]).policies["default"].mirrors.rules
    assert [(r.name, r.mirrors, r.keep) for r in pasted] == [
        (r.name, r.mirrors, r.keep) for r in built_in
    ]
    assert max(map(len, result.stdout.splitlines())) <= 80


def test_profiles_shows_status_conditions_and_source():
    shown = " ".join(run("azure-china").stdout.replace("#", "").split())

    profile = PROFILES["azure-china"]
    for words in (profile.title, profile.note, *profile.conditions, profile.source):
        assert words in shown
    assert "Status: restricted, as of 2026-01." in shown
    assert "profiles: [azure-china]" in shown


def test_profiles_json_has_the_documented_keys():
    listed = json.loads(run("-o", "json").stdout)

    assert [entry["name"] for entry in listed] == list(PROFILES)
    assert json.loads(run("k8s-gcr-io", "-o", "json").stdout) == {
        "name": "k8s-gcr-io",
        "title": "The old registry of Kubernetes, k8s.gcr.io, to registry.k8s.io",
        "status": "open",
        "date": "2023-03-10",
        "note": PROFILES["k8s-gcr-io"].note,
        "conditions": [],
        "source": "https://kubernetes.io/blog/2023/03/10/image-registry-redirect/",
        "rules": [
            {
                "match": "k8s.gcr.io",
                "mirrors": [{"target": "registry.k8s.io", "flatten": False}],
            }
        ],
    }


def test_profiles_refuses_an_unknown_profile():
    result = run("daoclod")

    assert (result.exit_code, result.stdout) == (2, "")
    assert "unknown profile 'daoclod'; did you mean daocloud?" in result.stderr


def test_profiles_runs_as_a_process():
    result = subprocess.run(
        [sys.executable, "-m", "webhook", "profiles"],
        capture_output=True,
        check=True,
        encoding="utf-8",
    )

    assert result.stdout == run().stdout
