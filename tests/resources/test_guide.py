"""The health checks that docs/custom-resources.md gives to Argo CD and Flux."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from cel_expr_python import cel
from click.testing import CliRunner
from lupa.lua51 import LuaRuntime

from tests.cli.guides import DOCS
from webhook.cli.main import mirrorhook

GENERATION = 7
BLOCKS = [
    yaml.safe_load(text.partition("\n```")[0])
    for text in (DOCS / "custom-resources.md").read_text(encoding="utf-8").split("```yaml\n")[1:]
]
SAMPLES = Path(__file__).parents[2] / "manifests/samples"


def find_block(kind):
    (found,) = (each for each in BLOCKS if each.get("kind") == kind)
    return found


HEALTH = find_block("ConfigMap")["data"]
EXPRESSIONS = find_block("Kustomization")["spec"]["healthCheckExprs"]


def condition(kind, status, generation=GENERATION):
    return {
        "type": kind,
        "status": status,
        "reason": "Reason",
        "message": f"{kind} is {status}",
        "observedGeneration": generation,
    }


def make_object(*conditions):
    status = {"status": {"conditions": [*conditions]}} if conditions else {}
    return {"metadata": {"name": "rules", "generation": GENERATION}, **status}


ACCEPTED = [condition("Accepted", "True"), condition("Programmed", "True")]
REFUSED = [condition("Accepted", "False"), condition("Programmed", "False")]
STATES = {
    "new": (make_object(), "Progressing", "waiting for mirrorhook"),
    "in use": (make_object(*ACCEPTED), "Healthy", "Programmed is True"),
    "refused": (make_object(*REFUSED), "Degraded", "Accepted is False"),
    "not in use yet": (
        make_object(condition("Accepted", "True"), condition("Programmed", "False")),
        *("Progressing", "waiting for mirrorhook"),
    ),
    "changed since": (
        make_object(condition("Accepted", "True", 6), condition("Programmed", "True", 6)),
        *("Progressing", "waiting for mirrorhook"),
    ),
    "changed since it was refused": (
        make_object(condition("Accepted", "False", 6), condition("Programmed", "False", 6)),
        *("Progressing", "waiting for mirrorhook"),
    ),
}


@pytest.mark.parametrize("name", ["clustermirrorrules", "mirrorrules"])
def test_sample_is_valid_with_the_values_of_the_samples(name, tmp_path):
    values = yaml.safe_load((SAMPLES / "values.yaml").read_text(encoding="utf-8"))
    rules = tmp_path / "rules.yaml"
    rules.write_text(yaml.safe_dump({"delegation": values["delegation"]}))
    arguments = ["check", str(SAMPLES / f"{name}.yaml"), "--config", str(rules)]
    result = CliRunner().invoke(mirrorhook, arguments)
    assert result.exit_code == 0, result.output
    assert "Warning" not in result.output


def run_lua(script, found):
    """Return what a health check of Argo CD says, which also runs Lua 5.1."""
    lua = LuaRuntime(register_eval=False)
    lua.globals().obj = lua.table_from(found, recursive=True)
    answer = lua.execute(script)
    return answer["status"], answer["message"]


@pytest.mark.parametrize("kind", ["ClusterMirrorRules", "MirrorRules"])
@pytest.mark.parametrize("state", STATES)
def test_argo_cd_calls_rules_healthy_once_they_are_in_use(state, kind):
    found, status, message = STATES[state]
    script = HEALTH[f"resource.customizations.health.mirrorhook.io_{kind}"]
    assert run_lua(script, found) == (status, message)


def evaluate(text, found):
    """Return the value of an expression of Flux, to which the fields of an object are variables."""
    fields = {"metadata": found["metadata"], "status": found.get("status", {})}
    environment = cel.NewEnv(variables=dict.fromkeys(fields, cel.Type.DYN))
    result = environment.compile(text).eval(data=fields)
    assert result.type() == cel.Type.BOOL, result.value()
    return result.value()


@pytest.mark.parametrize("kind", ["ClusterMirrorRules", "MirrorRules"])
@pytest.mark.parametrize("state", STATES)
def test_flux_calls_rules_current_once_they_are_in_use(state, kind):
    found, status, _ = STATES[state]
    (expressions,) = (each for each in EXPRESSIONS if each["kind"] == kind)
    assert expressions["apiVersion"] == "mirrorhook.io/v1alpha1"
    assert evaluate(expressions["failed"], found) is (status == "Degraded")
    assert evaluate(expressions["current"], found) is (status == "Healthy")
