"""The Dockerfile needs no shell and no root, and pins its dependencies."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import yaml

from tests.image.building import ARCHITECTURES
from webhook import __version__
from webhook.cli.serve import serve

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "Dockerfile").read_text()
CHART = yaml.load((ROOT / "charts/mirrorhook/values.yaml").read_text(), Loader=yaml.CSafeLoader)


def instructions():
    """Yield the name and the arguments of each instruction."""
    lines = [line for line in TEXT.splitlines() if not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", "")
    for line in joined.splitlines():
        if line:
            name, _, rest = line.partition(" ")
            yield name, rest.strip()


INSTRUCTIONS = list(instructions())


def given(name):
    return [rest for each, rest in INSTRUCTIONS if each == name]


@pytest.mark.parametrize(
    "rest",
    [rest for name, rest in INSTRUCTIONS if name in {"RUN", "ENTRYPOINT", "CMD"}],
)
def test_commands_need_no_shell(rest):
    command = json.loads(rest)
    assert command[0] in {"python3", "serve"}


def test_user_is_numeric():
    assert given("USER") == ["65532:65532"]
    name, _ = INSTRUCTIONS[-1]
    assert name == "CMD"


def test_base_images_can_come_from_a_mirror():
    (first, *_, last) = given("FROM")
    assert first.endswith(" ${BUILDER} AS builder")
    assert last.endswith(" ${BASE}")
    defaults = dict(rest.split("=", 1) for rest in given("ARG") if "=" in rest)
    assert defaults["BASE"] == "gcr.io/distroless/python3-debian13"
    # Debian 13 has Python 3.13.
    assert defaults["BUILDER"] == "docker.io/library/python:3.13-slim"


def test_commands_run_on_the_platform_of_the_build():
    stages = [rest for name, rest in INSTRUCTIONS if name in {"FROM", "RUN"}]
    last = max(n for n, rest in enumerate(stages) if "${BASE}" in rest)
    assert stages[0].startswith("--platform=$BUILDPLATFORM ")
    assert stages[last].startswith("--platform=$TARGETPLATFORM ")
    assert last == len(stages) - 1


def test_every_architecture_of_a_release_has_wheels():
    stages = {rest.partition(" AS ")[2] for rest in given("FROM")}
    assert {f"build-{architecture}" for architecture in ARCHITECTURES} <= stages
    wheels = [rest for rest in given("ENV") if rest.startswith("PIP_PLATFORM=")]
    assert len(wheels) == len(ARCHITECTURES)


def test_dependencies_are_locked_with_hashes():
    (install,) = (rest for rest in given("RUN") if '"pip"' in rest)
    assert {"--require-hashes", "--only-binary=:all:"} <= set(json.loads(install))
    requirements = (ROOT / "requirements.txt").read_text()
    pin = r"^[\w.-]+(?:\[[\w,-]+\])?==\S+ \\\n    --hash=sha256:"
    pinned = re.findall(pin, requirements, re.MULTILINE)
    assert len(pinned) == len(re.findall(r"^\w", requirements, re.MULTILINE)) > 20


def test_compiled_files_have_no_timestamp():
    (compileall,) = (rest for rest in given("RUN") if "compileall" in rest)
    assert "--invalidation-mode=unchecked-hash" in json.loads(compileall)


def test_copied_files_exist_and_are_not_ignored():
    kept = {
        line.removeprefix("!")
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    copied = {rest.split()[0] for rest in given("COPY") if not rest.startswith("--from")}
    assert copied == kept
    for name in copied:
        assert (ROOT / name).exists()


def test_default_rules_file_is_the_one_that_the_chart_mounts():
    assert given("CMD") == ['["serve"]']
    (config,) = (option for option in serve.params if option.name == "config")
    environment = dict(part.split("=", 1) for part in given("ENV")[-1].split())
    assert environment[config.envvar] == "/etc/mirrorhook/rules/rules.yaml"
    deployment = (ROOT / "charts/mirrorhook/templates/deployment.yaml").read_text()
    assert f"--config={environment[config.envvar]}" in deployment


def test_ports_match_the_chart():
    webhook = CHART["webhook"]
    assert given("EXPOSE") == [f"{webhook['port']} {webhook['operationsPort']}"]


def test_label_has_the_version():
    assert f"VERSION={__version__}" in given("ARG")
