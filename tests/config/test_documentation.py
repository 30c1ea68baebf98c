from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.tools.faults import unused_port
from webhook.cli.check import check
from webhook.cli.explain import explain
from webhook.cli.profiles import profiles
from webhook.config import parse_rules

PAGE = (Path(__file__).parents[2] / "docs" / "rules.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"```yaml\n(.*?)```(.*?)(?=```yaml|\n## |\Z)", re.DOTALL)
ROW = re.compile(r"^\| `([^`]+)` \| `([^`]+)` \|$", re.MULTILINE)

EXAMPLES = [(block, ROW.findall(after)) for block, after in BLOCK.findall(PAGE)]
PROMISES = [(block, image, expected) for block, rows in EXAMPLES for image, expected in rows]


@pytest.mark.parametrize("block", [block for block, _ in EXAMPLES])
def test_documentation_examples_are_valid(block):
    assert parse_rules(block, "rules.md").policies


@pytest.mark.parametrize(("block", "image", "expected"), PROMISES)
def test_documentation_examples_map_images_as_stated(block, image, expected):
    decide = parse_rules(block, "rules.md").policies["default"].mirrors.decide

    assert decide(image).image == expected


def test_documentation_has_enough_examples():
    assert len(EXAMPLES) >= 10
    assert len(PROMISES) >= 30


def test_documentation_lists_every_key_of_the_file(refused):
    table = PAGE[PAGE.index("## All keys") : PAGE.index("## match")]
    problems = refused("x: 1\nrules: [{x: 1}, {match: a.io, mirrors: [{y: 1}]}]")

    for problem in problems:
        for key in problem.partition("known keys are ")[2].split(", "):
            assert re.search(rf"^\| `(\w+\[?\]?\.)*{key}(\[\])?(\.\w+)?` ", table, re.MULTILINE)


def test_documentation_lists_every_key_of_the_output(tmp_path):
    path = tmp_path / "rules.yaml"
    path.write_text("rules: 7", encoding="utf-8")
    probed = tmp_path / "probed.yaml"
    probed.write_text(
        f'rules: [{{match: docker.io, mirrors: ["{unused_port()}"]}}]', encoding="utf-8"
    )
    outputs = (
        CliRunner().invoke(explain, ["-p", "nju", "-o", "json", "quay.io/a"]),
        CliRunner().invoke(check, ["-p", "nju", "-o", "json"]),
        CliRunner().invoke(check, [str(path), "-o", "json"]),
        CliRunner().invoke(profiles, ["nju", "-o", "json"]),
        CliRunner().invoke(explain, ["-c", str(probed), "--probe", "-o", "json", "nginx"]),
        CliRunner().invoke(check, [str(probed), "--probe", "-o", "json"]),
    )
    section = PAGE[PAGE.index("## Output for programs") :]

    for output in outputs:
        for key in iter_keys(json.loads(output.stdout)):
            assert f"`{key}`" in section


def iter_keys(value):
    if isinstance(value, dict):
        yield from value
        value = list(value.values())
    if isinstance(value, list):
        for item in value:
            yield from iter_keys(item)


MISTAKEN = """
profiles: [daoclod]
rules:
  - match: docker.io
    mirors: [harbor.example.com]
  - match: quay.io
    mirrors: [https://harbor.example.com]
"""


def test_documentation_shows_problems_as_reported(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("rules.yaml").write_text(MISTAKEN.lstrip(), encoding="utf-8")

    result = CliRunner().invoke(check, ["rules.yaml"])

    assert f"$ mirrorhook check rules.yaml\n{result.stderr}```" in PAGE


def test_documentation_shows_a_chain_as_explained(tmp_path):
    path = tmp_path / "rules.yaml"
    after = PAGE[PAGE.index("## Chains") :]
    chain = BLOCK.search(after)[1]
    path.write_text(chain, encoding="utf-8")

    result = CliRunner().invoke(explain, ["--config", str(path), "bitnami/redis:7"])

    command = "$ mirrorhook explain --config rules.yaml bitnami/redis:7\n"
    assert f"{command}{result.stdout}```" in PAGE
