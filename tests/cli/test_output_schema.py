"""What commands write with --output json fits the schema in the documentation."""

from __future__ import annotations

import json
from pathlib import Path

import click
import jsonschema
import pytest
from click.testing import CliRunner

from tests.tools.faults import unused_port
from webhook.cli.copy import _to_object
from webhook.cli.copy_engines import COPY_ENGINES
from webhook.cli.copy_plan import NO_IMAGE, CopyStatus, CopyTask
from webhook.cli.doctor.report import Finding, FindingStatus, describe_finding
from webhook.cli.main import mirrorhook
from webhook.cli.pull import _result_entry
from webhook.cli.puller import PullFailure, PullJob, PullResult
from webhook.core import parse_reference

REFERENCE = Path(__file__).parents[2] / "docs/reference"
SCHEMAS = json.loads((REFERENCE / "output.schema.json").read_text())["$defs"]
PAGE = (REFERENCE / "output.md").read_text()


def find_unlisted(value, schema, path=""):
    """Return the keys of a value that the schema does not list."""
    if isinstance(value, list):
        return [k for each in value for k in find_unlisted(each, schema.get("items", {}), path)]
    if not isinstance(value, dict):
        return []
    if "anyOf" in schema:
        schema = next(each for each in schema["anyOf"] if each["type"] == "object")
    known = schema.get("properties")
    if known is None:
        return []
    unlisted = [f"{path}.{key}" for key in value if key not in known]
    return unlisted + [
        key
        for name, each in value.items()
        if name in known
        for key in find_unlisted(each, known[name], f"{path}.{name}")
    ]


def check(command, value):
    jsonschema.validate(value, SCHEMAS[command])
    assert find_unlisted(value, SCHEMAS[command]) == []


@pytest.fixture
def folder(tmp_path, monkeypatch):
    port = unused_port()
    rules = (
        f'rules: [{{match: docker.io, mirrors: ["{port}"]}}]\n'
        f'availability: {{mode: check, plainHTTP: ["{port}"], timeout: 100ms}}\n'
    )
    (tmp_path / "rules.yaml").write_text(rules)
    (tmp_path / "wrong.yaml").write_text("rules: [{match: docker.io, mirors: []}]\n")
    containers = '[{name: a, image: nginx}, {name: b, image: "A B"}]'
    pod = f"apiVersion: v1\nkind: Pod\nmetadata: {{name: w}}\nspec: {{containers: {containers}}}\n"
    (tmp_path / "pod.yaml").write_text(pod)
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.mark.parametrize(
    "arguments",
    [
        "explain -c rules.yaml --probe nginx quay.io/a/b Nope",
        "explain -p daocloud nginx@sha256:" + "a" * 64,
        "check rules.yaml --probe",
        "check wrong.yaml",
        "check -p daocloud",
        "profiles",
        "profiles nju",
        "audit -c rules.yaml pod.yaml",
        "rewrite -c rules.yaml pod.yaml",
    ],
)
def test_output_of_a_command_fits_its_schema(folder, arguments):
    words = arguments.split()
    result = CliRunner().invoke(mirrorhook, [*words, "--output", "json"])
    check(words[0], json.loads(result.stdout))


def test_results_of_pull_and_copy_fit_their_schemas():
    job = PullJob("nginx", None, (), "no rule matches")
    failed = PullResult(job, failures=(PullFailure("", "no such host"),), notes=("a",))
    check("pull", [_result_entry(PullResult(job, "m.io/nginx", ("nginx",))), _result_entry(failed)])
    engine = next(iter(COPY_ENGINES.values()))
    tasks = [
        CopyTask(
            image=image,
            reference=name,
            source=name,
            target=name,
            reason="a rule",
            status=status,
            digest="sha256:0",
        )
        for image, name, status in (
            ("nginx", parse_reference("nginx"), CopyStatus.COPIED),
            ("Nope", NO_IMAGE, CopyStatus.FAILED),
        )
    ]
    check("copy", [_to_object(task, engine) for task in tasks])


def test_findings_of_doctor_fit_their_schema():
    findings = [Finding("webhook", status, "a", "b") for status in FindingStatus]
    check("doctor", [describe_finding(each) for each in findings])


def test_a_key_that_the_schema_does_not_list_is_found():
    value = [{"check": "a", "status": "ok", "message": "b", "fix": None, "new": 1}]
    assert find_unlisted(value, SCHEMAS["doctor"]) == [".new"]


def test_every_command_with_json_output_has_a_schema():
    context = click.Context(mirrorhook)
    with_json = {
        name
        for name in mirrorhook.list_commands(context)
        for parameter in mirrorhook.get_command(context, name).params
        if isinstance(parameter.type, click.Choice) and "json" in parameter.type.choices
    }
    assert with_json == SCHEMAS.keys() - {"log"}


def test_page_names_every_schema_and_every_key_of_its_own_tables():
    for command in SCHEMAS:
        assert f"`#/$defs/{command}`" in PAGE
    for command in ("rewrite", "doctor"):
        section = PAGE[PAGE.index(f"\n## {command}") :]
        for key in SCHEMAS[command]["items"]["properties"]:
            assert f"`{key}`" in section
