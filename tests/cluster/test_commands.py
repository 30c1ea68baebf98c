"""Commands of Kubernetes on the pages have subcommands and options that the real programs know."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
from pathlib import Path

import pytest

from tests.cluster.programs import KUBEADM, KUSTOMIZE, program
from tests.tools.golang import GoMissingError
from tests.tools.helm import HelmMissingError, helm4

ROOT = Path(__file__).resolve().parents[2]
PAGES = [
    *sorted((ROOT / "docs").rglob("*.md")),
    *sorted(ROOT.glob("README*.md")),
    ROOT / "charts/mirrorhook/README.md",
    ROOT / "charts/mirrorhook/templates/NOTES.txt",
]
PROGRAMS = {
    "kubectl": lambda: program("kubectl"),
    "helm": helm4,
    "kubeadm": lambda: program("kubeadm", KUBEADM),
    "kustomize": lambda: program("kustomize", KUSTOMIZE),
}
FENCE = re.compile(r"^( *)```.*?\n(.*?)^\1```", re.MULTILINE | re.DOTALL)
SPAN = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
PLUGINS = {"mirrorhook", "krew"}  # of kubectl
# They have subcommands, and do something without one.
ALONE = {"apply", "init"}
# From a program to where the shell ends the command.
COMMAND = re.compile(rf"(?:^|[|(;&]|\$ )\s*((?:{'|'.join(PROGRAMS)}) [^|;&>)\n]*)", re.MULTILINE)
QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")


def find_commands(text):
    """Yield the commands of a page, in its fences and in its spans of code."""
    fences = [match[2].replace("\\\n", " ") for match in FENCE.finditer(text)]
    spans = [match[1].replace("\\|", "|") for match in SPAN.finditer(FENCE.sub("", text))]
    for code in (*fences, *spans):
        # Quotes may hold what ends a command outside of them.
        plain = QUOTED.sub("QUOTED", code)
        plain = re.sub(r"\$\([^)]*\)", "OUTPUT", plain) if "$(" in plain else plain
        for match in COMMAND.finditer(plain):
            command = match[1].partition(" #")[0].replace("…", "WORD").strip()
            if command.split()[1:2] and command.split()[1] not in PLUGINS:
                yield command


def collect():
    commands = {}
    for page in PAGES:
        for command in find_commands(page.read_text(encoding="utf-8")):
            commands.setdefault(command, page)
    return [(page.relative_to(ROOT), command) for command, page in commands.items()]


def ask_for_help(command):
    """Run a command with --help; cobra reads all options before it shows the help."""
    name, *words = shlex.split(command)
    try:
        path = PROGRAMS[name]()
    except (GoMissingError, HelmMissingError) as error:
        pytest.skip(str(error))
    words = words[: words.index("--")] if "--" in words else words
    return subprocess.run(
        [path, *words, "--help"],
        env=os.environ | {"HELM_PLUGINS": str(ROOT / "manifests")},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


ALL = collect()


@pytest.mark.parametrize(("page", "command"), ALL, ids=[f"{page} {text}" for page, text in ALL])
def test_command_has_options_that_its_program_knows(page, command):
    done = ask_for_help(command)
    assert done.returncode == 0, done.stderr
    # A word that is no subcommand shows the list of subcommands instead.
    assert command.split()[1] in ALONE or "Available Commands:" not in done.stdout


def test_pages_have_commands_of_each_program():
    assert len(ALL) > 100
    assert {command.split()[0] for _, command in ALL} == PROGRAMS.keys()


@pytest.mark.parametrize(
    "command",
    [
        "kubectl get pods --al-namespaces",
        "kubectl gett pods",
        "helm upgrade a b --reuse-valuse",
        "helm instal a b",
        "kubeadm init --configg a",
    ],
)
def test_wrong_command_is_found(command):
    assert ask_for_help(command).returncode != 0
