"""What the README says is true: its commands run, its links lead somewhere."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from webhook.config import parse_rules

ROOT = Path(__file__).resolve().parents[1]
READMES = ("README.md", "README.zh.md")
TEXTS = {name: (ROOT / name).read_text() for name in READMES}
TYPED = re.compile(r"^\$ (.*)$", re.MULTILINE)
SHOWN = re.compile(r"^\| [^|]*`\w+` \| `(.+?)` \| `(.+?)` \|$", re.MULTILINE)
COMMANDS = {name: TYPED.findall(text) for name, text in TEXTS.items()}


def run(command):
    """Run a command of the README as a newcomer would type it, by the Python of the tests."""
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MAKE")}
    local = Path(sys.executable).with_name("mirrorhook")
    command = command.replace(".venv/bin/mirrorhook", str(local))
    return subprocess.run(
        command,
        shell=True,
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        timeout=110,
        check=True,
    ).stdout


def test_the_demo_is_the_first_command():
    assert COMMANDS["README.md"][0] == "make demo"


def test_make_demo_runs_the_demo():
    assert "-m tests.demo" in run("make --dry-run demo")


def test_make_test_runs_every_test():
    assert "-m pytest" in run("make --dry-run test")


@pytest.mark.parametrize("command", COMMANDS["README.md"][2:])
def test_every_other_command_does_its_work(command):
    assert run(command)


def test_both_languages_have_the_same_commands():
    assert COMMANDS["README.md"] == COMMANDS["README.zh.md"]


@pytest.mark.parametrize("name", READMES)
def test_every_command_named_in_the_text_is_one(name):
    told = run(".venv/bin/mirrorhook --help")
    for command in re.findall(r"`mirrorhook (\w+)", TEXTS[name]):
        assert re.search(rf"^  {command} ", told, re.MULTILINE), command


@pytest.mark.parametrize("name", READMES)
def test_the_rule_does_what_the_table_says(name):
    (rules,) = re.findall(r"```yaml\n(.*?)```", TEXTS[name], re.DOTALL)
    assert yaml.safe_load(rules)
    decide = parse_rules(rules, "rules.yaml").policies["default"].mirrors.decide
    digest = "@sha256:" + "a" * 64
    shown = SHOWN.findall(TEXTS[name])
    assert len(shown) == 3
    for before, after in shown:
        whole = before.replace("@sha256:…", digest)
        assert decide(whole).image == after.replace("@sha256:…", digest)
