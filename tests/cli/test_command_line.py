"""What all commands have in common: help, suggestions, standard input, completion and signals."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
from click.testing import CliRunner

from webhook import __version__
from webhook.cli.main import COMMANDS, mirrorhook

COMMAND = (sys.executable, "-m", "webhook")
FULL = Path("/dev/full")
RULES = "rules: [{match: docker.io, mirrors: [m.example.com/hub]}]\npolicies: {team-a: {}}\n"


def run(*arguments, **options):
    return CliRunner().invoke(mirrorhook, arguments, **options)


def test_version_command_is_the_version_option():
    assert run("version").stdout == run("--version").stdout == f"mirrorhook {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "advice"),
    [
        (["chek"], "no command 'chek'; did you mean check?"),
        (["expalin", "nginx"], "did you mean explain?"),
        (["Pull"], "did you mean pull?"),
        (["render", "contanerd"], "no command 'contanerd'; did you mean containerd?"),
        (["render", "k8s"], "did you mean k3s?"),
        (["xyz"], "the commands are init, serve, explain, audit"),
    ],
)
def test_misspelt_command_gets_a_suggestion(arguments, advice):
    result = run(*arguments)
    assert result.exit_code == 2
    assert advice in result.stderr


@pytest.mark.parametrize("width", ["50", "80"])
@pytest.mark.parametrize("command", [[], ["render"]])
def test_help_lists_whole_summaries(command, width):
    lines = run(*command, "--help", env={"COLUMNS": width}).stdout
    assert "..." not in lines.partition("Commands:")[2]


def test_config_and_profile_together_are_refused_with_the_reason(tmp_path):
    result = run("explain", "-c", str(tmp_path / "x.yaml"), "-p", "daocloud", "nginx")
    assert result.exit_code == 2
    assert "give either --config or --profile, not both; to combine them, write" in result.stderr
    assert "profiles: [daocloud] into the rules file" in result.stderr


def test_check_reads_rules_from_standard_input():
    valid, invalid = run("check", "-", input=RULES), run("check", "-", input="rules: 7")
    assert valid.exit_code == 0
    assert "The rules are valid." in valid.stdout
    assert invalid.exit_code == 2
    assert "standard input:1:8: rules: expected a list" in invalid.stderr


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["explain", "-c", "-", "nginx"], "m.example.com/hub/library/nginx"),
        (["check", "--config", "-"], "The rules are valid."),
        (["pull", "--dry-run", "-c", "-", "nginx"], "docker pull m.example.com/hub/library/nginx"),
        (["render", "crio", "-c", "-"], 'location = "m.example.com/hub"'),
        (["rewrite", "-c", "-", "pod.yaml"], "image: m.example.com/hub/library/nginx"),
    ],
)
def test_config_reads_standard_input(tmp_path, monkeypatch, arguments, expected):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "pod.yaml").write_text("kind: Pod\nspec: {containers: [{image: nginx}]}\n")
    result = run(*arguments, input=RULES, env={"PATH": str(tmp_path)})
    assert result.exit_code == 0, result.output
    assert expected in result.stdout.replace("{image", "image")


@pytest.mark.parametrize(
    ("command", "content"), [("explain", "image names"), ("pull", "image names")]
)
def test_standard_input_cannot_be_used_twice(command, content):
    result = run(command, "-c", "-", "-", input=RULES, env={"PATH": "/nowhere"})
    if command == "pull":
        result = run(command, "--dry-run", "-c", "-", "-", input=RULES)
    assert result.exit_code == 2
    assert f"standard input cannot hold both rules and {content}" in result.stderr


def test_rewrite_cannot_read_rules_and_manifests_from_standard_input():
    result = run("rewrite", "-c", "-", "-", input=RULES)
    assert result.exit_code == 2
    assert "standard input cannot hold both rules and manifests" in result.stderr


def test_serve_refuses_rules_on_standard_input():
    result = run("serve", "--config", "-", input=RULES)
    assert result.exit_code == 2
    assert "serve needs a rules file that it can watch" in result.stderr


def complete(*words, **environment):
    """Return what bash would offer for the last word."""
    given = {"_MIRRORHOOK_COMPLETE": "bash_complete", "COMP_CWORD": str(len(words))}
    given |= {"COMP_WORDS": " ".join(["mirrorhook", *words]), **environment}
    done = subprocess.run(
        COMMAND, env={**os.environ, **given}, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    return [line.partition(",")[2] for line in done.stdout.split()]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["comp"], ["completion"]),
        (["completion", ""], ["bash", "zsh", "fish"]),
        (["render", "k"], ["k3s", "kubeadm"]),
        (["explain", "--prof"], ["--profile"]),
        (["explain", "--profile", "dao"], ["daocloud", "daocloud-host"]),
        (["explain", "-p", "azure"], ["azure-china"]),
        (["profiles", "nj"], ["nju"]),
        (["pull", "ngin"], ["nginx"]),
        (["pull", "nginx", "registry.k8s.io/pa"], ["registry.k8s.io/pause"]),
        (["explain", "-p", "nju", "redi"], ["redis"]),
        (["check", "--image", "busy"], ["busybox"]),
        (["pull", "--engine", "n"], ["nerdctl"]),
        (["render", "crio", "--accept", "path"], ["path-rule", "path-below"]),
    ],
)
def test_completion_offers_commands_options_images_and_profiles(words, expected):
    found = complete(*words)
    assert set(expected) <= set(found)
    assert all(word.startswith(words[-1]) for word in found)


def test_completion_offers_the_policies_of_the_rules(tmp_path):
    path = tmp_path / "rules.yaml"
    path.write_text(RULES, encoding="utf-8")
    assert complete("explain", "-c", str(path), "--policy", "") == ["default", "team-a"]
    path.write_text("rules: 7", encoding="utf-8")
    assert complete("explain", "-c", str(path), "--policy", "") == []
    assert complete("explain", "-c", "-", "--policy", "") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_writes_the_script_of_a_shell(shell):
    result = run("completion", shell)
    assert result.exit_code == 0
    assert f"_MIRRORHOOK_COMPLETE={shell}_complete" in result.stdout
    program = shutil.which(shell)
    if program:
        subprocess.run([program, "-n"], input=result.stdout, text=True, check=True)


def test_completion_works_in_bash(tmp_path):
    bash = shutil.which("bash")
    if not bash:
        pytest.skip("no bash")
    program = tmp_path / "mirrorhook"
    program.write_text(f'#!/bin/sh\nexec {" ".join(COMMAND)} "$@"\n', encoding="utf-8")
    program.chmod(0o755)
    script = (
        'eval "$(mirrorhook completion bash)"; COMP_WORDS=(mirrorhook profiles dao); '
        'COMP_CWORD=2; _mirrorhook_completion mirrorhook; echo "${COMPREPLY[@]}"'
    )
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        [bash, "-c", script],
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "daocloud daocloud-host\n"


def test_help_lists_completion_and_version():
    assert {"completion", "version"} <= set(COMMANDS)


@pytest.mark.parametrize(
    "arguments",
    [
        ["check", "-"],
        ["explain", "-c", "-", "nginx"],
        ["explain", "-p", "nju", "-"],
        ["audit", "-p", "nju", "-"],
        ["rewrite", "-p", "nju", "-"],
        ["render", "k3s", "-c", "-"],
        ["pull", "--dry-run", "-p", "nju", "-"],
        ["copy", "-p", "nju", "--plan", "list", "-"],
    ],
    ids=" ".join,
)
@pytest.mark.parametrize(
    ("number", "code", "message"),
    [(signal.SIGTERM, 143, "Terminated\n"), (signal.SIGINT, 130, "Interrupted\n")],
)
def test_signal_ends_every_command_with_a_message(arguments, number, code, message):
    # It waits for standard input; what runs before that says so on standard error.
    trace = "import sys, threading; from webhook.cli import main as m, options as o, files as f\n"
    trace += "def announce(what):\n    print('reads', flush=True); return sys.stdin.buffer\n"
    trace += "o.open_stdin = f.open_stdin = announce\nm.main()"
    with subprocess.Popen(
        [sys.executable, "-c", trace, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "reads\n"
        # One that comes just before the read begins is noticed only with the next.
        for _ in range(6):
            process.send_signal(number)
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=10)
                break
        assert (process.stderr.read(), process.returncode) == (message, code)


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize(
    "arguments",
    [
        ("--help",),
        ("profiles",),
        ("profiles", "--output", "json"),
        ("explain", "-p", "daocloud", "nginx"),
        ("render", "containerd", "-p", "daocloud"),
        ("rewrite", "-p", "daocloud"),
    ],
)
def test_full_disk_is_an_error_in_words(arguments):
    with FULL.open("w") as full:
        done = subprocess.run(
            [*COMMAND, *arguments],
            input="kind: Pod\n",
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "Error: cannot write to standard output: No space left on device; free some space"
    ]
