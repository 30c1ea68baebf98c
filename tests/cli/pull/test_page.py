from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from webhook.cli.engines import ENGINES
from webhook.cli.pull import pull

PAGE = Path(__file__).parents[3] / "docs" / "pull.md"
EXAMPLE = re.compile(r"^```console\n\$ mirrorhook pull (.*)\n((?:.*\n)*?)```$", re.MULTILINE)
# As Docker 28 says it.
DOCKER = """
case "$1 $2" in
"image inspect") exit 1;;
pull*k8s/pause*|pull*typo*)
    echo "Error response from daemon: manifest for $2 not found: manifest unknown:" \\
        "manifest unknown"
    exit 1;;
esac
"""


@pytest.mark.parametrize("example", EXAMPLE.findall(PAGE.read_text(encoding="utf-8")))
def test_page_examples_have_the_documented_output(machine, example):
    arguments, expected = example
    rules = PAGE.read_text(encoding="utf-8").partition("```yaml\n")[2].partition("```")[0]
    path = machine.bin / "rules.yaml"
    path.write_text(rules, encoding="utf-8")
    machine.install("docker", script=DOCKER)

    result = machine.run(*arguments.replace("rules.yaml", str(path)).split())

    # A terminal shows the progress instead.
    assert re.sub(r"(?m)^Pulling .*\n", "", result.output) == expected


def test_page_and_help_list_every_option_and_engine():
    page = PAGE.read_text(encoding="utf-8")
    shown = CliRunner().invoke(pull, ["--help"]).stdout

    for parameter in pull.params[1:]:
        assert f"`{parameter.opts[0]}" in page
    for engine in ENGINES:
        assert f"| `{engine}` |" in page
    assert f"[auto|{'|'.join(ENGINES)}]" in shown
