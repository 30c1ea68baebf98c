"""The hooks for pre-commit, run by pre-commit, and the steps of the GitHub Action, run by bash."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/audit.md").read_text(encoding="utf-8")
BIN = Path(sys.executable).parent
RULES = "rules: [{match: docker.io, mirrors: [harbor.example.com/dockerhub]}]\n"
POD = "apiVersion: v1\nkind: Pod\nspec: {containers: [{name: a, image: %s}]}\n"


def run(*command, cwd, **environment):
    return subprocess.run(
        list(map(str, command)),
        cwd=cwd,
        env=os.environ | {"PATH": f"{BIN}:{os.environ['PATH']}"} | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )


@pytest.fixture
def repository(tmp_path):
    """A repository with rules, a manifest and a template, and the hooks as the page has them."""
    folder = tmp_path / "repository"
    (folder / "charts").mkdir(parents=True)
    (folder / "rules.yaml").write_text(RULES)
    (folder / "pod.yaml").write_text(POD % "nginx")
    (folder / "charts/pod.yaml").write_text("{{ template }}")
    (_, block) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    (given,) = yaml.safe_load(block)["repos"]
    defined = {
        hook["id"]: hook for hook in yaml.safe_load((ROOT / ".pre-commit-hooks.yaml").read_text())
    }
    # The program of this environment, as installing another one needs a network.
    hooks = [defined[hook["id"]] | hook | {"language": "system"} for hook in given["hooks"]]
    config = {"repos": [{"repo": "local", "hooks": hooks}]}
    (folder / ".pre-commit-config.yaml").write_text(yaml.safe_dump(config))
    run("git", "init", "--quiet", cwd=folder)
    run("git", "add", ".", cwd=folder)
    return folder


def commit(folder):
    run("git", "add", ".", cwd=folder)
    home = str(folder.parent / "pre-commit")
    return run("pre-commit", "run", cwd=folder, PRE_COMMIT_HOME=home)


def test_definition_of_the_hooks_is_valid():
    done = run("pre-commit", "validate-manifest", ".pre-commit-hooks.yaml", cwd=ROOT)
    assert done.returncode == 0, done.stdout


def test_hooks_accept_valid_rules_and_images_with_a_mirror(repository):
    done = commit(repository)
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("Passed") == 2


def test_hooks_refuse_invalid_rules(repository):
    (repository / "rules.yaml").write_text("rules: [{match: docker.io, mirror: a.example}]")
    done = commit(repository)
    assert done.returncode == 1
    assert "unknown key; did you mean mirrors?" in done.stdout


@pytest.mark.parametrize(("image", "reason"), [("quay.io/a", "no rule"), ("Nginx", "invalid")])
def test_hooks_refuse_images_without_a_mirror(repository, image, reason):
    (repository / "pod.yaml").write_text(POD % image)
    done = commit(repository)
    assert done.returncode == 1
    assert reason in done.stdout


def act(folder, **inputs):
    """Run the steps of the action as a runner does, and return the first that fails, or the last.

    The first step installs mirrorhook, which needs a network; the release check runs it.
    """
    action = yaml.safe_load((ROOT / "action.yml").read_text())
    values = {name: given["default"] for name, given in action["inputs"].items()} | inputs
    programs = folder.parent / "runner/mirrorhook/bin"
    programs.mkdir(parents=True)
    (programs / "mirrorhook").symlink_to(BIN / "mirrorhook")
    install, *steps = action["runs"]["steps"]
    assert "pip" in install["run"]
    for step in steps:
        if "if" in step and not values[step["if"].split()[0].removeprefix("inputs.")]:
            continue
        given = {
            name: re.sub(r"\$\{\{ inputs\.(\S+) \}\}", lambda found: values[found[1]], text)
            for name, text in step["env"].items()
        }
        given |= {
            "RUNNER_TEMP": str(programs.parents[1]),
            "GITHUB_STEP_SUMMARY": str(folder.parent / "summary.md"),
        }
        command = ("bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"])
        done = run(*command, cwd=folder, **given)
        if done.returncode:
            return done
    return done


@pytest.mark.parametrize("manifests", ["", "pod.yaml", "pod.yaml\n\nother folder\n"])
def test_action_accepts_valid_rules_and_images_with_a_mirror(repository, manifests):
    (repository / "other folder").mkdir()
    (repository / "other folder/pod.yaml").write_text(POD % "redis:7")
    done = act(repository, manifests=manifests)
    assert done.returncode == 0, done.stdout
    summary = repository.parent / "summary.md"
    assert summary.exists() == bool(manifests)
    if "other" in manifests:
        assert "docker.io/library/redis:7" in summary.read_text() or "redis:7" in done.stdout


def test_action_refuses_invalid_rules(repository):
    (repository / "rules.yaml").write_text("rules: [{match: docker.io, mirror: a.example}]")
    done = act(repository)
    assert done.returncode == 2
    assert "unknown key; did you mean mirrors?" in done.stdout


def test_action_refuses_images_with_a_state_that_fails(repository):
    (repository / "pod.yaml").write_text(POD % "quay.io/a")
    done = act(repository, manifests="pod.yaml")
    assert done.returncode == 1
    assert "quay.io/a" in (repository.parent / "summary.md").read_text()


def test_action_fails_only_on_the_states_that_are_given(repository):
    (repository / "pod.yaml").write_text(POD % "quay.io/a")
    done = act(repository, manifests="pod.yaml", **{"fail-on": "invalid"})
    assert done.returncode == 0, done.stdout


def test_action_of_the_page_has_only_inputs_that_exist():
    (block, _) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    (step,) = yaml.safe_load(block)
    assert set(step["with"]) <= set(yaml.safe_load((ROOT / "action.yml").read_text())["inputs"])
