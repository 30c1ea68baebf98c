"""The kinds of common operators, each with its images, without any option."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from webhook.manifests import ImagePath
from webhook.manifests.image_paths import OPERATOR_PATHS, get_built_in_paths

NEW = "m.example/hub/library/busybox"
ANALYSIS = "spec.metrics[*].provider.job.spec.template"
POD = {"containers": [{"name": "a", "image": "busybox"}]}
ENTRIES = [(name, path) for name, paths in OPERATOR_PATHS.items() for path in paths.split()]
# How a path ends, and what its CRD has there; other ends are images.
ENDS = [
    (r"(^|\.)(podT|t|T|\w+T|leaderT|workerT)emplate(Spec)?$", "template"),
    (r"podTemplates\[\*\]$", "template"),
    (r"(containers|Containers|sidecars|steps|Steps)\[\*\]$", "container"),
    (r"(container|script|stepTemplate|predictor\.model)$", "container"),
    (r"(^spec|predictor|explainer|transformer|workerSpec|worker)$", "spec"),
    (r"^spec\.(prefill\.|router\..*)?template$", "spec"),
]


def make_object(name, path, value):
    """Return an object of a kind with *value* at *path*."""
    kind, _, group = name.partition(".")
    for step in reversed(ImagePath.parse(f"{name}={path}").steps):
        value = [value] if step == "*" and "[*]" in path else {step: value}
    return {"apiVersion": f"{group}/v1", "kind": kind, **value}


def shape_of(name, path):
    if name.startswith("LLMInferenceService") and path.endswith("template"):
        return "spec"
    found = [shape for end, shape in ENDS if re.search(end, path)]
    return found[0] if found else "image"


SHAPES = {
    "image": "busybox",
    "container": {"name": "a", "image": "busybox"},
    "spec": POD,
    "template": {"metadata": {"labels": {"a": "b"}}, "spec": POD},
}


@pytest.mark.parametrize(("name", "path"), ENTRIES)
def test_image_of_an_operator_is_rewritten(rewritten, name, path):
    text = json.dumps(make_object(name, path, SHAPES[shape_of(name, path)]))
    result = rewritten(text)
    assert result.problems == ()
    assert result.content.decode() == text.replace('"busybox"', f'"{NEW}"')
    assert len(result.images) == 1


def test_same_kind_of_another_group_is_unchanged(rewritten):
    for name, path in ENTRIES:
        other = f"{name.partition('.')[0]}.example.com"
        text = json.dumps(make_object(other, path, SHAPES[shape_of(name, path)]))
        assert rewritten(text).images == (), name


def test_paths_hold_whole_references():
    """Fields whose tag is in another field would get a wrong image."""
    for name, path in ENTRIES:
        partial = re.search(r"(?i)repository|registry|tag$|baseImage|output|kustomize|rbd", path)
        assert not partial, name
    assert not any(name.startswith("ArgoCD.") for name in OPERATOR_PATHS)


def test_each_entry_is_a_path():
    for name, paths in OPERATOR_PATHS.items():
        assert len(get_built_in_paths(name.partition(".")[0], name.partition(".")[2])) == len(
            set(paths.split())
        )


@pytest.mark.parametrize(
    ("name", "path", "image"),
    [
        ("Workflow.argoproj.io", "spec.templates[*].container", "{{inputs.parameters.image}}"),
        ("Workflow.argoproj.io", "spec.templates[*].container", "nginx:{{=sprig.trim('a')}}"),
        (
            "AnalysisTemplate.argoproj.io",
            "spec.metrics[*].provider.job.spec.template",
            "{{args.i}}",
        ),
        ("Task.tekton.dev", "spec.steps[*]", "$(params.image)"),
        ("Pipeline.tekton.dev", "spec.tasks[*].taskSpec.steps[*]", "nginx:$(params.tag)"),
    ],
)
def test_image_that_is_a_parameter_is_left_to_the_cluster(rewritten, name, path, image):
    value = SHAPES[shape_of(name, path)]
    text = json.dumps(make_object(name, path, value)).replace("busybox", image)
    result = rewritten(text)
    assert (result.content.decode(), result.images, result.problems) == (text, (), ())


def test_template_of_helm_in_a_workflow_is_reported(rewritten):
    for image in ("{{ .Values.image }}", '{{ include "image" . }}'):
        value = {"image": image}
        text = json.dumps(make_object("Workflow.argoproj.io", "spec.templates[*].script", value))
        (found,) = rewritten(text).images
        assert found.decision.outcome == "invalid"


def test_documentation_lists_every_kind():
    page = Path(__file__).parents[2].joinpath("docs/rewrite.md").read_text()
    rows = dict(re.findall(r"^\| ([\w, ]+) \| ([a-z0-9.-]+) \|$", page, re.MULTILINE))
    listed = {f"{kind}.{group}" for kinds, group in rows.items() for kind in kinds.split(", ")}
    assert listed >= set(OPERATOR_PATHS)
